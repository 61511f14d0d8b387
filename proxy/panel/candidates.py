"""Which verdicts make a solved question worth keeping (`contexts.candidates`)."""

from its import prompts
from its.types import Message

from ..base.outcome import PanelOutcome
from ..config.settings import CandidateSettings
from ..contexts.candidates import Candidate
from ..wire.request import ChatRequest

LONGEST = 20_000
"""Characters of a question or a solution; what is longer makes no good note."""


def candidate(
    settings: CandidateSettings, panel: str, request: ChatRequest, outcome: PanelOutcome
) -> Candidate | None:
    """Return what a verdict has solved; `None` if it is not to be kept.

    A client's word does not count: its questions would decide what others are asked with.
    """
    verdict, reply = outcome.verdict, outcome.winner.reply
    agreement = verdict.agreement
    sure = verdict.decided and agreement is not None and agreement >= settings.agreement
    if not sure or agreement is None or verdict.withheld or reply is None:
        return None
    if reply.finish_reason != "stop" or reply.message.get("tool_calls"):
        return None
    question, solution = _opening(request), reply.text.strip()
    asked = outcome.winner.asked
    if question is None or not solution:
        return None
    question = prompts.bare(question, asked.layout).strip()
    if not question or max(len(question), len(solution)) > LONGEST:
        return None
    answer = verdict.clusters[0].answer.text if verdict.clusters else ""
    return Candidate(question, solution, answer, round(agreement, 4), panel)


def _opening(request: ChatRequest) -> str | None:
    """Return the question of a chat that has said nothing else yet, and that may be stored."""
    if request.body.get("store") is False:  # OpenAI's field: the client wants nothing kept
        return None
    turns = [each for each in request.messages if each.get("role") not in prompts.SYSTEM_ROLES]
    if len(turns) != 1 or turns[0].get("role") != "user" or not _is_text(turns[0]):
        return None
    return prompts.text_of(turns[0])


def _is_text(message: Message) -> bool:
    content = message.get("content")
    return isinstance(content, str) or all(part.get("type") == "text" for part in content or [])
