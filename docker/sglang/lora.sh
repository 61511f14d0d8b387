#!/usr/bin/env bash
# One SGLang engine with three adapters of one base: lora.sh BASE NAME S U R (folders of adapters).
# Members then say `model = "NAME:s"` and so on; the proxy keeps clients from naming another adapter.
set -euo pipefail
arguments=(
  --model-path "$1"
  --served-model-name "$2"
  --enable-lora
  --lora-paths "s=$3" "u=$4" "r=$5"
  --max-loras-per-batch 3       # all three of a panel's calls run together
  --host 0.0.0.0 --port 30000
  --dtype bfloat16
  --tp-size "${TP:-1}"
  --context-length 32768
  --mem-fraction-static 0.85
  --enable-cache-report
)
[[ -z "${REASONING:-}" ]] || arguments+=(--reasoning-parser "$REASONING")
# How often an answer that is not streamed looks whether its client is still there; 4 s by default.
export SGLANG_REQUEST_STATE_WAIT_TIMEOUT=1
exec python3 -m sglang.launch_server "${arguments[@]}"
