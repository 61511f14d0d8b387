"""A wrong configuration is one line that names file, key and reason."""

import json
from pathlib import Path

import pytest

from its.types import Layout
from proxy.config.checks import ConfigError
from proxy.config.load import load
from tests.conftest import MEMBERS

GOOD = MEMBERS.replace("{engine}", "http://127.0.0.1:1")


def write(folder: Path, text: str) -> Path:
    file = folder / "panels.toml"
    file.write_text(text, "utf-8")
    return file


def manifest(folder: Path, trained: str) -> None:
    train = {"strategy": trained, "placement": "after", "separator": "\n"}
    text = json.dumps({"schema": 2, "base_model": "b", "train": train})
    (folder / "input_time.json").write_text(text, "utf-8")


WRITES = "\n[personas.generate]\nengine = 'e'\nmodel = 'w'\n"

OPTIONS = "[members.m]\nengine='e'\nmodel='m'\nstrategy='{}'\n[members.m.strategy_options]\n{}"
BAD = [
    ("x = [", "", "is not TOML"),
    ("[server]\nhosst = 'x'", "server", "Did you mean 'host'? Available: host, port,"),
    ("[server]\nport = 'x'", "server.port", "Expected `int`"),
    ("[server]\nmax_seconds = nan", "server.max_seconds", "finite"),
    ("[server]\nread_seconds = inf", "server.read_seconds", "finite"),
    ("[engines.f]\nbase_url = 'http://x/v1'\ntimeout_s = -nan", "engines.f.timeout_s", "finite"),
    (f"{WRITES}temperature = nan", "personas.generate.temperature", "finite"),
    (f"{WRITES}extra = {{ a = [0, inf] }}", "personas.generate.extra.a.1", "finite"),
    (f"{WRITES}max_wait_s = 0", "personas.generate.max_wait_s", "must be above 0"),
    (
        "[members.o]\nengine = 'e'\nmodel = 'o'\nstraegy_options = {}",
        "members.o",
        "Unknown key 'straegy_options'. Did you mean 'strategy_options'?",
    ),
    ("[personas.generate]\nmodle = 'x'", "personas.generate", "Did you mean 'model'?"),
    ("extra = 1", "", "Unknown key 'extra'. Available: engines,"),
    ("[engines.f]\nbase_url = 'ftp://x'", "engines.f.base_url", "must be http"),
    ("[engines.f]\nbase_url = 'http://u:p@x/v1'", "engines.f.base_url", "must be http"),
    ("[engines.f]\nbase_url = 'http://['", "engines.f.base_url", "has no valid host"),
    ("[engines.f]\nbase_url = 'http://x:70000/v1'", "engines.f.base_url", "not 1 to 65535"),
    ("[engines.f]\nbase_url = 'http://x y/v1'", "engines.f.base_url", "has a space"),
    ("[engines.f]\nbase_url = 'http://x/v1 '", "engines.f.base_url", "has a space"),
    ("[engines.f]\nbase_url = 'http://x/v2'", "engines.f.base_url", "does not end in /v1"),
    ("[engines.f]\nbase_url = 'http://x/v1?a'", "engines.f.base_url", "goes on after /v1"),
    ("[engines.f]\nbase_url = ''", "engines.f.base_url", "must begin with http"),
    ("[server]\nport = 70000", "server.port", "must be 0 to 65535"),
    ("[server]\nport = -1", "server.port", "must be 0 to 65535"),
    ("[server]\nworkers = 2", "server", "Unknown key 'workers'."),
    ("[server]\nallowed_hosts = ['a.example:8000']", "server.allowed_hosts", "without a port"),
    ("[server]\nallowed_hosts = ['*']", "server.allowed_hosts", "--insecure"),
    ("[server]\nallowed_hosts = ['http://a.example']", "server.allowed_hosts", "is no host"),
    ("[server]\nallowed_hosts = ['']", "server.allowed_hosts", "is no host"),
    ("[server]\ncors_origins = ['chat.example']", "server.cors_origins", "has no scheme"),
    ("[server]\ncors_origins = ['https://chat.example/']", "server.cors_origins", "has a path"),
    ("[server]\ncors_origins = ['https://Chat.example']", "server.cors_origins", "capital"),
    ("[server]\ncors_origins = ['https://a:99999']", "server.cors_origins", "port"),
    ("[server]\ncors_origins = ['null']", "server.cors_origins", "has no scheme"),
    ("[engines.f]", "engines.f", "needs either base_url or embedded"),
    ("[engines.f]\nembedded = 'no.gguf'", "engines.f.embedded", "no file"),
    ("[engines.f]\nbase_url = 'http://x/v1'\napi_key = 'abc'", "engines.f.api_key", "env:NAME"),
    (
        "[engines.f]\nbase_url = 'http://x/v1'\napi_key = 'env:NO'",
        "engines.f.api_key",
        "not set",
    ),
    ("[engines.f]\nbase_url = 'http://x/v1'\nmax_concurrency = 0", "max_concurrency", "at least 1"),
    ("[members.m]\nengine = 'no'\nmodel = 'm'", "members.m.engine", "no engine 'no'; there are: e"),
    ("[members.m]\nengine = 'e'\nmodel = 'm'", "members.m.strategy", "is needed where"),
    ("[members.m]\nengine = 'e'\nmodel = 'm'\nstrategy = 'near'", "members.m.strategy", "'near'"),
    ("[members.m]\nengine = 'e'", "members.m", "missing required field `model`"),
    ("[members.m]\nengine='e'\nmodel='m'\nmanifest='no.json'", "members.m.manifest", "cannot read"),
    ("[panels.n]\nmembers = ['s']", "panels.n", "a member has the same name"),
    ("[panels.p]\nmembers = []", "panels.p.members", "at least one"),
    ("[panels.p]\nmembers = ['q']", "panels.p.members", "no member 'q'; there are: n, s, u, r"),
    ("[panels.p]\nmembers = ['s', 's']", "panels.p.members", "Member listed twice"),
    ("[panels.p]\nmembers = ['s']\nmethod = 'best'", "panels.p.method", "Available: majority"),
    ("[panels.p]\nmembers = ['s']\nquorum = 2", "panels.p.quorum", "only 1 are asked"),
    ("[panels.p]\nmembers = ['s']\ndeadline_s = 0", "panels.p.deadline_s", "above 0"),
    ("[panels.p]\nmembers = ['s']\nmax_calls = 0", "panels.p.max_calls", "at least 1"),
    ("[panels.p]\nmembers = ['s', 'u']\nmax_calls = 1", "panels.p.max_calls", "make 2 calls"),
    ("[panels.p]\nmembers = ['s']\nsamples = 193\nmax_samples = 193", "panels.p.max_calls", "193"),
    ("[panels.p]\nmembers = ['s']\nsamples = 65", "panels.p.samples", "max_samples = 64"),
    ("[server]\ngraders = 0", "server.graders", "at least 1"),
    (
        OPTIONS.format("mixed", "mix={none=1}"),
        "members.m.strategy_options",
        "no 'none'",
    ),
    (
        OPTIONS.format("noise", "kinds='facts'"),
        "members.m.strategy_options",
        "Unknown option 'kinds' of the strategy 'noise'. Did you mean 'kind'?",
    ),
    (
        "[members.m]\nengine='e'\nmodel='m'\nstrategy='simlar'",
        "members.m.strategy",
        "Unknown strategy 'simlar'. Did you mean 'similar'? Available: none, similar,",
    ),
    ("[members.m]\nengine='e'\nmodel='m'\nstrategy='examples'", "personas.examples", "members.m"),
    ("[members.m]\nengine='e'\nmodel='m'\nstrategy='concepts'", "personas.concepts", "members.m"),
    ("[personas]\nexamples = 'no.jsonl'", "personas.examples", "cannot read"),
    ("[members.m]\nengine='e'\nmodel='m'\nstrategy='retrieved'", "personas.notes", "members.m"),
    ("[personas]\nnotes = 'no.jsonl'", "personas.notes", "cannot read"),
    ("[personas]\nbank = 'no.jsonl'", "personas.bank", "cannot read"),
    ("[personas]\norder = ['store', 'bank']", "personas.order", "set personas.store too"),
    ("[personas]\norder = []", "personas.order", "end with"),
    ("[personas]\nstore = 'sqlite:p.db'", "personas.generate", "is needed by personas.store"),
    ("[personas]\nstore = 'mysql:x'" + WRITES, "personas.store", 'must be "sqlite:PATH"'),
    ("[personas]\nstore = 'redis://:p@h/0'" + WRITES, "personas.store", "holds a password"),
    ("[personas]\nstore = 'redis://h:abc/0'" + WRITES, "personas.store", 'must be "sqlite:PATH"'),
    ("[personas]\nstore = 'redis://h:70000/0'" + WRITES, "personas.store", "not 1 to 65535"),
    ("[personas]\nstore = 'redis://['" + WRITES, "personas.store", "has no valid host"),
    ("[personas]\nstore = 'redis://h h/0'" + WRITES, "personas.store", "has a space"),
    ("[personas]\nstore = 'redis://h/main'" + WRITES, "personas.store", "number of a database"),
    ("[personas]\norder = ['generate']" + WRITES, "personas.order", 'end with "bank"'),
    ("[personas]\norder = ['bank', 'generate']" + WRITES, "personas.order", "in this order"),
    ("[personas.generate]\nengine = 'f'\nmodel = 'w'", "personas.generate.engine", "no engine 'f'"),
    ("[personas.generate]\nengine = 'e'", "personas.generate.model", "is needed"),
    ("[personas.generate]\nengine = 'self'\nmodel = 'w'", "generate.model", "has no meaning"),
    ("[personas]" + WRITES + "extra = {n = 2}", "personas.generate.extra.n", "by the proxy"),
    ("[personas]" + WRITES + "deadline_s = 0", "personas.generate.deadline_s", "above 0"),
    ("[keys.a]\nsecret = 'env:HOME'\nmodels = ['zz']", "keys.a.models", "no model 'zz'"),
    (
        "[keys.a]\nsecret = 'env:HOME'\n[keys.b]\nsecret = 'env:HOME'",
        "keys.b.secret",
        "is the secret of keys.a",
    ),
    (
        "[engines.f]\nembedded = 'panels.toml'\napi_key = 'env:HOME'",
        "engines.f.api_key",
        "makes an embedded engine's key itself",
    ),
]


@pytest.mark.parametrize(("added", "key", "reason"), BAD)
def test_what_is_wrong_is_named(tmp_path: Path, added: str, key: str, reason: str) -> None:
    top_level = added if added.startswith(("x", "extra")) else ""
    file = write(tmp_path, f"{top_level}\n{GOOD}\n{'' if top_level else added}")
    with pytest.raises(ConfigError) as error:
        load(file)
    said = str(error.value)
    assert str(file) in said
    assert key in said
    assert reason in said
    assert "\n" not in said


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "no.toml")


def test_a_member_is_asked_as_its_manifest_says(tmp_path: Path) -> None:
    manifest(tmp_path, "similar")
    added = "[members.m]\nengine = 'e'\nmodel = 'm'\nmanifest = 'input_time.json'"
    member = load(write(tmp_path, GOOD + added)).members["m"]
    assert member.strategy == "similar"
    assert member.layout == Layout("after", "\n")


def test_a_mismatch_refuses_and_names_both_sides(tmp_path: Path) -> None:
    manifest(tmp_path, "none")
    added = (
        "[members.m]\nengine = 'e'\nmodel = 'm'\nmanifest = 'input_time.json'\n"
        "strategy = 'random'\n"
    )
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, GOOD + added))
    assert "trained with 'none' contexts and would be asked with 'random'" in str(error.value)
    assert "allow_mismatch" in str(error.value)
    allowed = load(write(tmp_path, GOOD + added + "allow_mismatch = true"))
    assert allowed.members["m"].allow_mismatch


def test_secrets_come_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITS_TEST_KEY", "k1")
    (tmp_path / "key").write_text("k2\n", "utf-8")
    added = "[keys.a]\nsecret = 'env:ITS_TEST_KEY'\n[keys.b]\nsecret = 'file:key'\nmodels = ['n']"
    clients = load(write(tmp_path, GOOD + added)).clients
    assert [(client.name, client.secret) for client in clients] == [("a", "k1"), ("b", "k2")]


def test_graders_are_as_many_as_cores_up_to_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cores, graders in ((1, 1), (2, 2), (64, 4)):
        monkeypatch.setattr("proxy.config.load.cores", lambda cores=cores: cores)
        assert load(write(tmp_path, GOOD)).graders == graders
    assert load(write(tmp_path, GOOD + "[server]\ngraders = 7\n")).graders == 7
