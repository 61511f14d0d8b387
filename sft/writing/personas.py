"""`its-sft personas`: a model writes the personas of a whole data set.

Rows are read as they are needed and kept as they come. Only an index stays in memory, of about 400
bytes a question: hashes, places in the journal, and what shows which texts are much alike.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from its import seeds, strategies
from its.personas.generate import AskWriter, Reply, Written, reply, write
from its.personas.prompts import load
from its.personas.twins import Twins
from its.strategies import Options, Shelf
from its.types import Message

from ..errors import DataError
from ..rows import MEMBER, QuestionRow, read
from .journal import Journal, WrittenPersona
from .pace import Pace, in_parallel

TRIES = 6
"""Times that one call is tried: an engine that restarts or is overloaded is back in a minute."""

WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 20.0
HOPELESS = 20
"""Rows in a row that failed: then the engine is gone, and asking the rest would be in vain."""

JSON = {"content-type": "application/json"}
BUSY = frozenset({429, 503})
AGAIN = BUSY | {500, 502, 504}


THERE_SECONDS = 3.0
"""An engine to which no connection can be made within so long is not there."""


class EngineGone(Exception):
    """The engine does not answer as one; the message says how."""


@dataclass(frozen=True, slots=True)
class PersonaEngine:
    """The engine that writes personas, and how it is asked: at most `most` calls at once."""

    url: str
    model: str
    sampling: Mapping[str, Any]
    key: str | None
    most: int


@dataclass(frozen=True, slots=True)
class WritingJob:
    """What decides the texts: the rows' contexts, and who writes them how."""

    strategy: str
    seed: int
    shelf: Shelf
    engine: PersonaEngine
    options: Options | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Return what two runs must share to go on with each other's work."""
        by = strategies.get(self.strategy)
        options = by.record(self.options or by.read({}), self.shelf)
        prompts = {name: load(name).sha256 for name in by.prompts}
        return {
            "strategy": self.strategy, "seed": self.seed, "options": options,
            "model": self.engine.model, "sampling": dict(self.engine.sampling),
            "prompts": prompts, "bank": self.shelf.bank.sha256,
        }  # fmt: skip


@dataclass(slots=True)
class Summary:
    """How the rows of this run ended."""

    first: int = 0
    later: int = 0
    bank: int = 0
    tokens: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[int, str]] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.first + self.later + self.bank + len(self.failed)

    def count(self, written: WrittenPersona) -> None:
        self.tokens += written.tokens
        for fault in written.faults:
            self.faults[fault] = self.faults.get(fault, 0) + 1
        if written.source != "generate":
            self.bank += 1
        elif written.faults:
            self.later += 1
        else:
            self.first += 1


@dataclass(frozen=True, slots=True)
class Failed:
    """A row whose call failed for good."""

    row: int
    reason: str


class EngineClient:
    """Asks an OpenAI-compatible server; tells `pace` what it can bear."""

    def __init__(self, client: httpx.AsyncClient, engine: PersonaEngine, pace: Pace) -> None:
        self._client, self._pace = client, pace
        self._fixed = {"model": engine.model, **engine.sampling}

    async def require_there(self) -> None:
        """Connect once, before anything is asked; whatever the engine answers will do.

        Raises:
            EngineGone: no connection can be made.
        """
        try:
            await self._client.get("models", timeout=THERE_SECONDS)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            reason = str(error) or "no connection in time"
            raise EngineGone(f"cannot be reached ({reason})") from error
        except httpx.TransportError:
            return  # it is there, and busy; the first question will tell

    async def ask(self, messages: Sequence[Message], seed: int) -> Reply:
        """Return one reply, tried again while the engine is busy or away.

        Raises:
            EngineGone: it still failed, or refuses what it is asked.
        """
        body = msgspec.json.encode({**self._fixed, "messages": messages, "seed": seed})
        reason, wait = "", WAIT_SECONDS
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            try:
                answer = await self._client.post("chat/completions", content=body, headers=JSON)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}"
                self._pace.overloaded()
                continue
            if answer.status_code == 200:
                self._pace.finished()
                return _reply(answer.content)
            reason = f"answered {answer.status_code}: {answer.text[:200]}"
            if answer.status_code not in AGAIN:
                break
            if answer.status_code in BUSY:
                self._pace.overloaded()
        raise EngineGone(reason)


async def run(
    job: WritingJob, rows: Path, journal: Journal, engine: EngineClient, pace: Pace,
    on_row: Callable[[Summary], None],
) -> Summary:  # fmt: skip
    """Write the personas of all questions that `journal` does not have, each once.

    Raises:
        DataError: a row has no question.
        EngineGone: so many rows failed one after the other that the engine must be gone.
    """
    summary, in_vain = Summary(), 0
    twins = Twins()
    for text in journal.texts():
        twins.add(text)

    async def work(row: QuestionRow) -> WrittenPersona | Failed:
        try:
            return await _one(row, job, journal.job, engine.ask, twins)
        except EngineGone as error:
            return Failed(row.number, str(error))

    todo = _todo(rows, journal)
    async with aclosing(in_parallel(todo, work, pace)) as results:  # no call outlives an error
        async for result in results:
            if isinstance(result, Failed):
                summary.failed.append((result.row, result.reason))
                in_vain += 1
                if in_vain == HOPELESS:
                    raise EngineGone(result.reason)
            else:
                in_vain = 0
                journal.add(result)
                summary.count(result)
            on_row(summary)
    return summary


def _todo(rows: Path, journal: Journal) -> Iterator[QuestionRow]:
    begun: set[str] = set()
    for row in read(rows):
        if row.question_sha256 not in journal and row.question_sha256 not in begun:
            begun.add(row.question_sha256)
            yield row


async def _one(
    row: QuestionRow, job: WritingJob, job_sha256: str, ask: AskWriter, twins: Twins
) -> WrittenPersona:
    pick = strategies.choose(
        job.strategy, row.question,
        shelf=job.shelf, seed=job.seed, member=MEMBER, options=job.options,
    )  # fmt: skip
    assert pick is not None, "a strategy with prompts has contexts"
    written = Written(None, (), {"total_tokens": 0})
    if pick.prompt is not None:
        seed = seeds.derive("persona", job.seed, MEMBER)
        domain = job.shelf.bank.domain(pick.domain) if pick.domain else None
        # Conditions of like questions are alike, and each belongs to its own question.
        others = twins if domain else None
        written = await write(pick.prompt, row.question, domain, ask=ask, seed=seed, twins=others)
    return WrittenPersona(
        row=row.number,
        question_sha256=row.question_sha256,
        asked=job.strategy,
        strategy=pick.strategy,
        source="generate" if written.persona else pick.source,
        domain=pick.domain,
        persona=written.persona or pick.text,
        model=job.engine.model,
        prompt_sha256=load(pick.prompt).sha256 if pick.prompt else "",
        faults=list(written.faults),
        tokens=written.usage["total_tokens"],
        job=job_sha256,
    )


def check_writable(job: WritingJob) -> None:
    """Check that the strategy leaves something to write, before anything is asked.

    Raises:
        DataError: it does not.
    """
    if not strategies.get(job.strategy).prompts:
        raise DataError("the strategy leaves nothing to write; `its-sft compose` is all it needs")


def _reply(raw: bytes) -> Reply:
    try:
        return reply(raw)
    except ValueError as error:
        raise EngineGone(str(error)) from error
