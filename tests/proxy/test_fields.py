"""Every request field is honoured, forwarded or rejected: the engine tells what arrived."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy import fields
from tests.conftest import MEMBERS, ROOT, Proxy
from tests.proxy.test_member import ASK, CHAT
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
    if rejects and name not in {"input_ids", "lora_path"}:  # these members have no manifest
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
    answer = proxy.post(CHAT, content=json.dumps(sent))
    assert answer.status_code == 200, answer.text
    assert engine.received.pop().body == sent


HEADERS = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "vendor=1",
    "x-request-id": "mine",
    "x-override-max-tokens": "9",
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


def test_headers_that_go_along_and_that_do_not(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says("7")
    sent = {"model": "n", "messages": ASK}
    answer = proxy.post(CHAT, json=sent, headers={**HEADERS, **KEPT_BACK})
    assert answer.status_code == 200
    arrived = engine.received[0].headers
    assert {name: arrived.get(name) for name in HEADERS} == HEADERS
    assert arrived["accept-encoding"] == "identity"
    assert set(arrived) == {*HEADERS, "host", "accept-encoding", "content-type", "content-length"}


MANIFEST = {"schema": 2, "base_model": "b", "train": {"strategy": "random"}}


def test_doors_around_co_design(start: Proxy, engine: Engine, tmp_path: Any) -> None:
    (tmp_path / "input_time.json").write_text(json.dumps(MANIFEST), "utf-8")
    checked = MEMBERS.replace('model = "r"\n', 'model = "r"\nmanifest = "input_time.json"\n')
    ablation = '\n[members.a]\nengine = "e"\nmodel = "a"\nmanifest = "input_time.json"\n'
    proxy = start(checked + ablation + "allow_mismatch = true\n")
    engine.scripts["a"] = engine.scripts["n"] = says("7")
    doors = {"input_ids": [1, 2], "lora_path": "x", "custom_logit_processor": "code"}
    for door, value in doors.items():
        for model in ("r", "vote3"):
            answer = proxy.post(CHAT, json={"model": model, "messages": ASK, door: value})
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (400, door)
            assert error["code"] == "field_not_allowed"
        for null in ("r", "n"):
            engine.scripts["r"] = says("7")
            sent: dict[str, Any] = {"model": null, "messages": ASK, door: None}
            assert proxy.post(CHAT, json=sent).status_code == 200
    for door in ("input_ids", "lora_path"):
        sent = {"model": "a", "messages": ASK, door: doors[door]}
        assert proxy.post(CHAT, json=sent).json()["input_time"]["co_design"] == "mismatch"
        sent["model"] = "n"
        assert proxy.post(CHAT, json=sent).json()["input_time"]["co_design"] == "unverified"
