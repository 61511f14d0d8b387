"""Short accounts: a row of the list of verdicts, `input_time` looked up later, an engine's row."""

from collections.abc import Mapping
from typing import Any

from its.prompts import question

from ..config.settings import Client, Settings
from ..wire import render
from .replies import tokens_of
from .store import KeptVerdict

LONGEST = 200
"""Characters of a question or an answer in the list."""

_LISTED = (
    "id", "model", "kind", "method", "at", "seconds", "status", "cause", "error", "streamed",
    "failed", "decided", "withheld", "agreement", "stopped", "abstained", "undecided",
)  # fmt: skip


def listed(kept: KeptVerdict) -> dict[str, Any]:
    """Return what the list shows of a request."""
    seen = kept.facts()
    clusters = seen.get("clusters") or []
    row = {name: seen.get(name) for name in _LISTED}
    row |= {
        "calls": len(seen["calls"]),
        "tokens": sum(call.get("tokens") or 0 for call in seen["calls"]),
        "votes": [len(cluster["calls"]) for cluster in clusters],
        "planned": seen.get("planned"),
    }
    if (told := kept.told) is not None:
        if told.raw is not None:
            row["tokens"] = tokens_of(told)["tokens"] or 0
        asked = question(told.messages)
        row["question"] = asked[:LONGEST] if asked else None
        if told.outcome is not None and told.outcome.verdict.clusters:
            row["answer"] = told.outcome.verdict.clusters[0].answer.text[:LONGEST]
    return row


def input_time(kept: KeptVerdict) -> dict[str, Any] | None:
    """Return the `input_time` of the response, for clients whose library drops it.

    Without texts it has no persona, domain or answer. `None`: the response had none.
    """
    told = kept.told
    if told is None:
        return _plain(kept.facts())
    if told.outcome is not None:
        return render.describe_panel(told.outcome, False)
    return render.describe(told.prompt) if told.prompt is not None else None


def _plain(seen: Mapping[str, Any]) -> dict[str, Any] | None:
    calls = {call["name"]: call for call in seen["calls"]}
    name = seen.get("winner") if seen["kind"] == "panel" else "answer"
    if name is None or name not in calls:
        return None
    chosen = calls[name]
    asked = {
        "strategy": chosen["strategy"], "persona": None, "domain": None, "source": chosen["source"],
        "placement": chosen["placement"], "seed": chosen["seed"],
        "co_design": chosen.get("co_design"), "persona_usage": chosen.get("persona_usage"),
    }  # fmt: skip
    return asked if seen["kind"] == "member" else {**asked, **_of_panel(seen, calls)}


def _of_panel(seen: Mapping[str, Any], calls: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    agreement = seen["agreement"]
    return {
        "method": seen["method"],
        "decided": seen["decided"],
        "withheld": seen["withheld"],
        "votes": [
            {"answer": None, "votes": len(each["calls"]),
             "members": [calls[name]["member"] for name in each["calls"]]}
            for each in seen["clusters"]
        ],
        "abstained": seen["abstained"],
        "failed": seen["failures"],
        "late": seen["late"],
        "cancelled": seen["cancelled"],
        "undecided": seen["undecided"],
        "agreement": None if agreement is None else round(agreement, 4),
        "winner": calls[seen["winner"]]["member"],
        "stopped": seen["stopped"],
        "account": seen["account"],
        "calls": [_call(call) for call in seen["calls"]],
    }  # fmt: skip


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("name", "role", "round", "member", "tokens", "prompt_tokens", "outcome")
    seconds = round(call["end"] - call["start"], 3)
    error = {"error": call["error"]} if call["error"] else {}
    return {name: call[name] for name in kept} | {"seconds": seconds} | error


def engine_row(
    name: str, fault: str | None, settings: Settings, client: Client | None
) -> dict[str, Any]:
    """Return an engine with what uses it, as far as `client` may know."""
    engine = settings.engines[name]
    members = [
        {"name": each.name, "model": each.model, "strategy": each.strategy}
        for each in settings.members.values()
        if each.engine == name and (client is None or client.may_use(each.name))
    ]
    behind = {each.name for each in settings.members.values() if each.engine == name}
    panels = [
        panel.name
        for panel in settings.panels.values()
        if behind & set(panel.everyone) and (client is None or client.may_use(panel.name))
    ]
    head = {"name": name, "kind": engine.kind, "server": engine.server}
    return {**head, "ready": fault is None, "fault": fault, "members": members, "panels": panels}
