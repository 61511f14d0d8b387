#!/usr/bin/env bash
# SGLang for a 7B model on one GPU of 48 GB or more: 7b.sh CHECKPOINT NAME
set -euo pipefail
arguments=(
  --model-path "$1"
  --served-model-name "$2"      # the name that the proxy's member says
  --host 0.0.0.0 --port 30000
  --dtype bfloat16
  --tp-size "${TP:-1}"
  --context-length 32768        # a question with its context, and as long an answer as AIME wants
  --mem-fraction-static 0.88   # weights and cache; the rest is for activations
  --enable-cache-report         # usage says how much of a prompt was cached
)
# Reasoning models: their thinking comes in a field of its own. REASONING=deepseek-r1 or qwen3.
[[ -z "${REASONING:-}" ]] || arguments+=(--reasoning-parser "$REASONING")
# Seeds that give the same answer whatever else is in the batch; it costs speed.
[[ -z "${REPRODUCIBLE:-}" ]] || arguments+=(--enable-deterministic-inference)
# How often an answer that is not streamed looks whether its client is still there; 4 s by default.
export SGLANG_REQUEST_STATE_WAIT_TIMEOUT=1
exec python3 -m sglang.launch_server "${arguments[@]}"
