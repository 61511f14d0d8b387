"""Every request field is honoured, forwarded or rejected: the engine tells what arrived."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.checks import ConfigError
from proxy.wire import fields
from tests.conftest import MEMBERS, ROOT, Proxy
from tests.proxy.asking import ASK, CHAT, JSON
from tests.scripted import Engine, says

OPENAI = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
]
"""The fields of `openai.types.chat.CompletionCreateParams` (openai 3.54)."""

SGLANG = [
    "messages",
    "model",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "presence_penalty",
    "response_format",
    "seed",
    "stop",
    "stream_options",
    "temperature",
    "top_p",
    "user",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "return_hidden_states",
    "return_routed_experts",
    "routed_experts_start_len",
    "return_cached_tokens_details",
    "return_prompt_token_ids",
    "return_token_ids",
    "return_meta_info",
    "reasoning_effort",
    "task",
    "top_k",
    "min_p",
    "min_tokens",
    "regex",
    "ebnf",
    "repetition_penalty",
    "stop_token_ids",
    "stop_regex",
    "no_stop_trim",
    "ignore_eos",
    "continue_final_message",
    "skip_special_tokens",
    "lora_path",
    "session_id",
    "session_params",
    "separate_reasoning",
    "stream_reasoning",
    "chat_template_kwargs",
    "max_dynamic_patch",
    "min_dynamic_patch",
    "use_audio_in_video",
    "images_config",
    "custom_logit_processor",
    "custom_params",
    "input_ids",
    "rid",
    "extra_key",
    "cache_salt",
    "ngram_corpus_id",
    "priority",
    "bootstrap_host",
    "bootstrap_port",
    "bootstrap_room",
    "routed_dp_rank",
    "disagg_prefill_dp_rank",
    "data_parallel_rank",
]
"""The fields of SGLang's `ChatCompletionRequest` (0.5.23)."""

OPEN = MEMBERS.replace('model = "n"\n', 'model = "n"\nallow_fields = ["custom_logit_processor"]\n')
NAMES = sorted({*OPENAI, *SGLANG} - {"messages", "model"})
SAMPLES: dict[str, Any] = {
    "n": 2,
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "functions": [{"name": "f"}],
    "modalities": ["text", "audio"],
    "audio": {"voice": "x"},
    "seed": 2**40,
    "rid": "mine",
    "stream_options": {"include_usage": True},
    "custom_logit_processor": "code",
}


def sample(name: str) -> Any:
    return SAMPLES.get(name, {"any": [1, 2.5, None, "ü"]})


def test_a_member_gets_every_field_as_it_came(start: Proxy, engine: Engine) -> None:
    proxy = start(OPEN)
    engine.scripts["n"] = says("7")
    for name in NAMES:
        sent = {"model": "n", "messages": ASK, name: sample(name)}
        answer = proxy.post(CHAT, json=sent)
        assert answer.status_code == 200, (name, answer.text)
        assert engine.received.pop().body == sent, name


@pytest.mark.parametrize("name", NAMES)
def test_a_panel_honours_forwards_or_rejects(
    proxy: httpx.Client, engine: Engine, name: str
) -> None:
    for model in ("s", "u", "r"):
        engine.scripts[model] = says(r"\boxed{1}")
    answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK, name: sample(name)})
    row = fields.CHAT.get(name)
    rejects = row is not None and row.panel.startswith(("rejected", "the same"))
    if rejects:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
        assert engine.received == []
        return
    assert answer.status_code == 200, answer.text
    arrived = [received.body.get(name) for received in engine.received]
    if row is not None and row.panel.startswith("honoured"):
        assert sample(name) not in arrived
    else:
        assert arrived == [sample(name)] * 3


def test_the_page_has_the_table() -> None:
    assert fields.table() in (ROOT / "docs" / "api.md").read_text("utf-8")


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc_"), inner),
    max_leaves=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(extra=st.dictionaries(st.text("xyz_", min_size=3), ANY_JSON))
def test_unknown_fields_are_carried_exactly(
    proxy: httpx.Client, engine: Engine, extra: dict[str, Any]
) -> None:
    engine.scripts["n"] = says("7")
    sent = {"model": "n", "messages": ASK, **extra}
    answer = proxy.post(CHAT, content=json.dumps(sent), headers=JSON)
    assert answer.status_code == 200, answer.text
    assert engine.received.pop().body == sent


ALWAYS = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "vendor=1",
    "x-request-id": "mine",
}
LISTED = {
    "x-override-rid": "one",
    "x-override-priority": "9",
    "x-data-parallel-rank": "1",
    "x-smg-routing-key": "k",
}
KEPT_BACK = {
    "authorization": "Bearer client",
    "cookie": "a=b",
    "x-forwarded-for": "1.2.3.4",
    "x-engine-endpoint": "http://127.0.0.1:1/v1",
    "x-openai-api-key": "k",
    "accept-encoding": "gzip",
}
OURS = {"host", "accept-encoding", "content-type", "content-length"}


def listed(*names: str) -> str:
    return MEMBERS.replace("[members.n]", f"forward_headers = {list(names)}\n[members.n]", 1)


def sent(proxy: httpx.Client, engine: Engine, model: str = "n") -> list[dict[str, str]]:
    """Return the headers of each call that one request made, without ours."""
    engine.received.clear()
    body = {"model": model, "messages": ASK}
    answer = proxy.post(CHAT, json=body, headers={**ALWAYS, **LISTED, **KEPT_BACK})
    assert answer.status_code == 200
    for received in engine.received:
        assert received.headers["accept-encoding"] == "identity"
    return [
        {name: value for name, value in received.headers.items() if name not in OURS}
        for received in engine.received
    ]


def test_headers_go_along_only_where_they_are_listed(start: Proxy, engine: Engine) -> None:
    for name in "nsur":
        engine.scripts[name] = says(r"\boxed{7}")
    assert sent(start(), engine) == [ALWAYS]
    some = start(listed("X-Override-*", "x-data-parallel-rank"))
    expected = {name: LISTED[name] for name in LISTED if name != "x-smg-routing-key"}
    assert sent(some, engine) == [{**ALWAYS, **expected}]


def test_a_panels_calls_share_no_id(start: Proxy, engine: Engine) -> None:
    for name in "sur":
        engine.scripts[name] = says(r"\boxed{7}")
    calls = sent(start(listed("x-override-*")), engine, "vote3")
    assert {call["x-override-rid"] for call in calls} == {"one-1", "one-2", "one-3"}
    assert {call["x-request-id"] for call in calls} == {"mine-1", "mine-2", "mine-3"}
    assert {call["x-override-priority"] for call in calls} == {"9"}


@pytest.mark.parametrize(
    "name", ["authorization", "Host", "x-api-key", "a b", "*", "x-*", "a*", "x:", ""]
)
def test_some_headers_cannot_be_forwarded(start: Proxy, name: str) -> None:
    with pytest.raises(ConfigError, match=r"engines\.e\.forward_headers"):
        start(listed(name))
