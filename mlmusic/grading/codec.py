"""Values on their way between a trusted test and a student's code: JSON and raw bytes, no pickle.

`encode` turns a value into a header (JSON) and blobs (bytes), `decode` turns them back. What is
decoded may come from hostile code, so `decode` builds nothing but exact builtin types, NumPy
arrays of plain numbers and text, dense torch tensors and `Score`, and checks every length before
it allocates. In the header a number, a text, None, True and a list stand for themselves; anything
else is an object with one key that names its kind:

``f c b s``      a float that isn't finite, complex, bytes, a long text (the last two as blobs)
``t d S F``      tuple, dict, set, frozenset
``C O D q n``    Counter, OrderedDict, defaultdict, deque, named tuple
``r l e Q X``    range, slice, Ellipsis, Fraction, Decimal
``P``            many numbers of one kind, as one blob, where a list is expected
``a g T M``      NumPy array, NumPy scalar, torch tensor, Score
``h callback``   an object that stays where it is: in the sandbox, or on the trusted side
"""

from __future__ import annotations

import collections
import json
import math
import re
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from keyword import iskeyword
from typing import Any

import numpy as np

MAX_DEPTH = 32
MAX_HEADER = 1 << 20  # bytes
MAX_BYTES = 64 << 20  # of all blobs together
MAX_ITEMS = 2_000_000  # values in one message, however deep
MAX_DIGITS = 4_000  # of an int: Python itself refuses to read or print more than 4,300

_LONG_TEXT = 1_000  # characters; longer ones go into a blob, as the header is small
_LONG_LIST = 32  # items; longer lists of plain numbers do, too
_HUGE = 10**MAX_DIGITS
_MAX_NAMEDTUPLES = 32  # different ones in one message: making a class takes time

# What a NumPy dtype may be: no objects, no raw void; sizes are checked after parsing.
_DTYPE = re.compile(
    r"\|b1|[<>|][iu]1|[<>][iu][248]|[<>]f[248]|[<>]c(?:8|16)|\|S[1-9]\d{0,7}|[<>]U[1-9]\d{0,6}"
    r"|[<>][mM]8(?:\[\d{0,4}(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
)
_TORCH = frozenset(
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "complex32 complex64 complex128 float8_e4m3fn float8_e5m2 float8_e4m3fnuz "
    "float8_e5m2fnuz".split()
)
_FACTORIES = {t.__name__: t for t in (int, float, list, set, dict, str)}


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


def encode(
    value: Any, keep: Callable[[Any], int | Handle | Callback] | None = None
) -> tuple[Any, list[bytes]]:
    """Turn a value into a header for JSON and blobs.

    Subclasses are flattened to the builtin class that they extend, without calling anything that
    they override.

    Parameters
    ----------
    value : object
        Plain data, arrays, tensors, scores, in lists, dicts and so on.
    keep : callable, optional
        Takes any other object and says how to refer to it: the number of a handle, a `Handle` or
        a `Callback`. Without it, such an object is an error.

    Returns
    -------
    header : JSON-able
    blobs : list of bytes

    Raises
    ------
    TypeError
        If something in the value isn't plain data and ``keep`` is None.
    CodecError
        If the value is too big, nested too deeply, or contains itself.
    """
    encoder = _Encoder(keep)
    return encoder.encode(value, 0), encoder.blobs


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
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise CodecError(f"not a value: {str(error)[:200]}") from None


# Messages: header and blobs as one run of bytes -----------------------------------------------


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


# Encoding ---------------------------------------------------------------------------------------


class _Encoder:
    def __init__(self, keep: Callable[[Any], int | Handle | Callback] | None) -> None:
        self.keep = keep
        self.blobs: list[bytes] = []
        self.room = MAX_BYTES
        self.items = 0

    def blob(self, data: bytes) -> int:
        self.claim(len(data))
        self.blobs.append(data)
        return len(self.blobs) - 1

    def claim(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise CodecError(f"more than {MAX_BYTES >> 20} MB of data at once")

    def encode(self, value: Any, depth: int) -> Any:
        self.items += 1
        if self.items > MAX_ITEMS:
            raise CodecError(f"more than {MAX_ITEMS:,} values at once")
        if depth > MAX_DEPTH:
            raise CodecError(f"nested more than {MAX_DEPTH} levels deep, or contains itself")
        # Only type() can't be fooled: an object's __class__ may say anything.
        kind = type(value)
        for base, method in _ENCODERS.get(kind) or _lineage(kind):
            header = method(self, base, value, depth + 1)
            if header is not _NOT_PLAIN:
                return header
        return self.kept(value)

    def kept(self, value: Any) -> Any:
        if type(value) is Handle:
            kept: Any = value
        elif type(value) is Callback:
            kept = value
        elif self.keep is None:
            raise TypeError(f"{type(value).__name__} isn't plain data")
        else:
            kept = self.keep(value)
        if type(kept) is Callback:
            return {"callback": kept.id}
        return {"h": [kept, {}] if type(kept) is int else [kept.id, kept.facts]}

    def same(self, base: type, value: Any, depth: int) -> Any:
        return value

    def int(self, base: type, value: Any, depth: int) -> Any:
        number = int.__int__(value)
        if not -_HUGE < number < _HUGE:
            raise CodecError(f"a whole number of more than {MAX_DIGITS:,} digits")
        return number

    def float(self, base: type, value: Any, depth: int) -> Any:
        number = float.__float__(value)
        if math.isfinite(number):
            return number
        return {"f": struct.pack(">d", number).hex()}  # which NaN it is stays the same

    def complex(self, base: type, value: Any, depth: int) -> Any:
        parts = (complex.real.__get__(value), complex.imag.__get__(value))
        return {"c": [self.encode(part, depth) for part in parts]}

    def str(self, base: type, value: Any, depth: int) -> Any:
        text = str.__str__(value)
        if len(text) <= _LONG_TEXT:
            if not text.isascii():
                _checked_text(text)
            return text
        self.claim(len(text))
        self.room += len(text)
        return {"s": self.blob(_checked_text(text))}

    def bytes(self, base: type, value: Any, depth: int) -> Any:
        size = base.__len__(value)
        if size > self.room:
            self.claim(size)
        return {"b": self.blob(bytes(base.__getitem__(value, slice(None))))}

    def list(self, base: type, value: Any, depth: int) -> Any:
        return self.sequence([*list.__iter__(value)], depth)

    def tuple(self, base: type, value: Any, depth: int) -> Any:
        items = [*tuple.__iter__(value)]
        names = _field_names(type(value), len(items))
        if names is not None:
            return {"n": [type(value).__name__, names, self.sequence(items, depth)]}
        return {"t": self.sequence(items, depth)}

    def set(self, base: type, value: Any, depth: int) -> Any:
        tag = "S" if base is set else "F"
        return {tag: self.sequence([*base.__iter__(value)], depth)}

    def dict(self, base: type, value: Any, depth: int) -> Any:
        flat = [part for pair in base.items(value) for part in pair]
        items = self.sequence(flat, depth)
        if base is collections.defaultdict:
            factory = collections.defaultdict.default_factory.__get__(value)
            name = getattr(factory, "__name__", None) if isinstance(factory, type) else None
            if factory is not None and _FACTORIES.get(name) is not factory:
                return {"d": items}
            return {"D": [name, items]}
        tags = {collections.Counter: "C", collections.OrderedDict: "O"}
        return {tags.get(base, "d"): items}

    def deque(self, base: type, value: Any, depth: int) -> Any:
        longest = collections.deque.maxlen.__get__(value)
        return {"q": [longest, self.sequence([*base.__iter__(value)], depth)]}

    def range(self, base: type, value: Any, depth: int) -> Any:
        bounds = [value.start, value.stop, value.step]
        if not -MAX_ITEMS <= (bounds[1] - bounds[0]) // bounds[2] <= MAX_ITEMS:
            raise CodecError(f"a range of more than {MAX_ITEMS:,} numbers")
        return {"r": [self.encode(bound, depth) for bound in bounds]}

    def slice(self, base: type, value: Any, depth: int) -> Any:
        bounds = (value.start, value.stop, value.step)
        return {"l": [self.encode(bound, depth) for bound in bounds]}

    def ellipsis(self, base: type, value: Any, depth: int) -> Any:
        return {"e": 0}

    def fraction(self, base: type, value: Any, depth: int) -> Any:
        parts = (value._numerator, value._denominator)
        if type(parts[0]) is not int or type(parts[1]) is not int:
            return _NOT_PLAIN
        return {"Q": [self.encode(part, depth) for part in parts]}

    def decimal(self, base: type, value: Any, depth: int) -> Any:
        text = Decimal.__str__(value)
        return {"X": text} if _decimal(text) is not None else _NOT_PLAIN

    def sequence(self, items: Any, depth: int) -> Any:
        """Encode a list; a long one of plain numbers as one blob."""
        if len(items) > _LONG_LIST:
            kinds = set(map(type, items))
            packed = self.packed(kinds.pop(), items) if len(kinds) == 1 else None
            if packed is not None:
                return packed
        return [self.encode(item, depth) for item in items]

    def packed(self, kind: type, items: Any) -> Any:
        if kind is float or kind is int:
            name, dtype = ("f", "<f8") if kind is float else ("i", "<i8")
            try:
                array = np.array(items, dtype)
            except OverflowError:  # beyond 64 bits
                return None
        elif issubclass(kind, (np.number, np.bool_)) and kind.__module__ == "numpy":
            array = np.array(items)
            name = dtype = array.dtype.str
            if array.dtype.type is not kind or not _DTYPE.fullmatch(dtype):
                return None
        else:
            return None
        self.items += len(items)
        if self.items > MAX_ITEMS:
            raise CodecError(f"more than {MAX_ITEMS:,} values at once")
        self.claim(array.nbytes)
        self.room += array.nbytes
        return {"P": [name, self.blob(array.tobytes())]}

    def array(self, base: type, value: Any, depth: int) -> Any:
        parts = self.plain_array(np.ndarray.view(value, np.ndarray))
        if parts is None:
            return _NOT_PLAIN
        spec, shape, array = parts
        return {"a": [spec, shape, self.blob(array.tobytes())]}

    def scalar(self, base: type, value: Any, depth: int) -> Any:
        parts = self.plain_array(np.generic.__array__(value))
        if parts is None:
            return _NOT_PLAIN
        spec, _, array = parts
        if array.nbytes > _LONG_TEXT:
            return {"a": [spec, [], self.blob(array.tobytes())]}
        return {"g": [spec, array.tobytes().hex()]}

    def plain_array(self, array: np.ndarray) -> tuple[Any, list[int], np.ndarray] | None:
        """Return dtype, shape and packed data; None for a dtype that can't cross."""
        if array.nbytes > self.room:  # of the whole shape: a stride of 0 makes it huge for nothing
            self.claim(array.nbytes)
        packed = _packed_dtype(array.dtype)
        if packed is None or array.ndim > 32:
            return None
        if packed != array.dtype:
            array = array.astype(packed)
        if packed.kind == "U" or packed.names is not None:
            _check_array(array)
        return _dtype_spec(packed), list(array.shape), array

    def tensor(self, base: type, value: Any, depth: int) -> Any:
        import torch

        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            tensor = torch.Tensor.as_subclass(value, torch.Tensor).detach()
            name = str(tensor.dtype).removeprefix("torch.")
            if tensor.layout is not torch.strided or name not in _TORCH:
                return _NOT_PLAIN
            if tensor.device.type == "meta" or tensor.is_quantized:
                return _NOT_PLAIN
            size = tensor.numel() * tensor.element_size()
            if size > self.room:
                self.claim(size)
            tensor = tensor.cpu().resolve_conj().resolve_neg().contiguous()
            data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
            return {"T": [name, list(tensor.shape), self.blob(data)]}

    def score(self, base: type, value: Any, depth: int) -> Any:
        fields = object.__getattribute__(value, "__dict__")
        parts = [fields[name] for name in _SCORE_FIELDS]
        try:
            # Its fields can be changed after they were checked; and a subclass may do anything.
            checked = base(**dict(zip(_SCORE_FIELDS, parts, strict=True)))
        except Exception as error:
            raise CodecError(f"not a valid Score: {str(error)[:200]}") from None
        return {"M": [self.encode(getattr(checked, name), depth) for name in _SCORE_FIELDS]}


_NOT_PLAIN = object()
_SCORE_FIELDS = ("notes", "tempo", "metre", "key", "programs", "title", "lyrics", "meta")

# The first base that fits counts: subclasses before what they extend.
_BASES: list[tuple[type, Any]] = [
    (np.generic, _Encoder.scalar),
    (int, _Encoder.int),
    (float, _Encoder.float),
    (complex, _Encoder.complex),
    (str, _Encoder.str),
    (bytes, _Encoder.bytes),
    (bytearray, _Encoder.bytes),
    (list, _Encoder.list),
    (tuple, _Encoder.tuple),
    (collections.Counter, _Encoder.dict),
    (collections.OrderedDict, _Encoder.dict),
    (collections.defaultdict, _Encoder.dict),
    (dict, _Encoder.dict),
    (set, _Encoder.set),
    (frozenset, _Encoder.set),
    (collections.deque, _Encoder.deque),
    (np.ndarray, _Encoder.array),
    (Fraction, _Encoder.fraction),
    (Decimal, _Encoder.decimal),
    (range, _Encoder.range),
    (slice, _Encoder.slice),
    (type(...), _Encoder.ellipsis),
]
_ENCODERS: dict[type, list[tuple[type, Any]]] = {base: [(base, do)] for base, do in _BASES}
_ENCODERS |= {t: [(t, _Encoder.same)] for t in (bool, type(None))}


def _lineage(kind: type) -> list[tuple[type, Any]]:
    """Find how to encode instances of a class that isn't a builtin one."""
    found = [(base, do) for base, do in _BASES if issubclass(kind, base)][:1]
    torch, score = sys.modules.get("torch"), sys.modules.get("mlmusic.score.core")
    if torch is not None and issubclass(kind, torch.Tensor):
        found = [(torch.Tensor, _Encoder.tensor)]
    elif score is not None and issubclass(kind, score.Score):
        found = [(score.Score, _Encoder.score)]
    return found


def _field_names(kind: type, count: int) -> list[str] | None:
    """Return the fields of a named tuple's class; None for any other."""
    names = None if kind is tuple else vars(kind).get("_fields")
    if type(names) is not tuple or len(names) != count:
        return None
    return list(names) if _are_field_names(kind.__name__, names) else None


def _are_field_names(name: Any, names: Any) -> bool:
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


def _checked_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise CodecError("text with half a character (a lone surrogate)") from None


def _decimal(text: str) -> Decimal | None:
    """Read a Decimal; None for those whose exponent would make an int or a float() of it huge."""
    if len(text) > MAX_DIGITS or not re.fullmatch(
        r"-?(\d+(\.\d+)?(E[+-]\d{1,4})?|Infinity|NaN)", text
    ):
        return None
    number = Decimal(text)
    return number if not number.is_finite() or abs(number.adjusted()) <= MAX_DIGITS else None


def _packed_dtype(dtype: np.dtype, depth: int = 0) -> np.dtype | None:
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
            packed = _packed_dtype(base, depth + 1)
            if packed is None or not 0 < len(name) <= 100:
                return None
            fields.append((name, packed, shape))
        return np.dtype(fields)
    if dtype.kind in "SU" and dtype.itemsize == 0:
        return np.dtype(f"{dtype.kind}1")
    if dtype.kind in "fc" and dtype.itemsize > 8 * (1 + (dtype.kind == "c")):
        return np.dtype(
            "c16" if dtype.kind == "c" else "f8"
        )  # long double isn't the same everywhere
    if dtype.kind not in "biufcUSMm" or not _DTYPE.fullmatch(dtype.str):
        return None
    return np.dtype(dtype.str)


def _dtype_spec(dtype: np.dtype) -> Any:
    if dtype.names is None:
        return dtype.str
    spec = []
    for name in dtype.names:
        base, shape = dtype.fields[name][0].subdtype or (dtype.fields[name][0], ())
        spec.append([name, _dtype_spec(base), list(shape)])
    return spec


# Decoding ---------------------------------------------------------------------------------------


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
                _checked_text(header)
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
            name, index = _parts(header["P"], 2)
            data = self.blob(index)
            if name in ("f", "i"):
                dtype = np.dtype("<f8" if name == "f" else "<i8")
            else:
                dtype = _dtype(name)
                if dtype.kind not in "biufc":
                    raise CodecError("packed values that aren't numbers")
            self.count(len(data) // dtype.itemsize)
            array = np.frombuffer(data, dtype)
            _check_array(array)
            return array.tolist() if name in ("f", "i") else list(array)
        raise CodecError("not a list")

    def float(self, payload: Any, depth: int) -> Any:
        (number,) = struct.unpack(">d", bytes.fromhex(_hex(payload, 16)))
        return number

    def complex(self, payload: Any, depth: int) -> Any:
        real, imag = (self.decode(part, depth) for part in _parts(payload, 2))
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
        name, names, items = _parts(payload, 3)
        if type(names) is not list or not _are_field_names(name, names):
            raise CodecError("a named tuple with impossible names")
        key = (name, tuple(names))
        self.namedtuples.add(key)
        if len(self.namedtuples) > _MAX_NAMEDTUPLES:
            raise CodecError(f"more than {_MAX_NAMEDTUPLES} kinds of named tuples")
        return _namedtuple(*key)(*_parts(self.sequence(items, depth), len(names)))

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
        name, items = _parts(payload, 2)
        if name is not None and (type(name) is not str or name not in _FACTORIES):
            raise CodecError("a defaultdict of something else than builtin values")
        return collections.defaultdict(_FACTORIES.get(name), self.dict(items, depth))

    def deque(self, payload: Any, depth: int) -> Any:
        longest, items = _parts(payload, 2)
        if longest is not None and (type(longest) is not int or not 0 <= longest < 1 << 31):
            raise CodecError("a deque of impossible length")
        return collections.deque(self.sequence(items, depth), longest)

    def range(self, payload: Any, depth: int) -> Any:
        bounds = _parts(payload, 3)
        if not all(type(bound) is int for bound in bounds) or bounds[2] == 0:
            raise CodecError("a range of something else than whole numbers")
        if abs((bounds[1] - bounds[0]) // bounds[2]) > MAX_ITEMS:
            raise CodecError(f"a range of more than {MAX_ITEMS:,} numbers")
        return range(*bounds)

    def slice(self, payload: Any, depth: int) -> Any:
        return slice(*(self.decode(bound, depth) for bound in _parts(payload, 3)))

    def ellipsis(self, payload: Any, depth: int) -> Any:
        return ...

    def fraction(self, payload: Any, depth: int) -> Any:
        top, bottom = _parts(payload, 2)
        if type(top) is not int or type(bottom) is not int or bottom <= 0:
            raise CodecError("a fraction of something else than whole numbers")
        return Fraction(top, bottom)

    def decimal(self, payload: Any, depth: int) -> Any:
        number = _decimal(payload) if type(payload) is str else None
        if number is None:
            raise CodecError("a decimal number that isn't one")
        return number

    def array(self, payload: Any, depth: int) -> Any:
        spec, shape, index = _parts(payload, 3)
        dtype, data = _dtype(spec), self.blob(index)
        _check_shape(shape, dtype.itemsize, len(data), 32)
        array = np.empty(shape, dtype) if not data else np.frombuffer(data, dtype).reshape(shape)
        _check_array(array)
        return array.copy()  # its own, writable memory

    def scalar(self, payload: Any, depth: int) -> Any:
        spec, text = _parts(payload, 2)
        dtype = _dtype(spec)
        if dtype.itemsize > _LONG_TEXT:
            raise CodecError("a scalar that is too long")
        array = np.frombuffer(bytes.fromhex(_hex(text, 2 * dtype.itemsize)), dtype)
        _check_array(array)
        return array.copy()[0]

    def tensor(self, payload: Any, depth: int) -> Any:
        import torch

        name, shape, index = _parts(payload, 3)
        if type(name) is not str or name not in _TORCH or not hasattr(torch, name):
            raise CodecError("a tensor of unknown dtype")
        dtype, data = getattr(torch, name), self.blob(index)
        _check_shape(shape, torch.empty(0, dtype=dtype).element_size(), len(data), 32)
        if not data:
            return torch.empty(shape, dtype=dtype)
        if dtype is torch.bool:
            _check_array(np.frombuffer(data, bool))
        # A bytearray: torch warns about memory that can't be written.
        return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(dtype).reshape(shape)

    def score(self, payload: Any, depth: int) -> Any:
        from mlmusic.score import NOTE_DTYPE, Score

        fields = {
            name: self.decode(part, depth)
            for name, part in zip(_SCORE_FIELDS, _parts(payload, len(_SCORE_FIELDS)), strict=True)
        }
        notes = fields["notes"]
        if type(notes) is not np.ndarray or notes.dtype != NOTE_DTYPE:
            raise CodecError("a Score whose notes aren't notes")
        if type(fields["meta"]) is not dict:
            raise CodecError("a Score whose meta isn't a dict")
        return Score(**fields)

    def kept(self, payload: Any, depth: int) -> Any:
        number, facts = _parts(payload, 2)
        if self.handle is None or type(number) is not int or not 0 <= number < 1 << 31:
            raise CodecError("a handle that isn't expected here")
        if type(facts) is not dict or len(facts) > 8:
            raise CodecError("a handle with odd facts")
        for key, fact in facts.items():
            if len(key) > 20 or not (type(fact) is bool or type(fact) is str and len(fact) <= 100):
                raise CodecError("a handle with odd facts")
            _checked_text(key + str(fact))
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


def _parts(payload: Any, count: int) -> list[Any]:
    if type(payload) is not list or len(payload) != count:
        raise CodecError(f"not a list of {count}")
    return payload


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


def _dtype(spec: Any, depth: int = 0) -> np.dtype:
    """Make a dtype from its description, nothing of which reaches NumPy unchecked."""
    if type(spec) is str:
        if len(spec) > 20 or not _DTYPE.fullmatch(spec):
            raise CodecError("an array of unknown dtype")
        dtype = np.dtype(spec)
    elif type(spec) is list and 0 < len(spec) <= 64 and depth <= 4:
        fields = []
        for name, kind, shape in (_parts(part, 3) for part in spec):
            if type(name) is not str or not 0 < len(name) <= 100:
                raise CodecError("a field without a name")
            _checked_text(name)
            base = _dtype(kind, depth + 1)
            _check_shape(shape, base.itemsize, None, 8)
            fields.append((name, base, tuple(shape)))
        dtype = np.dtype(fields)
    else:
        raise CodecError("an array of unknown dtype")
    if not 0 < dtype.itemsize <= MAX_BYTES:
        raise CodecError("an array with elements of impossible size")
    return dtype


def _check_shape(shape: Any, itemsize: int, size: int | None, most: int) -> None:
    """Check a shape, and that it takes just the bytes that there are (None: at most 64 MB)."""
    if type(shape) is not list or len(shape) > most:
        raise CodecError("a shape that isn't one")
    if not all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
        raise CodecError("a shape that isn't one")
    need = itemsize * math.prod(shape)
    if need > MAX_BYTES or (size is not None and need != size):
        raise CodecError("a shape that doesn't fit the data")


def _check_array(array: np.ndarray) -> None:
    """Check that the bytes are possible: a bool of 2 or half a character would confuse NumPy."""
    dtype = array.dtype
    if dtype.names is not None:
        for name in dtype.names:
            _check_array(array[name])
    elif dtype.kind == "b" and array.size:
        if np.ascontiguousarray(array).view(np.uint8).max() > 1:
            raise CodecError("a bool that is neither True nor False")
    elif dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).reshape(-1).view(f"{dtype.str[0]}u4")
        if (codes > sys.maxunicode).any() or ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
            raise CodecError("text with half a character (a lone surrogate)")
