"""What the three command lines share: errors in one line, bars, checked options, tables and forms.

typer and rich are imported inside the functions, so that importing `its` stays cheap.
"""

from .command_line import CommandLine, finite, write_any_text
from .forms import Form, in_forms, show
from .progress import Advance, bar, downloads
from .sheets import Column, Sheet
from .volume import is_quiet, is_verbose, note_console

__all__ = [
    "Advance",
    "Column",
    "CommandLine",
    "Form",
    "Sheet",
    "bar",
    "downloads",
    "finite",
    "in_forms",
    "is_quiet",
    "is_verbose",
    "note_console",
    "show",
    "write_any_text",
]
