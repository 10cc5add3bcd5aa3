"""What a test can meet when it calls a student's code: lost processes, and errors that cross."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from mlmusic.grading.sandbox import StudentError

# Classes that can't be made from a message alone, and what stands in for them.
_SIMPLER = {
    "UnicodeDecodeError": "UnicodeError",
    "UnicodeEncodeError": "UnicodeError",
    "UnicodeTranslateError": "UnicodeError",
    "ExceptionGroup": "Exception",
}
_CLASSES: dict[tuple, type[Exception]] = {}


class Lost(BaseException):
    """The test can't go on: a function is missing, hung, or took its process down.

    Not an `Exception`: a test's ``except Exception`` must not take it for an answer.

    Attributes
    ----------
    kind : str
        "missing", "timeout", "died", or "error" for an answer that can't cross.
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


def error_class(
    lineage: tuple[str, ...], trusted: Callable[[str], Any] = lambda name: None
) -> type[Exception]:
    """Return a class that stands for an exception class of the student's.

    Parameters
    ----------
    lineage : tuple of str
        The names of the class and of what it extends, nearest first.
    trusted : callable, optional
        Takes a name and returns the instructor's class of this name, or None.

    Returns
    -------
    type
        A subclass of `Raised` and of the first of these exceptions that is known here: the
        instructor's, a builtin or a library's. The same class for the same names, and a subclass
        of those that stand for the names behind.
    """
    name = lineage[0] if lineage else "Exception"
    known = trusted(name) or _builtin(name) or _loaded(lineage)
    if not (isinstance(known, type) and issubclass(known, Exception)):
        known = None
    key = (known, *lineage)
    if key not in _CLASSES:
        if known is not None or len(lineage) < 2:
            bases: tuple[type, ...] = (Raised, known or Exception)
        else:
            bases = (error_class(lineage[1:], trusted),)
        title = name if name.isidentifier() else "Exception"
        _CLASSES[key] = type(title, bases, {"__module__": "student"})
    return _CLASSES[key]


def raised(error: StudentError, kind: type[Exception]) -> Exception:
    """Return the exception to raise for one that crossed.

    Parameters
    ----------
    error : StudentError
        As the sandbox tells it.
    kind : type
        What `error_class` says about it.
    """
    made: Any = kind.__new__(kind, error.message)  # its __init__ may want something else
    made.args = (error.message,)
    made.name, made.message, made.line = error.name, error.message, error.line
    return made


def _builtin(name: str) -> type[Exception] | None:
    found = getattr(builtins, _SIMPLER.get(name, name), None)
    if not (isinstance(found, type) and issubclass(found, Exception)):
        return None
    # These would end a loop instead of the test.
    return None if issubclass(found, (StopIteration, StopAsyncIteration)) else found


def _loaded(lineage: tuple[str, ...]) -> type[Exception] | None:
    """Find a library's exception class by its name and by the builtin one that it extends."""
    base = next(filter(None, map(_builtin, lineage[1:])), None)
    stack = list(base.__subclasses__()) if base not in (None, Exception) else []
    while stack:
        kind = stack.pop()
        if kind.__name__ == lineage[0] and not issubclass(kind, Raised):
            return kind
        stack += kind.__subclasses__()
    return None
