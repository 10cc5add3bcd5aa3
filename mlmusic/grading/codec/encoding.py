"""Values into a header and blobs."""

from __future__ import annotations

import collections
import math
import struct
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from mlmusic.grading.codec import arrays
from mlmusic.grading.codec.values import (
    FACTORIES,
    LONG_TEXT,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_HEADER,
    MAX_ITEMS,
    SCORE_FIELDS,
    TOO_LONG,
    TORCH_DTYPES,
    Callback,
    CodecError,
    Handle,
    are_field_names,
    checked_text,
    decimal,
)

_LONG_LIST = 32  # items; longer lists of plain numbers go into a blob
_HUGE = 10**MAX_DIGITS
_SMALL, _MACHINE = frozenset({int, bool}), 2**63  # these are their own headers
_NOT_PLAIN = object()


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


class _Encoder:
    def __init__(self, keep: Callable[[Any], int | Handle | Callback] | None) -> None:
        self.keep = keep
        self.blobs: list[bytes] = []
        self.room = MAX_BYTES
        self.items = self.packed_items = 0

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
        if self.items > MAX_HEADER // 2:  # each takes two characters at least
            raise CodecError(f"too many values at once: {TOO_LONG}")
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
        if len(text) <= LONG_TEXT:
            if not text.isascii():
                checked_text(text)
            return text
        self.claim(len(text))
        self.room += len(text)
        return {"s": self.blob(checked_text(text))}

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
            if factory is not None and FACTORIES.get(name) is not factory:
                return {"d": items}
            return {"D": [name, items]}
        tags = {collections.Counter: "C", collections.OrderedDict: "O"}
        return {tags.get(base, "d"): items}

    def view(self, base: type, value: Any, depth: int) -> Any:
        items = [*base.__iter__(value)]
        if base is _ITEMS:
            items = [part for pair in items for part in pair]
        return {"v": [base.__name__.removeprefix("dict_"), self.sequence(items, depth)]}

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
        return {"X": text} if decimal(text) is not None else _NOT_PLAIN

    def sequence(self, items: Any, depth: int) -> Any:
        """Encode a list; a long one of plain numbers as one blob."""
        if len(items) > _LONG_LIST:
            kinds = set(map(type, items))
            packed = self.packed(kinds.pop(), items) if len(kinds) == 1 else None
            if packed is not None:
                return packed
        plain = depth <= MAX_DEPTH and _SMALL.issuperset(map(type, items))
        if plain and all(-_MACHINE <= item <= _MACHINE for item in items):
            self.items += len(items)
            return list(items)
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
            if array.dtype.type is not kind or not arrays.is_plain(dtype):
                return None
        else:
            return None
        self.packed_items += len(items)
        if self.packed_items > MAX_ITEMS:
            raise CodecError(f"too many values at once: more than {MAX_ITEMS:,}")
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
        if array.nbytes > LONG_TEXT:
            return {"a": [spec, [], self.blob(array.tobytes())]}
        return {"g": [spec, array.tobytes().hex()]}

    def plain_array(self, array: np.ndarray) -> tuple[Any, list[int], np.ndarray] | None:
        """Return dtype, shape and packed data; None for a dtype that can't cross."""
        if array.nbytes > self.room:  # of the whole shape: a stride of 0 makes it huge for nothing
            self.claim(array.nbytes)
        packed = arrays.packed_dtype(array.dtype)
        if packed is None or array.ndim > 32:
            return None
        if packed != array.dtype:
            array = array.astype(packed)
        arrays.check_array(array)
        return arrays.spec_of(packed), list(array.shape), array

    def tensor(self, base: type, value: Any, depth: int) -> Any:
        import torch

        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            try:
                # A sparse one has no storage, a quantised one no bytes of its own.
                if torch._C.TensorBase.layout.__get__(value) is not torch.strided:
                    return _NOT_PLAIN
                tensor = torch.Tensor.as_subclass(value, torch.Tensor).detach()
                name = str(tensor.dtype).removeprefix("torch.")
                size = tensor.numel() * tensor.element_size()
                if name not in TORCH_DTYPES or tensor.is_meta or tensor.is_quantized:
                    return _NOT_PLAIN
            except (NotImplementedError, RuntimeError):  # some wrapper that only looks like one
                return _NOT_PLAIN
            if size > self.room:
                self.claim(size)
            tensor = tensor.cpu().resolve_conj().resolve_neg().contiguous()
            data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
            return {"T": [name, list(tensor.shape), self.blob(data)]}

    def score(self, base: type, value: Any, depth: int) -> Any:
        fields = object.__getattribute__(value, "__dict__")
        parts = [fields[name] for name in SCORE_FIELDS]
        try:
            # Its fields can be changed after they were checked; and a subclass may do anything.
            checked = base(**dict(zip(SCORE_FIELDS, parts, strict=True)))
        except Exception as error:
            raise CodecError(f"not a valid Score: {str(error)[:200]}") from None
        return {"M": [self.encode(getattr(checked, name), depth) for name in SCORE_FIELDS]}


_KEYS, _VALUES, _ITEMS = type({}.keys()), type({}.values()), type({}.items())

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
    (_KEYS, _Encoder.view),
    (_VALUES, _Encoder.view),
    (_ITEMS, _Encoder.view),
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
    return list(names) if are_field_names(kind.__name__, names) else None
