"""What the three command lines share: errors in one line, progress bars, options that are checked.

typer and rich are imported inside the functions, so that importing `its` stays cheap.
"""

from .command_line import CommandLine, finite
from .progress import Advance, bar, downloads
from .volume import is_quiet, is_verbose, note_console

__all__ = [
    "Advance", "CommandLine", "bar", "downloads", "finite", "is_quiet", "is_verbose",
    "note_console",
]  # fmt: skip
