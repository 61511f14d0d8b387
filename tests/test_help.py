"""`docs/cli.md` is what the commands say of themselves. ITS_WRITE=1 writes it anew."""

import os

from tests.conftest import ROOT, command

PAGE = ROOT / "docs" / "cli.md"
COMMANDS = {
    "proxy": ("serve", "check", "init", "ask", "model", "demo"),
    "eval": (
        *("run", "suite", "tasks", "task", "report", "regrade", "export", "grade", "replay"),
        *("frontier", "search"),
    ),
    "sft": ("compose",),
}
HEAD = """\
# The commands

Every command takes `-q` (results and errors only) and `-v` (more details, tracebacks). `NO_COLOR=1`
turns colours off, `--version` prints the version, and `--install-completion` installs completion
for bash, zsh, fish or PowerShell. `ITS_CONFIG` stands for `--config` and `ITS_PORT` for `--port` of
`its-proxy`.

Exit status: 0 done, 1 the run failed, 2 wrong usage or configuration (one line that names file, key
and reason), 130 interrupted (what is done is kept).

"""


def said(package: str, *args: str) -> str:
    ended = command(package, *args, "--help")
    assert ended.returncode == 0, ended.stderr
    return "\n".join(line.rstrip() for line in ended.stdout.strip("\n").splitlines()) + "\n"


def page() -> str:
    sections = []
    for package, names in COMMANDS.items():
        for name in ((), *((name,) for name in names)):
            shown = said(package, *name).replace(f"python -m {package}", f"its-{package}")
            title = " ".join([f"its-{package}", *name])
            sections.append(f"## `{title}`\n\n```text\n{shown}```\n")
    return HEAD + "\n".join(sections)


def test_the_page_is_what_the_commands_say() -> None:
    found = page()
    if os.environ.get("ITS_WRITE"):
        PAGE.write_text(found, "utf-8")
    assert PAGE.read_text("utf-8") == found, "run: ITS_WRITE=1 make test ARGS=tests/test_help.py"
