"""Training-serving parity: the token ids of a prompt, as training saw them and as the engine does.

A context that is placed, spaced or templated otherwise in serving than in training is another
prompt: the train/serve skew that breaks co-design without a sign.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx
from rich.console import Console
from rich.text import Text

from its.cli import bar

from .. import rows as rows_
from ..data import record as records
from ..data.tokens import ChatTokenizer, load
from ..errors import CheckpointError
from ..rows import QuestionRow

AROUND = 12
"""Tokens shown before and after the first difference."""

SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs first in a row: its text, or its tokens."""

    row: int
    what: str
    shown: Text


class ProxyClient:
    """Composes and tokenizes as serving does."""

    def __init__(self, url: str, model: str, key: str | None, system: str | None = None) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=False)
        self._model, self._system = model, system

    def __enter__(self) -> "ProxyClient":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def compose(self, row: QuestionRow) -> Any:
        """Return the messages that the engine would be sent."""
        return self._post("input_time/compose", row)["messages"]

    def tokens(self, row: QuestionRow) -> list[int]:
        """Return the token ids that the engine makes of them."""
        found = self._post("tokenize", row)
        tokens = found.get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(t, int) for t in tokens):
            raise CheckpointError("the engine's /tokenize returned no `tokens`")
        return tokens

    def _post(self, path: str, row: QuestionRow) -> Any:
        asked = _asked(row, self._system)
        body = {"model": self._model, "messages": asked, "input_time": _extras(row)}
        try:
            answer = self._client.post(path, json=body)
        except httpx.HTTPError as error:
            raise CheckpointError(f"the proxy cannot be reached: {error}") from error
        if answer.status_code != 200:
            raise CheckpointError(f"the proxy answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()


def compare_all(
    data: Path, tokenizer: str, url: str, model: str, number: int, seed: int, key: str | None
) -> bool:
    """Compare rows of `data` and print what differs; tell whether nothing does.

    Raises:
        CheckpointError: parity cannot be checked.
        DataError: a row of `data` has no question.
    """
    console = Console(soft_wrap=True)
    chosen = sample(rows_.read(data), number, seed)
    if not chosen:
        raise CheckpointError(f"{data} has no rows")
    trained, system = load(tokenizer), _system(data, chosen[0])
    differences, tokens = [], 0
    with (
        ProxyClient(url, model, key, system) as served,
        bar("comparing", len(chosen), transient=True) as advance,
    ):
        for row in chosen:
            found, length = compare(row, trained, served)
            tokens += length
            if found is not None:
                differences.append(found)
            advance()
    for difference in differences[:3]:
        console.print(f"line {difference.row}: {difference.what}", style="bold red")
        console.print(difference.shown)
    same = len(chosen) - len(differences)
    told = f"{same} of {len(chosen)} rows: the same tokens in training and in serving"
    console.print(f"{told} ({tokens:,} compared)", style="red" if differences else "green")
    return not differences


def sample(rows: Iterator[QuestionRow], number: int, seed: int) -> list[QuestionRow]:
    """Draw `number` rows (0: all) in constant memory (reservoir sampling), in their order."""
    if number == 0:
        return list(rows)
    rng, kept = Random(seed), []
    for seen, row in enumerate(rows):
        if seen < number:
            kept.append(row)
        elif (at := rng.randrange(seen + 1)) < number:
            kept[at] = row
    return sorted(kept, key=lambda row: row.number)


def compare(
    row: QuestionRow, trained: ChatTokenizer, served: ProxyClient
) -> tuple[Difference | None, int]:
    """Return the first difference of `row`, and the number of tokens that were compared.

    Raises:
        CheckpointError: the row was not composed, or the proxy refuses.
    """
    messages = _messages(row)
    prompt = _before_answer(messages)
    sent = served.compose(row)
    if sent != prompt:
        shown = _diff(_text(prompt), _text(sent))
        return Difference(row.number, "the composed text differs", shown), 0
    theirs = served.tokens(row)
    if len(prompt) < len(messages):
        # All that training saw; what stands before the answer must be what the engine is given.
        ours = _ids(trained, messages)[: len(theirs)]
    else:
        ours = _ids(trained, messages, add_generation_prompt=True)
    if ours == theirs:
        return None, len(theirs)
    return Difference(row.number, *_difference(trained, ours, theirs)), len(theirs)


def _messages(row: QuestionRow) -> list[dict[str, Any]]:
    messages = row.fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise CheckpointError(
            f"line {row.number}: has no `messages`; make the rows with its-sft compose"
        )
    return messages


def _before_answer(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return messages[:-1] if messages[-1].get("role") == "assistant" else messages


def _system(data: Path, first: QuestionRow) -> str | None:
    """Return the system text that was given to every row, which the proxy has to add by itself.

    Rows that `its-sft compose` printed have no record, and no system text but the one it was given.
    """
    if (data.parent / records.NAME).is_file():
        return records.read(data.parent).train.system
    message = _messages(first)[0]
    return str(message.get("content")) if message.get("role") == "system" else None


def _asked(row: QuestionRow, system: str | None) -> list[dict[str, Any]]:
    """Return the chat as a client would send it: the bare question in the opening message."""
    asked = [dict(message) for message in _before_answer(_messages(row))]
    if asked[0] == {"role": "system", "content": system}:
        asked = asked[1:]
    opening = next((m for m in asked if m.get("role") == "user"), None)
    if opening is None:
        raise CheckpointError(f"line {row.number}: has no user message")
    opening["content"] = row.question
    return asked


def _extras(row: QuestionRow) -> Mapping[str, Any]:
    persona = row.fields.get("persona")
    return {"persona": persona} if isinstance(persona, str) else {}


def _ids(tokenizer: ChatTokenizer, messages: Any, **options: Any) -> list[int]:
    ids: list[int] = tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=False, **options
    )
    return ids


def _text(messages: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"<{m.get('role')}> {m.get('content')}" for m in messages)


def _difference(
    tokenizer: ChatTokenizer, ours: Sequence[int], theirs: Sequence[int]
) -> tuple[str, Text]:
    pairs = zip(ours, theirs, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
    what = (
        f"the tokens differ from number {at} on ({len(ours)} in training, {len(theirs)} in serving)"
    )
    text = tokenizer.decode(ours), tokenizer.decode(theirs)
    if text[0] != text[1]:
        return what, _diff(*text)
    return f"{what}, though their text does not", Text.assemble(
        ("training ", "green"), f"{list(ours[max(0, at - AROUND) : at + AROUND])}\n",
        ("serving  ", "red"), f"{list(theirs[max(0, at - AROUND) : at + AROUND])}",
    )  # fmt: skip


def _diff(ours: str, theirs: str) -> Text:
    """Show two texts line by line, with their spaces and line ends made visible."""
    shown = Text()
    lines = _visible(ours), _visible(theirs)
    for line in difflib.unified_diff(lines[0], lines[1], "training", "serving", n=1, lineterm=""):
        style = {"-": "green", "+": "red"}.get(line[0], "dim")
        shown.append(f"{line}\n", style)
    return shown


def _visible(text: str) -> list[str]:
    marked = text.replace(" ", "·").replace("\t", "→").replace("\n", "⏎\n")
    return marked.splitlines()
