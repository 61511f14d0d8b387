"""What a plan does, step by step."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from its.strategies import LETTERS

from ..errors import EvalError
from .plan import ExperimentPlan
from .step import PYTHON, Command, ServerProcess, Step

VOTE, EARLY = "vote3", "vote3-early"

ENGINE_CONCURRENCY = 256
"""Calls at once that the proxy lets an engine have where its configuration says nothing."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training: how, on which kind of contexts, with which seed. `None`: the base itself."""

    strategy: str | None
    kind: str
    seed: int

    @property
    def name(self) -> str:
        if self.strategy is None:
            return "base"
        kind = "" if self.strategy == "none" else f"{self.kind}-"
        return f"{kind}{LETTERS[self.strategy]}-{self.seed}"

    @property
    def data(self) -> str:
        return self.name.rpartition("-")[0]


def steps(plan: ExperimentPlan, out: Path, root: Path) -> list[Step]:
    """Return all of a plan's steps, in the order in which they can be done.

    Raises:
        EvalError: the Axolotl file cannot be read.
    """
    return list(_Steps(plan, out, root))


class _Steps:
    """Knows where everything of a run lies."""

    def __init__(self, plan: ExperimentPlan, out: Path, root: Path) -> None:
        self.plan, self.out, self.root = plan, out, root
        self.problems = out / "problems"
        self.base = out / "base" if plan.base.command else plan.base.model or ""
        self.proxy = f"http://127.0.0.1:{plan.port}/v1"

    def __iter__(self) -> Iterator[Step]:
        plan = self.plan
        if plan.data.arithmetic:
            yield self._problems()
        yield self._power()
        if plan.base.command:
            line = _filled(plan.base.command, out=self.base)
            yield Step("base", "base", (Command(line=line),))
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

    def _problems(self) -> Step:
        data = self.plan.data
        words = _python(
            "eval.codesign.problems", "--out", self.problems, "--train", data.rows,
            "--test", data.test_problems,
        )  # fmt: skip
        return Step("problems", "problems", (words,))

    def _power(self) -> Step:
        contexts = sum(name != "none" for name in self.plan.strategies)
        found = self.out / "power.json"
        sizes = ("--problems", self.plan.data.test_problems, "--both", contexts**2)
        words = _python("eval.codesign.power", *sizes, "--one", max(contexts, 1)).words
        return Step("power", "power", (Command(words, output=found),), keep=(found,))

    def _build(self, checkpoint: Checkpoint) -> Step:
        data, place = self.plan.data, self.out / "data" / checkpoint.data
        rows = ("--source", self.problems / "train.jsonl") if data.arithmetic else data.build
        bank = self._bank(checkpoint.kind) if checkpoint.strategy != "none" else ()
        words = _python(
            "sft", "build", *rows, *bank, "--rows", data.rows,
            "--strategy", checkpoint.strategy, "--out", place,
        )  # fmt: skip
        return Step("build", f"build-{checkpoint.data}", (words,), keep=(place / "dataset.json",))

    def _bank(self, kind: str) -> tuple[object, ...]:
        return ("--bank", self.problems / "numbers.jsonl") if kind == "numbers" else ()

    def _train(self, checkpoint: Checkpoint) -> Step:
        file, folder = self.out / "train" / f"{checkpoint.name}.yml", self._folder(checkpoint)
        line = _filled(self.plan.train.command, file=file)
        return Step(
            "train", f"train-{checkpoint.name}", (Command(line=line),),
            files={file: self._axolotl(checkpoint)}, keep=(Path(folder) / "input_time.json",),
        )  # fmt: skip

    def _folder(self, checkpoint: Checkpoint) -> Path | str:
        return (
            self.base if checkpoint.strategy is None else self.out / "checkpoints" / checkpoint.name
        )

    def _axolotl(self, checkpoint: Checkpoint) -> str:
        path = self.root / self.plan.train.file
        try:
            found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
            rows, asked = found["datasets"][0], found["input_time"]
        except OSError as error:
            raise EvalError(f"train.file: cannot read {path}: {error.strerror}") from error
        except (yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
            why = " ".join(str(error).split())
            said = "not an Axolotl file of ours (`its-sft recipes` lists them)"
            raise EvalError(f"train.file: {path} is {said}: {why}") from error
        rows["path"] = str(self.out / "data" / checkpoint.data / "train.jsonl")
        asked["strategy"] = checkpoint.strategy
        asked["test_strategy"] = "none" if checkpoint.strategy == "none" else "random"
        found |= {
            "base_model": str(self.base), "seed": checkpoint.seed,
            "output_dir": str(self._folder(checkpoint)),
            "dataset_prepared_path": str(self.out / "prepared" / checkpoint.name),
            **self.plan.train.set,
        }  # fmt: skip
        return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True))

    def _engine(
        self, checkpoint: Checkpoint, number: int = 0, other: str | None = None
    ) -> ServerProcess:
        port = self.plan.port + 1 + number
        line = _filled(
            other or self.plan.engine.command, model=self._folder(checkpoint),
            name=checkpoint.name, port=port, number=number,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}/v1/models"
        within = self.plan.engine.starts_within
        model = self._folder(checkpoint)
        return ServerProcess(f"engine-{checkpoint.name}", Command(line=line), url, within, model)

    def _served(self, config: Path) -> ServerProcess:
        words = _python("proxy", "serve", "--config", config, "--port", self.plan.port)
        return ServerProcess("proxy", words, f"http://127.0.0.1:{self.plan.port}/health", 60)

    def _panels(self, checkpoints: list[Checkpoint], kind: str, more: str = "") -> str:
        """Return the proxy's configuration: a member may be asked otherwise than it was trained."""
        text = f'[server.log]\nlevel = "warning"\n[personas]\n{self._own(kind)}'
        for number, checkpoint in enumerate(checkpoints, 1):
            name, known = checkpoint.name, ""
            if checkpoint.strategy is not None:
                known = f"manifest = {_toml(str(self._folder(checkpoint)))}\n"
            text += (
                f'[engines.{name}]\nbase_url = "http://127.0.0.1:{self.plan.port + number}/v1"\n'
                f"max_queue = 100000\n{self._in_flight()}"
                f'[members.{name}]\nengine = "{name}"\nmodel = "{name}"\n'
                f"{known}"
                f'strategy = "{checkpoint.strategy or "none"}"\nallow_mismatch = true\n'
            )
        return text + more

    def _in_flight(self) -> str:
        """Let the proxy pass on all that the harness keeps in flight; its own limit is lower."""
        wanted = self.plan.measure.concurrency
        return f"max_concurrency = {wanted}\n" if wanted > ENGINE_CONCURRENCY else ""

    def _own(self, kind: str) -> str:
        return f"bank = {_toml(self.problems / 'numbers.jsonl')}\n" if kind == "numbers" else ""

    def _cells(self, checkpoint: Checkpoint, kind: str) -> Step:
        place = self.out / "cells" / kind
        name = checkpoint.name if checkpoint.name.startswith(kind) else f"{kind}-{checkpoint.name}"
        config, plan = place / f"{checkpoint.name}.panels.toml", place / f"{checkpoint.name}.toml"
        row = {checkpoint.strategy or "base": [checkpoint.name]}
        cells = [place / f"{checkpoint.name}-{test}" for test in self.plan.strategies]
        return Step(
            "cells", f"cells-{name}", (_python("eval", "matrix", plan),),
            files={config: self._panels([checkpoint], kind), plan: self._matrix(row)},
            servers=(self._engine(checkpoint), self._served(config)),
            keep=tuple(cell / name for cell in cells for name in ("summary.json", "shares.json")),
        )  # fmt: skip

    def _matrix(self, rows: Mapping[str, list[str]]) -> str:
        how, data = self.plan.measure, self.plan.data
        keys: dict[str, object] = {
            "task": data.task or self.plan.name, "base_url": self.proxy, "out": ".",
            "limit": data.test_problems, "samples": how.samples, "temperature": how.temperature,
            "max_tokens": how.max_tokens, "concurrency": how.concurrency, "timeout": how.timeout,
            "test": list(self.plan.strategies),
        }  # fmt: skip
        if test := self._test():
            keys["data"] = str(test)
        if how.top_p is not None:
            keys["top_p"] = how.top_p
        lines = [f"{key} = {_toml(value)}" for key, value in keys.items()]
        return "\n".join([*lines, "[train]", *(f"{k} = {_toml(v)}" for k, v in rows.items()), ""])

    def _test(self) -> Path | None:
        if self.plan.data.arithmetic:
            return self.problems / "test.jsonl"
        return Path(self.plan.data.test).absolute() if self.plan.data.test else None

    def _voters(self, kind: str) -> list[Checkpoint]:
        rows = self._row(kind, self.plan.seeds[0])
        return [checkpoint for checkpoint in rows if checkpoint.strategy != "none"]

    def _votes(self) -> bool:
        return self.plan.vote is not None and len(self._voters(self.plan.contexts[0])) > 1

    def _vote(self, kind: str) -> Step:
        assert self.plan.vote
        place, voters, vote = self.out / "vote" / kind, self._voters(kind), self.plan.vote
        members = _toml([checkpoint.name for checkpoint in voters])
        panels = "".join(
            f"[panels.{name}]\nmembers = {members}\nearly_stop = {_toml(early)}\n"
            for name, early in ((VOTE, False), (EARLY, True))
        )
        config = place / "panels.toml"
        greedy = ("--temperature", 0)
        top_p = () if self.plan.measure.top_p is None else ("--top-p", self.plan.measure.top_p)
        drawn = ("--temperature", vote.temperature, *top_p, "--samples", vote.samples)
        runs = (("greedy", VOTE, greedy), ("early", EARLY, greedy), ("drawn", VOTE, drawn))
        return Step(
            "vote", f"vote-{kind}",
            tuple(self._run(place / name, panel, how) for name, panel, how in runs),
            files={config: self._panels(voters, kind, panels)},
            servers=(
                *(self._engine(each, number, vote.engine) for number, each in enumerate(voters)),
                self._served(config),
            ),
            keep=tuple(place / name / "summary.json" for name, _, _ in runs),
        )  # fmt: skip

    def _run(self, folder: Path, model: str, how: tuple[object, ...]) -> Command:
        measure, data, vote = self.plan.measure, self.plan.data, self.plan.vote
        assert vote
        test = self._test()
        return _python(
            "eval", "run", data.task or self.plan.name, *(("--data", test) if test else ()),
            "--base-url", self.proxy, "--model", model, "--out", folder,
            "--limit", vote.problems or data.test_problems, "--max-tokens", measure.max_tokens,
            "--concurrency", max(1, measure.concurrency // 3), "--timeout", measure.timeout, *how,
        )  # fmt: skip

    def _report(self) -> Step:
        """Put each kind's cells together, and show them with the votes on a page."""
        files, commands, keep = {}, [], []
        for kind in self.plan.contexts:
            place, vote = self.out / "cells" / kind, self.out / "vote" / kind
            rows: dict[str, list[str]] = {}
            if self.plan.base_row and kind == self.plan.contexts[0]:
                rows["base"] = ["base"]
            for strategy in self.plan.strategies:
                rows[strategy] = [Checkpoint(strategy, kind, s).name for s in self.plan.seeds]
            files[place / "matrix.toml"] = self._matrix(rows)
            keep.append(place / "matrix.json")
            shown = [place, vote] if self._votes() else [place]
            page = ("--title", f"{self.plan.name}, {kind}", "--html", self.out / f"{kind}.html")
            commands += [
                _python("eval", "matrix", place / "matrix.toml"),
                _python("eval", "report", *shown, *page),
            ]
        return Step("report", "report", tuple(commands), files=files, keep=tuple(keep))


def _python(module: str, *words: object) -> Command:
    return Command((PYTHON, "-P", "-m", module, *map(str, words)))


def _filled(line: str, **words: object) -> str:
    """Return a plan's line with its `{words}`; other braces are the shell's and the command's."""
    for key, value in words.items():
        line = line.replace(f"{{{key}}}", shlex.quote(str(value)))
    return line


def _toml(value: object) -> str:
    """Return a value as TOML has it, which is as JSON has texts, numbers, lists and booleans."""
    return json.dumps(str(value) if isinstance(value, Path) else value)
