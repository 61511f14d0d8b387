"""What a request may cost: calls, tokens, money; and what it may change."""

import json
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from proxy.config.checks import ConfigError
from proxy.config.load import load
from proxy.config.settings import EMBEDDED_TOKENS
from proxy.engines.tokens import Tally, TokenRate
from tests.conftest import MEMBERS, Proxy, command
from tests.proxy.asking import CHAT, wait_until
from tests.proxy.panel.methods import ASK, CASES, Case, boxed
from tests.scripted import Body, Engine, chunk, completion, says, speaks, usage

ADAPTIVE = """
[panels.p]
members = ["n"]
method = "adaptive"
samples = 8
{more}
[panels.p.options]
confidence = 1.0
"""


def ask(proxy: httpx.Client, **more: Any) -> httpx.Response:
    return proxy.post(CHAT, json={"model": "p", "messages": ASK, **more})


def different() -> Any:
    """Return a script that never says the same twice."""
    numbers = iter(range(10_000))
    return lambda body: JSONResponse(completion(boxed(next(numbers))))


@pytest.mark.parametrize("limit", ["max_tokens_total = 50", "max_cost = 0.05"])
def test_a_spent_budget_starts_nothing_new(start: Proxy, engine: Engine, limit: str) -> None:
    """Each call has 15 tokens, and costs 0.015: after the fourth nothing is asked."""
    engine.scripts["n"] = different()
    priced = MEMBERS.replace(
        "[members.s]", "price = { prompt = 1000, completion = 1000 }\n[members.s]"
    )
    proxy = start(priced + ADAPTIVE.format(more=limit))
    body = ask(proxy).json()
    assert len(engine.received) == 4
    assert body["usage"]["total_tokens"] == 60
    assert body["input_time"]["stopped"] == "budget"
    assert body["choices"][0]["message"]["content"] == boxed(0)


def test_a_call_that_uses_it_up_is_cut_off(start: Proxy, engine: Engine) -> None:
    engine.scripts["n"] = speaks(*["word "] * 500, pause=0.01)
    proxy = start(MEMBERS + ADAPTIVE.format(more="max_tokens_total = 100"))
    answer = ask(proxy)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "budget_spent")
    assert answer.headers["x-should-retry"] == "false"
    wait_until(lambda: engine.running == 0)


def test_a_call_asks_for_no_more_than_is_left(start: Proxy, engine: Engine) -> None:
    """Each call has 15 tokens: 100, 85, 70 are left, and the client wants 80."""
    engine.scripts["n"] = different()
    proxy = start(MEMBERS + ADAPTIVE.format(more="max_tokens_total = 100"))
    assert ask(proxy, max_completion_tokens=80).status_code == 200
    wanted = [b.get("max_tokens") or b["max_completion_tokens"] for b in engine.bodies("n")]
    assert wanted == [80, 80, 70, 55, 40, 25, 10]
    assert all(
        len({"max_tokens", "max_completion_tokens"} & b.keys()) == 1 for b in engine.bodies("n")
    )


def test_a_call_that_names_no_number_stays(start: Proxy, engine: Engine) -> None:
    engine.scripts["n"] = different()
    ask(start(MEMBERS + ADAPTIVE.format(more="max_tokens_total = 100")))
    assert not any("max_tokens" in body for body in engine.bodies("n"))


# Options of a request -------------------------------------------------------------------------

ALLOWED = """
[panels.p]
members = ["n"]
method = "adaptive"
samples = 4
max_calls = 8
allow_options = ["at_most", "first"]
"""


def test_a_request_may_set_the_options_that_are_listed(start: Proxy, engine: Engine) -> None:
    engine.scripts["n"] = different()
    proxy = start(MEMBERS + ALLOWED)
    found = ask(proxy, input_time={"options": {"at_most": 2}}).json()["input_time"]
    assert len(found["calls"]) == 2
    assert len(ask(proxy).json()["input_time"]["calls"]) == 4


REFUSED: list[tuple[Any, str]] = [
    ({"confidence": 0.5}, "at_most, first"),
    ({"method": "majority"}, "allow_options"),
    ({"at_most": "many"}, "at_most"),
    ({"at_most": 0}, "at_most"),
    ({"at_most": 9}, "max_calls is 8"),
    ({"below": {"method": "synthesize"}}, "below.method"),
]


@pytest.mark.parametrize(("options", "told"), REFUSED)
def test_other_options_are_refused_before_anything_is_asked(
    start: Proxy, engine: Engine, options: Any, told: str
) -> None:
    answer = ask(start(MEMBERS + ALLOWED), input_time={"options": options})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "input_time.options"
    assert told in answer.json()["error"]["message"]
    assert engine.received == []


def test_a_member_has_no_options(start: Proxy, engine: Engine) -> None:
    answer = ask(start(), model="n", input_time={"options": {"first": 1}})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_time.options")


def test_options_of_a_nested_method(start: Proxy, engine: Engine) -> None:
    engine.scripts.update(CASES["synthesize"].scripts)
    config = MEMBERS + (
        '[panels.p]\nmembers = ["s", "u"]\nallow_options = ["threshold", "below.tokens"]\n'
        '[panels.p.options]\nthreshold = 0.1\nbelow = { method = "synthesize", writer = "n" }\n'
    )
    options = {"threshold": 1.0, "below": {"tokens": 9}}
    engine.scripts["u"] = says(boxed(2))
    found = ask(start(config), input_time={"options": options}).json()["input_time"]
    assert found["calls"][-1]["name"] == "below/write"


# Configuration --------------------------------------------------------------------------------

REWARD = """
[engines.w]
base_url = "{engine}/v1"
kind = "reward"
[members.w]
engine = "w"
model = "w"
strategy = "none"
"""
P = '[panels.p]\nmembers = ["s", "u"]\n'
OPTIONS = "[panels.p.options]\n"
JUDGED = f'{P}method = "best_of"\n{OPTIONS}'
Y = "[members.y]\nengine = 'e'\nmodel = 'y'\nstrategy = 'none'\n"


def judged(head: str) -> str:
    return f'{P}method = "best_of"\n{head}\n{OPTIONS}judge = "n"'


EMBEDDED = """
[engines.z]
embedded = "panels.toml"
[members.z]
engine = "z"
model = "z"
strategy = "none"
"""
WRONG = [
    (f"{P}{OPTIONS}thresold = 1", "panels.p.options.thresold", "'threshold'?"),
    (P + 'method = "magority"', "panels.p.method", "Did you mean 'majority'"),
    (P + "[panels.p.options]\nthreshold = 2", "panels.p.options.threshold", "<= 1"),
    (JUDGED, "panels.p.options", "judge"),
    (JUDGED + 'judge = "r"', "panels.p.options.judge", "strategy must be 'none'"),
    (JUDGED + 'judge = "x"', "panels.p.options.judge", "x"),
    (JUDGED + 'judge = "p"', "panels.p.options.judge", "part of itself"),
    (JUDGED + 'judge = "w"', "panels.p.options.judge", "reward"),
    (JUDGED + 'scorer = "n"', "panels.p.options.scorer", 'kind = "reward"'),
    ('[panels.p]\nmembers = ["w"]', "panels.p.members", "scorer"),
    (
        P + "[panels.p.options]\nthreshold = 0.9\n[panels.p.options.below]\nmethod = 'best_of'\n"
        "judge = 's'",
        "panels.p.options.below.judge",
        "strategy must be 'none'",
    ),
    (P + "max_calls = 3\nsamples = 2", "panels.p.max_calls", "make 4 calls"),
    (judged("max_calls = 3"), "panels.p.max_calls", "4 calls"),
    (P + 'method = "first_finish"', "panels.p.members", "one member"),
    (
        f'{P}method = "layers"\n{OPTIONS}'
        'layers = [{ method = "first_finish", members = ["s", "u"] }]',
        "panels.p.options.layers[0].members",
        "one member",
    ),
    (
        f'{P}method = "thinking_budget"\n{OPTIONS}closes = " "',
        "panels.p.options",
        "`closes` is blank",
    ),
    (P + "max_cost = 1.0", "panels.p.max_cost", "members.s.price"),
    (P + "max_cost = -1.0", "panels.p.max_cost", "above 0"),
    (P + "max_tokens_total = 0", "panels.p.max_tokens_total", "at least 1"),
    (P + 'allow_options = ["below"]', "panels.p.allow_options", "threshold"),
    (P + 'allow_options = ["nothing"]', "panels.p.allow_options", "nothing"),
    (P + 'allow_options = ["below.tokens"]', "panels.p.allow_options", "below"),
    (judged('allow_options = ["judge"]'), "panels.p.allow_options", "votes"),
    (f"{Y}price = {{prompt = -1.0, completion = 1.0}}", "members.y.price.prompt", "at least 0"),
    (f"{Y}context_tokens = 0", "members.y.context_tokens", "at least 1"),
    (f"{EMBEDDED}context_tokens = 4096", "members.z.context_tokens", "2048 tokens at most"),
    ("[keys.k]\nsecret = 'env:HOME'\ntokens_per_minute = 0", "keys.k.tokens_per_minute", "1"),
]
IDS = [f"{wrong[1]}-{number}" for number, wrong in enumerate(WRONG)]


@pytest.mark.parametrize(("text", "key", "told"), WRONG, ids=IDS)
def test_what_is_wrong_with_a_panel_is_named(tmp_path: Any, text: str, key: str, told: str) -> None:
    file = tmp_path / "panels.toml"
    file.write_text((MEMBERS + REWARD + text).replace("{engine}", "http://127.0.0.1:9"), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert f": {key}: " in str(caught.value)
    assert told in str(caught.value)


def test_a_race_inside_another_method_may_have_one_member_of_its_own(tmp_path: Any) -> None:
    file = tmp_path / "panels.toml"
    race = 'threshold = 0.5\nbelow = { method = "first_finish", members = ["n"], samples = 2 }'
    text = (MEMBERS + P + OPTIONS + race).replace("{engine}", "http://127.0.0.1:9")
    file.write_text(text, "utf-8")
    assert load(file).panels["p"].most_calls == 4


def test_an_embedded_engine_says_what_its_members_read(tmp_path: Any) -> None:
    file = tmp_path / "panels.toml"
    panel = '[panels.p]\nmembers = ["z"]\nmethod = "synthesize"\n'
    file.write_text(EMBEDDED + panel, "utf-8")
    settings = load(file)
    assert settings.members["z"].context_tokens == EMBEDDED_TOKENS
    assert settings.panels["p"].case.context_tokens == {"z": EMBEDDED_TOKENS}


def test_a_reward_model_answers_no_chat(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS + REWARD)
    for path, body in (
        ("chat/completions", {"messages": ASK}),
        ("completions", {"prompt": "hm"}),
        ("responses", {"input": "hm"}),
        ("input_time/compose", {"messages": ASK}),
    ):
        answer = proxy.post(f"/v1/{path}", json={"model": "w", **body})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model"), path
        assert "scorer" in answer.json()["error"]["message"]
    assert engine.received == []


def test_a_panel_of_judges_is_shown_what_each_of_them_can_read(
    start: Proxy, engine: Engine
) -> None:
    engine.scripts.update({**CASES["best_of"].scripts, "s": says("word " * 20_000)})
    judges = f"{Y}context_tokens = 3000\n[panels.judges]\nmembers = ['n', 'y']\n"
    engine.scripts["y"] = engine.scripts["n"]
    ask(start(MEMBERS + judges + JUDGED + 'judge = "judges"\n'))
    asked = [body["messages"][-1]["content"] for body in engine.bodies("n") + engine.bodies("y")]
    assert len(asked) == 2
    assert max(map(len, asked)) < 3 * 3000


def test_models_tell_method_options_and_worst_case(start: Proxy) -> None:
    case = CASES["best_of"]
    card = start(case.config("best_of")).get("/v1/models/p").json()["input_time"]
    assert (card["method"], card["most_calls"]) == ("best_of", 6)
    assert (card["options"]["judge"], card["options"]["votes"]) == ("n", 1)


def test_check_tells_the_worst_case(tmp_path: Any) -> None:
    file = tmp_path / "panels.toml"
    config = CASES["refine"].config("refine").replace("{engine}", "http://127.0.0.1:9")
    file.write_text(config, "utf-8")
    told = command("proxy", "check", "--config", file).stdout
    assert "panel p: refine of s, u, r, at most 5 calls" in told


# Reward models --------------------------------------------------------------------------------

SCORED = Case(
    'members = ["s", "u", "r"]\nearly_stop = false\nmethod_ = 0---[panels.p.options]\nscorer = "w"',
    {}, 2, [],
)  # fmt: skip


def scored_panel() -> str:
    return SCORED.config("best_of").replace("method_ = 0", "") + REWARD


def likes_two(shape: Any) -> Any:
    def script(body: Body) -> Response:
        return JSONResponse(shape(0.9 if body["text_2"] == boxed(2) else 0.1))

    return script


SHAPES = [
    lambda score: {"data": [{"index": 0, "score": score}]},
    lambda score: {"data": [{"index": 0, "probs": [1 - score, score], "num_classes": 2}]},
    lambda score: [{"embedding": [score], "meta_info": {}}],
    lambda score: {"score": score},
]


@pytest.mark.parametrize("shape", SHAPES, ids=range(4))
def test_a_reward_model_scores_drafts(start: Proxy, engine: Engine, shape: Any) -> None:
    engine.scripts.update(CASES["best_of"].scripts)
    engine.scripts["w"] = likes_two(shape)
    answer = ask(start(scored_panel()))
    assert answer.json()["choices"][0]["message"]["content"] == boxed(2)
    asked = [received for received in engine.received if received.body["model"] == "w"]
    assert [received.path for received in asked] == ["/classify"] * 3
    for received in asked:
        assert received.body["text_1"] == ASK[0]["content"]
        assert received.body["messages"][0] == ASK[0], "no context of the drafts' members"
        assert received.body["messages"][-1]["role"] == "assistant"
    found = answer.json()["input_time"]
    assert sorted(found["account"]["scores"].values()) == [[0.1], [0.1], [0.9]]


def test_an_engine_may_have_another_path(start: Proxy, engine: Engine) -> None:
    engine.scripts.update(CASES["best_of"].scripts)
    paths: list[str] = []

    def script(body: Body) -> Response:
        path = engine.received[-1].path
        paths.append(path)
        if path == "/classify":
            return JSONResponse({"error": "none"}, 404)
        answer: Response = likes_two(SHAPES[0])(body)
        return answer

    engine.scripts["w"] = script
    proxy = start(scored_panel())
    assert ask(proxy).json()["choices"][0]["message"]["content"] == boxed(2)
    paths.clear()
    ask(proxy)
    assert set(paths) == {"/v1/score"}, "it is remembered"


@pytest.mark.parametrize("score", ["good", True, [1, 2, 3], 10**400], ids=range(4))
def test_what_is_no_score_is_a_failure(start: Proxy, engine: Engine, score: Any) -> None:
    engine.scripts.update(CASES["best_of"].scripts)
    engine.scripts["w"] = lambda _: JSONResponse({"data": [{"score": score}]})
    found = ask(start(scored_panel())).json()["input_time"]
    assert {c["outcome"] for c in found["calls"] if c["role"] == "score"} == {"failed"}
    assert found["decided"] is False
    assert found["winner"] == "s", "the vote stands"


# A key's tokens -------------------------------------------------------------------------------


def test_a_keys_tokens_of_a_minute() -> None:
    now = [0.0]
    rate = TokenRate(100, lambda: now[0])
    rate.spend(60)
    now[0] = 10.0
    rate.spend(60)
    assert rate.wait() == 50.0, "until the first are a minute old"
    now[0] = 60.0
    assert rate.wait() == 0.0
    rate.spend(300)
    assert rate.wait() == 60.0


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_usage_is_found_in_the_bytes(size: int) -> None:
    """Not in the text: a model that writes a bill of its own writes it with escaped quotes."""
    lie = json.dumps('"total_tokens": 1000000 ')
    raw = f'{{"text": {lie}, "usage": {{"prompt_tokens": 2, "total_tokens": 42}}}}'.encode()
    rate = TokenRate(1000)
    tally = Tally(rate)
    for start_ in range(0, len(raw), size):
        tally.feed(raw[start_ : start_ + size])
    tally.close()
    assert rate._sum == 42


def test_events_are_counted_where_an_engine_counts_nothing() -> None:
    rate = TokenRate(1000)
    tally = Tally(rate)
    for event in [chunk(delta={"content": "a"})] * 5:
        tally.feed(event)
    tally.close()
    assert rate._sum == 5


KEYED = """
[keys.k]
secret = "env:ITS_TEST_KEY"
tokens_per_minute = 40
"""


@pytest.mark.parametrize("model", ["n", "p"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_key_without_tokens_waits(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch, model: str, stream: bool
) -> None:
    monkeypatch.setenv("ITS_TEST_KEY", "secret")
    engine.scripts.update(dict.fromkeys("nsur", speaks(*["word "] * 20)))
    proxy = start(MEMBERS + KEYED + '[panels.p]\nmembers = ["n"]\n')
    proxy.headers["authorization"] = "Bearer secret"
    body = {"model": model, "messages": ASK, "stream": stream}
    body |= {"stream_options": {"include_usage": True}} if stream else {}
    statuses = [proxy.post(CHAT, json=body).status_code for _ in range(3)]
    while statuses[-1] == 200 and len(statuses) < 8:
        statuses.append(proxy.post(CHAT, json=body).status_code)
    answer = proxy.post(CHAT, json=body)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "tokens_per_minute"
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert usage(10, 20)["total_tokens"] == 30
