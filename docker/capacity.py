#!/usr/bin/env python3
"""How many engines, proxies and bytes of Redis a load needs: arithmetic, and its sources.

  python docker/capacity.py                       a 32B panel of three, from 0.1 to 1,000 requests/s
  python docker/capacity.py --rate 20 --model 7b --tp 1
  python docker/capacity.py --tokens-per-second 1900 --at-once 60     your engine, measured

An engine that makes tokens reads its weights, and the keys and values of all it answers, once a
step. So a step takes (weights + contexts) / bandwidth, and makes one token for each answer in the
batch. That is an estimate: measure your engines (`its-eval run` prints tokens/s) and say so with
--tokens-per-second and --at-once.
"""

import argparse
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A model's shape, from its config.json on the hub."""

    parameters: float
    layers: int
    kv_heads: int
    head: int = 128

    @property
    def weights(self) -> float:
        """Bytes in bf16."""
        return 2 * self.parameters

    @property
    def token(self) -> float:
        """Bytes of a token's keys and values in bf16."""
        return 2 * 2 * self.layers * self.kv_heads * self.head


MODELS = {
    "1.5b": Model(1.54e9, 28, 2),  # Qwen2.5-1.5B
    "7b": Model(7.62e9, 28, 4),    # Qwen2.5-7B
    "32b": Model(32.8e9, 64, 8),   # Qwen2.5-32B
}  # fmt: skip
RATES = (0.1, 1.0, 10.0, 100.0, 1000.0)

# Of a GPU of the H100 class; what of the bandwidth is reached is an assumption.
GPU_BYTES, GPU_BANDWIDTH, REACHED = 80e9, 3.35e12, 0.6

# Measured on two shared cores: python -m tests.bench.capacity, and make bench for the events.
PANEL_CPU_S = 1.6e-3
EVENT_CPU_S = 0.010e-3
IN_FLIGHT_BYTES = 46e3
PERSONA_BYTES = 509

# A proxy of docker/k8s is full at 60% of a core, at 1.5 GB, or at 25,000 connections to one
# engine's address (a client has some 28,000 ports towards one server).
PROXY_CPU, PROXY_BYTES, PROXY_PORTS = 0.6, 1.5e9, 25_000
PROXY_REST_BYTES = 80e6


@dataclass(frozen=True)
class Need:
    """What a rate of panel requests needs."""

    engines: int
    gpus: int
    in_flight: float
    seconds: float
    proxies: int
    bound: str
    redis: float


def engine_speed(args: argparse.Namespace) -> tuple[float, float]:
    """Return an engine's tokens a second, and how many answers it makes at once."""
    if args.tokens_per_second:
        return args.tokens_per_second, args.at_once
    model = MODELS[args.model]
    context = (args.prompt + args.output / 2) * model.token  # an answer's cache, on average
    room = 0.9 * args.tp * GPU_BYTES - model.weights
    at_once = args.at_once or max(0, math.floor(room / context))
    if not at_once:
        raise SystemExit(
            f"{args.model}: no room for one answer on {args.tp} GPUs; try --tp {2 * args.tp}"
        )
    step = (model.weights + at_once * context) / (args.tp * GPU_BANDWIDTH * REACHED)
    return at_once / step, at_once


def need(rate: float, args: argparse.Namespace) -> Need:
    """Return what `rate` panel requests a second need."""
    speed, at_once = engine_speed(args)
    seconds = args.output * at_once / speed
    engines = args.members * max(1, math.ceil(rate * args.output / speed / args.load))
    in_flight = rate * seconds
    cpu = PANEL_CPU_S + (args.output * EVENT_CPU_S if args.stream else 0)
    bounds = {
        "CPU": rate * cpu / PROXY_CPU,
        "memory": in_flight * IN_FLIGHT_BYTES / (PROXY_BYTES - PROXY_REST_BYTES),
        "ports": in_flight / PROXY_PORTS,
    }
    bound = max(bounds, key=lambda name: bounds[name])
    proxies = max(2, math.ceil(bounds[bound]))
    redis = args.questions * args.members * PERSONA_BYTES
    return Need(
        engines,
        engines * args.tp,
        in_flight,
        seconds,
        proxies,
        bound if proxies > 2 else "-",
        redis,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, action="append", help="panel requests a second")
    parser.add_argument("--model", choices=MODELS, default="32b")
    parser.add_argument("--tp", type=int, default=2, help="GPUs of an engine (2)")
    parser.add_argument("--members", type=int, default=3, help="calls of a panel request (3)")
    parser.add_argument(
        "--prompt", type=int, default=220, help="tokens: a question and a persona of 60 (220)"
    )
    parser.add_argument("--output", type=int, default=10_000, help="tokens of an answer (10,000)")
    parser.add_argument("--load", type=float, default=0.7, help="how full engines are run (0.7)")
    parser.add_argument("--tokens-per-second", type=float, help="of one of your engines, measured")
    parser.add_argument("--at-once", type=int, help="answers that it made at once then")
    parser.add_argument(
        "--stream", action="store_true", help="answers are streamed, token by token"
    )
    parser.add_argument(
        "--questions", type=float, default=1e6, help="questions whose personas are kept (1e6)"
    )
    args = parser.parse_args()
    if args.tokens_per_second and not args.at_once:
        parser.error("--tokens-per-second needs --at-once")
    return args


def main() -> None:
    args = arguments()
    speed, at_once = engine_speed(args)
    print(
        f"An engine on {args.tp} GPU(s): {speed:,.0f} tokens/s with {at_once} answers at once;"
        f" an answer takes {args.output * at_once / speed:,.0f} s.\n"
    )
    print("| panel requests/s | engines | GPUs | in flight | proxies | they are bound by |")
    print("|--:|--:|--:|--:|--:|---|")
    for rate in args.rate or RATES:
        found = need(rate, args)
        print(
            f"| {rate:,g} | {found.engines:,} | {found.gpus:,} | {found.in_flight:,.0f} |"
            f" {found.proxies:,} | {found.bound} |"
        )
    redis = need(1, args).redis / 1e9
    print(f"\nRedis: {redis:.1f} GB for the personas of {args.questions:,.0f} questions.")


if __name__ == "__main__":
    main()
