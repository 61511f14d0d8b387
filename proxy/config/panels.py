"""The tables of panels: members and roles, the method with its options, what they may spend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from its.answers import KINDS
from its.methods import Case, Method, MethodError, find
from its.methods.drafts import CONTEXT_TOKENS
from its.methods.options import NAMING, OptionError, named, nested, parse, with_members
from its.strategies import adds_context

from .checks import Checks
from .settings import CandidateSettings, Member, Panel
from .tables import CandidatesTable, ConfigFile, PanelTable

FIXED = frozenset({*NAMING, "method", "members", "layers"})
"""Options that choose members or methods: a request never may."""


class PanelResolver(Checks):
    """Checks panels of `file` against its `members`; every complaint names the file and the key."""

    def __init__(self, path: Path, file: ConfigFile, members: Mapping[str, Member]) -> None:
        super().__init__(path)
        self._file, self._members = file, members
        self._panels = {name: _repeated(table) for name, table in file.panels.items()}

    def panel(self, name: str, table: PanelTable) -> Panel:
        at = f"panels.{name}"
        self._check(at, table)
        method = self._method(f"{at}.method", table.method)
        try:
            options = parse(method, table.options)
        except OptionError as error:
            raise self.fail(f"{at}.options.{error.key}".rstrip("."), error.reason) from error
        drafting, roles = self._roles(at, name, table, options)
        everyone = tuple(dict.fromkeys([*table.members, *drafting, *roles]))
        case = self._case(table, options, everyone)
        self._check_needs(at, table, method, options)
        panel = Panel(
            name=name,
            members=tuple(table.members),
            method=table.method,
            samples=table.samples,
            max_samples=table.max_samples,
            max_calls=table.max_calls,
            quorum=table.quorum,
            deadline_s=table.deadline_s,
            early_stop=table.early_stop,
            answers=table.answers,
            json_keys=tuple(table.json_keys),
            stream_mode=table.stream_mode,
            run=method,
            raw_options=table.options,
            case=case,
            drafting=frozenset([*table.members, *drafting]),
            everyone=everyone,
            most_calls=self._most_calls(at, table, method, case),
            allow_options=tuple(table.allow_options),
            max_tokens_total=table.max_tokens_total,
            max_cost=table.max_cost,
            candidates=self._candidates(f"{at}.candidates", table.candidates),
        )
        self._check_allowed(at, table, method)
        self._check_budget(at, panel)
        return panel

    def _check(self, at: str, table: PanelTable) -> None:
        if not table.members:
            raise self.fail(f"{at}.members", "at least one is needed")
        for member in table.members:
            self._drafts(f"{at}.members", member)
        if len(set(table.members)) < len(table.members):
            raise self.fail(f"{at}.members", "Member listed twice. To ask it more, set `samples`.")
        self.known(f"{at}.answers", table.answers, dict.fromkeys(KINDS), "kind of answers")
        if table.json_keys and table.answers not in ("auto", "json"):
            raise self.fail(f"{at}.json_keys", 'is for answers = "json" or "auto" only')
        for key in ("samples", "max_samples", "max_calls", "quorum", "max_tokens_total"):
            self.at_least(f"{at}.{key}", getattr(table, key), 1)
        planned = len(table.members) * table.samples
        if table.samples > table.max_samples:
            raise self.fail(f"{at}.samples", f"is more than max_samples = {table.max_samples}")
        if table.quorum is not None and table.quorum > planned:
            raise self.fail(f"{at}.quorum", f"is {table.quorum}, but only {planned} are asked")
        self.above_0(f"{at}.deadline_s", table.deadline_s)

    def _method(self, at: str, name: str) -> Method:
        try:
            return find(name)
        except MethodError as error:
            raise self.fail(at, str(error)) from error

    def _drafts(self, at: str, name: str) -> None:
        """Refuse a member that cannot answer."""
        self.known(at, name, self._members, "member")
        engine = self._members[name].engine
        if self._file.engines[engine].kind == "reward":
            raise self.fail(
                at,
                f"the member {name!r} is on the engine {engine!r}, whose kind is 'reward': it"
                " scores answers and writes none. Name it as a `scorer`",
            )

    def _roles(
        self, at: str, panel: str, table: PanelTable, options: Any
    ) -> tuple[list[str], list[str]]:
        """Return the members that options name: those that answer, and the others."""
        drafting: list[str] = []
        others: list[str] = []
        for key, name in named(options):
            where, role = f"{at}.options.{key}", key.rpartition(".")[2]
            if name == panel:
                raise self.fail(where, "a panel cannot be a part of itself")
            if name in self._panels and role in ("members", "layers"):
                raise self.fail(where, f"{name!r} is a panel, and only members can be listed here")
            known = {**self._members, **self._panels}
            self.known(where, name, known, "member or panel")
            behind = dict.fromkeys(self._panels.get(name, (name,)))
            for member in behind:
                self.known(where, member, self._members, "member")
                if role in ("members", "stronger"):
                    self._drafts(where, member)
                else:
                    self._serves(where, role, self._members[member])
            (drafting if role in ("members", "stronger") else others).extend(behind)
        return drafting, others

    def _serves(self, at: str, role: str, member: Member) -> None:
        """Refuse a judge, writer or scorer that would be asked with a context."""
        if adds_context(member.strategy):
            raise self.fail(
                at,
                f"the member {member.name!r} has the strategy {member.strategy!r}. A {role} reads"
                " our question and not only the client's, so its strategy must be 'none'",
            )
        kind = self._file.engines[member.engine].kind
        if (kind == "reward") != (role == "scorer"):
            wanted = 'needs kind = "reward"' if role == "scorer" else 'must not have kind "reward"'
            raise self.fail(at, f"the engine {member.engine!r} of {member.name!r} {wanted}")

    def _case(self, table: PanelTable, options: Any, everyone: tuple[str, ...]) -> Case:
        """Return what the cases of all requests share."""
        contexts = {name: self._members[name].context_tokens for name in everyone}
        names = {name for _, name in named(options)}
        panels = {name: self._panels[name] for name in names if name in self._panels}
        for name, behind in panels.items():  # each is asked in turn: all must be able to read it
            known = [contexts[member] or CONTEXT_TOKENS for member in behind]
            contexts[name] = min(known)
        return Case(
            members=tuple(table.members),
            samples=table.samples,
            messages=(),
            options=options,
            early_stop=table.early_stop,
            quorum=table.quorum,
            context_tokens={n: tokens for n, tokens in contexts.items() if tokens is not None},
            panels=panels,
        )

    def _most_calls(self, at: str, table: PanelTable, method: Method, case: Case) -> int:
        most = method.most_calls(case)
        if most > table.max_calls:
            raise self.fail(
                f"{at}.max_calls",
                f"is {table.max_calls}, but {len(table.members)} members with samples ="
                f" {table.samples} make {most} calls with the method {table.method!r}."
                " Raise max_calls, or ask for less",
            )
        return most

    def _candidates(self, at: str, table: CandidatesTable | None) -> CandidateSettings | None:
        if table is None:
            return None
        if not 0 < table.agreement <= 1:
            raise self.fail(f"{at}.agreement", "must be above 0 and at most 1")
        self.above_0(f"{at}.max_mb", table.max_mb)
        file = self.path.parent / table.file
        if not file.parent.is_dir():
            raise self.fail(f"{at}.file", f"{file.parent} is no folder. Make it, or name another")
        return CandidateSettings(file, table.agreement, int(table.max_mb * 1e6))

    def _check_needs(self, at: str, table: PanelTable, method: Method, options: Any) -> None:
        """Refuse what can be known without asking the engines."""
        asking = [(f"{at}.members", table.members, table.method, method.needs(options))]
        for key, one in with_members(options):
            where = f"{at}.options.{key}.members"
            asking.append((where, list(one.members or ()), one.name, one.method.needs(one.options)))
        for where, members, name, needs in asking:
            if "one_member" in needs and len(set(members)) > 1:
                raise self.fail(
                    where,
                    f"the method {name!r} (or one inside it) is for samples of one member: across"
                    " different models the first to finish is often wrong. Name one member, and"
                    " set `samples`",
                )

    def _check_allowed(self, at: str, table: PanelTable, method: Method) -> None:
        """Refuse an entry of `allow_options` that no request can set, or that none may."""
        for path in table.allow_options:
            where, owner, options = f"{at}.allow_options", method, table.options
            *tables, key = path.split(".")
            for name in tables:
                inner = options.get(name)
                if inner in (None, "answer", "abstain"):
                    raise self.fail(where, f"{path!r}: the panel's options have no table {name!r}")
                owner = nested(inner).method
                options = inner if isinstance(inner, dict) else {}
            keys = owner.options.__struct_fields__
            fixed = FIXED | ({"below"} if "below" in keys else set())
            if key not in keys or key in fixed:
                free = ", ".join(name for name in keys if name not in fixed)
                raise self.fail(
                    where,
                    f"{path!r} cannot be left to requests. Options that can: {free or 'none'}",
                )

    def _check_budget(self, at: str, panel: Panel) -> None:
        if panel.max_cost is None:
            return
        self.above_0(f"{at}.max_cost", panel.max_cost)
        for name in panel.everyone:
            if self._members[name].price is None:
                raise self.fail(
                    f"{at}.max_cost",
                    f"needs the price of every member. Set members.{name}.price ="
                    " { prompt = ..., completion = ... }, per million tokens",
                )


def _repeated(table: PanelTable) -> tuple[str, ...]:
    """Return a panel's members, each as often as it is asked."""
    return tuple(table.members) * table.samples
