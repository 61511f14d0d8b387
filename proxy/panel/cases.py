"""What a method is given of a request, and what a request may spend."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from its.methods.options import OptionError, parse
from its.methods.seam import Call, Case

from ..base.errors import BadRequest
from ..base.outcome import Row
from ..base.sampling import LONGEST_ANSWER
from ..config.settings import Member, Panel
from ..wire.request import ChatRequest

AT = "input_time.options"


def case_of(panel: Panel, request: ChatRequest, configured_seed: int) -> Case:
    """Return the case of one request on a panel, the request's own options in it.

    Raises:
        BadRequest: an option is wrong or may not be overridden, the case would need more calls than
            the panel allows, or the method cannot continue the client's last message.
    """
    extras, seed, base = request.extras, request.body.get("seed"), panel.case
    # Not by `replace`, which costs a tenth of what a vote does.
    case = Case(
        base.members,
        extras.samples or panel.samples,
        tuple(request.messages),
        base.options,
        seed=seed if isinstance(seed, int) else configured_seed,
        early_stop=base.early_stop,
        quorum=base.quorum,
        context_tokens=base.context_tokens,
        panels=base.panels,
        stop=_stop(request.body.get("stop")),
        max_tokens=longest(request.body),
    )
    if extras.options:
        case = replace(case, options=_options(panel, extras.options))
    if request.body.get("continue_final_message") and "prefix" in panel.run.needs(case.options):
        raise BadRequest(
            f"The panel {panel.name!r} cannot continue your last message: its method"
            f" {panel.method!r} begins the answer itself. Leave `continue_final_message` out, or"
            " ask another model.",
            param="continue_final_message",
        )
    if not extras.options and extras.samples is None:
        return case  # checked when the configuration was read
    if (most := panel.run.most_calls(case)) > panel.max_calls:
        raise BadRequest(
            f"The panel {panel.name!r} would make up to {most} calls, and panels.{panel.name}"
            f".max_calls is {panel.max_calls}. Ask for fewer samples, or for less in `{AT}`.",
            param=AT if extras.options else "input_time.samples",
        )
    return case


def _stop(value: Any) -> tuple[str, ...]:
    """Return the client's stop sequences: one text or several; an engine refuses anything else."""
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(each for each in found if isinstance(each, str))


def longest(body: Mapping[str, Any]) -> int | None:
    """Return how many tokens a body asks for at most; `None` if it does not say."""
    wanted = [body[name] for name in LONGEST_ANSWER["chat"] if isinstance(body.get(name), int)]
    return max(wanted, default=None)


def _options(panel: Panel, asked: Mapping[str, Any]) -> Any:
    """Return the panel's options with those of a request over them."""
    raw: dict[str, Any] = {**panel.raw_options}
    for path, value in _paths(asked):
        if path not in panel.allow_options:
            listed = ", ".join(panel.allow_options) or "none"
            raise BadRequest(
                f"`{AT}.{path[:100]}` is not among the options of the panel {panel.name!r} that a"
                f" request may set: {listed}. Its operator can add it to"
                f" panels.{panel.name}.allow_options.",
                param=AT,
            )
        _put(raw, path.split("."), value)
    try:
        return parse(panel.run, raw)
    except OptionError as error:
        raise BadRequest(f"`{AT}.{error.key[:100]}`: {error.reason[:300]}", param=AT) from error


def _paths(asked: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Return the options with their dotted paths: tables are gone into."""
    found: list[tuple[str, Any]] = []
    for name, value in asked.items():
        path = f"{before}{name}"
        found += _paths(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]
    return found


def _put(table: dict[str, Any], path: list[str], value: Any) -> None:
    """Put a value where `path` leads, into copies of the tables on the way."""
    *tables, key = path
    for name in tables:
        inner = table.get(name)
        # A method without options may be written as its name alone.
        table[name] = {**inner} if isinstance(inner, Mapping) else {"method": inner}
        table = table[name]
    table[key] = value


class Spending:
    """What a request may spend: `max_tokens_total` and `max_cost` of its panel."""

    def __init__(self, panel: Panel, body: Mapping[str, Any]) -> None:
        self._tokens, self._cost, self._body = panel.max_tokens_total, panel.max_cost, body

    def over(self, rows: Iterable[Row], personas: Iterable[Mapping[str, int]]) -> bool:
        """Tell whether the calls so far have used it up."""
        cost = sum(price(row.asked.member, row.spent.tokens) for row in rows)
        limits = ((self._tokens, _tokens(rows, personas)), (self._cost, cost))
        return any(limit is not None and used >= limit for limit, used in limits)

    def capped(
        self, call: Call, rows: Iterable[Row], personas: Iterable[Mapping[str, int]]
    ) -> Call:
        """Return a call that asks for no more tokens than are left.

        One that names no number stays: engines refuse a number that is above their context.
        """
        wanted = longest({**self._body, **call.params})
        if self._tokens is None or wanted is None or call.role == "score":
            return call
        left = max(1, self._tokens - _tokens(rows, personas))
        if left >= wanted:
            return call
        params = {**call.params, "max_tokens": left, "max_completion_tokens": None}
        return replace(call, params=params)


def _tokens(rows: Iterable[Row], personas: Iterable[Mapping[str, int]]) -> int:
    total = sum(used.get("total_tokens", 0) for used in personas)
    for row in rows:
        spent = row.spent.tokens
        total += spent["total_tokens"] or spent["prompt_tokens"] + spent["completion_tokens"]
    return total


def price(member: Member, tokens: Mapping[str, int]) -> float:
    """Return what a member's tokens cost, in the unit of its prices; 0 where it has none."""
    if member.price is None:
        return 0.0
    prompt, completion = tokens["prompt_tokens"], tokens["completion_tokens"]
    return (prompt * member.price.prompt + completion * member.price.completion) / 1e6
