"""How `its-sft` talks to its user."""

from its.cli import CommandLine

CLI = CommandLine("its-sft")
