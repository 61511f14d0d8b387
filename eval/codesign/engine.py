"""A small batched engine for experiments on one CPU core.

Run: `python -m eval.codesign.engine FOLDER`, and `--help` for its options,
with an environment that has torch and transformers. FOLDER holds a Llama or Qwen2 checkpoint.

It does the arithmetic for up to `batch` answers at once, so it writes several times as many tokens
a second as a server made for GPUs does on a core. It is for measurements on this machine only:
no keys, no limits. `medium` is float32 with products in bfloat16 pairs, text for text as float32.
"""

import argparse
import json
import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import time
from typing import Any

import torch
from transformers import AutoTokenizer

from .decoder import Decoder

CANDIDATES = 1024
"""`top_p` looks at the likeliest tokens only: sorting a whole vocabulary costs more than a step."""


@dataclass(eq=False)
class Writing:
    """One answer that is being written."""

    prompt: list[int]
    most: int
    temperature: float
    top_p: float
    random: torch.Generator
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    news: "queue.SimpleQueue[bool]" = field(default_factory=queue.SimpleQueue)
    dropped: bool = False


class BatchedEngine:
    """Writes answers in batches, in a thread of its own."""

    def __init__(self, folder: Path, dtype: str, batch: int) -> None:
        self.name = folder.name
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.end: int = self.tokenizer.eos_token_id
        self._decoder = Decoder(folder, torch.bfloat16 if dtype == "bfloat16" else torch.float32)
        self._batch = batch
        self._waiting: queue.SimpleQueue[Writing] = queue.SimpleQueue()
        self._jobs: list[Writing] = []
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self, body: dict[str, Any]) -> Writing:
        """Put a request in the queue."""
        prompt = self.tokenizer.apply_chat_template(
            body["messages"], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        random = torch.Generator()
        random.manual_seed(body["seed"]) if body.get("seed") is not None else random.seed()
        most = body.get("max_completion_tokens") or body.get("max_tokens") or 512
        temperature = body.get("temperature")
        job = Writing(
            prompt,
            most,
            1.0 if temperature is None else temperature,
            body.get("top_p") or 1.0,
            random,
        )
        self._waiting.put(job)
        return job

    def text(self, job: Writing) -> str:
        """Return what a job has written."""
        return str(self.tokenizer.decode(job.tokens, skip_special_tokens=True))

    def _run(self) -> None:
        torch.set_grad_enabled(False)
        while True:
            # New answers join a few at a time: each joining copies the cache of all.
            free = self._batch - len(self._jobs)
            if not self._jobs or (free >= max(1, self._batch // 8) and not self._waiting.empty()):
                self._join(free)
            self._step(self._decoder.step(torch.tensor([[job.tokens[-1]] for job in self._jobs])))

    def _join(self, free: int) -> None:
        found = [] if self._jobs else [self._waiting.get()]
        while len(found) < free and not self._waiting.empty():
            found.append(self._waiting.get())
        scores = self._decoder.join([job.prompt for job in found])
        self._jobs += found
        ended = self._choose(found, scores)
        self._leave(ended)
        if not self._jobs:
            self._join(self._batch)

    def _step(self, scores: torch.Tensor) -> None:
        self._leave(self._choose(self._jobs, scores))

    def _leave(self, ended: set[int]) -> None:
        if ended:
            keep = [n for n, job in enumerate(self._jobs) if id(job) not in ended]
            self._jobs = [self._jobs[n] for n in keep]
            self._decoder.keep(keep)

    def _choose(self, jobs: list[Writing], scores: torch.Tensor) -> set[int]:
        """Draw a token for each job; return the jobs (by id) that have ended."""
        scores = scores.float()
        greedy, logprobs = scores.argmax(-1), torch.log_softmax(scores, -1)
        ended = set()
        for n, job in enumerate(jobs):
            token = int(greedy[n]) if job.temperature == 0 else draw(logprobs[n], job)
            job.tokens.append(token)
            job.logprobs.append(float(logprobs[n, token]))
            over = token == self.end or len(job.tokens) >= job.most or job.dropped
            if over:
                ended.add(id(job))
            job.news.put(over)
        return ended


def draw(logprobs: torch.Tensor, job: Writing) -> int:
    """Draw one token at the job's temperature and `top_p`."""
    best, where = (logprobs / job.temperature).topk(min(CANDIDATES, len(logprobs)))
    likely = torch.softmax(best, -1)
    likely[likely.cumsum(-1) - likely > job.top_p] = 0
    return int(where[torch.multinomial(likely, 1, generator=job.random)])


class ChatHandler(BaseHTTPRequestHandler):
    """Speaks OpenAI's protocol."""

    protocol_version = "HTTP/1.1"
    engine: BatchedEngine

    def do_GET(self) -> None:
        """List the one model; every other path says that the engine lives."""
        self._send({"object": "list", "data": [{"id": self.engine.name, "object": "model"}]})

    def do_POST(self) -> None:
        """Answer a chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        job = self.engine.begin(body)
        try:
            self._stream(job, body) if body.get("stream") else self._whole(job, body)
        except OSError:
            job.dropped = True

    def _whole(self, job: Writing, body: dict[str, Any]) -> None:
        while not job.news.get():
            pass
        message = {"role": "assistant", "content": self.engine.text(job)}
        choice = {"index": 0, "message": message, "finish_reason": self._reason(job)}
        if body.get("logprobs"):
            choice["logprobs"] = self._logprobs(job, 0)
        self._send(self._frame("chat.completion", [choice]) | {"usage": usage(job)})

    def _stream(self, job: Writing, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        sent, told, over = "", 0, False
        while not over:
            over = job.news.get()
            text = self.engine.text(job)
            if not over and text.endswith("\ufffd"):  # half of a character
                continue
            choice = {"index": 0, "delta": {"role": "assistant", "content": text[len(sent) :]}}
            choice["finish_reason"] = self._reason(job) if over else None
            if body.get("logprobs"):
                choice["logprobs"] = self._logprobs(job, told)
            sent, told = text, len(job.tokens)
            self._event(self._frame("chat.completion.chunk", [choice]))
        if (body.get("stream_options") or {}).get("include_usage"):
            self._event(self._frame("chat.completion.chunk", []) | {"usage": usage(job)})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _logprobs(self, job: Writing, start: int) -> dict[str, Any]:
        pairs = zip(job.tokens[start:], job.logprobs[start:], strict=False)
        decode = self.engine.tokenizer.decode
        return {
            "content": [{"token": decode([t]), "logprob": p, "top_logprobs": []} for t, p in pairs]
        }

    def _reason(self, job: Writing) -> str:
        return "stop" if job.tokens[-1] == self.engine.end else "length"

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": "chatcmpl-0", "object": kind, "created": int(time())}
        return head | {"model": self.engine.name, "choices": choices}

    def _event(self, value: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

    def _send(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests."""


def usage(job: Writing) -> dict[str, int]:
    """Return OpenAI's account of tokens."""
    prompt, answer = len(job.prompt), len(job.tokens)
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def main() -> None:
    """Serve until the process is ended; print the address first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--dtype", choices=["bfloat16", "medium", "float32"], default="bfloat16")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.dtype == "medium":
        torch.set_float32_matmul_precision("medium")
    ChatHandler.engine = BatchedEngine(args.folder, args.dtype, args.batch)
    ThreadingHTTPServer.request_queue_size = 512
    server = ThreadingHTTPServer(("127.0.0.1", args.port), ChatHandler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
