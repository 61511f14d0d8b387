"""Whether an engine does what methods need, by the effect: a field that it ignores is no error.

The checks are those of `conformance`, and `its-proxy check --ask` asks them of the engines behind
the panels whose methods need them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from its.methods.seam import Need

from ..config.settings import EngineSettings, Member, Settings
from ..panel.bodies import CONTINUES
from ..panel.scoring import PATHS, ScoreError, number_in, score_body
from .probe import SECONDS, TALE, EngineProbe, Missing, must

COUNTING = [{"role": "user", "content": "Write the numbers from 1 to 12, separated by commas."}]
BEGUN = "1, 2, 3, 4, 5, 6, 7, 8,"
THOUGHT = "<think>\nI write them in order.\n</think>\n\n"


def logprobs(engine: EngineProbe) -> str:
    """`logprobs` come back, and they differ: some engines send zeros."""
    body = engine.chat(messages=TALE, logprobs=True, top_logprobs=2)
    found = body["choices"][0].get("logprobs") or {}
    values = [place.get("logprob") for place in found.get("content") or ()]
    must(bool(values), "none")
    numbers = [value for value in values if isinstance(value, int | float)]
    must(len(numbers) == len(values), "some are no numbers")
    must(len(set(numbers)) > 1, f"all {len(numbers)} are {numbers[0]}")
    return f"{min(numbers):.2f} to {max(numbers):.2f}"


def prefix(engine: EngineProbe) -> str:
    """`continue_final_message` goes on with the assistant's text, and does not answer anew."""
    return _goes_on(engine, BEGUN)


def thinking_prefix(engine: EngineProbe) -> str:
    """So it does after a text that has been thought: some chat templates leave that out.

    A template that opens `<think>` itself must not do so before a text that is to be continued.
    """
    _goes_on(engine, THOUGHT + BEGUN)
    plain, thought = (_prompt_tokens(engine, text) for text in (BEGUN, THOUGHT + BEGUN))
    # A template that cuts the thinking off may keep the line breaks after it.
    must(thought > plain + 4, "the chat template leaves the thinking of the prefix out")
    return ""


def _goes_on(engine: EngineProbe, text: str) -> str:
    body = _continue(engine, text, max_tokens=16)
    message = body["choices"][0]["message"]
    said = message.get("content") or message.get("reasoning_content") or message.get("reasoning")
    more = (said or "").removeprefix(text).strip()
    must(more.startswith("9"), f"said {more[:40]!r} after {BEGUN!r}")
    return f"went on with {more[:20]!r}"


def _prompt_tokens(engine: EngineProbe, text: str) -> int:
    return int(_continue(engine, text, max_tokens=1)["usage"]["prompt_tokens"])


def _continue(engine: EngineProbe, text: str, **more: Any) -> Any:
    messages = [*COUNTING, {"role": "assistant", "content": text}]
    return engine.chat(messages=messages, temperature=0, **CONTINUES, **more)


def scores(engine: EngineProbe) -> str:
    """A reward model gives one number for a question and a draft, and not the same for all."""
    found = [_score(engine, answer) for answer in ("9, 10, 11, 12", "I do not like numbers.")]
    must(found[0] != found[1], f"two drafts have the same score {found[0]}")
    return f"{found[0]:.3g} and {found[1]:.3g}"


def _score(engine: EngineProbe, answer: str) -> float:
    body = score_body(engine.model, [*COUNTING, {"role": "assistant", "content": answer}])
    refusals = []
    for path in PATHS:
        got = engine.client.post(f"{engine.root}{path}", json=body)
        if got.status_code == 200:
            try:
                return number_in(got.json())
            except (ScoreError, ValueError) as error:
                raise Missing(f"{path}: {error}") from error
        refusals.append(f"{path} answered {got.status_code}")
    raise Missing("; ".join(refusals))


CHECKS: Mapping[Need, tuple[Callable[[EngineProbe], str], ...]] = {
    "logprobs": (logprobs,),
    "prefix": (prefix, thinking_prefix),
    "scores": (scores,),
}
"""What shows that an engine does what a method needs. A judge needs only that it answers."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a panel needs of a member, and what is wrong with it (`None`: nothing)."""

    panel: str
    member: str
    need: str
    told: str
    fault: str | None


def ask(settings: Settings) -> list[Effect]:
    """Ask the engines behind every panel for what its method needs.

    An engine is asked once for the same model. Embedded engines run only while the proxy serves:
    they are llama.cpp, whose log-probabilities and prefixes the tests hold.
    """
    known: dict[tuple[str, str, str], tuple[str, str | None]] = {}
    effects = []
    for panel in settings.panels.values():
        for need in sorted(panel.run.needs(panel.case.options) & CHECKS.keys()):
            for name in panel.everyone:
                member = settings.members[name]
                engine = settings.engines[member.engine]
                if (engine.kind == "reward") != (need == "scores") or engine.server != "base_url":
                    continue
                if need != "scores" and name not in panel.drafting:
                    continue
                key = member.engine, member.model, need
                if key not in known:
                    known[key] = _asked(engine, member, need)
                effects.append(Effect(panel.name, name, need, *known[key]))
    return effects


def _asked(engine: EngineSettings, member: Member, need: str) -> tuple[str, str | None]:
    """Return a remark, and what is wrong."""
    headers = {"authorization": f"Bearer {engine.api_key}"} if engine.api_key else {}
    with httpx.Client(timeout=SECONDS, trust_env=False, headers=headers) as client:
        probe = EngineProbe(client, engine.place, member.model)
        try:
            told = [check(probe) for name, checks in CHECKS.items() if name == need
                    for check in checks]  # fmt: skip
        except Missing as error:
            return "", str(error)
        except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
            return "", f"{type(error).__name__}: {error}"[:120]
    return "; ".join(filter(None, told)), None
