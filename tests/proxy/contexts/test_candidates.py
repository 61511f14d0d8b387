"""Solved questions are kept where the configuration says so, and become new notes in four steps."""

import json
import logging
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from proxy.config.checks import ConfigError
from proxy.config.load import load
from tests.conftest import MEMBERS, Proxy, command
from tests.proxy.asking import CHAT, serving, wait_until
from tests.scripted import Body, Engine, completion, says

KEEPS = MEMBERS + '[panels.vote3.candidates]\nfile = "candidates.jsonl"\n'
SOLVED = "Five and two.\n\\boxed{7}"
LAMPS = "How many lamps stand in the old hall?"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "candidates.jsonl"


def kept(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def ask(proxy: httpx.Client, question: Any = LAMPS, **more: Any) -> httpx.Response:
    messages = question if isinstance(question, list) else [{"role": "user", "content": question}]
    return proxy.post(CHAT, json={"model": "vote3", "messages": messages, **more})


def all_say(engine: Engine, *texts: str) -> None:
    for name, text in zip("sur", texts if len(texts) == 3 else texts * 3, strict=True):
        engine.scripts[name] = says(text)


def test_what_all_agree_on_is_kept_once(start: Proxy, engine: Engine, file: Path) -> None:
    all_say(engine, f"<think>Hm, 5+2.</think>\n{SOLVED}")
    proxy = start(KEEPS)
    assert ask(proxy).status_code == 200
    wait_until(lambda: kept(file))
    assert kept(file) == [
        {"question": LAMPS, "solution": SOLVED, "answer": "7", "agreement": 1.0, "panel": "vote3"}
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600, "it holds what clients have asked"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(proxy, f" {LAMPS.upper()}"), range(8)))
    proxy = start(KEEPS)  # another process knows what is in the file
    ask(proxy)
    ask(proxy, "How many stars are on the flag?", stream=True)
    wait_until(lambda: len(kept(file)) == 2)
    assert kept(file)[1]["question"] == "How many stars are on the flag?"


def test_nothing_is_kept_unless_it_is_switched_on(
    proxy: httpx.Client, engine: Engine, tmp_path: Path
) -> None:
    all_say(engine, SOLVED)
    ask(proxy)
    assert [path.name for path in tmp_path.iterdir()] == ["panels.toml"]


OTHER = [{"role": "user", "content": LAMPS}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


@pytest.mark.parametrize(
    ("says_", "messages", "more"),
    [
        ((SOLVED, SOLVED, "\\boxed{8}"), OTHER, {}),
        ((SOLVED, "\\boxed{8}", "\\boxed{9}"), OTHER, {}),
        (("Who knows?",), OTHER, {}),
        ((SOLVED,), OTHER, {"store": False}),
        ((SOLVED,), [*OTHER, {"role": "assistant", "content": "6"}, *OTHER], {}),
        ((SOLVED,), [*OTHER, {"role": "assistant", "content": "It is"}], {}),
        ((SOLVED,), [{"role": "user", "content": [{"type": "text", "text": "?"}, IMAGE]}], {}),
        ((SOLVED,), [{"role": "user", "content": "x" * 20_001}], {}),
        ((SOLVED,), [{"role": "user", "content": "  "}], {}),
    ],
)
def test_what_is_not_kept(
    start: Proxy, engine: Engine, file: Path, says_: tuple[str, ...], messages: Any, more: Any
) -> None:
    """Low agreement, a tie, no answer, a client that forbids it, later turns, pictures, a book."""
    proxy = start(KEEPS)
    all_say(engine, *says_)
    assert ask(proxy, messages, **more).status_code == 200
    all_say(engine, SOLVED)
    ask(proxy, "What is kept?")
    wait_until(lambda: kept(file))
    assert [row["question"] for row in kept(file)] == ["What is kept?"]


def test_a_cut_answer_is_not_kept(start: Proxy, engine: Engine, file: Path) -> None:
    def cut(body: Body) -> JSONResponse:
        made = completion(SOLVED)
        made["choices"][0]["finish_reason"] = "length"
        return JSONResponse(made)

    engine.scripts.update(dict.fromkeys("sur", cut))
    proxy = start(KEEPS)
    ask(proxy)
    all_say(engine, SOLVED)
    ask(proxy, "What is kept?")
    wait_until(lambda: kept(file))
    assert [row["question"] for row in kept(file)] == ["What is kept?"]


def test_the_agreement_may_be_lower(start: Proxy, engine: Engine, file: Path) -> None:
    all_say(engine, SOLVED, SOLVED, "\\boxed{8}")
    ask(start(KEEPS + "agreement = 0.6\n"))
    wait_until(lambda: kept(file))
    assert kept(file)[0]["agreement"] == 0.6667


@pytest.mark.parametrize("broken", ["full", "folder"])
def test_a_file_that_cannot_grow_fails_no_request(
    start: Proxy, engine: Engine, file: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    all_say(engine, SOLVED)
    proxy = start(KEEPS + ("max_mb = 0.0001\n" if broken == "full" else ""))
    if broken == "folder":
        file.mkdir()
    with caplog.at_level(logging.WARNING, "its.proxy"):
        assert ask(proxy).status_code == 200
        wait_until(lambda: "No candidates are kept for 60 s" in caplog.text)
    assert LAMPS not in caplog.text
    assert file.is_dir() or not kept(file)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("agreement = 0\n", "candidates.agreement: must be above 0 and at most 1"),
        ("agreement = 1.5\n", "candidates.agreement: must be above 0 and at most 1"),
        ("max_mb = 0\n", "candidates.max_mb: must be above 0"),
        ("fil = 1\n", "Unknown key 'fil'. Did you mean 'file'? Available: file, agreement, max_mb"),
    ],
)
def test_a_table_that_cannot_be(tmp_path: Path, more: str, told: str) -> None:
    panels = tmp_path / "panels.toml"
    panels.write_text((KEEPS + more).replace("{engine}", "http://127.0.0.1:9"))
    with pytest.raises(ConfigError) as raised:
        load(panels)
    assert told in str(raised.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    panels = tmp_path / "panels.toml"
    text = KEEPS.replace("{engine}", "http://127.0.0.1:9")
    panels.write_text(text.replace("candidates.jsonl", "no/candidates.jsonl"))
    with pytest.raises(ConfigError, match=r"panels.vote3.candidates.file: .*no is no folder"):
        load(panels)


def distiller(body: Body) -> JSONResponse:
    return JSONResponse(completion("- Counting by rows: count one row of lamps, then all rows."))


def test_from_a_verdict_to_a_new_version_in_force(
    tmp_path: Path, engine: Engine, engine_url: str, file: Path
) -> None:
    """Collected while serving, distilled, and served from a reload on: not to a chat that runs."""
    all_say(engine, SOLVED)
    engine.scripts["w"] = distiller
    first = tmp_path / "concepts.jsonl"
    rows = [
        {"text": f"Concept of {word}: do it.", "question": f"{word}?"} for word in ("pairs", "sums")
    ]
    first.write_text("".join(json.dumps(row) + "\n" for row in rows))
    panels, text = tmp_path / "panels.toml", KEEPS.replace("{engine}", engine_url)
    text = text.replace('strategy = "similar"', 'strategy = "concepts"')
    panels.write_text(text + '[personas]\nconcepts = "concepts.jsonl"\n')
    chat = [{"role": "user", "content": "How many pairs of lamps are in a row?"}]
    later = [*chat, {"role": "assistant", "content": "7"}, {"role": "user", "content": "Sure?"}]

    def told(messages: Any) -> Any:
        body = {"model": "s", "messages": messages, "input_time": {}}
        url = f"{base.removesuffix('/v1')}{CHAT}"
        return httpx.post(url, json=body, trust_env=False).json()["input_time"]

    with serving(panels) as (process, base):
        body = {"model": "vote3", "messages": [{"role": "user", "content": LAMPS}]}
        httpx.post(f"{base.removesuffix('/v1')}{CHAT}", json=body, trust_env=False)
        wait_until(lambda: kept(file))
        began = told(chat)
        ended = command(
            "sft", "notes", file, "--kind", "concepts", "--engine", f"{engine_url}/v1",
            "--model", "w", "--add-to", first, "--out", tmp_path / "concepts-2.jsonl",
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        still = told([{"role": "user", "content": "And pairs of lamps in rows?"}])
        assert still["version"] == began["version"], "nothing changes before a reload"
        said = " ".join(ended.stderr.split())
        assert "1 notes from 1 of 1 rows, added to the 2 of" in said
        version = said.partition("Its version is ")[2][:12]
        new = text.replace("[members.n]", "max_concurrency = 5\n[members.new]", 1)
        panels.write_text(new + '[personas]\nconcepts = "concepts-2.jsonl"\n')
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "new" in httpx.get(f"{base}/models", trust_env=False).text)
        assert told(later)["persona"] == began["persona"]
        assert told(later)["version"] == began["version"]
        fresh = told([{"role": "user", "content": "How many lamps are in all the rows there?"}])
        assert "Counting by rows" in fresh["persona"]
        assert fresh["version"] == version != began["version"]
        own = told([{"role": "user", "content": LAMPS}])["persona"]
        assert "Counting by rows" not in own, "it was made from this very question"


def test_the_file_goes_on_after_it_was_taken_away(start: Proxy, engine: Engine, file: Path) -> None:
    all_say(engine, SOLVED)
    proxy = start(KEEPS)
    ask(proxy, "One?")
    wait_until(lambda: kept(file))
    file.rename(file.with_name("distilled.jsonl"))
    ask(proxy, "One?")
    ask(proxy, "Two?")
    wait_until(lambda: kept(file))
    assert [row["question"] for row in kept(file)] == ["Two?"]
