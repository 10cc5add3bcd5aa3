"""Mutated replies: whatever a student's process answers, it's a value or a clear refusal."""

import json
import os
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import pytest
import torch

from mlmusic import Score
from mlmusic.grading import codec
from mlmusic.grading.codec import CodecError, Handle
from mlmusic.grading.sandbox import Sandbox, StudentDied, StudentError, StudentTimeout

from . import mutating
from .attacks_on_replies import FIND
from .conftest import KINDS, works

MESSAGES = 5_000
# All 5,000 through a student's process take some minutes: MLMUSIC_FUZZ=5000.
END_TO_END = int(os.environ.get("MLMUSIC_FUZZ", "400"))

VALUES = [
    None,
    [True, -7, 10**30, 2.5, float("nan"), 1j, "é" * 2000, b"\x00" * 40],
    {"a": (1, 2.0), 3: [None, {"b": {4, 5}}], (6, 7): frozenset([8])},
    [range(3), slice(1, None), ..., Counter("abca"), deque([1], 4), Fraction(1, 3), Decimal("2.5")],
    [OrderedDict(a=1), defaultdict(list, {1: [2]})],
    list(range(100)),
    [np.arange(6.0).reshape(2, 3), np.float32(4), np.array(["do", "re"]), np.zeros((0, 3), bool)],
    np.zeros(3, dtype=[("onset", "<f8"), ("pitch", "<i2")]),
    np.array(["2024-01-01"], "M8[D]"),
    [torch.arange(6).reshape(2, 3), torch.zeros(2, dtype=torch.bfloat16), torch.tensor(True)],
    Score([(0, 1, 60), (1, 1, 62)], title="two notes"),
    [object(), print],
]


def keep(value):
    return Handle(7, {"type": "object", "callable": callable(value)})


def packed(value, number=1):
    header, blobs = codec.encode(value, keep)
    return codec.pack([number, "value", header], blobs)


def mutated_message(data: bytes, random: Random) -> bytes:
    """Change a message's bytes, or its header with lengths that fit again."""
    if random.random() < 0.5:
        return mutating.of_bytes(data, random)
    (length,) = struct.unpack_from("<I", data)
    header = mutating.of_structure(json.loads(data[4 : 4 + length]), random)
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + data[4 + length :]


class Ended(Exception):
    """The bytes have come to an end: then the real reader waits, and gives up in time."""


def receive(data: bytes):
    rest = memoryview(data)

    def read(size):
        nonlocal rest
        if size > len(rest):
            raise Ended
        piece, rest = bytes(rest[:size]), rest[size:]
        return piece

    parts, blobs = codec.read_message(read)
    if type(parts) is not list or len(parts) != 3:
        raise CodecError("not an answer")
    return codec.decode(parts[2], blobs, Handle, lambda number: number)


def is_plain(value, depth=0):
    """Whether a value consists of nothing but the classes that may cross."""
    assert depth < 80
    kind = type(value)
    if isinstance(value, np.ndarray):
        return kind is np.ndarray and not value.dtype.hasobject
    if kind is tuple or (isinstance(value, tuple) and hasattr(kind, "_fields")):
        return all(is_plain(item, depth + 1) for item in value)
    if kind in (list, set, frozenset, deque):
        return all(is_plain(item, depth + 1) for item in value)
    if kind in (dict, Counter, OrderedDict, defaultdict):
        return all(is_plain(item, depth + 1) for pair in value.items() for item in pair)
    if isinstance(value, np.generic):
        return not value.dtype.hasobject
    plain = (type(None), bool, int, float, complex, str, bytes, range, slice, type(...), Handle)
    views = (type({}.keys()), type({}.values()), type({}.items()))
    return kind in (*plain, *views, Fraction, Decimal, torch.Tensor, Score)


def test_unmutated_messages_are_understood():
    for value in VALUES:
        assert is_plain(receive(packed(value)))


def test_mutated_messages_are_values_or_refused():
    messages = [packed(value) for value in VALUES]
    outcomes = Counter()
    for number in range(MESSAGES):
        random = Random(number)
        data = mutated_message(random.choice(messages), random)
        try:
            value = receive(data)
        except (CodecError, Ended) as error:
            outcomes[type(error).__name__] += 1
            continue
        assert is_plain(value), f"mutation {number}: {type(value)}"
        outcomes["value"] += 1
    assert min(outcomes.values()) > MESSAGES // 20, outcomes
    assert len(outcomes) == 3


# Runs in the student's process; the trusted side's own module isn't to be had there.
MUTATOR = (
    FIND
    + """
import base64
source = {name: base64.b64decode(text) for name, text in @SOURCES@.items()}
import types
mutating = types.ModuleType("mutating")
exec(source["mutating"], mutating.__dict__)
_sendall = me._connection.sendall
_pack = me._pack
count = [0]

def values():
    return [[1, 2.5, "x", None], {"a": (1, b"y")}, np.arange(6.0), torch.ones(2, 3), print, [object()] * 3]

def wanted(seed):
    return values()[seed % 6]

class Connection:
    def __init__(self, real):
        self._real = real
    def __getattr__(self, name):
        return getattr(self._real, name)
    def sendall(self, data):
        random = mutating.Random(mutate_seed[0])
        if random.random() < 0.5:
            data = mutating.of_bytes(data, random)
        else:
            length = int.from_bytes(data[:4], "little")
            header = mutating.of_structure(json.loads(data[4 : 4 + length]), random)
            text = json.dumps(header).encode()
            data = len(text).to_bytes(4, "little") + text + data[4 + length :]
        self._real.sendall(data)

mutate_seed = [0]

def go(seed):
    mutate_seed[0] = seed
    me._connection = Connection(me._connection) if type(me._connection) is not Connection else me._connection
    return wanted(seed)
"""
)


@pytest.fixture(scope="module")
def sandbox():
    kind = next((kind for kind in KINDS if works(kind) is None), None)
    if kind is None:
        pytest.skip("no sandbox works here")
    with Sandbox(kind, modules=["torch"], cells=["import numpy as np, torch"]) as made:
        yield made


def test_mutated_replies_are_values_or_refused(sandbox):
    import base64
    from pathlib import Path

    text = base64.b64encode(Path(mutating.__file__).read_bytes()).decode()
    source = MUTATOR.replace("@SOURCES@", repr({"mutating": text}))
    outcomes = Counter()
    running = False
    for seed in range(END_TO_END):
        if not running:
            sandbox.start()
            reply = sandbox.request("exec", seconds=10, source=source)
            assert reply["error"] is None
            running = True
        try:
            value = sandbox.request("call", seconds=0.5, target="go", args=[seed])
        except (StudentDied, StudentTimeout) as error:
            outcomes[type(error).__name__] += 1
            running = False
            continue
        except StudentError as error:
            assert len(str(error)) < 1000
            outcomes["StudentError"] += 1
        else:
            assert is_plain(value), f"seed {seed}: {type(value)}"
            outcomes["value"] += 1
        # What is left of a longer answer must not be taken for the next one.
        sandbox.stop()
        running = False
    assert outcomes["value"] and outcomes["StudentDied"], outcomes
    sandbox.start()
    sandbox.request("exec", seconds=10, source="x = [1, 2]")
    assert sandbox.request("get", seconds=5, name="x") == [1, 2]
