"""Messages: a header and its blobs as one run of bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from mlmusic.grading.codec.values import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_HEADER,
    CodecError,
)


def pack(header: Any, blobs: list[bytes]) -> bytes:
    """Put a header and its blobs into one message.

    The length of the JSON text (four bytes, little-endian), ``[header, [length of each blob]]``
    as JSON, the blobs.

    Raises
    ------
    CodecError
        If the message is too big.
    """
    parts = [header, [len(blob) for blob in blobs]]
    try:
        text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise CodecError(f"nested more than {MAX_DEPTH} levels deep") from None
    data = text.encode()
    if len(data) > MAX_HEADER:
        raise CodecError(
            f"too many values at once: more than {MAX_HEADER >> 20} MB of them as text"
        )
    if sum(parts[1]) > MAX_BYTES:
        raise CodecError(f"more than {MAX_BYTES >> 20} MB of data at once")
    return b"".join([struct.pack("<I", len(data)), data, *blobs])


def read_message(read: Callable[[int], bytes]) -> tuple[Any, list[bytes]]:
    """Read one message.

    Parameters
    ----------
    read : callable
        ``read(n)`` returns exactly n bytes, or raises what the caller of this wants to see.

    Raises
    ------
    CodecError
        If what comes isn't a message.
    """
    (length,) = struct.unpack("<I", read(4))
    if length > MAX_HEADER:
        raise CodecError(f"a header of {length:,} bytes")
    try:
        # Decoded here: json would also guess at UTF-16.
        parts = json.loads(
            read(length).decode(), parse_int=_parse_int, parse_constant=_refuse_constant
        )
    except CodecError:
        raise
    except RecursionError:
        raise CodecError("nested too deeply") from None
    except ValueError:
        raise CodecError("the header isn't JSON") from None
    if not (type(parts) is list and len(parts) == 2 and type(parts[1]) is list):
        raise CodecError("the header isn't a pair of value and lengths")
    header, lengths = parts
    if not all(type(size) is int and 0 <= size <= MAX_BYTES for size in lengths):
        raise CodecError("the length of a blob isn't a number of bytes")
    if sum(lengths) > MAX_BYTES:
        raise CodecError(f"more than {MAX_BYTES >> 20} MB of data at once")
    return header, [read(size) if size else b"" for size in lengths]


def _parse_int(text: str) -> int:
    if len(text) > MAX_DIGITS + 1:
        raise CodecError(f"a whole number of more than {MAX_DIGITS:,} digits")
    return int(text)


def _refuse_constant(text: str) -> float:
    raise CodecError(f"{text} isn't JSON")
