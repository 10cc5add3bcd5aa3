"""A header and blobs, whoever sent them, back into a value."""

from __future__ import annotations

import collections
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from mlmusic.grading.codec import arrays
from mlmusic.grading.codec.values import (
    FACTORIES,
    LONG_TEXT,
    MAX_DEPTH,
    MAX_ITEMS,
    SCORE_FIELDS,
    TORCH_DTYPES,
    CodecError,
    are_field_names,
    checked_text,
    decimal,
    parts,
)

_MAX_NAMEDTUPLES = 32  # different ones in one message: making a class takes time


def decode(
    header: Any,
    blobs: list[bytes],
    handle: Callable[[int, dict[str, Any]], Any] | None = None,
    callback: Callable[[int], Any] | None = None,
) -> Any:
    """Turn a header and blobs into the value that they stand for; trust nothing about them.

    Parameters
    ----------
    header : JSON-able
    blobs : list of bytes
    handle : callable, optional
        Turns the number and the facts of a handle into an object; without it, handles are errors.
    callback : callable, optional
        Turns the number of a callback into a function; without it, callbacks are errors.

    Raises
    ------
    CodecError
        If header and blobs don't describe a value; the message says what is wrong.
    """
    try:
        return _Decoder(blobs, handle, callback).decode(header, 0)
    except CodecError:
        raise
    except RecursionError:
        raise CodecError("nested too deeply") from None
    except Exception as error:  # whatever NumPy, torch and Score say to the impossible
        raise CodecError(f"not a value: {str(error)[:200]}") from None


class _Decoder:
    def __init__(self, blobs: Any, handle: Any, callback: Any) -> None:
        self.blobs, self.handle, self.callback = blobs, handle, callback
        self.used: set[int] = set()
        self.items = 0
        self.namedtuples: set[Any] = set()

    def blob(self, index: Any) -> bytes:
        if type(index) is not int or not 0 <= index < len(self.blobs) or index in self.used:
            raise CodecError("a blob that doesn't exist or was used before")
        self.used.add(index)
        return self.blobs[index]

    def count(self, items: int) -> None:
        self.items += items
        if self.items > MAX_ITEMS:
            raise CodecError(f"more than {MAX_ITEMS:,} values at once")

    def decode(self, header: Any, depth: int) -> Any:
        kind = type(header)
        if kind is str:
            if not header.isascii():
                checked_text(header)
            return header
        if kind in (int, float, bool) or header is None:
            return header
        if depth > MAX_DEPTH:
            raise CodecError(f"nested more than {MAX_DEPTH} levels deep")
        if kind is list:
            return self.sequence(header, depth)
        if kind is not dict or len(header) != 1:
            raise CodecError("an object without one kind")
        ((tag, payload),) = header.items()
        method = _DECODERS.get(tag)
        if method is None:
            raise CodecError(f"unknown kind {tag[:20]!r}")
        return method(self, payload, depth + 1)

    def sequence(self, header: Any, depth: int) -> list[Any]:
        if type(header) is list:
            self.count(len(header))
            return [self.decode(item, depth + 1) for item in header]
        if type(header) is dict and header.keys() == {"P"}:
            name, index = parts(header["P"], 2)
            data = self.blob(index)
            if name in ("f", "i"):
                dtype = np.dtype("<f8" if name == "f" else "<i8")
            else:
                dtype = arrays.dtype_of(name)
                if dtype.kind not in "biufc":
                    raise CodecError("packed values that aren't numbers")
            self.count(len(data) // dtype.itemsize)
            array = np.frombuffer(data, dtype)
            arrays.check_array(array)
            return array.tolist() if name in ("f", "i") else list(array)
        raise CodecError("not a list")

    def float(self, payload: Any, depth: int) -> Any:
        (number,) = struct.unpack(">d", bytes.fromhex(_hex(payload, 16)))
        return number

    def complex(self, payload: Any, depth: int) -> Any:
        real, imag = (self.decode(part, depth) for part in parts(payload, 2))
        if type(real) is not float or type(imag) is not float:
            raise CodecError("a complex number of something else than floats")
        return complex(real, imag)

    def bytes(self, payload: Any, depth: int) -> Any:
        return self.blob(payload)

    def text(self, payload: Any, depth: int) -> Any:
        return self.blob(payload).decode()

    def tuple(self, payload: Any, depth: int) -> Any:
        return tuple(self.sequence(payload, depth))

    def named(self, payload: Any, depth: int) -> Any:
        name, names, items = parts(payload, 3)
        if type(names) is not list or not are_field_names(name, names):
            raise CodecError("a named tuple with impossible names")
        key = (name, tuple(names))
        self.namedtuples.add(key)
        if len(self.namedtuples) > _MAX_NAMEDTUPLES:
            raise CodecError(f"more than {_MAX_NAMEDTUPLES} kinds of named tuples")
        return _namedtuple(*key)(*parts(self.sequence(items, depth), len(names)))

    def set(self, payload: Any, depth: int) -> Any:
        return set(_hashable(self.sequence(payload, depth)))

    def frozenset(self, payload: Any, depth: int) -> Any:
        return frozenset(_hashable(self.sequence(payload, depth)))

    def dict(self, payload: Any, depth: int) -> Any:
        flat = self.sequence(payload, depth)
        if len(flat) % 2:
            raise CodecError("a dict with a key that has no value")
        return dict(zip(_hashable(flat[::2]), flat[1::2], strict=True))

    def counter(self, payload: Any, depth: int) -> Any:
        return collections.Counter(self.dict(payload, depth))

    def ordered(self, payload: Any, depth: int) -> Any:
        return collections.OrderedDict(self.dict(payload, depth))

    def default(self, payload: Any, depth: int) -> Any:
        name, items = parts(payload, 2)
        if name is not None and (type(name) is not str or name not in FACTORIES):
            raise CodecError("a defaultdict of something else than builtin values")
        return collections.defaultdict(FACTORIES.get(name), self.dict(items, depth))

    def deque(self, payload: Any, depth: int) -> Any:
        longest, items = parts(payload, 2)
        if longest is not None and (type(longest) is not int or not 0 <= longest < 1 << 31):
            raise CodecError("a deque of impossible length")
        return collections.deque(self.sequence(items, depth), longest)

    def range(self, payload: Any, depth: int) -> Any:
        bounds = parts(payload, 3)
        if not all(type(bound) is int for bound in bounds) or bounds[2] == 0:
            raise CodecError("a range of something else than whole numbers")
        if abs((bounds[1] - bounds[0]) // bounds[2]) > MAX_ITEMS:
            raise CodecError(f"a range of more than {MAX_ITEMS:,} numbers")
        return range(*bounds)

    def slice(self, payload: Any, depth: int) -> Any:
        return slice(*(self.decode(bound, depth) for bound in parts(payload, 3)))

    def ellipsis(self, payload: Any, depth: int) -> Any:
        return ...

    def view(self, payload: Any, depth: int) -> Any:
        kind, items = parts(payload, 2)
        if kind == "keys":
            return dict.fromkeys(_hashable(self.sequence(items, depth))).keys()
        if kind == "values":
            return dict(enumerate(self.sequence(items, depth))).values()
        return self.dict(items, depth).items()

    def fraction(self, payload: Any, depth: int) -> Any:
        top, bottom = parts(payload, 2)
        if type(top) is not int or type(bottom) is not int or bottom <= 0:
            raise CodecError("a fraction of something else than whole numbers")
        return Fraction(top, bottom)

    def decimal(self, payload: Any, depth: int) -> Any:
        number = decimal(payload) if type(payload) is str else None
        if number is None:
            raise CodecError("a decimal number that isn't one")
        return number

    def array(self, payload: Any, depth: int) -> Any:
        spec, shape, index = parts(payload, 3)
        dtype, data = arrays.dtype_of(spec), self.blob(index)
        arrays.check_shape(shape, dtype.itemsize, len(data), 32)
        array = np.empty(shape, dtype) if not data else np.frombuffer(data, dtype).reshape(shape)
        arrays.check_array(array)
        return array.copy()  # its own, writable memory

    def scalar(self, payload: Any, depth: int) -> Any:
        spec, text = parts(payload, 2)
        dtype = arrays.dtype_of(spec)
        if dtype.itemsize > LONG_TEXT:
            raise CodecError("a scalar that is too long")
        array = np.frombuffer(bytes.fromhex(_hex(text, 2 * dtype.itemsize)), dtype)
        arrays.check_array(array)
        return array.copy()[0]

    def tensor(self, payload: Any, depth: int) -> Any:
        import torch

        name, shape, index = parts(payload, 3)
        if type(name) is not str or name not in TORCH_DTYPES or not hasattr(torch, name):
            raise CodecError("a tensor of unknown dtype")
        dtype, data = getattr(torch, name), self.blob(index)
        arrays.check_shape(shape, torch.empty(0, dtype=dtype).element_size(), len(data), 32)
        if not data:
            return torch.empty(shape, dtype=dtype)
        if dtype is torch.bool:
            arrays.check_array(np.frombuffer(data, bool))
        # A bytearray: torch warns about memory that can't be written.
        return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(dtype).reshape(shape)

    def score(self, payload: Any, depth: int) -> Any:
        from mlmusic.score import NOTE_DTYPE, Score

        fields = {
            name: self.decode(part, depth)
            for name, part in zip(SCORE_FIELDS, parts(payload, len(SCORE_FIELDS)), strict=True)
        }
        notes = fields["notes"]
        if type(notes) is not np.ndarray or notes.dtype != NOTE_DTYPE:
            raise CodecError("a Score whose notes aren't notes")
        if type(fields["meta"]) is not dict:
            raise CodecError("a Score whose meta isn't a dict")
        return Score(**fields)

    def kept(self, payload: Any, depth: int) -> Any:
        number, facts = parts(payload, 2)
        if self.handle is None or type(number) is not int or not 0 <= number < 1 << 31:
            raise CodecError("a handle that isn't expected here")
        if type(facts) is not dict or len(facts) > 8:
            raise CodecError("a handle with odd facts")
        for key, fact in facts.items():
            if len(key) > 20 or not (
                type(fact) is bool or (type(fact) is str and len(fact) <= 100)
            ):
                raise CodecError("a handle with odd facts")
            checked_text(key + str(fact))
        return self.handle(number, facts)

    def called_back(self, payload: Any, depth: int) -> Any:
        if self.callback is None or type(payload) is not int:
            raise CodecError("a callback that isn't expected here")
        return self.callback(payload)


_DECODERS: dict[str, Callable[[_Decoder, Any, int], Any]] = {
    "f": _Decoder.float,
    "c": _Decoder.complex,
    "b": _Decoder.bytes,
    "s": _Decoder.text,
    "t": _Decoder.tuple,
    "d": _Decoder.dict,
    "S": _Decoder.set,
    "F": _Decoder.frozenset,
    "C": _Decoder.counter,
    "O": _Decoder.ordered,
    "D": _Decoder.default,
    "q": _Decoder.deque,
    "n": _Decoder.named,
    "r": _Decoder.range,
    "l": _Decoder.slice,
    "e": _Decoder.ellipsis,
    "v": _Decoder.view,
    "Q": _Decoder.fraction,
    "X": _Decoder.decimal,
    "P": lambda self, payload, depth: self.sequence({"P": payload}, depth),
    "a": _Decoder.array,
    "g": _Decoder.scalar,
    "T": _Decoder.tensor,
    "M": _Decoder.score,
    "h": _Decoder.kept,
    "callback": _Decoder.called_back,
}


def _hex(text: Any, length: int) -> str:
    if type(text) is not str or len(text) != length or not re.fullmatch("[0-9a-f]*", text):
        raise CodecError("not a number's bytes")
    return text


def _hashable(keys: list[Any]) -> list[Any]:
    """Check keys; many that share a hash would make a dict take forever."""
    try:
        hashes = {hash(key) for key in keys}
    except TypeError:
        raise CodecError("a key that can't be hashed") from None
    if len(keys) > 1000 and 4 * len(hashes) < len(keys):
        raise CodecError("keys that are all alike")
    return keys


@lru_cache(maxsize=256)
def _namedtuple(name: str, names: tuple[str, ...]) -> Any:
    return collections.namedtuple(name, names)
