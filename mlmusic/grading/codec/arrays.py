"""NumPy arrays: which dtypes cross, and what the bytes of each may be."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

import numpy as np

from mlmusic.grading.codec.values import MAX_BYTES, CodecError, checked_text, parts

# What the code of a dtype may be: no objects, no raw void; sizes are checked after parsing.
_PLAIN = re.compile(
    r"\|b1|[<>|][iu]1|[<>][iu][248]|[<>]f[248]|[<>]c(?:8|16)|\|S[1-9]\d{0,7}|[<>]U[1-9]\d{0,6}"
    r"|[<>][mM]8(?:\[\d{0,4}(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
)


def is_plain(code: str) -> bool:
    """Tell whether the code of a dtype is one of numbers, text, bytes or times."""
    return len(code) <= 20 and _PLAIN.fullmatch(code) is not None


def packed_dtype(dtype: np.dtype, depth: int = 0) -> np.dtype | None:
    """Return the dtype without padding, titles and metadata; None if it can't cross."""
    if depth > 4:
        return None
    if dtype.names is not None:
        fields = []
        if not 0 < len(dtype.names) <= 64:
            return None
        for name in dtype.names:
            kind = dtype.fields[name][0]
            base, shape = kind.subdtype or (kind, ())
            packed = packed_dtype(base, depth + 1)
            if packed is None or not 0 < len(name) <= 100:
                return None
            fields.append((name, packed, shape))
        whole = np.dtype(fields)
        return whole if whole.itemsize else None
    if dtype.kind in "SU" and dtype.itemsize == 0:
        return np.dtype(f"{dtype.kind}1")
    if dtype.kind in "fc" and dtype.itemsize > 8 * (1 + (dtype.kind == "c")):
        # What a long double is differs from machine to machine.
        return np.dtype("c16" if dtype.kind == "c" else "f8")
    if dtype.kind not in "biufcUSMm" or not is_plain(dtype.str):
        return None
    return np.dtype(dtype.str)


def spec_of(dtype: np.dtype) -> Any:
    """Describe a packed dtype: its code, or a list of (name, description, shape) for its fields."""
    if dtype.names is None:
        return dtype.str
    spec = []
    for name in dtype.names:
        base, shape = dtype.fields[name][0].subdtype or (dtype.fields[name][0], ())
        spec.append([name, spec_of(base), list(shape)])
    return spec


def dtype_of(spec: Any, depth: int = 0) -> np.dtype:
    """Make a dtype from its description, nothing of which reaches NumPy unchecked."""
    if type(spec) is str:
        if not is_plain(spec):
            raise CodecError("an array of unknown dtype")
        dtype = np.dtype(spec)
    elif type(spec) is list and 0 < len(spec) <= 64 and depth <= 4:
        fields = []
        for name, kind, shape in (parts(part, 3) for part in spec):
            if type(name) is not str or not 0 < len(name) <= 100:
                raise CodecError("a field without a name")
            checked_text(name)
            base = dtype_of(kind, depth + 1)
            check_shape(shape, base.itemsize, None, 8)
            fields.append((name, base, tuple(shape)))
        dtype = np.dtype(fields)
    else:
        raise CodecError("an array of unknown dtype")
    if not 0 < dtype.itemsize <= MAX_BYTES:
        raise CodecError("an array with elements of impossible size")
    return dtype


def check_shape(shape: Any, itemsize: int, size: int | None, most: int) -> None:
    """Check a shape, and that it takes just the bytes that there are (None: at most 64 MB)."""
    if type(shape) is not list or len(shape) > most:
        raise CodecError("a shape that isn't one")
    if not all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
        raise CodecError("a shape that isn't one")
    need = itemsize * math.prod(shape)
    if need > MAX_BYTES or (size is not None and need != size):
        raise CodecError("a shape that doesn't fit the data")


def check_array(array: np.ndarray) -> None:
    """Check that the bytes are possible: a bool of 2 or half a character would confuse NumPy."""
    dtype = array.dtype
    if dtype.names is not None:
        for name in dtype.names:
            check_array(array[name])
    elif dtype.kind == "b" and array.size:
        if np.ascontiguousarray(array).view(np.uint8).max() > 1:
            raise CodecError("a bool that is neither True nor False")
    elif dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).reshape(-1).view(f"{dtype.str[0]}u4")
        if (codes > sys.maxunicode).any() or ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
            raise CodecError("text with half a character (a lone surrogate)")
