"""The responses of the Responses API that clients may go on with, by their ids.

Clients of that API leave out what they were sent: they name an earlier response
(`previous_response_id`) or its items (`item_reference`). The proxy keeps both in memory, for the
key that asked. The whole conversation is composed again each time, so its opening question has its
context. Ids are random: nobody guesses another client's.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

MOST_BYTES = 64 * 1024 * 1024
"""Bytes of JSON that are kept; the longest unused ones go first."""

MOST_RECALLED = 8 * 1024 * 1024
"""Bytes of JSON that one request may recall: a few bytes of its body can name megabytes."""

Item = Mapping[str, Any]


class _Response(NamedTuple):
    """A kept response: what it went on with, what was asked, the ids of what was answered."""

    earlier: str | None
    asked: bytes
    answered: Sequence[str]


class Kept:
    """Responses and their items, each of them a key's own."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._size = most_bytes, 0
        self._found: OrderedDict[tuple[str, str], _Response | bytes] = OrderedDict()

    def keep(
        self, client: str, response: Mapping[str, Any], asked: Sequence[Item], earlier: str | None
    ) -> None:
        """Keep a response and the items that were asked in it."""
        output: Sequence[Item] = response["output"]
        for item in output:
            self._put((client, item["id"]), msgspec.json.encode(item))
        ids = [item["id"] for item in output]
        self._put((client, response["id"]), _Response(earlier, msgspec.json.encode(asked), ids))

    def recalled(self, client: str, response_id: str | None, item_ids: Sequence[str]) -> int:
        """Return how many bytes a response, with all before it, and items stand for."""
        size = sum(self._bytes(client, each) for each in item_ids)
        while response_id is not None and size <= MOST_RECALLED:
            found = self._found.get((client, response_id))
            if not isinstance(found, _Response):
                break
            size += len(found.asked) + sum(self._bytes(client, each) for each in found.answered)
            response_id = found.earlier
        return size

    def _bytes(self, client: str, item_id: str) -> int:
        found = self._found.get((client, item_id))
        return len(found) if isinstance(found, bytes) else 0

    def item(self, client: str, item_id: str) -> Item | None:
        """Return an item by its id; `None`: it is not known (any more)."""
        found = self._get((client, item_id))
        return msgspec.json.decode(found) if isinstance(found, bytes) else None

    def conversation(self, client: str, response_id: str) -> list[Item] | None:
        """Return all items up to the end of a response; `None`: a part of them is not known."""
        turns: list[list[Item]] = []
        earlier: str | None = response_id
        while earlier is not None:
            found = self._get((client, earlier))
            if not isinstance(found, _Response):
                return None
            answered = [self.item(client, each) for each in found.answered]
            if None in answered:
                return None
            turns.append([*msgspec.json.decode(found.asked), *filter(None, answered)])
            earlier = found.earlier
        return [item for turn in reversed(turns) for item in turn]

    def _get(self, key: tuple[str, str]) -> _Response | bytes | None:
        found = self._found.get(key)
        if found is not None:
            self._found.move_to_end(key)
        return found

    def _put(self, key: tuple[str, str], value: _Response | bytes) -> None:
        self._found[key] = value
        self._size += _size(value)
        while self._size > self._most:
            _, gone = self._found.popitem(last=False)
            self._size -= _size(gone)


def _size(value: _Response | bytes) -> int:
    """Return how much an entry counts; the objects around its bytes take some hundred more."""
    return 500 + len(value if isinstance(value, bytes) else value.asked)
