"""What a student's process may answer besides a value: an error, and a call of a trusted function.

Nothing about them is believed.
"""

from __future__ import annotations

import builtins
from typing import Any

from mlmusic.grading.codec import CodecError
from mlmusic.grading.sandbox.errors import StudentError

LONGEST_MESSAGE = 500  # characters
UNSENDABLE = "Unsendable"  # the name of the error that stands for an answer that can't cross


def checked_error(value: Any) -> StudentError:
    """Make the exception that an answer describes, believing nothing about it."""
    if type(value) is not dict:
        raise CodecError("not an error")
    name, message, line = value.get("type"), value.get("message"), value.get("line")
    kind = getattr(builtins, name, None) if type(name) is str else None
    ends_loops = (StopIteration, StopAsyncIteration)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, ends_loops):
        name = None
    message = message[:LONGEST_MESSAGE] if type(message) is str else ""
    line = line if type(line) is int and 0 < line < 1_000_000 else None
    own = value.get("name")
    return StudentError(name, message, line, own[:100] if type(own) is str else "")


def checked_call(value: Any) -> tuple[int, list[Any], dict[str, Any]]:
    """Return the number of the function that is to be called, and its arguments."""
    if type(value) is not dict or value.keys() != {"callback", "args", "kwargs"}:
        raise CodecError("not a call")
    number, args, kwargs = value["callback"], value["args"], value["kwargs"]
    if type(number) is not int or type(args) is not list or type(kwargs) is not dict:
        raise CodecError("not a call")
    if not all(type(name) is str for name in kwargs):
        raise CodecError("not a call")
    return number, args, kwargs
