"""A driver without I/O: it sends a program the replies of a function, in any order of arrival."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

from msgspec.structs import replace

from its.answers import read
from its.answers.reading.thinking import spoken
from its.methods.options import parse
from its.methods.seam import Call, Case, Grader, Method, Reply, TimeUp, Verdict
from its.methods.table import find

QUESTION = {"role": "user", "content": "What is 6 times 7? {\\frac}"}
Says = Callable[[Call], str | Reply | None]
"""What a call returns: a text (its last line is read), a whole reply, or `None`, a failure."""


@dataclass
class Driven:
    verdict: Verdict
    calls: list[Call] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    @property
    def asked(self) -> list[tuple[str, str, str, int]]:
        """Member, name, role and round of every call, in the order asked."""
        return [(call.member, call.name, call.role, call.round) for call in self.calls]

    @property
    def said(self) -> str | None:
        return None if self.verdict.winner is None else self.verdict.winner.text


def case(
    method: str | Method, members: str = "abc", samples: int = 1, /, **rest: Any
) -> tuple[Method, Case]:
    """Return a method and a case of it; options are given as `options`, as they are in TOML."""
    found = find(method) if isinstance(method, str) else method
    options = parse(found, rest.pop("options", {}))
    return found, Case(tuple(members), samples, (QUESTION,), options, **rest)


def drive(
    method: Method,
    at: Case,
    says: Says,
    *,
    order: Random | None = None,
    deadline: int | None = None,
    grader: Grader | None = None,
) -> Driven:
    """Run the program; after `deadline` replies all that runs is late, and nothing new starts."""
    program = method.run(at, grader)
    done = Driven(Verdict(None))
    running: list[Call] = []
    late = deadline == 0
    step: Callable[[], Sequence[Call]] = lambda: next(program)  # noqa: E731
    try:
        while True:
            new = list(step())
            if new and late and done.calls:
                step = lambda: program.throw(TimeUp())  # noqa: E731
                continue
            done.calls += new
            running += new
            assert running, "the program waits for nothing"
            position = 0 if order is None or late else order.randrange(len(running))
            call = running.pop(position)
            reply = Reply(call, "late") if late else reply_to(call, says(call))
            done.replies.append(reply)
            late = late or (deadline is not None and len(done.replies) >= deadline)
            step = lambda reply=reply: program.send(reply)  # type: ignore[misc]  # noqa: E731
    except StopIteration as ended:
        done.verdict = ended.value
    check(method, at, done)
    return done


def reply_to(call: Call, said: str | Reply | None) -> Reply:
    """Return the reply that a driver makes of what an engine says."""
    if said is None:
        return Reply(call, "failed")
    if isinstance(said, Reply):
        return replace(said, call=call)
    whole = (call.prefix or "") + said
    message = {"role": "assistant", "content": whole}
    text = spoken(whole, opened=False).strip()
    answer = read({"content": text}) if call.role in ("answer", "write") else None
    return Reply(
        call, message=message, text=text, raw=whole, answer=answer, finish_reason="stop", stop=""
    )


def check(method: Method, at: Case, done: Driven) -> None:
    """Hold what every program must keep, whatever it was sent."""
    names = [call.name for call in done.calls]
    assert len(names) == len(set(names)), names
    assert len(done.calls) <= method.most_calls(at), (len(done.calls), method.most_calls(at))
    assert sum(call.shown for call in done.calls) <= 1
    for call in done.calls:
        messages = at.messages if call.messages is None else call.messages
        assert messages[: len(at.messages)] == at.messages
        roles = [message["role"] for message in messages]
        assert all(a != b for a, b in pairwise(roles)), roles
    verdict = done.verdict
    came = [reply for reply in done.replies if reply.ok]
    assert verdict.winner is not None or not [r for r in came if r.call.role == "answer" and r.text]
    assert verdict.winner is None or verdict.winner in (*came, *at.drafts)
    assert verdict.agreement is None or 0 <= verdict.agreement <= 1
    json.dumps(verdict.account, allow_nan=False)


def by_name(replies: Mapping[str, str | None], default: str | None = None) -> Says:
    """Return what answers calls by their name."""
    return lambda call: replies.get(call.name, default)


def boxed(*values: int | str | None) -> Says:
    """Return what answers the n-th call for an answer with the n-th value in a box."""

    def says(call: Call) -> str | None:
        value = values[int(call.name.rpartition("-")[2])]
        return None if value is None else f"so \\boxed{{{value}}}"

    return says
