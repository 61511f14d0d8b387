"""A step of a plan as values: files to write, servers to start, commands to run."""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = sys.executable

_VARIABLE = re.compile(r"\$(?:\{(?![A-Z0-9_]+:?[-+=]))?([A-Z][A-Z0-9_]*)")
"""A variable that a shell's line needs; `${NAME:-else}` needs none."""


@dataclass(frozen=True, slots=True)
class Command:
    """Words, or a line of the plan's for a shell; `output`: a file for what is printed."""

    words: tuple[str, ...] = ()
    line: str = ""
    output: Path | None = None

    @property
    def argv(self) -> list[str]:
        """What is run. An unset variable of a plan's line is an error, not an empty word."""
        return ["sh", "-uc", self.line] if self.line else list(self.words)

    @property
    def unset(self) -> list[str]:
        """The variables that a plan's line names and the environment does not have."""
        return [name for name in _VARIABLE.findall(self.line) if name not in os.environ]

    def __str__(self) -> str:
        said = self.line or shlex.join(self.words).replace(
            f"{shlex.quote(PYTHON)} -P -m ", "python -m "
        )
        return f"{said} > {self.output}" if self.output else said


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that runs while a step's commands do; it is there when `url` answers."""

    name: str
    command: Command
    url: str
    starts_within: int
    model: Path | str | None = None
    """What it loads: a folder that must be there, or a name of the hub."""


@dataclass(frozen=True, slots=True)
class ExperimentStep:
    """A part that is done or not done; `keep` are the small results."""

    stage: str
    name: str
    commands: tuple[Command, ...]
    files: Mapping[Path, str] = field(default_factory=dict)
    servers: tuple[ServerProcess, ...] = ()
    keep: tuple[Path, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What is run, a line each."""
        return [*(f"{server.command} &" for server in self.servers), *map(str, self.commands)]

    @property
    def unset(self) -> list[str]:
        """The variables that it needs and the environment does not have."""
        run = [*(server.command for server in self.servers), *self.commands]
        return [name for command in run for name in command.unset]
