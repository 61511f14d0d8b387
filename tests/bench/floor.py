"""What a proxy without any feature costs: raw ASGI and aiohttp, on the same server.

Run: `python tests/bench/floor.py ADDRESS`; it prints its own address. The benchmark measures it in
the same minutes as ours, because a machine's speed changes more than a proxy's.
"""

import sys
from typing import Any

import aiohttp
import msgspec
import uvicorn

SESSIONS: list[aiohttp.ClientSession] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        await receive()
        SESSIONS.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await SESSIONS[0].close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = msgspec.json.decode((await receive())["body"])
    body["model"] = body["model"].split("-")[0]
    head = {"content-type": "application/json"}
    url, raw = f"{sys.argv[1]}/chat/completions", msgspec.json.encode(body)
    async with SESSIONS[0].post(url, data=raw, headers=head) as response:
        length = response.headers.get("content-length")
        headers = [(b"content-length", length.encode())] if length else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in response.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"serving on http://127.0.0.1:{port}/v1", flush=True)


if __name__ == "__main__":
    Server(uvicorn.Config(app, port=0, log_config=None, access_log=False)).run()
