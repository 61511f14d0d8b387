"""A member with a manifest is asked with its system text, its instruction and its sampling."""

import logging
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from its import manifest
from its.manifest import Manifest, Train
from its.manifest import Test as Asked
from proxy.config.checks import ConfigError
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import CHAT
from tests.scripted import Engine, says

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
SAY = "Answer in one line."
ASKED = Asked("none", temperature=0.6, top_p=0.95, max_tokens=30_720, thinking=True)
COMPOSE = "/v1/input_time/compose"
OURS = {"role": "system", "content": SYSTEM}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Return what writes the manifest of members `n` and `r` of the trained kind."""

    def written(**train: Any) -> str:
        config = MEMBERS
        for name, strategy in (("n", "none"), ("r", "random")):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            trained = Manifest(
                manifest.SCHEMA, "base", Train(strategy, **train),
                msgspec.structs.replace(ASKED, strategy=strategy),
            )  # fmt: skip
            manifest.write(trained, folder / manifest.NAME)
            config = config.replace(f'strategy = "{strategy}"', f'manifest = "{name}"')
        return config

    return written


def post(proxy: httpx.Client, path: str = CHAT, model: str = "n", **fields: Any) -> httpx.Response:
    return proxy.post(path, json={"model": model, **fields})


def test_without_a_system_text_or_an_instruction_it_is_the_identity(
    start: Proxy, engine: Engine, write: Any
) -> None:
    proxy = start(write())
    engine.scripts["n"] = says("7")
    chat = [{"role": "system", "content": "Be brief."}, user("3+4? ")]
    sent: dict[str, Any] = {"messages": chat, "top_k": 3}
    assert post(proxy, **sent).status_code == 200
    assert engine.bodies("n") == [{"model": "n", **sent}]


def test_a_member_adds_both_and_the_first_message_never_changes(
    start: Proxy, engine: Engine, write: Any
) -> None:
    proxy = start(write(system=SYSTEM, instruction=SAY))
    engine.scripts["n"] = engine.scripts["r"] = says("7")
    turns = [user("3+4?")]
    post(proxy, messages=turns)
    first = engine.bodies("n")[0]["messages"]
    assert first == [OURS, user(f"3+4?\n\n{SAY}")]
    later = [*turns, {"role": "assistant", "content": "7"}, user("+1?")]
    post(proxy, messages=later)
    assert engine.bodies("n")[1]["messages"] == [*first, *later[1:]]
    post(proxy, messages=[OURS, user(f"3+4?\n\n{SAY}")])
    assert engine.bodies("n")[2]["messages"] == first, "they are not added twice"
    told = post(proxy, model="r", messages=turns).json()["input_time"]
    arrived = engine.bodies("r")[0]["messages"]
    assert arrived == [OURS, user(f"{told['persona']}\n\n3+4?\n\n{SAY}")]
    assert told["co_design"] == "verified"


def test_a_context_is_picked_for_the_question_without_the_instruction(
    start: Proxy, engine: Engine, write: Any
) -> None:
    bare = start(write())
    told = post(bare, COMPOSE, "r", messages=[user("3+4?")]).json()["input_time"]
    proxy = start(write(instruction=SAY))
    for content in ("3+4?", f"3+4?\n\n{SAY}", f"3+4? {SAY}"):
        composed = post(proxy, COMPOSE, "r", messages=[user(content)]).json()
        assert composed["input_time"]["persona"] == told["persona"]
        assert composed["messages"] == [user(f"{told['persona']}\n\n3+4?\n\n{SAY}")]


def test_a_panel_asks_each_member_as_it_was_trained(
    start: Proxy, engine: Engine, write: Any
) -> None:
    config = write(system=SYSTEM, instruction=SAY).replace('["s", "u", "r"]', '["n", "u", "r"]')
    proxy = start(config)
    for name in "nur":
        engine.scripts[name] = says("7")
    sent: dict[str, Any] = {
        "messages": [user("3+4?")], "input_time": {"return_ballots": True},
    }  # fmt: skip
    ballots = post(proxy, model="vote3", **sent).json()["input_time"]["ballots"]
    persona = {ballot["member"]: ballot["persona"] for ballot in ballots}
    assert engine.bodies("n")[0]["messages"] == [OURS, user(f"3+4?\n\n{SAY}")]
    assert engine.bodies("r")[0]["messages"] == [
        OURS, user(f"{persona['r']}\n\n3+4?\n\n{SAY}"),
    ]  # fmt: skip
    assert engine.bodies("u")[0]["messages"] == [user(f"{persona['u']}\n\n3+4?")]
    composed = post(proxy, COMPOSE, "vote3", messages=sent["messages"]).json()["members"]
    assert [each["messages"][0] == OURS for each in composed] == [True, False, True]
    other = [{"role": "system", "content": "Be brief."}, user("3+4?")]
    for path in (CHAT, COMPOSE):
        refused = post(proxy, path, "vote3", messages=other)
        assert refused.json()["error"]["code"] == "system_mismatch"


OTHERS = [
    (CHAT, {"messages": [{"role": "system", "content": "Be brief."}, user("3+4?")]}),
    (CHAT, {"messages": [{"role": "developer", "content": "Be brief."}, user("3+4?")]}),
    (CHAT, {"messages": [OURS, user("?"), {"role": "system", "content": "No."}]}),
    (COMPOSE, {"messages": [{"role": "system", "content": "Be brief."}, user("3+4?")]}),
    ("/v1/completions", {"prompt": "3+4?"}),
    ("/v1/completions", {"prompt": ["3+4?", "5?"]}),
    ("/tokenize", {"messages": [{"role": "system", "content": "Be brief."}, user("3+4?")]}),
]


@pytest.mark.parametrize(("path", "sent"), OTHERS)
def test_another_system_text_is_refused(
    start: Proxy, engine: Engine, write: Any, path: str, sent: Any
) -> None:
    proxy = start(write(system=SYSTEM))
    answer = post(proxy, path, "r", **sent)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["code"] == "system_mismatch"
    assert 'system_mismatch = "warn"' in error["message"]
    assert not engine.received
    assert post(proxy, path, "u", **sent).json().get("error", {}).get("code") != "system_mismatch"


def test_another_system_text_is_refused_at_every_door(
    start: Proxy, engine: Engine, write: Any
) -> None:
    proxy = start(write(system=SYSTEM))
    developer = [{"role": "developer", "content": "Be brief."}, user("?")]
    given: list[dict[str, Any]] = [
        {"input": "?", "instructions": "Be brief."}, {"input": developer},
    ]  # fmt: skip
    for sent in given:
        error = post(proxy, "/v1/responses", "r", **sent).json()["error"]
        assert (error["code"], error["param"]) == ("system_mismatch", "input")
    system = [{"type": "text", "text": "No."}]
    answer = post(proxy, "/v1/messages", "r", messages=[user("?")], max_tokens=9, system=system)
    assert answer.status_code == 400
    assert 'system_mismatch = "warn"' in answer.json()["error"]["message"]
    assert not engine.received


@pytest.mark.parametrize(("path", "sent"), OTHERS)
def test_another_system_text_is_left_where_the_member_warns(
    start: Proxy, engine: Engine, write: Any, path: str, sent: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    config = write(system=SYSTEM).replace(
        'manifest = "n"', 'manifest = "n"\nsystem_mismatch = "warn"'
    )
    proxy = start(config)
    engine.scripts["n"] = says("7")
    with caplog.at_level(logging.WARNING, "its.proxy"):
        answer = post(proxy, path, "n", **sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["input_time"]["co_design"] == "mismatch"
    assert "'n' is not asked with the system text of its training" in caplog.text
    if engine.received:
        assert engine.bodies("n") == [{"model": "n", **sent}], "as the client wrote it"


DOORS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/responses", {"input": "3+4?"}),
    ("/v1/responses", {"input": [user("3+4?")], "instructions": SYSTEM}),
    ("/v1/responses", {"input": [{"role": "developer", "content": SYSTEM}, user("3+4?")]}),
    ("/v1/messages", {"messages": [user("3+4?")], "max_tokens": 9}),
    ("/v1/messages", {"messages": [user("3+4?")], "max_tokens": 9, "system": SYSTEM}),
]


@pytest.mark.parametrize(("path", "sent"), DOORS)
def test_other_apis_carry_them_too(
    start: Proxy, engine: Engine, write: Any, path: str, sent: Any
) -> None:
    proxy = start(write(system=SYSTEM, instruction=SAY))
    engine.scripts["n"] = says("7")
    assert post(proxy, path, **sent).status_code == 200
    assert engine.bodies("n")[0]["messages"] == [OURS, user(f"3+4?\n\n{SAY}")]


@pytest.mark.parametrize("empty", ["", " ", None])
def test_an_empty_system_text_is_none_wherever_it_stands(
    start: Proxy, engine: Engine, write: Any, empty: str | None
) -> None:
    """`instructions`, `system`, a system message: the checkpoint's own takes its place."""
    proxy = start(write(system=SYSTEM))
    engine.scripts["n"] = says("7")
    said = {"role": "system", "content": empty or ""}
    sent: list[tuple[str, dict[str, Any]]] = [
        (CHAT, {"messages": [said, user("3+4?")]}),
        ("/v1/responses", {"input": "3+4?", "instructions": empty}),
        ("/v1/responses", {"input": [said, user("3+4?")]}),
        ("/v1/messages", {"messages": [user("3+4?")], "system": empty, "max_tokens": 9}),
        ("/tokenize", {"messages": [said, user("3+4?")]}),
    ]
    for path, fields in sent:
        assert post(proxy, path, **fields).status_code == 200, path
        assert engine.bodies("n")[-1]["messages"] == [OURS, user("3+4?")], path
    assert post(proxy, COMPOSE, messages=[said, user("?")]).json()["messages"][0] == OURS


def test_completions_and_tokenize_follow(start: Proxy, engine: Engine, write: Any) -> None:
    proxy = start(write(instruction=SAY, instruction_placement="before"))
    engine.scripts["n"] = says("7")
    post(proxy, "/v1/completions", prompt=["3+4?", "5?"])
    assert engine.bodies("n")[0]["prompt"] == [f"{SAY}\n\n3+4?", f"{SAY}\n\n5?"]
    post(proxy, "/v1/completions", prompt="3+4?")
    assert engine.bodies("n")[1]["prompt"] == f"{SAY}\n\n3+4?"
    post(proxy, "/tokenize", messages=[user("3+4?")])
    assert engine.bodies("n")[2]["messages"] == [user(f"{SAY}\n\n3+4?")]


@pytest.mark.parametrize("path", [CHAT, COMPOSE, "/tokenize"])
def test_an_instruction_needs_a_question(
    start: Proxy, engine: Engine, write: Any, path: str
) -> None:
    proxy = start(write(instruction=SAY))
    answer = post(proxy, path, messages=[{"role": "assistant", "content": "7"}])
    assert answer.status_code == 400, answer.text
    assert "needs a user message" in answer.json()["error"]["message"]


def test_the_list_of_models_says_what_a_member_brings(start: Proxy, write: Any) -> None:
    proxy = start(write(system=SYSTEM, instruction=SAY))
    cards = {card["id"]: card["input_time"] for card in proxy.get("/v1/models").json()["data"]}
    brings = {name: card.get("own_instruction") for name, card in cards.items()}
    assert brings == {"n": True, "r": True, "s": False, "u": False, "vote3": None}
    assert (cards["n"]["instruction"], cards["n"]["system"]) == (SAY, SYSTEM)
    assert (cards["s"]["instruction"], cards["s"]["system"]) == (None, None)
    assert [each["own_instruction"] for each in cards["vote3"]["members"]] == [False, False, True]


DEFAULTS = 'manifest = "n"\ndefaults = true'
THINKS = {"enable_thinking": True}
MAKERS = {"temperature": 0.6, "top_p": 0.95}


@pytest.mark.parametrize(
    ("path", "sent", "added"),
    [
        (CHAT, {}, {**MAKERS, "max_tokens": 30_720, "chat_template_kwargs": THINKS}),
        (CHAT, {"temperature": 0, "top_p": 1, "max_tokens": 5,
                "chat_template_kwargs": {"enable_thinking": False}}, {}),
        (CHAT, {"temperature": None, "max_completion_tokens": 9, "chat_template_kwargs": {"x": 1}},
         {**MAKERS, "chat_template_kwargs": {"x": 1, **THINKS}}),
        ("/v1/completions", {"prompt": "?"}, {**MAKERS, "max_tokens": 30_720}),
        ("/tokenize", {}, {"chat_template_kwargs": THINKS}),
        ("/tokenize", {"prompt": "?", "messages": None}, {}),
        ("/v1/embeddings", {"input": "?"}, {}),
    ],
)  # fmt: skip
def test_the_makers_sampling_is_for_what_a_request_leaves_open(
    start: Proxy, engine: Engine, write: Any, path: str, sent: Any, added: Any
) -> None:
    given = {"messages": [user("3+4?")], **sent} if path in (CHAT, "/tokenize") else sent
    engine.scripts["n"] = says("7")
    post(start(write()), path, **given)
    post(start(write().replace('manifest = "n"', DEFAULTS)), path, **given)
    assert engine.bodies("n") == [{"model": "n", **given}, {"model": "n", **given, **added}]


def test_each_member_of_a_panel_has_its_own_sampling(
    start: Proxy, engine: Engine, write: Any
) -> None:
    config = write().replace('["s", "u", "r"]', '["n", "u", "r"]')
    proxy = start(config.replace('manifest = "n"', DEFAULTS))
    for name in "nur":
        engine.scripts[name] = says("7")
    post(proxy, model="vote3", messages=[user("3+4?")], top_p=1)
    [body] = engine.bodies("n")
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.6, 1, 30_720)
    assert body["chat_template_kwargs"] == THINKS
    for name in "ur":
        [body] = engine.bodies(name)
        assert {"temperature", "max_tokens", "chat_template_kwargs"}.isdisjoint(body)


def test_the_dry_run_shows_the_sampling(start: Proxy, write: Any) -> None:
    proxy = start(write().replace('manifest = "n"', DEFAULTS))
    shown = post(proxy, COMPOSE, messages=[user("?")], top_p=1).json()
    assert shown["sampling"] == {
        "temperature": 0.6, "max_tokens": 30_720, "chat_template_kwargs": THINKS,
    }  # fmt: skip
    assert "sampling" not in post(proxy, COMPOSE, "r", messages=[user("?")]).json()


def test_defaults_need_a_manifest(start: Proxy) -> None:
    with pytest.raises(ConfigError, match=r"members\.n\.defaults: needs a manifest"):
        start(MEMBERS.replace('strategy = "none"', 'strategy = "none"\ndefaults = true'))


@pytest.mark.parametrize("path", [CHAT, COMPOSE, "/v1/responses", "/v1/completions"])
def test_a_request_has_another_instruction_where_the_member_allows_it(
    start: Proxy, engine: Engine, write: Any, path: str
) -> None:
    engine.scripts["n"] = says("7")
    body = {"/v1/responses": {"input": "3+4?"}, "/v1/completions": {"prompt": "3+4?"}}
    sent = body.get(path, {"messages": [user("3+4?")]})
    config = write(instruction=SAY)
    proxy = start(config)
    refused = post(proxy, path, **sent, input_time={"instruction": "In Latin."})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["code"] == "co_design_mismatch"
    assert f"the instruction {SAY!r}" in error["message"]
    assert "'In Latin.'" in error["message"]
    assert post(proxy, path, **sent, input_time={"instruction": " "}).status_code == 400
    same = post(proxy, path, **sent, input_time={"instruction": SAY}).json()
    assert same["input_time"]["co_design"] == "verified"
    engine.received.clear()
    proxy = start(config.replace('manifest = "n"', 'manifest = "n"\nallow_mismatch = true'))
    for given, asked in (("In Latin.", "3+4?\n\nIn Latin."), ("", "3+4?")):
        told = post(proxy, path, **sent, input_time={"instruction": given}).json()
        assert told["input_time"]["co_design"] == "mismatch"
        arrived = told if path == COMPOSE else engine.bodies("n")[-1]
        assert [arrived.get("input"), arrived.get("prompt"), arrived.get("messages")].count(
            None
        ) == 2
        said = arrived.get("input") or arrived.get("prompt") or arrived["messages"][0]["content"]
        assert said == asked


def test_a_member_without_a_manifest_takes_an_instruction(start: Proxy, engine: Engine) -> None:
    engine.scripts.update(s=says("7"), n=says("7"))
    proxy = start()
    told = post(proxy, model="s", messages=[user("3+4?")], input_time={"instruction": SAY}).json()
    persona = told["input_time"]["persona"]
    assert engine.bodies("s")[0]["messages"] == [user(f"{persona}\n\n3+4?\n\n{SAY}")]
    assert told["input_time"]["co_design"] == "unverified"
