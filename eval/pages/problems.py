"""The problems of several runs, for the page: how each was solved, and every answer, on the disk.

Answers are many and long. They are read once, one at a time, and put aside in a temporary file, so
that the page can be written problem by problem.
"""

import pickle
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from its.answers.algebra.workers import Workers

from ..figures.scores import ballot_sample
from ..grading.samples import graded
from ..samples import EvalSample, RunFolder


class ProblemKey(NamedTuple):
    """What makes two problems one: an id alone may stand for other problems in other files."""

    task: str
    id: str
    gold: str
    text: str


@dataclass(slots=True)
class ProblemTally:
    """How often one model was asked one problem, and what came of it.

    `wrong` are answers that are not equal to the gold one. What has no answer, was cut or failed is
    counted apart, and counts as not right. `lost` are votes that were wrong although a ballot was
    right, `undecided` those that no cluster of answers led.
    """

    asked: int = 0
    right: int = 0
    wrong: int = 0
    no_answer: int = 0
    cut: int = 0
    failed: int = 0
    lost: int = 0
    undecided: int = 0
    tokens: int = 0

    def add(self, sample: EvalSample) -> None:
        self.asked += 1
        self.right += sample.correct
        self.failed += sample.error is not None
        self.no_answer += sample.error is None and sample.answer is None
        self.wrong += sample.answer is not None and not sample.correct
        self.cut += sample.finish_reason == "length"
        self.tokens += sample.tokens or 0


@dataclass(frozen=True, slots=True)
class Ballot:
    """A panel's ballot as its member's sample, and what the proxy says of it."""

    sample: EvalSample
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """A sample of a run; of a panel with its graded ballots."""

    run: int
    sample: EvalSample
    ballots: tuple[Ballot, ...] = ()

    def texts(self) -> Iterator[str]:
        """Yield all that models wrote."""
        for sample in (self.sample, *(ballot.sample for ballot in self.ballots)):
            yield from (text for text in (sample.reasoning, sample.text) if text)


@dataclass(slots=True)
class ShownProblem:
    """One problem: tallies by (number of the run, model), and its answers' places on the disk."""

    key: ProblemKey
    slug: str
    tallies: dict[tuple[int, str], ProblemTally] = field(default_factory=dict)
    answers: dict[str, None] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)


class ProblemStore:
    """All problems in the order in which the runs have them; `lengths` are those of all texts."""

    def __init__(self) -> None:
        self.problems: dict[ProblemKey, ShownProblem] = {}
        self.lengths: list[int] = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is the store's, and closed with it
        self._slugs: dict[str, int] = {}
        self._equal: dict[tuple[str, str, str | None], bool] = {}

    def __enter__(self) -> "ProblemStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, number: int, run: RunFolder, task: str, graders: Workers) -> None:
        """Add all samples of a run, the `number`-th; `task` is what the page calls its task.

        Raises:
            EvalError: there is no run in the folder, or a line of it is no sample.
        """
        about = run.about()
        model = str(about["settings"]["model"])
        instruction = _instruction(about)
        for sample in run.samples():
            text = sample.prompt.removesuffix(instruction)
            problem = self._problem(ProblemKey(task, sample.id, sample.gold, text))
            said = Said(number, sample, tuple(self._ballots(sample, graders)))
            self._count(problem, (number, model), said)
            self._put(problem, said)

    def said(self, problem: ShownProblem) -> list[Said]:
        """Return all samples of a problem, by run and number."""
        found = []
        for at, size in problem.places:
            self._file.seek(at)
            # Our own file, without a name: nobody else can have written what is unpickled here.
            found.append(pickle.loads(zlib.decompress(self._file.read(size))))
        return sorted(found, key=lambda said: (said.run, said.sample.sample))

    def _problem(self, key: ProblemKey) -> ShownProblem:
        problem = self.problems.get(key)
        if problem is None:
            twins = self._slugs[key.id] = self._slugs.get(key.id, 0) + 1
            slug = key.id if twins == 1 else f"{key.id}~{twins}"
            problem = self.problems[key] = ShownProblem(key, slug)
        return problem

    def _ballots(self, sample: EvalSample, graders: Workers) -> Iterator[Ballot]:
        for told in sample.input_time.get("ballots") or []:
            cast = ballot_sample(sample, told)
            known = (cast.gold, cast.answer_kind, cast.answer)
            if known not in self._equal:
                self._equal[known] = graded(cast, graders).correct
            yield Ballot(replace(cast, correct=self._equal[known]), told)

    def _count(self, problem: ShownProblem, own: tuple[int, str], said: Said) -> None:
        tally = problem.tallies.setdefault(own, ProblemTally())
        tally.add(said.sample)
        tally.lost += not said.sample.correct and any(b.sample.correct for b in said.ballots)
        tally.undecided += said.sample.input_time.get("decided") is False
        for ballot in said.ballots:
            member = (said.run, str(ballot.told["member"]))
            problem.tallies.setdefault(member, ProblemTally()).add(ballot.sample)
        for sample in (said.sample, *(ballot.sample for ballot in said.ballots)):
            if sample.answer is not None:
                problem.answers[sample.answer] = None

    def _put(self, problem: ShownProblem, said: Said) -> None:
        self.lengths += map(len, said.texts())
        packed = zlib.compress(pickle.dumps(said), 1)
        problem.places.append((self._file.seek(0, 2), len(packed)))
        self._file.write(packed)


def _instruction(about: Mapping[str, Any]) -> str:
    """Return what the harness added to each question of a run, which is no part of the problem."""
    asked: Mapping[str, Any] = about.get("asked") or about["settings"]
    text = asked.get("instruction") or ""
    return f"\n\n{text}" if text else ""
