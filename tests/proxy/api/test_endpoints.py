"""Every endpoint has one way in, and what is behind an engine starts and stops itself."""

from collections import Counter
from typing import Any

import pytest

from proxy.api import router, views
from proxy.api.admission import admit
from proxy.api.endpoints import ENDPOINTS
from proxy.base.guards import EndpointKind
from proxy.config.load import load
from proxy.config.settings import EngineSettings
from proxy.edge import auth
from proxy.engines.embedded import EngineDied
from proxy.engines.kinds import SERVERS
from proxy.engines.servers import RemoteServer
from proxy.state import Service
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK
from tests.scripted import Engine, says

COMPOSE = "/v1/input_time/compose"
KEYS = '[keys.me]\nsecret = "env:ITS_TEST_KEY"\n'


@pytest.mark.parametrize("path", [COMPOSE, *ENDPOINTS])
def test_a_request_is_admitted_once_and_its_key_checked_once(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    counts: Counter[str] = Counter()

    async def counted(*args: Any) -> Any:
        counts["admitted"] += 1
        return await admit(*args)

    def client(*args: Any) -> Any:
        counts["authorized"] += 1
        return found_client(*args)

    found_client = auth._client
    for module in (router, views):
        monkeypatch.setattr(module, "admit", counted)
    monkeypatch.setattr(auth, "_client", client)
    monkeypatch.setenv("ITS_TEST_KEY", "secret")
    proxy = start(KEYS + MEMBERS)
    proxy.headers["authorization"] = "Bearer secret"
    engine.scripts["n"] = says("7")
    sent = {"model": "n", "messages": ASK, "prompt": "?", "input": "?"}
    assert proxy.post(path, json=sent).status_code == 200
    assert counts == {"admitted": 1, "authorized": 1}


async def test_every_kind_of_engine_starts_and_stops_itself(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Own(RemoteServer):
        def __init__(self, settings: EngineSettings) -> None:
            super().__init__(settings)
            self.name = settings.name

        async def start(self) -> None:
            told.append(f"start {self.name}")

        async def stop(self) -> None:
            told.append(f"stop {self.name}")

    monkeypatch.setitem(SERVERS, "base_url", Own)
    file = tmp_path / "panels.toml"
    two = MEMBERS.replace("{engine}", "http://127.0.0.1:9")
    file.write_text('[engines.f]\nbase_url = "http://127.0.0.1:9/v1"\n' + two)
    service = Service(load(file))
    await service.open()
    assert sorted(told) == ["start e", "start f"]
    told.clear()
    file.write_text(two)
    await service.reload(load(file))
    await service.close()
    assert told == ["stop f", "stop e"]


async def test_an_engine_that_does_not_start_leaves_nothing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Dies(RemoteServer):
        def __init__(self, settings: EngineSettings) -> None:
            super().__init__(settings)
            self.name = settings.name

        async def start(self) -> None:
            if self.name == "f":
                raise EngineDied("no")

        async def stop(self) -> None:
            told.append(self.name)

    monkeypatch.setitem(SERVERS, "base_url", Dies)
    file = tmp_path / "panels.toml"
    two = MEMBERS.replace("{engine}", "http://127.0.0.1:9")
    file.write_text(two)
    service = Service(load(file))
    await service.open()
    file.write_text('[engines.f]\nbase_url = "http://127.0.0.1:9/v1"\n[engines.g]\n'
                    'base_url = "http://127.0.0.1:9/v1"\n' + two)  # fmt: skip
    with pytest.raises(EngineDied):
        await service.reload(load(file))
    assert told == ["g"], "what started with it is not needed"
    await service.close()
    assert told == ["g", "e"]


def test_an_adapter_answers_in_its_engines_place(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tokenize(fields: Any, post: Any) -> bytes:
        async with post("/v1/chat/completions", b'{"model": "n", "stream": false}') as response:
            await response.read()
        return b'{"tokens": [], "prompt": "%s"}' % fields["prompt"].encode()

    kind: EndpointKind = "tokenize"
    monkeypatch.setattr(RemoteServer, "adapters", {kind: tokenize})
    engine.scripts["n"] = says("7")
    answer = start().post("/tokenize", json={"model": "n", "prompt": "mine"})
    assert answer.json() == {"tokens": [], "prompt": "mine"}
    assert [received.path for received in engine.received] == ["/v1/chat/completions"]
