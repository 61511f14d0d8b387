"""docs/architecture.md is true: its modules are the path of a request, its rooms the folders."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.conftest import ROOT, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Engine, says
from tests.test_layout import PACKAGES, room_graph

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MOST_MODULES = 10


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading."""
    below = PAGE.partition(f"\n{heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert lines, f"no table below {heading!r}"
    cells = [line.strip("|\n").split("|") for line in lines[0].splitlines()]
    return [[cell.strip() for cell in row] for row in cells[2:]]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


PATH = [name for row in rows("## One request through a panel") for name in code(row[1])]
HELPERS = [name for row in rows("### Helpers") for name in code(row[0])]


def test_the_path_is_short_and_exists() -> None:
    assert len(PATH) <= MOST_MODULES
    for name in [*PATH, *HELPERS]:
        assert (ROOT / name).exists(), name


def test_the_rooms_are_the_folders() -> None:
    table = [(code(row[0])[0], code(row[1])) for row in rows("## Rooms")]
    told = {room: {f"{room.split('/')[0]}/{name}" for name in names} for room, names in table}
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        graph = room_graph(package)
        folders = [path for path in (ROOT / package).iterdir() if any(path.glob("*.py"))]
        for room in sorted(path.name for path in folders):
            imports = graph.get(room, set())
            found[f"{package}/{room}"] = {
                f"{package}/{other}" for other in imports if (ROOT / package / other).is_dir()
            }
    assert told == found


@contextmanager
def recorded() -> Iterator[set[str]]:
    """Record the files of this project whose functions run, in every thread, until the block ends.

    Module bodies do not count: an import is not part of a request.
    """
    files: set[str] = set()
    prefixes = tuple(f"{ROOT / package}/" for package in ("proxy", "its"))

    def profile(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(prefixes) and code.co_name != "<module>":
            files.add(str(Path(code.co_filename).relative_to(ROOT)))

    threading.setprofile(profile)
    try:
        yield files
    finally:
        threading.setprofile(None)


def test_a_panel_request_runs_in_the_modules_that_the_page_names(
    start: Proxy, engine: Engine
) -> None:
    for name in ("s", "u", "r"):
        engine.scripts[name] = says("\\boxed{7}")
    with recorded() as files:
        proxy = start()  # its threads start in here
        starting = set(files)
        files.clear()
        answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK})
    assert answer.json()["choices"][0]["message"]["content"] == "\\boxed{7}"
    assert starting, "nothing was recorded: this test would pass on anything"
    missing = set(PATH) - files
    assert not missing, f"the page names modules that a panel request never runs in: {missing}"
    places = [*PATH, *HELPERS]
    unnamed = [file for file in sorted(files) if not any(_within(file, p) for p in places)]
    assert not unnamed, f"docs/architecture.md does not name {unnamed}"


def _within(file: str, place: str) -> bool:
    return file == place or (not place.endswith(".py") and file.startswith(f"{place.rstrip('/')}/"))
