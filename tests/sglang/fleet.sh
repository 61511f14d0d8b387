#!/usr/bin/env bash
# SGLang on each core of a CPU, and its router in front: fleet.sh COUNT MODEL NAME PORT [more flags].
# An engine keeps one core busy; two of them on two cores answer 1.8 times as fast as one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
environment=${ITS_SGLANG:-${XDG_CACHE_HOME:-$HOME/.cache}/input-time-scaling/sglang-0.5.23-cpu}
workers=()
declare -A part
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
trap 'exit 143' TERM INT HUP
for ((i = 1; i <= $1; i++)); do
  port=$(($4 + 100 * i))
  if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "fleet.sh: port $port is taken by another server" >&2
    exit 1
  fi
  "$here/serve.sh" "$2" "$3" "$port" "${@:5}" &
  part[$!]="the worker on port $port"
  workers+=("http://127.0.0.1:$port")
done
export PYTHONPATH=$here/stand_in
# Its port of metrics is one for all routers of a machine unless it is told another.
# It refuses what comes before its workers are there, and so do its callers' checks.
"$environment/bin/python" -m sglang_router.launch_router --host 127.0.0.1 --port "$4" \
  --worker-urls "${workers[@]}" --policy round_robin --retry-max-retries 1 --disable-circuit-breaker \
  --worker-startup-timeout-secs 600 --prometheus-port "$(($4 + 50))" &
part[$!]="the router"
# With one of them gone the router would wait out its time, and answer a half of what it should.
code=0
wait -n -p ended || code=$?
echo "fleet.sh: ${part[$ended]} ended with status $code; what it said is above" >&2
exit 1
