"""A reload changes no context in the middle of a chat, and counts for every chat that begins."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from its.notes import Note, Notes
from its.personas.bank import load as load_bank
from its.prompts import goes_on
from its.strategies import Shelf
from its.types import Context
from proxy.config.load import load
from proxy.contexts import chats as chats_
from proxy.contexts.chats import VERSIONS, Begun, Chats, KeptContext
from proxy.state import Service
from tests.conftest import MEMBERS
from tests.proxy.asking import CHAT, serving, wait_until
from tests.scripted import Engine, says

FILES = {
    "retrieved": "notes",
    "procedures": "notes",
    "concepts": "concepts",
    "examples": "examples",
}
LAMPS = "How many lamps stand in the old hall?"


def write_notes(file: Path, word: str) -> None:
    rows = [
        {"text": f"Count lamps by {word}.", "question": f"{word} lamps?"},
        {"text": f"Draw triangles by {word}.", "question": f"{word} triangles?"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def config(url: str, strategy: str, file: str, more: str = "") -> str:
    members = MEMBERS.replace('strategy = "similar"', f'strategy = "{strategy}"{more}')
    return members.replace("{engine}", url) + f'[personas]\n{file} = "file.jsonl"\n'


Serve = Callable[[Callable[[str], Awaitable[Service]]], Awaitable[None]]


def reloading(tmp_path: Path, run: Serve) -> None:
    """Run `run` with what serves a configuration: first by a new service, then by reloads."""

    async def both() -> None:
        services: list[Service] = []

        async def serve(text: str) -> Service:
            panels = tmp_path / "panels.toml"
            panels.write_text(text)
            if not services:
                services.append(Service(load(panels)))
                await services[0].open()
            else:
                await services[0].reload(load(panels))
            return services[0]

        try:
            await run(serve)
        finally:
            await services[0].close()

    asyncio.run(both())


async def told(service: Service, question: str, goes_on: bool, member: str = "s") -> Context:
    now = service.now
    asked = await now.contexts.ask(now.settings.members[member], question, goes_on)
    assert asked.context is not None
    return asked.context


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize(("strategy", "file"), FILES.items())
def test_a_chat_keeps_the_version_that_it_began_with(
    tmp_path: Path, engine_url: str, strategy: str, file: str, remembers: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Also where the text itself is forgotten: then it is chosen again from the same version."""
    if not remembers:
        monkeypatch.setattr(chats_, "MEMORY", 0)
    text, notes = config(engine_url, strategy, file), tmp_path / "file.jsonl"

    async def run(serve: Any) -> None:
        write_notes(notes, "pairs")
        service = await serve(text)
        began = await told(service, LAMPS, False)
        assert "by pairs" in began.persona
        for word in ("rows", "tens"):
            write_notes(notes, word)
            await serve(text)
            assert await told(service, LAMPS, True) == began
        other = await told(service, f"{LAMPS} And why?", False)
        assert "by tens" in other.persona
        assert other.version != began.version
        assert "by tens" in (await told(service, "Which lamps?", True)).persona, "it is not known"
        assert "by tens" in (await told(service, LAMPS, False)).persona, "it is measured anew"

    reloading(tmp_path, run)


def test_a_chat_keeps_the_options_that_it_began_with(tmp_path: Path, engine_url: str) -> None:
    write_notes(tmp_path / "file.jsonl", "pairs")

    async def run(serve: Any) -> None:
        both = "\nstrategy_options = { each = 2 }"
        service = await serve(config(engine_url, "concepts", "concepts"))
        asked = "Do lamps and triangles count?"
        began = await told(service, asked, False)
        assert "triangles" in began.persona
        assert "lamps" in began.persona
        await serve(config(engine_url, "concepts", "concepts", both.replace("2", "1")))
        assert await told(service, asked, True) == began
        fresh = await told(service, asked, False)
        assert len(fresh.persona) < len(began.persona)

    reloading(tmp_path, run)


@pytest.mark.parametrize("strategy", ["similar", "unsimilar", "random", "mixed"])
def test_another_bank_changes_no_chat(tmp_path: Path, engine_url: str, strategy: str) -> None:
    bank = tmp_path / "bank.jsonl"

    def write(word: str) -> None:
        rows = [
            {"persona": f"You count {thing} in {word}.", "domain": f"{word} {thing}"}
            for thing in ("lamps", "cows", "stones")
        ]
        bank.write_text("".join(json.dumps(row) + "\n" for row in rows))

    text = MEMBERS.replace('"similar"', f'"{strategy}"').replace("{engine}", engine_url)
    text += '[personas]\nbank = "bank.jsonl"\n'

    async def run(serve: Any) -> None:
        write("Bern")
        service = await serve(text)
        began = await told(service, LAMPS, False)
        write("Rome")
        await serve(text)
        assert await told(service, LAMPS, True) == began
        assert "Bern" in began.persona
        assert "Rome" in (await told(service, LAMPS, False)).persona

    reloading(tmp_path, run)


def test_what_a_model_wrote_stays_over_a_reload_without_a_store(
    tmp_path: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["writer"] = says("You count lamps in the hall for the parish, and rest never.")
    text = MEMBERS.replace("{engine}", engine_url)
    text += '[personas.generate]\nengine = "e"\nmodel = "writer"\n'

    async def run(serve: Any) -> None:
        service = await serve(text)
        began = await told(service, LAMPS, False)
        engine.scripts["writer"] = says("You dust lamps at the fair, and your back is sore.")
        await serve(text)
        assert await told(service, LAMPS, True) == began

    reloading(tmp_path, run)


def test_sighup_and_the_chats_that_run(tmp_path: Path, engine: Engine, engine_url: str) -> None:
    engine.scripts["s"] = says("7")
    panels, notes = tmp_path / "panels.toml", tmp_path / "file.jsonl"
    text = config(engine_url, "concepts", "concepts")
    write_notes(notes, "pairs")
    panels.write_text(text)
    chat = [{"role": "user", "content": LAMPS}]
    later = [*chat, {"role": "assistant", "content": "7"}, {"role": "user", "content": "Sure?"}]

    def ask(messages: Any, model: str = "s") -> Any:
        body = {"model": model, "messages": messages, "input_time": {"return_ballots": True}}
        answer = httpx.post(f"{url.removesuffix('/v1')}{CHAT}", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["input_time"]

    engine.scripts.update(u=says("7"), r=says("7"))
    with serving(panels) as (process, url):
        first, panel = ask(chat), ask(chat, "vote3")
        write_notes(notes, "rows")
        panels.write_text(text.replace("[members.n]", "max_concurrency = 5\n[members.new]", 1))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "new" in httpx.get(f"{url}/models", trust_env=False).text)
        assert ask(later)["persona"] == first["persona"]
        again = ask(later, "vote3")
        for before, after in zip(panel["ballots"], again["ballots"], strict=True):
            assert (before["persona"], before.get("version")) == (
                after["persona"], after.get("version"),
            )  # fmt: skip
        sent = [body["messages"][0]["content"] for body in engine.bodies("s")]
        assert len(set(sent)) == 1, "the engine's prefix cache holds"
        assert "by rows" in ask([{"role": "user", "content": f"{LAMPS}!"}])["persona"]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([], False),
        ([{"role": "assistant", "content": "The answer"}], False),
        ([{"role": "system", "content": "Be brief."}], False),
        ([{"role": "assistant", "content": "7"}, {"role": "user", "content": "Sure?"}], True),
        ([{"role": "assistant", "content": None}, {"role": "tool", "content": "7"}], True),
        ([{"type": "function_call"}, {"type": "function_call_output", "output": "7"}], True),
    ],
)
def test_a_chat_goes_on_with_the_clients_second_turn(later: list[Any], expected: bool) -> None:
    assert goes_on([{"role": "user", "content": "2+2?"}, *later]) is expected
    assert not goes_on(later[:1])


def test_only_the_newest_versions_are_kept() -> None:
    chats, bank = Chats(), load_bank()
    shelves = [Shelf(bank, Notes.of([Note("a")], str(number))) for number in range(VERSIONS + 1)]
    versions = [chats.version(shelf) for shelf in shelves]
    assert len(set(versions)) == VERSIONS + 1
    assert chats.version(Shelf(bank, Notes.of([Note("a")], "2"))) == versions[2], "as it was"
    assert chats.shelf(versions[0]) is None
    old, new = Begun(versions[0], None), Begun(versions[-1], None)
    assert chats.begin(b"key", old, False) == old
    assert chats.begin(b"key", new, True) == new, "its version is gone"
    kept = KeptContext(Context("You.", "s", "bank", None, 0), new, 1, 0.0)
    chats.keep(b"key", kept)
    assert chats.context(b"key", new, 2, True) == kept
    assert chats.context(b"key", new, 2, False) is None


def test_what_chats_began_with_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chats_, "BEGUN", 100_000)
    chats = Chats()
    first = chats.version(Shelf(load_bank()))
    for number in range(1_000):
        chats.begin(str(number).encode(), Begun(first, None), False)
    second = Begun(chats.version(Shelf(load_bank(), Notes.of([Note("a")], "x"))), None)
    assert chats.begin(b"999", second, True) == Begun(first, None)
    assert chats.begin(b"0", second, True) == second, "the oldest is forgotten"
