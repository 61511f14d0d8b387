"""What a plan does, step by step."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from its.strategies import adds_context

from ..tasks.hub import INSTRUCTION
from .files import axolotl_file, matrix_plan, proxy_config
from .places import Checkpoint, Places
from .plan import ExperimentPlan
from .step import PYTHON, Command, ExperimentStep, ServerProcess

VOTE, EARLY = "vote3", "vote3-early"


def steps(plan: ExperimentPlan, out: Path, root: Path) -> list[ExperimentStep]:
    """Return all of a plan's steps, in the order in which they can be done.

    Raises:
        EvalError: the Axolotl file cannot be read.
    """
    return list(_Steps(plan, out, root))


class _Steps:
    """Makes the steps one by one."""

    def __init__(self, plan: ExperimentPlan, out: Path, root: Path) -> None:
        self.plan, self.out = plan, out
        self.places = Places(plan, out, root)

    def __iter__(self) -> Iterator[ExperimentStep]:
        plan = self.plan
        if plan.data.arithmetic:
            yield self._problems()
        yield self._power()
        if plan.base.command:
            line = _filled(plan.base.command, out=self.places.base)
            yield ExperimentStep("base", "base", (Command(line=line),))
        trained: set[str] = set()
        built: set[str] = set()
        for seed in plan.seeds:
            for kind in plan.contexts:
                for checkpoint in self._row(kind, seed):
                    if checkpoint.data not in built:
                        yield self._build(checkpoint)
                    if checkpoint.name not in trained:
                        yield self._train(checkpoint)
                    built.add(checkpoint.data)
                    trained.add(checkpoint.name)
                    yield self._cells(checkpoint, kind)
        if self._votes():
            yield from (self._vote(kind) for kind in plan.contexts)
        if plan.base_row:
            yield self._cells(Checkpoint(None, plan.contexts[0], 0), plan.contexts[0])
        yield self._report()

    def _row(self, kind: str, seed: int) -> list[Checkpoint]:
        return [Checkpoint(strategy, kind, seed) for strategy in self.plan.strategies]

    def _problems(self) -> ExperimentStep:
        data = self.plan.data
        words = _python(
            "eval.codesign.problems", "--out", self.places.problems, "--train", data.rows,
            "--test", data.test_problems,
        )  # fmt: skip
        return ExperimentStep("problems", "problems", (words,))

    def _power(self) -> ExperimentStep:
        plan, found = self.plan, self.out / "power.json"
        contexts = max(1, sum(map(adds_context, plan.strategies)))
        words = _python(
            "eval", "power", "--seeds", max(2, len(plan.seeds)), "--arms", contexts,
            max(1, len(plan.strategies) - contexts), "--problems", plan.data.test_problems,
            "--json",
        ).words  # fmt: skip
        return ExperimentStep("power", "power", (Command(words, output=found),), keep=(found,))

    def _build(self, checkpoint: Checkpoint) -> ExperimentStep:
        data, place = self.plan.data, self.out / "data" / checkpoint.data
        rows = ("--source", self.places.problems / "train.jsonl") if data.arithmetic else data.build
        own = self.places.bank(checkpoint.kind) if checkpoint.has_context else None
        bank = ("--bank", own) if own else ()
        words = _python(
            "sft", "build", *rows, *bank, "--rows", data.rows,
            "--strategy", checkpoint.strategy, "--out", place,
            # So the harness asks the base, which has no manifest: all rows of a matrix are alike.
            "--instruction", INSTRUCTION,
        )  # fmt: skip
        return ExperimentStep(
            "build", f"build-{checkpoint.data}", (words,), keep=(place / "dataset.json",)
        )

    def _train(self, checkpoint: Checkpoint) -> ExperimentStep:
        file = self.out / "train" / f"{checkpoint.name}.yml"
        manifest = Path(self.places.weights(checkpoint)) / "input_time.json"
        line = _filled(self.plan.train.command, file=file)
        return ExperimentStep(
            "train", f"train-{checkpoint.name}", (Command(line=line),),
            files={file: axolotl_file(self.places, checkpoint)}, keep=(manifest,),
        )  # fmt: skip

    def _engine(
        self, checkpoint: Checkpoint, number: int = 0, other: str | None = None
    ) -> ServerProcess:
        port = self.places.engine_port(number)
        line = _filled(
            other or self.plan.engine.command, model=self.places.weights(checkpoint),
            name=checkpoint.name, port=port, number=number,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}/v1/models"
        within = self.plan.engine.starts_within
        model = self.places.weights(checkpoint)
        return ServerProcess(f"engine-{checkpoint.name}", Command(line=line), url, within, model)

    def _served(self, config: Path) -> ServerProcess:
        words = _python("proxy", "serve", "--config", config, "--port", self.plan.port)
        return ServerProcess("proxy", words, f"http://127.0.0.1:{self.plan.port}/health", 60)

    def _cells(self, checkpoint: Checkpoint, kind: str) -> ExperimentStep:
        place = self.out / "cells" / kind
        name = checkpoint.name if checkpoint.name.startswith(kind) else f"{kind}-{checkpoint.name}"
        config, plan = place / f"{checkpoint.name}.panels.toml", place / f"{checkpoint.name}.toml"
        row = {checkpoint.strategy or "base": [checkpoint.name]}
        cells = [place / f"{checkpoint.name}-{test}" for test in self.plan.strategies]
        return ExperimentStep(
            "cells", f"cells-{name}", (_python("eval", "matrix", plan),),
            files={
                config: proxy_config(self.places, [checkpoint], kind),
                plan: matrix_plan(self.places, row),
            },
            servers=(self._engine(checkpoint), self._served(config)),
            keep=tuple(cell / name for cell in cells for name in ("summary.json", "shares.json")),
        )  # fmt: skip

    def _voters(self, kind: str) -> list[Checkpoint]:
        rows = self._row(kind, self.plan.seeds[0])
        return [checkpoint for checkpoint in rows if checkpoint.has_context]

    def _votes(self) -> bool:
        return self.plan.vote is not None and len(self._voters(self.plan.contexts[0])) > 1

    def _vote(self, kind: str) -> ExperimentStep:
        assert self.plan.vote
        place, voters, vote = self.out / "vote" / kind, self._voters(kind), self.plan.vote
        panels = {VOTE: False, EARLY: True}
        config = place / "panels.toml"
        greedy = ("--temperature", 0)
        # Said in any case: a manifest's recommendation must not decide over the plan.
        top_p = 1 if self.plan.measure.top_p is None else self.plan.measure.top_p
        drawn = ("--temperature", vote.temperature, "--top-p", top_p, "--samples", vote.samples)
        runs = (("greedy", VOTE, greedy), ("early", EARLY, greedy), ("drawn", VOTE, drawn))
        return ExperimentStep(
            "vote", f"vote-{kind}",
            tuple(self._run(place / name, panel, how) for name, panel, how in runs),
            files={config: proxy_config(self.places, voters, kind, panels)},
            servers=(
                *(self._engine(each, number, vote.engine) for number, each in enumerate(voters)),
                self._served(config),
            ),
            keep=tuple(
                place / name / kept
                for name, _, _ in runs
                for kept in ("summary.json", "shares.json")
            ),
        )  # fmt: skip

    def _run(self, folder: Path, model: str, how: tuple[object, ...]) -> Command:
        measure, data, vote = self.plan.measure, self.plan.data, self.plan.vote
        assert vote
        test = self.places.test
        return _python(
            "eval", "run", data.task or self.plan.name, *(("--data", test) if test else ()),
            "--base-url", self.places.proxy, "--model", model, "--out", folder,
            "--limit", vote.problems or data.test_problems, "--max-tokens", measure.max_tokens,
            "--concurrency", max(1, measure.concurrency // 3), "--timeout", measure.timeout, *how,
        )  # fmt: skip

    def _report(self) -> ExperimentStep:
        """Put each kind's cells together, and show them with the votes on a page."""
        files, commands, keep = {}, [], []
        for kind in self.plan.contexts:
            place, vote = self.out / "cells" / kind, self.out / "vote" / kind
            rows: dict[str, list[str]] = {}
            if self.plan.base_row and kind == self.plan.contexts[0]:
                rows["base"] = ["base"]
            for strategy in self.plan.strategies:
                rows[strategy] = [Checkpoint(strategy, kind, s).name for s in self.plan.seeds]
            files[place / "matrix.toml"] = matrix_plan(self.places, rows)
            keep.append(place / "matrix.json")
            shown = [place, vote] if self._votes() else [place]
            page = ("--title", f"{self.plan.name}, {kind}", "--html", self.out / f"{kind}.html")
            commands += [
                _python("eval", "matrix", place / "matrix.toml"),
                _python("eval", "report", *shown, *page),
            ]
        return ExperimentStep("report", "report", tuple(commands), files=files, keep=tuple(keep))


def _python(module: str, *words: object) -> Command:
    return Command((PYTHON, "-P", "-m", module, *map(str, words)))


def _filled(line: str, **words: object) -> str:
    """Return a plan's line with its `{words}`; other braces are the shell's and the command's."""
    for key, value in words.items():
        line = line.replace(f"{{{key}}}", shlex.quote(str(value)))
    return line
