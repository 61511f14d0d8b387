#!/usr/bin/env bash
# The real SGLang on a CPU: serve.sh MODEL NAME PORT [more flags]; `make sglang-env` makes its environment.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
environment=${ITS_SGLANG:-${XDG_CACHE_HOME:-$HOME/.cache}/input-time-scaling/sglang-0.5.23-cpu}
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 SGLANG_USE_CPU_ENGINE=1 PYTHONPATH=$here/stand_in
export OMP_NUM_THREADS=1   # more threads wait for each other, as SGLang's processes share the cores
arguments=(
  --model-path "$1" --served-model-name "$2" --host 127.0.0.1 --port "$3"
  --device cpu --attention-backend torch_native --disable-overlap-schedule
  --max-total-tokens 32768      # it would take a GPU's share of the memory
  --max-running-requests 64
  --enable-cache-report
  --skip-server-warmup
)
# How often an answer that is not streamed looks whether its client is still there; 4 s by default.
export SGLANG_REQUEST_STATE_WAIT_TIMEOUT=1
exec "$environment/bin/python" -m sglang.launch_server "${arguments[@]}" "${@:4}"
