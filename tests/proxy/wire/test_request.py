"""`wire.parse` against anything: a request or a 400, never another error; nothing is altered."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base.errors import BadRequest
from proxy.config.settings import Limits
from proxy.wire import request as wire

LIMITS = Limits(
    body=8_000_000,
    messages=5,
    depth=16,
    read_seconds=30,
    seconds=60,
    retries=0,
    retry_seconds=0,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALAR = st.none() | st.booleans() | st.integers() | TEXT | st.floats(allow_nan=False)
ANY = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url"])}, optional={"text": ANY}
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "assistant"]) | ANY},
    optional={"content": TEXT | st.lists(PART | ANY, max_size=3) | ANY, "name": ANY},
)
BODY = st.fixed_dictionaries(
    {"model": TEXT | ANY, "messages": st.lists(MESSAGE, max_size=6) | ANY},
    optional={
        "stream": st.booleans() | ANY,
        "seed": st.integers() | ANY,
        "input_time": ANY
        | st.fixed_dictionaries(
            {},
            optional={"strategy": TEXT, "seed": st.integers(), "samples": st.integers(-1, 70)},
        ),
        "extra": ANY,
    },
)


@settings(max_examples=400, deadline=None)
@given(BODY | ANY)
def test_json_is_a_request_or_a_400(body: Any) -> None:
    try:
        raw = msgspec.json.encode(body)
    except OverflowError:  # an integer that is wider than what the encoder writes
        raw = json.dumps(body).encode()
    try:
        request = wire.parse(raw, LIMITS)
    except BadRequest as error:
        json.loads(error.encode())
        return
    body.pop("input_time", None)
    assert json.loads(msgspec.json.encode(request.body)) == json.loads(json.dumps(body))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_are_a_400(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        wire.parse(raw, LIMITS)


@pytest.mark.parametrize(("depth", "good"), [(12, True), (30, False), (5000, False)])
def test_nesting_has_a_limit(depth: int, good: bool) -> None:
    deep = '{"a":[' * (depth // 2) + "1" + "]}" * (depth // 2)
    raw = b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "x": %s}' % deep.encode()
    if good:
        wire.parse(raw, LIMITS)
        return
    with pytest.raises(BadRequest):
        wire.parse(raw, LIMITS)


def test_braces_in_a_text_are_no_nesting() -> None:
    raw = msgspec.json.encode(
        {"model": "m", "messages": [{"role": "user", "content": "{[" * 1000}]}
    )
    assert wire.parse(raw, LIMITS).question == "{[" * 1000


def test_messages_have_a_limit() -> None:
    message = {"role": "user", "content": "x"}
    with pytest.raises(BadRequest, match="more than 5"):
        wire.parse(msgspec.json.encode({"model": "m", "messages": [message] * 6}), LIMITS)
