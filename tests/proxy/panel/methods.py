"""Panels of every method, with scripts of an engine on which a majority finds another answer."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from its.methods import prompts
from tests.conftest import MEMBERS
from tests.scripted import Body, Engine, Script, Waiting, completion, says

QUESTION = "What is 6 times 7?"
ASK = [{"role": "user", "content": QUESTION}]
ROLES = {"n": "none", "s": "similar", "u": "unsimilar", "r": "random"}
Calls = list[tuple[str, str, int, str]]
"""Name, role, round and member of each call."""


def boxed(value: object) -> str:
    return rf"so \boxed{{{value}}}"


def last(body: Body) -> str:
    """Return the last user message of a request."""
    found = [m["content"] for m in body["messages"] if m["role"] == "user"]
    return str(found[-1])


def answers(**values: object) -> dict[str, Script]:
    return {model: says(boxed(value)) for model, value in values.items()}


def when(of: Callable[[Body], bool], yes: str, no: str) -> Script:
    """Return what says one text or another."""
    return lambda body: JSONResponse(completion(yes if of(body) else no))


def rates(best: object) -> Script:
    """Return a judge that likes one answer only."""
    return when(lambda body: boxed(best) in last(body), "Sound.\nScore: 9", "Wrong.\nScore: 1")


def prefers(best: object) -> Script:
    def script(body: Body) -> Response:
        first, _, second = last(body).partition("Candidate 2 begins")
        both = boxed(best) in first, boxed(best) in second
        choice = {(True, False): "1", (False, True): "2"}.get(both, "neither")
        return JSONResponse(completion(f"I compared.\nBetter: {choice}"))

    return script


def sure(value: object, logprob: float) -> Script:
    places = [{"token": "x", "logprob": logprob - n / 1000, "top_logprobs": []} for n in range(3)]
    return says(boxed(value), logprobs={"content": places})


def in_turn(*texts: tuple[float, str]) -> Script:
    """Return what answers its first call with the first text, after so many seconds, and so on."""
    numbers = itertools.count()

    def script(_: Body) -> Response:
        seconds, text = texts[min(next(numbers), len(texts) - 1)]
        then = JSONResponse(completion(text))
        return Waiting(seconds, then) if seconds else then

    return script


def refines(draft: object, notes: str, final: object) -> Script:
    """Return a member that drafts, distils, and answers from notes."""

    def script(body: Body) -> Response:
        asked = last(body)
        if prompts.NOTES in asked:
            return JSONResponse(completion(notes))
        return JSONResponse(completion(boxed(final if notes in asked else draft)))

    return script


def thinks(body: Body) -> Response:
    """Answer 1 at once, and 2 where thinking stands before."""
    prefix = body["messages"][-1]
    if prefix["role"] != "assistant":
        return JSONResponse(completion(boxed(1)))
    ended = "</think>" in prefix["content"]
    return JSONResponse(completion(boxed(2) if ended else "six times seven", matched_stop=None))


def warm(body: Body) -> Response:
    """Answer 2 where it is hot, and for one member everywhere."""
    hot = body.get("temperature") == 1.0 or body["model"] == "r"
    return JSONResponse(completion(boxed(2 if hot else 1)))


@dataclass(frozen=True)
class Case:
    """A panel, what its members say, the answer that it finds, and the exact calls."""

    panel: str
    scripts: Mapping[str, Script]
    found: int
    calls: Calls
    samples: int = 1

    def config(self, method: str, more: str = "") -> str:
        head, _, options = self.panel.partition("---")
        return f"{MEMBERS}\n[panels.p]\nmethod = {method!r}\n{head}\n{more}\n{options}\n"


def drafts(members: str = "sur", samples: int = 1) -> Calls:
    return [(f"answer-{n}", "answer", 0, m) for n, m in enumerate(members * samples)]


THREE = 'members = ["s", "u", "r"]\nearly_stop = false\n'


def options(text: str) -> str:
    return f"{THREE}---[panels.p.options]\n{text}"


CASES: dict[str, Case] = {
    "adaptive": Case(
        'members = ["s", "u", "r", "n"]\nsamples = 2\nearly_stop = false\n'
        "---[panels.p.options]\nconfidence = 0.8\nfirst = 2",
        answers(s=1, u=1, r=2, n=2) | {"s": in_turn((0, boxed(1)), (0, boxed(2)))},
        1,
        drafts("su"),
    ),
    "escalate": Case(
        options('stronger = "n"\nescalate_below = 0.9'),
        answers(s=1, u=1, r=2, n=2),
        2,
        [*drafts(), ("stronger-0", "answer", 1, "n")],
    ),
    "first_finish": Case(
        'members = ["n"]\nsamples = 3\nearly_stop = true',
        {"n": in_turn((0.3, boxed(2)), (2.0, boxed(1)))},
        2,
        drafts("n", 3),
    ),
    "weighted": Case(
        THREE, {"s": sure(1, -3.0), "u": sure(1, -3.0), "r": sure(2, -0.01)}, 2, drafts()
    ),
    "best_of": Case(
        options('judge = "n"'),
        answers(s=1, u=1, r=2) | {"n": rates(2)},
        2,
        [*drafts(), *((f"judge-{n}-0", "judge", 1, "n") for n in range(3))],
    ),
    "tournament": Case(
        options('judge = "n"'),
        answers(s=1, u=1, r=2) | {"n": prefers(2)},
        2,
        [*drafts(), ("judge-0-1", "judge", 1, "n"), ("judge-1-0", "judge", 1, "n")],
    ),
    "synthesize": Case(
        options('writer = "n"'),
        answers(s=1, u=1, r=2, n=3),
        3,
        [*drafts(), ("write", "write", 1, "n")],
    ),
    "refine": Case(
        options("rounds = 1"),
        answers(u=1, r=2) | {"s": refines(1, "NOTED: not one.", 3)},
        3,
        [*drafts(), ("notes-0", "write", 1, "s"), ("answer-last", "answer", 2, "s")],
    ),
    "temperatures": Case(
        f"{THREE}samples = 3", {"s": warm, "u": warm, "r": warm}, 1, drafts("sur", 3), 3
    ),
    "thinking_budget": Case(
        'members = ["n"]\n---[panels.p.options]\ntokens = 20',
        {"n": thinks},
        2,
        [("answer-0-think-0", "answer", 0, "n"), ("answer-0", "answer", 1, "n")],
    ),
    "steps": Case(
        options('judge = "n"\nrounds = 1'),
        {m: says(boxed(v), matched_stop=7) for m, v in {"s": 1, "u": 1, "r": 2}.items()}
        | {"n": rates(2)},
        2,
        [
            *((f"answer-0-{n}", "answer", 0, m) for n, m in enumerate("sur")),
            *((f"judge-0-{n}", "judge", 1, "n") for n in range(3)),
        ],
    ),
    "layers": Case(
        f"{THREE}---[[panels.p.options.layers]]\nmethod = 'majority'\n"
        "[[panels.p.options.layers]]\nmethod = 'synthesize'\nwriter = 'n'",
        answers(s=1, u=1, r=2, n=3),
        3,
        [
            *((f"layer-0/answer-{n}", "answer", 0, m) for n, m in enumerate("sur")),
            ("layer-1/write", "write", 201, "n"),
        ],
    ),
}


def check_contexts(engine: Engine) -> None:
    """Hold co-design: whoever has a strategy was asked with a context, and nobody else."""
    assert engine.received
    for received in engine.received:
        body = received.body
        opening = next(m["content"] for m in body["messages"] if m["role"] == "user")
        if ROLES[body["model"]] == "none":
            assert opening == QUESTION
        else:
            assert opening.endswith("\n\n" + QUESTION)
            assert len(opening) > len(QUESTION) + 10


def sent(engine: Engine, calls: Any) -> None:
    """Hold that the engine was asked by exactly these members, as often."""
    asked = sorted(received.body["model"] for received in engine.received)
    assert asked == sorted(call[3] for call in calls)
