"""What the three command lines share: errors in one line, progress bars, options that are checked.

typer and rich are imported inside the functions, so that importing `its` stays cheap.
"""

from .command_line import CommandLine, finite, write_any_text
from .progress import Advance, bar, downloads

__all__ = ["Advance", "CommandLine", "bar", "downloads", "finite", "write_any_text"]
