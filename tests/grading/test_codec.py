"""Values cross exactly, flattened to builtin types; hostile bytes raise CodecError and no more."""

import collections
import enum
import io
import json
import math
import random
import struct
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from mlmusic import Score
from mlmusic.grading import codec
from mlmusic.grading.codec import Callback, CodecError, Handle, decode, encode
from mlmusic.grading.codec.values import MAX_BYTES, MAX_HEADER


def crossed(value, keep=None, **decoding):
    """Send a value through encode, pack, read_message and decode."""
    stream = io.BytesIO(codec.pack(*encode(value, keep)))
    result = decode(*codec.read_message(stream.read), **decoding)
    assert stream.read() == b""
    return result


def same(a, b):
    """Compare values of all kinds exactly, types included."""
    if type(a) is not type(b):
        return False
    if type(a) is float:
        return struct.pack("d", a) == struct.pack("d", b)
    if type(a) is complex:
        return same([a.real, a.imag], [b.real, b.imag])
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool(_bits(a).equal(_bits(b)))
    if isinstance(a, (list, tuple, collections.deque)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return a == b


def _bits(tensor):
    return tensor.reshape(-1).contiguous().view(torch.uint8)


NAN = struct.unpack("<d", bytes.fromhex("efbeadde0000f8ff"))[0]  # negative, with a payload

PLAIN = [
    None, True, False, 0, -1, 2**63, -(10**3999), 1.5, -0.0, 5e-324, math.inf, -math.inf, NAN,
    1j, complex(NAN, -0.0), "", "Lüneburg ♭ 𝄞", "\0", "x" * 5000, b"", b"\xff\0", ...,
    [], [1, [2, [3]]], (), (1, (2.5, "a")), {}, {1: "a", "b": [None], (1, 2): {}}, set(),
    {1, "a", 2.5}, frozenset({(1, 2)}), range(3, 9, 2), range(0), slice(None, 3), slice(1, 2, 3),
    collections.Counter("abracadabra"), collections.OrderedDict([("b", 1), ("a", 2)]),
    collections.deque([1, 2], maxlen=5), collections.deque(), Fraction(-7, 12), Decimal("-1.50"),
    Decimal("Infinity"), list(range(1000)), [0.1] * 100 + [NAN], tuple(range(100)),
    [2**70] * 50, [True] * 50, [1, 2.0] * 50, [(i, str(i)) for i in range(50)],
    [np.float32(i) for i in range(50)], np.True_, np.int8(-3), np.float64(NAN), np.complex64(1j),
    np.str_("naïve"), np.bytes_(b"ab"), np.datetime64("2024-02-29T12", "h"), np.timedelta64(5, "D"),
]  # fmt: skip

ARRAYS = [
    np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(3.5),
    np.zeros((0, 3)), np.zeros((2, 0), "i2"), np.arange(10)[::-2], np.eye(3, dtype=bool),
    np.array(["a", "bücher"]), np.array([b"x", b"yz"]), np.arange(3, dtype=">i4"),
    np.float16([1, np.nan]), np.array([1 + 2j], "c8"), np.array(["2024-01-01", "NaT"], "M8[D]"),
    np.broadcast_to(np.float32(1), (3, 4)), Score([(0, 1, 60), (1, 0.5, 62)]).notes,
    np.zeros(2, [("a", "f4", (2, 3)), ("b", [("c", "U3"), ("d", "?")])]),
]  # fmt: skip

TENSORS = [
    torch.arange(6).reshape(2, 3), torch.arange(6).reshape(2, 3).T, torch.tensor(2.5),
    torch.zeros(0, 4), torch.tensor([True, False]), torch.ones(1).expand(3, 4),
    *[torch.tensor([0, 1, 3]).to(getattr(torch, name)) for name in
      "bfloat16 float16 float64 uint8 int16 complex64 uint16 float8_e5m2".split()],
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN + ARRAYS + TENSORS, ids=lambda v: repr(v)[:30])
def test_values_cross_exactly(value):
    assert same(crossed(value), value)
    assert same(crossed({"a": [value]}), {"a": [value]})


def test_default_dicts_keep_a_builtin_factory_and_lose_any_other():
    found = crossed(collections.defaultdict(list, {1: [2]}))
    assert type(found) is collections.defaultdict and found == {1: [2]}
    assert found["new"] == []
    own = crossed(collections.defaultdict(lambda: 1, {1: 2}))
    assert type(own) is dict and own == {1: 2}


def test_views_of_dicts_cross():
    notes = {"a": 1, "b": 2}
    for view in (notes.keys(), notes.values(), notes.items()):
        found = crossed(view)
        assert type(found) is type(view) and list(found) == list(view)


def test_named_tuples_keep_their_fields():
    Note = collections.namedtuple("Note", "onset pitch")
    found = crossed([Note(0.5, 60)])[0]
    assert found == (0.5, 60) and found.pitch == 60 and type(found).__name__ == "Note"


def test_scores_cross_through_the_checked_constructor():
    score = Score([(0, 1, 60), (1, 2, 64)], title="A", tempo=[(0, 90)], meta={"tags": [1, "x"]})
    found = crossed(score)
    assert type(found) is Score and found == score and found.meta == score.meta
    score.title = 5
    with pytest.raises(CodecError, match="not a valid Score: title must be text, not 5"):
        encode(score)
    header, _ = encode(Score([(0, 1, 60)]))
    with pytest.raises(CodecError, match="pitch 9999 is outside MIDI's 0–127"):
        notes = Score([(0, 1, 60)]).notes.copy()
        notes["pitch"] = 9999
        decode({"M": [encode(notes)[0], *header["M"][1:]]}, [notes.tobytes()])
    with pytest.raises(CodecError, match="notes aren't notes"):
        decode({"M": [encode(np.zeros(1))[0], *header["M"][1:]]}, [bytes(8)])


class Liar:
    """Says that it is something else, and equal to everything."""

    __class__ = property(lambda self: int)

    def __eq__(self, other):
        return True

    def __int__(self):
        return 42

    __hash__ = None


def _override(base, *names):
    def wrong(self, *args, **kwargs):
        raise AssertionError(f"{base.__name__} subclass was called")

    return type(f"My{base.__name__.title()}", (base,), dict.fromkeys(names, wrong))


def test_subclasses_are_flattened_without_calling_them():
    every = ("__eq__", "__iter__", "__len__", "__repr__", "__str__", "__reduce__", "__hash__")
    MyInt = _override(int, *every, "__int__", "__index__")
    MyFloat = _override(float, *every, "__float__")
    MyStr = _override(str, *every, "encode", "isascii")
    MyBytes = _override(bytes, *every, "__getitem__")
    MyList = _override(list, *every, "__getitem__")
    MyTuple = _override(tuple, *every)
    MyDict = _override(dict, *every, "items", "keys", "values")
    MyArray = _override(np.ndarray, *every, "tobytes", "view", "astype", "__array__")
    array = np.arange(3).view(MyArray)
    values = [MyInt(5), MyFloat(2.5), MyStr("a"), MyBytes(b"b"), MyList([1]), MyTuple((1,))]
    values += [MyDict(a=1), array, enum.IntEnum("E", "A")(1), bytearray(b"c")]
    expected = [5, 2.5, "a", b"b", [1], (1,), {"a": 1}, np.arange(3), 1, b"c"]
    for value, plain in zip(values, expected, strict=True):
        assert same(crossed([value])[0], plain)


def test_a_tensor_subclass_is_flattened_without_calling_it():
    class Mine(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *args, **kwargs):
            raise AssertionError("the subclass was called")

    tensor = torch.ones(2).as_subclass(Mine)
    assert same(crossed(tensor), torch.ones(2))
    parameter = torch.nn.Parameter(torch.ones(2))
    assert same(crossed(parameter), torch.ones(2)) and not crossed(parameter).requires_grad
    lazy = (torch.ones(2, dtype=torch.complex64) * 1j).conj()
    assert lazy.is_conj() and crossed(lazy).tolist() == [-1j, -1j]
    assert lazy.imag.is_neg() and crossed(lazy.imag).tolist() == [-1.0, -1.0]


def test_what_isnt_plain_needs_a_handle():
    sparse = torch.eye(2).to_sparse()
    meta = torch.ones(2, device="meta")
    objects = [Liar(), object(), len, int, np.array([None]), np.zeros(1, "V4"), sparse, meta]
    for value in objects:
        with pytest.raises(TypeError, match="isn't plain data"):
            encode(value)
        kept = []
        header, blobs = encode({"x": (value,)}, lambda v, kept=kept: kept.append(v) or 7)
        assert kept[0] is value and blobs == []
        assert decode(header, blobs, Handle) == {"x": (Handle(7),)}


def test_handles_and_callbacks_go_both_ways():
    value = [Handle(3, {"type": "Model", "callable": True}), Callback(9)]
    found = crossed(value, handle=Handle, callback=lambda number: ("called", number))
    assert found == [Handle(3), ("called", 9)]
    assert found[0].facts == {"type": "Model", "callable": True}
    for header in ({"h": [1, {}]}, {"callback": 1}):
        with pytest.raises(CodecError, match="isn't expected here"):
            decode(header, [])


def test_arrays_lose_what_could_carry_surprises():
    padded = np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True))
    assert crossed(padded).dtype == np.dtype([("a", "i1"), ("b", "f8")])
    titled = np.zeros(1, np.dtype({"names": ["a"], "formats": ["i4"], "titles": ["T"]}))
    assert crossed(titled).dtype == np.dtype([("a", "i4")])
    overlapping = np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]})
    assert crossed(np.ones(1, overlapping)).tolist() == np.ones(1, overlapping).tolist()
    noted = np.zeros(1, np.dtype("f8", metadata={"secret": 1}))
    assert crossed(noted).dtype.metadata is None
    assert crossed(np.longdouble([1.5])).dtype == np.float64  # differs from machine to machine
    found = crossed(np.arange(3))
    found[0] = 7  # it's ours, and can be written
    assert found.flags.owndata or found.base.flags.owndata


def test_what_is_too_big_or_too_deep_is_refused():
    def nested(levels):
        value = []
        for _ in range(levels):
            value = [value]
        return value

    assert crossed(nested(31)) == nested(31)
    cyclic = []
    cyclic += [cyclic, cyclic]
    wide = []
    for _ in range(30):
        wide = [wide, wide]
    for value, message in [
        (nested(40), "nested more than 32 levels deep"),
        (cyclic, "or contains itself"),
        (wide, "too many values at once: they take more than 1 MB"),
        (10**4000, "more than 4,000 digits"),
        (np.broadcast_to(np.float64(1), (1 << 40,)), "more than 64 MB"),
        (torch.ones(1).expand(1 << 40), "more than 64 MB"),
        ([bytes(40 << 20)] * 2, "more than 64 MB"),
        (range(10**15), "a range of more than"),
        ("\ud834", "half a character"),
        (np.array(["\ud834"]), "half a character"),
        (np.array([2], "u1").view(bool), "neither True nor False"),
    ]:
        with pytest.raises(CodecError, match=message):
            encode(value)
    with pytest.raises(CodecError, match="as text"):
        codec.pack(*encode(["a" * 900] * 2000))
    assert crossed([0.5] * 500_000) == [0.5] * 500_000  # 20 seconds of sound as a list


HOSTILE_VALUES = [
    ({}, []), ({"d": [], "t": []}, []), ({"zz": 0}, []), ({"x" * 10_000: 0}, []),
    ({"a": ["O", [1], 0]}, [bytes(8)]), ({"a": ["|V8", [1], 0]}, [bytes(8)]),
    ({"a": ["<f8,<f8", [1], 0]}, [bytes(16)]), ({"a": ["f8", [1], 0]}, [bytes(8)]),
    ({"a": ["<f16", [1], 0]}, [bytes(16)]), ({"a": ["<f8", [-1], 0]}, [b""]),
    ({"a": ["<f8", [True], 0]}, [bytes(8)]), ({"a": ["<f8", [1.0], 0]}, [bytes(8)]),
    ({"a": ["<f8", [2], 0]}, [bytes(8)]), ({"a": ["<f8", [1 << 62, 0], 0]}, [b""]),
    ({"a": ["<f8", [1] * 100, 0]}, [bytes(8)]), ({"a": ["<f8", [1 << 30] * 40, 0]}, [b""]),
    ({"a": ["<f8", [0] + [(1 << 31) - 1] * 8, 0]}, [b""]), ({"a": ["|S0", [5], 0]}, [b""]),
    ({"a": ["<U999999999", [0], 0]}, [b""]), ({"a": ["<M8[99999999s]", [1], 0]}, [bytes(8)]),
    ({"a": ["|b1", [1], 0]}, [b"\x02"]), ({"a": ["<U1", [1], 0]}, [b"\0\xd8\0\0"]),
    ({"a": ["<U1", [1], 0]}, [b"\xff\xff\xff\xff"]),
    ({"a": [[["", "<f8", []]], [1], 0]}, [bytes(8)]),
    ({"a": [[["a", "<f8", []], ["a", "<f8", []]], [1], 0]}, [bytes(16)]),
    ({"a": [[["a", "<f8", [1 << 30]]], [0], 0]}, [b""]), ({"a": [[], [1], 0]}, [b""]),
    ({"a": [[["a", [["b", [["c", [["d", [["e", [["f", "<i4", []]], []]], []]], []]], []]], []]],
            [1], 0]}, [bytes(4)]),
    ({"a": [[["a", "|b1", []], ["b", "|b1", [2]]], [1], 0]}, [b"\1\1\3"]),
    ({"a": ["<f8", [1], 1]}, [bytes(8)]), ({"a": ["<f8", [1], -1]}, [bytes(8)]),
    ({"a": ["<f8", [1], True]}, [bytes(8), bytes(8)]), ({"a": ["<f8", [1], None]}, [bytes(8)]),
    ([{"b": 0}, {"b": 0}], [b"x"]), ({"s": 0}, [b"\xff"]), ({"s": 0}, [b"\xed\xa0\x80"]),
    ("\ud800", []), ({"f": "zz"}, []), ({"f": 1.0}, []), ({"c": [1, 2]}, []), ({"c": [1.0]}, []),
    ({"t": 1}, []), ({"t": {"d": []}}, []), ({"d": [1]}, []), ({"d": [[], 1]}, []),
    ({"S": [[]]}, []),
    ({"D": ["eval", []]}, []), ({"D": [["int"], []]}, []), ({"D": ["__import__", []]}, []),
    ({"q": [-1, []]}, []), ({"q": [1 << 64, []]}, []), ({"q": [True, []]}, []),
    ({"r": [0, 10**30, 1]}, []), ({"r": [0, 1, 0]}, []), ({"r": [0.0, 1, 1]}, []),
    ({"Q": [1, 0]}, []), ({"Q": [True, 1]}, []), ({"X": "1e999999999"}, []), ({"X": "sNaN"}, []),
    ({"X": "1" * 5000}, []), ({"X": 1}, []), ({"P": ["O", 0]}, [bytes(8)]),
    ({"P": ["<U1", 0]}, [bytes(4)]), ({"P": ["f", 0]}, [bytes(7)]), ({"P": [[], 0]}, [bytes(8)]),
    ({"P": ["|b1", 0]}, [b"\2"]), ({"g": ["<f8", "00"]}, []), ({"g": ["|O", "0" * 16]}, []),
    ({"g": ["<U9999", "0"]}, []), ({"g": ["|b1", "02"]}, []), ({"g": ["<f8", "+0" * 8]}, []),
    ({"T": ["qint8", [1], 0]}, [b"x"]), ({"T": ["__class__", [1], 0]}, [b"x"]),
    ({"T": ["float32", [1], 0]}, [b"xyz"]), ({"T": ["bool", [1], 0]}, [b"\7"]),
    ({"T": ["float32", [0] + [(1 << 31) - 1] * 20, 0]}, [b""]),
    ({"T": [["float32"], [1], 0]}, [b"x"]),
    ({"M": []}, []), ({"M": [1] * 8}, []), ({"M": [None] * 8}, []),
    ({"n": ["P", ["a", "a"], [1, 2]]}, []), ({"n": ["P", ["_a"], [1]]}, []),
    ({"n": ["P", ["def"], [1]]}, []), ({"n": ["P\n1", ["a"], [1]]}, []), ({"n": ["P", [], []]}, []),
    ({"n": ["P", ["a"], [1, 2]]}, []), ({"n": ["P", [1], [1]]}, []),
    ([{"n": [f"P{i}", ["a"], [1]]} for i in range(40)], []),
    ({"h": [-1, {}]}, []), ({"h": [0, {"a": []}]}, []), ({"h": [0, {"a": "x" * 999}]}, []),
    ({"h": [True, {}]}, []), ({"h": [0, {"a": "\ud800"}]}, []), ({"h": 0}, []),
    ({"v": ["keys", [[]]]}, []), ({"v": ["items", [1]]}, []), ({"v": 3}, []),
    ({"S": {"P": ["i", 0]}}, [struct.pack("<2000q", *[0] * 2000)]),
    ({"S": [i * ((1 << 61) - 1) for i in range(2000)]}, []),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE_VALUES)))
def test_no_hostile_value_is_decoded(number):
    header, blobs = HOSTILE_VALUES[number]
    with pytest.raises(CodecError):
        decode(header, blobs, Handle)
    with pytest.raises(CodecError):
        decode([0, {"t": [header]}], blobs, Handle)


def test_deep_headers_are_refused_before_they_overflow():
    for levels in (40, 100_000):
        text = b"[" * levels + b"]" * levels
        with pytest.raises(CodecError, match="deep"):
            decode(*codec.read_message(io.BytesIO(message(b"[" + text + b",[]]")).read))


def message(text, *blobs):
    return struct.pack("<I", len(text)) + text + b"".join(blobs)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (struct.pack("<I", MAX_HEADER + 1), "a header of 1,048,577 bytes"),
        (struct.pack("<I", (1 << 32) - 1), "a header of"),
        (message(b"nope"), "isn't JSON"),
        (message("[1,[]]".encode("utf-16")), "isn't JSON"),
        (message(b'["\xff",[]]'), "isn't JSON"),
        (message(b"[NaN,[]]"), "NaN isn't JSON"),
        (message(b"[-Infinity,[]]"), "isn't JSON"),
        (message(b"[" + b"1" * 5000 + b",[]]"), "more than 4,000 digits"),
        (message(b"1"), "isn't a pair"),
        (message(b"[1]"), "isn't a pair"),
        (message(b'{"a":1}'), "isn't a pair"),
        (message(b"[1,2]"), "isn't a pair"),
        (message(b"[1,[-1]]"), "isn't a number of bytes"),
        (message(b"[1,[1.0]]"), "isn't a number of bytes"),
        (message(b"[1,[true]]"), "isn't a number of bytes"),
        (message(b'[1,["1"]]'), "isn't a number of bytes"),
        (message(b"[1,[99999999999999]]"), "isn't a number of bytes"),
        (message(b"[1,[40000000,40000000]]"), "more than 64 MB"),
    ],
)
def test_no_hostile_message_is_read(data, match):
    stream = io.BytesIO(data)
    with pytest.raises(CodecError, match=match):
        codec.read_message(stream.read)


def test_nothing_is_allocated_for_what_is_only_announced():
    announced = []

    def read(size):
        announced.append(size)
        if len(announced) > 2:
            raise EOFError
        return (struct.pack("<I", 20), b"[1,[67108864]]      ")[len(announced) - 1]

    with pytest.raises(EOFError):
        codec.read_message(read)
    assert announced == [4, 20, MAX_BYTES]


def _mutated(rng, data):
    """Change a message in one of many ways: bits, pieces, numbers, strings, lengths."""
    data = bytearray(data)
    way = rng.randrange(7)
    if way == 0:
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif way == 1:
        del data[rng.randrange(len(data)) :]
    elif way == 2:
        at = rng.randrange(len(data))
        data[at:at] = data[: rng.randrange(20)]
    else:
        (length,) = struct.unpack_from("<I", data)
        parts = json.loads(data[4 : 4 + length])
        spots = []

        def walk(node):
            for key in node if isinstance(node, dict) else range(len(node)):
                spots.append((node, key))
                if isinstance(node[key], (list, dict)):
                    walk(node[key])

        walk(parts)
        node, key = rng.choice(spots)
        if way == 3 and isinstance(node, dict):
            node[rng.choice("fcbstdSFCODqnrlevQXPagTMh")] = node.pop(key)
        elif way == 4:
            other, where = rng.choice(spots)
            if len(json.dumps(other[where])) < 10_000:
                node[key] = json.loads(json.dumps(other[where]))
        else:
            node[key] = rng.choice(
                [None, True, -1, 0, 1, 1 << 40, 1e308, "", "<f8", "|O", "bool", [], [0], {},
                 "\ud800", {"b": 0}, {"h": [0, {}]}, [[]] * 3, {"P": ["i", 0]}, "int", 10**3000]
            )  # fmt: skip
        text = json.dumps(parts).encode()
        data[: 4 + length] = struct.pack("<I", len(text)) + text
    return bytes(data)


def test_fuzzed_replies_decode_or_raise_codec_error():
    rng = random.Random(20240229)
    seeds = [codec.pack(*encode([7, "value", v])) for v in [*PLAIN, *ARRAYS, *TENSORS]]
    seeds.append(codec.pack(*encode(Score([(0, 1, 60)], title="x", lyrics={0: [(0, "la")]}))))
    seeds.append(codec.pack(*encode([Handle(1, {"type": "A"}), {"a": (1, {2})}])))
    seeds = [seed for seed in seeds if len(seed) < 20_000]
    refused = 0

    def read(stream, size):
        data = stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    for _ in range(6000):
        stream = io.BytesIO(_mutated(rng, rng.choice(seeds)))
        try:
            value = decode(*codec.read_message(lambda n, s=stream: read(s, n)), Handle)
        except (CodecError, EOFError):
            refused += 1
            continue
        codec.pack(*encode(value))  # what was accepted is a value like any other
    assert 2000 < refused < 5900
