"""A run from the command line: its figures, and what there is to say of its calls."""

import json

from rich.console import Console

from its.cli import CommandLine, Form, show

from ..errors import EvalError
from ..figures.scores import ScoreRows
from ..figures.sources import sources_of, told
from ..pages.tables import scores_table
from ..samples import RunFolder
from .ask_all import RunSpec
from .ledger import commonest
from .measure import RunStopped, measure


def run_and_show(spec: RunSpec, cli: CommandLine, form: Form) -> None:
    """Run, and print the figures, of an unfinished run too.

    Raises:
        EvalError: the run ended early, or calls failed that are not accepted as wrong.
    """
    try:
        folder, found = measure(spec)
    except RunStopped as stopped:
        if stopped.found:
            _show(spec, stopped.folder, stopped.found, cli, form)
        raise
    _show(spec, folder, found, cli, form)
    _require_all(spec, folder, cli)


def _show(spec: RunSpec, folder: RunFolder, found: ScoreRows, cli: CommandLine, form: Form) -> None:
    model = spec.sampling.model
    summary = json.loads((folder.path / "summary.json").read_bytes())
    table = scores_table(found, f"{spec.task.name}, {model}")
    show(form, [table], [{"folder": str(folder.path), **summary}])
    answered = folder.outcomes().values()
    for name, shares in sources_of(answered).items():
        line = f"contexts of {name}: {told(shares)}"
        Console(stderr=form is not Form.TEXT).print(line, markup=False, soft_wrap=True)
    asked = [sample for sample in answered if sample.error is None]
    if spec.sampling.logprobs is not None and not any(sample.logprobs for sample in answered):
        cli.say(f"No log-probabilities came: the server ignores `logprobs` for {model}.", "yellow")
    if uncounted := sum(sample.tokens is None for sample in asked):
        cli.say(
            f"{uncounted} of {len(asked)} answers came without usage: their tokens are unknown.",
            "yellow",
        )
    if "seed" not in spec.sampling.extra and any(sample.seed is None for sample in asked):
        cli.say(f"{model} refuses `seed`: its answers were asked for without.", "yellow")


def _require_all(spec: RunSpec, folder: RunFolder, cli: CommandLine) -> None:
    """Name the commonest error where calls failed.

    Raises:
        EvalError: they did, and are not accepted as wrong.
    """
    found = folder.outcomes()
    failed, error = commonest(found.values())
    if not failed:
        return
    told = f"{failed} of {len(found)} calls failed: {error}"
    if not spec.accept_failed:
        more = "The same command asks them again; --accept-failed counts them as wrong."
        raise EvalError(f"{told}. {more}", 1)
    cli.say(f"{told}. They count as wrong.", "yellow")
