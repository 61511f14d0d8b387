"""The one error that a command of the harness ends with."""


class EvalError(Exception):
    """A command cannot go on: the message is one line that names file or option, and the remedy.

    `status` is the command's exit status: 1 the run failed, 2 wrong usage or configuration,
    130 interrupted.
    """

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status
