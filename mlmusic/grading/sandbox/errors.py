"""What can go wrong with a sandbox, and with the code in it."""


class SandboxUnavailable(RuntimeError):
    """The reason, in one line, why a kind of sandbox can't be used here."""


class StudentError(Exception):
    """What a student's code raised.

    Attributes
    ----------
    type_name : str or None
        The builtin exception that it was, or extended; None for those that aren't an `Exception`
        and those that end a loop.
    message : str
        At most 500 characters.
    line : int or None
        The line of the cell.
    name : str
        The class's own name.
    """

    def __init__(
        self, type_name: str | None, message: str, line: int | None = None, name: str = ""
    ) -> None:
        super().__init__(f"{name or type_name or 'error'}: {message}")
        self.type_name, self.message, self.line = type_name, message, line
        self.name = name or type_name or ""


class StudentTimeout(Exception):
    """No answer in time. The student's process is unusable: call `Sandbox.start` again."""


class StudentDied(Exception):
    """The student's process has ended, or answers nonsense: call `Sandbox.start` again."""


class SandboxLost(StudentDied):
    """The whole sandbox has ended. That need not be the student's fault: it's worth one retry."""
