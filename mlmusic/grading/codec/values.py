"""What can cross, within which limits, and the checks that both directions share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from keyword import iskeyword
from typing import Any

MAX_DEPTH = 32
MAX_HEADER = 1 << 20  # bytes
TOO_LONG = f"they take more than {MAX_HEADER >> 20} MB as text"
MAX_BYTES = 64 << 20  # of all blobs together
MAX_ITEMS = 2_000_000  # values in one message, however deep
MAX_DIGITS = 4_000  # of an int: Python itself refuses to read or print more than 4,300

LONG_TEXT = 1_000  # characters; longer ones go into a blob, as the header is small

FACTORIES = {kind.__name__: kind for kind in (int, float, list, set, dict, str)}
"""What a defaultdict may make its values with."""

SCORE_FIELDS = ("notes", "tempo", "metre", "key", "programs", "title", "lyrics", "meta")

TORCH_DTYPES = frozenset(
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "complex32 complex64 complex128 float8_e4m3fn float8_e5m2 float8_e4m3fnuz "
    "float8_e5m2fnuz".split()
)


class CodecError(ValueError):
    """A value that can't cross, or bytes that no value stands behind; the message says why."""


@dataclass(frozen=True)
class Handle:
    """An object that stays in the sandbox.

    Attributes
    ----------
    id : int
        Its number there.
    facts : dict
        What the sandbox says about it (``type``, ``name``, ``kind``, ``callable``): unchecked.
    """

    id: int
    facts: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Callback:
    """A trusted function, by its number among the callbacks of a request."""

    id: int


def parts(payload: Any, count: int) -> list[Any]:
    """Return a payload that must be a list of so many parts."""
    if type(payload) is not list or len(payload) != count:
        raise CodecError(f"not a list of {count}")
    return payload


def are_field_names(name: Any, names: Any) -> bool:
    """Tell whether a named tuple's class can have these names."""
    return (
        0 < len(names) <= 64
        and all(
            type(n) is str
            and n.isascii()
            and n.isidentifier()
            and len(n) <= 64
            and not iskeyword(n)
            for n in (name, *names)
        )
        and not any(n.startswith("_") for n in names)
        and len(set(names)) == len(names)
    )


def checked_text(text: str) -> bytes:
    """Return text as UTF-8, which halves of characters have none of."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise CodecError("text with half a character (a lone surrogate)") from None


def decimal(text: str) -> Decimal | None:
    """Read a Decimal; None for those whose exponent would make an int or a float() of it huge."""
    if len(text) > MAX_DIGITS or not re.fullmatch(
        r"-?(\d+(\.\d+)?(E[+-]\d{1,4})?|Infinity|NaN)", text
    ):
        return None
    number = Decimal(text)
    return number if not number.is_finite() or abs(number.adjusted()) <= MAX_DIGITS else None
