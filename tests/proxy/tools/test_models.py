"""Model files by content hash, from real wheels by a real pip and from a hub on loopback."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proxy.tools import catalogue, models, sources
from proxy.tools.catalogue import ModelFile, Wheel
from proxy.tools.models import ModelError
from tests.conftest import ROOT, process
from tests.scripted import serving

CONTENT = bytes(range(256)) * 1200
PARTS = (CONTENT[:100_000], CONTENT[100_000:200_000], CONTENT[200_000:])
TINY = ModelFile(
    name="tiny",
    bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="Apache-2.0",
    hub=None,
    wheels=tuple(Wheel(f"tiny-part{n}", "1.0", f"tiny_part{n}/part.bin") for n in (1, 2, 3)),
)


def write_wheel(folder: Path, number: int, content: bytes) -> Path:
    """Write a wheel whose code and dependencies would do harm, if anybody touched them."""
    name = f"tiny_part{number}"
    file = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/part.bin", content)
        archive.writestr(f"{name}/__init__.py", "raise RuntimeError('imported')")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n"
            "Requires-Dist: no-such-distribution-anywhere\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of three wheels, the only one that pip sees."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for number, part in enumerate(PARTS, 1):
        write_wheel(folder, number, part)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


class Bar:
    """Keeps what a progress bar would show."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int, int]] = []

    def __call__(self, label: str, done: int, total: int) -> None:
        self.shown.append((label, done, total))


def test_parts_are_joined_in_order_and_kept(wheels: Path, tmp_path: Path) -> None:
    cache, bar = tmp_path / "cache", Bar()
    file = models.fetch(TINY, cache, bar)
    assert file == cache / "tiny.gguf"
    assert file.read_bytes() == CONTENT
    assert [done for _, done, _ in bar.shown] == [0, 100_000, 200_000, len(CONTENT)]
    assert not [path.name for path in cache.iterdir() if path.suffix in {".parts", ".tmp"}]
    shutil.rmtree(wheels)
    again = Bar()
    assert models.fetch(TINY, cache, again) == file
    assert again.shown == [], "neither downloaded nor hashed again"


def test_a_download_goes_on_where_it_stopped(wheels: Path, tmp_path: Path) -> None:
    last = wheels / "tiny_part3-1.0-py3-none-any.whl"
    last.rename(tmp_path / "later.whl")
    with pytest.raises(ModelError, match=r"pip did not bring tiny-part3.*run the command again"):
        models.fetch(TINY, tmp_path / "cache", Bar())
    shutil.rmtree(wheels)
    wheels.mkdir()
    (tmp_path / "later.whl").rename(last)
    assert models.fetch(TINY, tmp_path / "cache", Bar()).read_bytes() == CONTENT


def test_other_bytes_are_deleted(wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, 2, b"x" * 100_000)
    with pytest.raises(ModelError, match="wrong hash"):
        models.fetch(TINY, tmp_path / "cache", Bar())
    left = [path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"]
    assert left == []
    write_wheel(wheels, 2, PARTS[1])
    assert models.fetch(TINY, tmp_path / "cache", Bar()).read_bytes() == CONTENT


def test_a_damaged_file_is_replaced(wheels: Path, tmp_path: Path) -> None:
    file = models.fetch(TINY, tmp_path / "cache", Bar())
    file.write_bytes(CONTENT[:-1] + b"?")
    assert models.fetch(TINY, tmp_path / "cache", Bar()).read_bytes() == CONTENT


def test_a_wheel_that_lacks_its_part_is_said(wheels: Path, tmp_path: Path) -> None:
    (wheels / "tiny_part1-1.0-py3-none-any.whl").unlink()
    shutil.copy(
        wheels / "tiny_part2-1.0-py3-none-any.whl", wheels / "tiny_part1-1.0-py3-none-any.whl"
    )
    with pytest.raises(ModelError, match="tiny-part1"):
        models.fetch(TINY, tmp_path / "cache", Bar())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot keep tiny in"):
        models.fetch(TINY, tmp_path / "file" / "cache", Bar())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gpt-17", "Unknown model 'gpt-17'. Available"),
        ("nowhere.gguf", "there is no file"),
        ("", "Unknown model"),
    ],
)
def test_unknown_models(name: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        models.find(name, Bar())


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    assert models.find(str(tmp_path / "own.gguf"), Bar()) == tmp_path / "own.gguf"


# The hub ------------------------------------------------------------------------------------


def hub_app(files: dict[str, bytes]) -> Starlette:
    """Return as much of the hub as a download needs."""

    def resolve(request: Request) -> Response:
        content = files.get(request.path_params["file"])
        if content is None:
            return Response("", 404, {"x-error-code": "EntryNotFound"})
        etag = hashlib.sha256(content).hexdigest()
        return Response(content, headers={"x-repo-commit": "0" * 40, "etag": f'"{etag}"'})

    def tree(_: Request) -> Response:
        rows = [
            {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
            for name, content in files.items()
        ]
        return JSONResponse(rows)

    return Starlette(
        routes=[
            Route("/org/tiny/resolve/main/{file}", resolve, methods=["GET", "HEAD"]),
            Route("/org/tiny/resolve/" + "0" * 40 + "/{file}", resolve, methods=["GET", "HEAD"]),
            Route("/api/models/org/tiny/tree/main", tree),
        ]
    )


@pytest.fixture
def hub_files() -> dict[str, bytes]:
    return {"README.md": b"#", "tiny-q8_0.gguf": b"GGUF8", "tiny-q4_k_m.gguf": CONTENT}


@pytest.fixture
def hub(hub_files: dict[str, bytes]) -> Iterator[str]:
    with serving(hub_app(hub_files)) as url:
        yield url


def with_hub(url: str, home: Path) -> dict[str, str]:
    keep = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return {**keep, "HF_ENDPOINT": url, "HF_HOME": str(home), "XDG_CACHE_HOME": str(home)}


FETCH = """
import dataclasses, sys
from pathlib import Path
from proxy.tools import catalogue, models
from tests.proxy.tools.test_models import Bar, TINY
hub = catalogue.HubFile("org/tiny", "tiny-q4_k_m.gguf")
try:
    print(models.fetch(dataclasses.replace(TINY, hub=hub), Path(sys.argv[1]), Bar()))
except models.ModelError as error:
    sys.exit(str(error))
"""


def fetch_from(hub: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FETCH, str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=with_hub(hub, tmp_path / "home"),
    )


def test_the_hub_is_asked_first(hub: str, tmp_path: Path) -> None:
    ended = fetch_from(hub, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).read_bytes() == CONTENT


def test_other_bytes_on_the_hub_fall_back_to_the_wheels(
    hub: str, hub_files: dict[str, bytes], wheels: Path, tmp_path: Path
) -> None:
    hub_files["tiny-q4_k_m.gguf"] = CONTENT[::-1]
    ended = fetch_from(hub, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).read_bytes() == CONTENT


def test_a_dead_hub_and_no_wheels_say_both(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(wheels)
    ended = fetch_from("http://127.0.0.1:9", tmp_path)
    assert ended.returncode == 1
    assert "org/tiny on the hub" in ended.stderr
    assert "pip did not bring tiny-part1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_repository_of_the_users_own(hub: str, tmp_path: Path) -> None:
    ended = process("proxy", "model", "org/tiny", env=with_hub(hub, tmp_path))
    assert ended.returncode == 0, ended.stderr
    file = Path(ended.stdout.strip())
    assert file.name == "tiny-q4_k_m.gguf"
    assert file.read_bytes() == CONTENT


def test_a_repository_without_a_single_gguf(
    hub: str, hub_files: dict[str, bytes], tmp_path: Path
) -> None:
    del hub_files["tiny-q4_k_m.gguf"]
    hub_files["tiny-q5_0.gguf"] = b"GGUF5"
    ended = process("proxy", "model", "org/tiny", env=with_hub(hub, tmp_path))
    assert ended.returncode == 1
    assert "no single 4-bit GGUF" in ended.stderr


@pytest.mark.download
def test_the_default_model_comes_from_the_index(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    ended = process("proxy", "model", catalogue.DEFAULT, env=env, timeout=900)
    assert ended.returncode == 0, ended.stderr
    file = Path(ended.stdout.strip())
    assert file.is_relative_to(tmp_path)
    assert sources.sha256(file, Bar()) == catalogue.MODELS[catalogue.DEFAULT].sha256


def test_the_table_names_what_the_demo_needs() -> None:
    assert catalogue.DEFAULT in catalogue.MODELS
    for model in catalogue.MODELS.values():
        assert len(model.sha256) == 64
        assert model.wheels
        assert len({wheel.member for wheel in model.wheels}) == len(model.wheels)
        assert model.licence
