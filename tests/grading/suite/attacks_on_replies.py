"""Attacks on what crosses from the sandbox: odd values, and forged bytes on the connection."""

from __future__ import annotations

from . import assignment
from .attacking import Attacks

ATTACKS = Attacks()
add, giving = ATTACKS.add, ATTACKS.giving

# --- values that are hard on whoever receives them ------------------------------------------------

DEEP = """
    deep = []
    for _ in range(100_000):
        deep = [deep]
"""
giving("deep lists", "deep", DEEP)
giving("deep dicts", "deep", DEEP.replace("[deep]", "{'a': deep}"))
giving("deep tuples as keys", "{deep: 1}", DEEP.replace("[]", "()").replace("[deep]", "(deep,)"))
giving("a list that contains itself", "loop", "loop = []\nloop.append(loop)")
giving(
    "a shared list that unfolds",
    "wide",
    "wide = [1.0]\nfor _ in range(30):\n    wide = [wide] * 8",
    only=("transpose",),
)
giving("many values", "list(range(5_000_000))", only=("transpose",))
giving("many objects", "[object() for _ in range(300_000)]", only=("transpose",))
giving("a huge number", "10 ** 3999")
giving("a number without an end", "1 << 40_000_000")
giving("a huge fraction", "Fraction(10**3999, 7)", "from fractions import Fraction")
giving("a huge decimal", "Decimal('1E+999999')", "from decimal import Decimal")
giving("a huge text", "'x' * 100_000_000", only=("transpose",))
giving("text with half a character", "'\\ud800' * 20")
giving("an array larger than memory", "np.broadcast_to(np.float64(440), (10**12,))")
giving("a tensor larger than memory", "torch.zeros(1).expand(10**12)")
giving("an array of nothing, very long", "np.empty((10**9, 0))", only=("transpose",))
giving("an array with 60 axes", "np.zeros((1,) * 60)")
giving("a long double", "np.longdouble(440)")
giving("half precision", "np.float16(440)")
giving("a void", "np.void(b'x' * 1000)")
giving(
    "nested structures",
    "np.zeros(2, dtype=deep)",
    """
    deep = np.dtype(float)
    for _ in range(100):
        deep = np.dtype([("a", deep)])
    """,
)
giving("object fields", "np.zeros(2, dtype=[('a', object)])")
giving("dtype with metadata", "np.zeros(2, dtype=np.dtype(float, metadata={'a': print}))")
giving("a record array", "np.rec.array([(1, 2.0)])")
giving("a file in memory", "np.memmap('x.bin', dtype=float, mode='w+', shape=(3,))")
giving("a sparse tensor", "torch.eye(3).to_sparse()")
giving("a quantized tensor", "torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.quint8)")
giving("a meta tensor", "torch.zeros(3, device='meta')")
giving(
    "a tensor with a graph and hooks",
    "tensor()",
    """
    def tensor():
        made = torch.zeros(3, requires_grad=True)
        made.register_hook(lambda grad: 1 / 0)
        return made * 2
    """,
)
giving(
    "keys that all collide",
    "{i * (2**61 - 1): 0 for i in range(20_000)}",
    only=("transpose",),
)
giving("keys that can't be hashed", "{frozenset(): []}")
giving(
    "names that hide methods",
    "T(*range(6))",
    """
    from collections import namedtuple
    T = namedtuple("tuple", "count index shape all any dtype")
    """,
)
giving("a class, a module, a generator", "[type, np, (x for x in [1]), print, lambda: 1]")
giving("an open file and a socket", "[open('x', 'w'), __import__('socket').socketpair()]")
giving("a frame and a traceback", "[__import__('sys')._getframe(), __import__('threading').Lock()]")
giving(
    "pickles",
    "__import__('pickle').dumps(Boom())",
    """
    class Boom:
        def __reduce__(self):
            return (eval, ("open('@CANARY@/unpickled', 'w')",))
    """,
)
giving(
    "an object that can't be collected",
    "Undead()",
    """
    class Undead:
        alive = []
        def __del__(self):
            self.alive.append(self)
            raise SystemExit
    """,
)
giving(
    "an object whose attributes hang",
    "Slow()",
    """
    import time

    class Slow:
        def __getattribute__(self, name):
            time.sleep(10**6)
    """,
    only=("transpose", "Motif"),
)
giving(
    "an object whose length hangs",
    "Slow()",
    """
    import time

    class Slow:
        __len__ = __iter__ = __getitem__ = __str__ = __repr__ = lambda self, *_: time.sleep(10**6)
        pitches = shape = property(lambda self: time.sleep(10**6))
    """,
    only=("transpose", "Motif"),
)
giving(
    "an object with odd attributes",
    "Odd()",
    """
    class Odd:
        __len__ = lambda self: -1
        __iter__ = lambda self: 5
        __next__ = lambda self: self
        __await__ = lambda self: iter([1])
        __dir__ = lambda self: [1, None, self]
        shape = pitches = property(lambda self: Odd())
        __str__ = __repr__ = lambda self: 3
        __class__ = property(lambda self: 1 / 0)
        __dict__ = property(lambda self: 1 / 0)
    """,
)
giving(
    "lengths beyond all measure",
    "Long()",
    """
    class Long:
        __len__ = lambda self: 2**62
        __getitem__ = lambda self, index: 60
        __iter__ = lambda self: iter(int, 1)
    """,
)
giving(
    "objects all the way down",
    "Down()",
    """
    class Down:
        def __getattr__(self, name):
            return Down()
        __iter__ = lambda self: iter([Down() for _ in range(50)])
        __call__ = __getitem__ = lambda self, *args, **kwargs: Down()
    """,
    only=("transpose", "Motif"),
)
add(
    "names that hang when they are looked up",
    """
    import time

    class Names(dict):
        def __missing__(self, name):
            time.sleep(10**6)
        def __getitem__(self, name):
            time.sleep(10**6)

    get_ipython().user_ns = Names()
    globals().clear()
    """,
)

# --- forged messages ----------------------------------------------------------------------------------

# Finds the object that answers, and the connection; without them, any socket will do.
FIND = """
import gc, json, os, random, socket, struct, sys, threading, time

me = next((o for o in gc.get_objects() if type(o).__name__ == "Student"
           and type(o).__module__.startswith("mlmusic.grading")), None)

def sockets():
    found = []
    for number in range(256):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith(("socket:", "pipe:")):
                found.append(number)
        except OSError:
            try:
                os.fstat(number)
                found.append(number)
            except OSError:
                pass
    return found

def message(parts, blobs=(), lengths=None):
    lengths = [len(blob) for blob in blobs] if lengths is None else lengths
    text = parts if isinstance(parts, bytes) else json.dumps([parts, lengths]).encode()
    return struct.pack("<I", len(text)) + text + b"".join(blobs)

def say(data):
    for number in sockets():
        try:
            os.write(number, data)
        except OSError:
            pass
"""


def forging(name: str, header: str, blobs: str = "[]", lengths: str = "None") -> None:
    """Add an attack in which every answer of a call has the same header."""
    add(
        f"forge: {name}",
        FIND
        + f"""
def forged(kind, value):
    return message([me._request, "value", {header}], {blobs}, {lengths})

me._pack = forged
""",
    )


for _name, _header in {
    "True": "True",
    "a float": "{'f': '407b800000000000'}",
    "an unknown tag": "{'pickle': 'gASV'}",
    "two tags": "{'f': '00', 'l': []}",
    "no tag": "{}",
    "tag of a wrong type": "{'a': 7}",
    "a handle that doesn't exist": "{'h': [10**9, {'callable': True}]}",
    "a negative handle": "{'h': [-1, {}]}",
    "a handle with odd facts": "{'h': [0, {'type': ['x'], 'kind': {}, 'callable': 'yes'}]}",
    "a handle that claims to be a coroutine": "{'h': [0, {'type': 'coroutine', 'callable': True}]}",
    "a handle that claims to be a class": "{'h': [0, {'type': 'type', 'kind': 'class', "
    "'name': 'AssertionError', 'callable': True}]}",
    "a callback": "{'callback': 0}",
    "a range without an end": "{'r': [0, 10**18, 1]}",
    "a named tuple of dunders": "{'n': ['tuple', ['__class__', '__eq__'], [1, 2]]}",
    "a named tuple of code": "{'n': ['x):\\n import os#', ['a'], [1]]}",
    "deep": "eval('[' * 30 + '1' + ']' * 30)",
    "a million keys": "{'d': [1, 2] * 100_000}",
    "halves of characters": "'\\ud800'",
    "a Score of nothing": "{'M': [None] * 8}",
    "a fraction by nothing": "{'Q': [1, 0]}",
    "a decimal bomb": "{'X': '1E+9999'}",
}.items():
    forging(_name, _header)
for _name, _spec in {
    "objects": "'|O'",
    "objects without a bar": "'O'",
    "void": "'|V8'",
    "a pointer size": "'<p'",
    "a comma list": "'f8,O'",
    "a shape in the dtype": "'(1000000,1000000)f8'",
    "fields of objects": "[['a', '|O']]",
    "overlapping fields": "{'names': ['a', 'b'], 'formats': ['<f8', '|O'], 'offsets': [0, 0]}",
    "an endless text": "'<U999999999'",
    "times without a unit": "'<M8[generic]'",
}.items():
    forging(f"array of {_name}", f"{{'a': [{_spec}, [1], 0]}}", "[b'x' * 8]")
for _name, _shape in {
    "negative": "[-1]",
    "huge": "[2**62, 2**62]",
    "huge and empty": "[2**62, 0]",
    "wrong": "[2]",
    "not numbers": "['1', None, True]",
    "of many axes": "[1] * 65",
}.items():
    forging(f"shape that is {_name}", f"{{'a': ['<f8', {_shape}, 0]}}", "[b'x' * 8]")
    forging(f"tensor shape that is {_name}", f"{{'T': ['float64', {_shape}, 0]}}", "[b'x' * 8]")
forging("a blob used twice", "[{'b': 0}, {'b': 0}]", "[b'x']")
forging("a blob that isn't there", "{'b': 3}")
forging("a blob of negative length", "{'b': 0}", "[b'x']", "[-1]")
forging("a blob longer than the world", "{'b': 0}", "[b'x']", "[2**62]")
forging("a blob that never comes", "{'b': 0}", "[b'x']", "[60_000_000]")
forging("lengths that aren't numbers", "1", "[]", "['a', None, 1.5, True]")
forging("more than was announced", "{'b': 0}", "[b'x' * 1000]", "[3]")

for _name, _error in {
    "KeyboardInterrupt": {"type": "KeyboardInterrupt", "message": "x"},
    "SystemExit": {"type": "SystemExit", "message": "0"},
    "StopIteration": {"type": "StopIteration", "message": ""},
    "GeneratorExit": {"type": "GeneratorExit", "message": ""},
    "a function": {"type": "exit", "message": "x"},
    "a builtin that isn't an error": {"type": "__import__", "message": "os"},
    "odd fields": {"type": ["x"], "message": {"a": 1}, "line": "7", "name": 5},
    "a skipped test": {"type": "ValueError", "name": "Skipped", "message": "skip", "line": -3},
    "a lost marker": {"type": "ValueError", "name": "Lost", "message": "x" * 100_000},
    "nothing": None,
    "ANSI and HTML": {"type": "ValueError", "message": "\x1b[2J<script>x</script>", "name": "<b>"},
}.items():
    add(
        f"forge: error {_name}",
        FIND
        + f"""
def forged(kind, value):
    def enc(v):
        if isinstance(v, dict):
            return {{"d": [enc(x) for pair in v.items() for x in pair]}}
        return v
    return message([me._request, "error", enc({_error!r})])

me._pack = forged
""",
    )

for _name, _parts in {
    "the next answers beforehand": "[[me._request + n, 'value', True] for n in range(1, 200)]",
    "answers to old requests": "[[n, 'value', True] for n in range(200)]",
    "callbacks that nobody offered": "[[me._request, 'callback', {'d': ['callback', 0, 'args', [], "
    "'kwargs', {'d': []}]}] for _ in range(50)]",
    "no numbers": "[[None, 'value', True], ['1', 'value', 1], [1.0, 'value', 1], [True, 'value', 1]]",
    "odd kinds": "[[me._request, kind, True] for kind in ('exec', None, [], 'ready', '')]",
    "no lists": "[7, None, 'x', {}, []]",
}.items():
    add(
        f"forge: {_name}",
        FIND + f"\nfor parts in {_parts}:\n    say(message(parts))\n\n"
        f"def frequency(pitch):\n    for parts in {_parts}:\n        say(message(parts))\n    return 440.0\n",
    )

for _name, _data in {
    "zeros": "bytes(1000)",
    "a header of four gigabytes": "b'\\xff' * 1000",
    "no JSON": "message(b'{[(' * 100)",
    "deep JSON": "message(b'[' * 900_000)",
    "deep JSON that is closed": "message(b'[' * 400_000 + b']' * 400_000)",
    "a number of a million digits": "message(b'[[1,\"value\",' + b'9' * 900_000 + b'],[]]')",
    "NaN and Infinity": "message(b'[[1,\"value\",[NaN,Infinity,-Infinity,1e999]],[]]')",
    "keys that come twice": 'message(b\'[[1,"value",{"f":"0","f":"1","a":1}],[]]\')',
    "frames of the warm process": "b'S' + bytes(4) + b'R' + bytes(4) + b'X' + bytes(4) + "
    "struct.pack('<cI', b'D', 2**32 - 1)",
    "UTF-16": "message('[[1,\"value\",1],[]]'.encode('utf-16'))",
}.items():
    add(
        f"forge: {_name}",
        FIND + f"\nsay({_data})\n\ndef frequency(pitch):\n    say({_data})\n    return 440.0\n",
    )

add(
    "forge: one byte at a time",
    FIND
    + """
def drip():
    while True:
        time.sleep(0.2)
        say(b"x")

def contour(pitches):
    data = message([me._request, "value", "*URD"])
    for byte in data:
        say(bytes([byte]))
        time.sleep(0.5)
    drip()
""",
    {"transpose": assignment.right_answer("transpose")},
    survives=True,
)
add(
    "forge: a gigabyte instead of an answer",
    FIND
    + """
def contour(pitches):
    piece = bytes(1 << 20)
    for _ in range(1000):
        say(piece)
""",
    {"transpose": assignment.right_answer("transpose")},
    survives=True,
)
add(
    "threads race the answer",
    FIND
    + """
def race():
    while True:
        try:
            say(message([me._request, "value", True]))
        except Exception:
            pass

def frequency(pitch):
    for _ in range(4):
        threading.Thread(target=race, daemon=True).start()
    time.sleep(0.05)
    return 440.0
""",
)
add(
    "a child answers, too",
    FIND
    + """
def frequency(pitch):
    if os.fork() == 0:
        for n in range(50):
            say(message([me._request + n, "value", True]))
            time.sleep(0.01)
        os._exit(0)
    return 440.0
""",
)
add("close the connection", FIND + "\nfor number in sockets():\n    os.close(number)\n")
add(
    "turn the connection round",
    FIND
    + """
ours, theirs = socket.socketpair()
for number in sockets():
    if number not in (ours.fileno(), theirs.fileno()):
        os.dup2(ours.fileno(), number)
""",
)
add("half-close the connection", FIND + "\nme._connection.shutdown(socket.SHUT_WR)\n")
add("never read again", FIND + "\nme._read = lambda size: time.sleep(10**6)\n")
add(
    "answer with what was asked",
    FIND
    + """
_read = me._read
heard = []

def read(size):
    data = _read(size)
    heard.append(data)
    return data

def echo(kind, value):
    return message([me._request, "value", [True] * 8])

me._read, me._pack = read, echo
""",
)
add(
    "patch the codec",
    FIND
    + """
from mlmusic.grading import codec

for module in [m for n, m in sys.modules.items() if n.startswith("mlmusic.grading.codec")]:
    for name in ("encode", "pack", "checked_text"):
        if hasattr(module, name):
            setattr(module, name, lambda *args, **kwargs: (True, []))
for module in [m for n, m in sys.modules.items() if n.startswith("mlmusic.grading.codec")]:
    for name in vars(module):
        if name.startswith("MAX"):
            setattr(module, name, 1 << 60)
""",
)
