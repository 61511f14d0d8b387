"""What a request may not do to a member that was trained in a known way.

Guarded fields could bring the question past its context (`guards`); a system text of the client
could stand where the checkpoint saw another one in training.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from its import prompts
from its.types import Message

from ..base import guards
from ..base.errors import BadRequest
from ..base.guards import EndpointKind
from ..config.settings import Member

_LOG = logging.getLogger("its.proxy")


def goes_around(body: Mapping[str, Any], member: Member, endpoint: EndpointKind) -> bool:
    """Tell whether a request goes around what the member was trained with, and may.

    Raises:
        BadRequest: it may not.
    """
    bypassed = guards.check_fields(body, member, endpoint)
    if member.layout.system is None or endpoint == "other":
        return bypassed
    return _check_system(member, _said_before(body, endpoint)) or bypassed


def _said_before(body: Mapping[str, Any], endpoint: EndpointKind) -> Sequence[Message] | None:
    """Return the messages of a request; `None`: it cannot have any.

    Their shape is checked elsewhere; what is no message is left out.
    """
    if endpoint == "completions":
        return None
    given = body.get("messages")
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _check_system(member: Member, messages: Sequence[Message] | None) -> bool:
    """Tell whether the system text is another than the member's, which allows it.

    Raises:
        BadRequest: the member does not allow it.
    """
    if messages is not None and not prompts.other_system(messages, member.layout):
        return False
    told = (
        "a bare prompt has no place for it. Use /v1/chat/completions"
        if messages is None
        else "the request has another one, or one in another place. Leave it out: the proxy adds it"
    )
    if member.system_mismatch == "refuse":
        raise BadRequest(
            f"the model {member.name!r} was trained with a system text (/v1/models shows it), and"
            f' {told}. Its operator can allow this with system_mismatch = "warn"',
            param="prompt" if messages is None else "messages",
            code="system_mismatch",
        )
    _LOG.warning("Member %r is not asked with the system text of its training.", member.name)
    return True
