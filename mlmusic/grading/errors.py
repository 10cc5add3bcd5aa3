"""What a test can meet when it calls a student's code: lost processes, and errors that cross."""

from __future__ import annotations

import builtins
from typing import Any

from mlmusic.grading.sandbox import StudentError

# Classes that can't be made from a message alone, and what stands in for them.
_SIMPLER = {
    "UnicodeDecodeError": "UnicodeError",
    "UnicodeEncodeError": "UnicodeError",
    "UnicodeTranslateError": "UnicodeError",
    "ExceptionGroup": "Exception",
}
_CLASSES: dict[tuple[str, ...], type[Exception]] = {}


class Lost(BaseException):
    """The test can't go on: a function is missing, hung, or took its process down.

    Not an `Exception`: a test's ``except Exception`` must not take it for an answer.

    Attributes
    ----------
    kind : str
        "missing", "timeout" or "died".
    message : str
        What happened.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class Raised:
    """Marks exceptions that a student's code raised; each is of a builtin class as well.

    Attributes
    ----------
    name : str
        The name of the class that the student raised.
    message : str
        Its text.
    line : int or None
        The line of the student's cell.
    """

    name = ""
    message = ""
    line: int | None = None

    def __str__(self) -> str:
        return self.message

    def told(self) -> str:
        """Say what happened, for a report."""
        where = f" (line {self.line} of its cell)" if self.line else ""
        return f"your code raised {self.name or 'an error'}{where}: {self.message}"


def error_class(lineage: tuple[str, ...]) -> type[Exception]:
    """Return a class that stands for an exception class of the student's.

    Parameters
    ----------
    lineage : tuple of str
        The names of the class and of what it extends, nearest first.

    Returns
    -------
    type
        A subclass of `Raised` and of the first builtin exception among them; the same class for
        the same names, and a subclass of those that stand for the names behind.
    """
    if lineage in _CLASSES:
        return _CLASSES[lineage]
    name = lineage[0] if lineage else "Exception"
    own = _builtin(name)
    if own is not None or len(lineage) < 2:
        bases: tuple[type, ...] = (Raised, own or Exception)
    else:
        bases = (error_class(lineage[1:]),)
    made: Any = type(name if name.isidentifier() else "Exception", bases, {"__module__": "student"})
    _CLASSES[lineage] = made
    return made


def raised(error: StudentError, lineage: tuple[str, ...] | None = None) -> Exception:
    """Return the exception to raise for one that crossed.

    Parameters
    ----------
    error : StudentError
        As the sandbox tells it.
    lineage : tuple of str, optional
        The names of its class and of what that extends, where they are known.
    """
    names = (error.type_name or "Exception", "Exception")
    kind = error_class(lineage or tuple(dict.fromkeys(names)))
    made: Any = kind(error.message)
    made.name, made.message, made.line = error.name, error.message, error.line
    return made


def _builtin(name: str) -> type[Exception] | None:
    found = getattr(builtins, _SIMPLER.get(name, name), None)
    if not (isinstance(found, type) and issubclass(found, Exception)):
        return None
    # These would end a loop instead of the test.
    return None if issubclass(found, (StopIteration, StopAsyncIteration)) else found
