"""One step of a method's program: what goes in, and what comes out."""

from collections.abc import Sequence
from typing import TypeAlias

from its.answers.faults import FAULTS
from its.methods.seam import Call, Program, Reply, TimeUp, Verdict

Sent: TypeAlias = Reply | TimeUp | None
"""What a program is given: `None` to begin with; a `TimeUp` is thrown into it."""


def advanced(program: Program, sent: Sent) -> Sequence[Call] | Verdict:
    """Return what a program yields or, at its end, its verdict: no future takes a StopIteration."""
    try:
        if isinstance(sent, TimeUp):
            return program.throw(sent)
        return program.send(sent)  # type: ignore[arg-type]  # it begins with None
    except StopIteration as ended:
        verdict: Verdict = ended.value
        return verdict


def close(program: Program) -> None:
    """End a program that is not waited for any more."""
    try:
        program.close()
    except ValueError:  # it still runs in its thread, and ends there
        pass
    except Exception as error:
        FAULTS.note("method", type(error).__name__)
