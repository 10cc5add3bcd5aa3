"""Mutations of notebooks and of messages, each made from a seed."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    2**70,
    "",
    "code",
    "markdown",
    "\x00",
    "\ud800",
    "é" * 50,
    [],
    {},
    [None],
    {"": None},
    [[[[]]]],
    "def contour(pitches):\n    return '*'",
)
ODD_TEXTS = ("\x00", "'''", "(", "\\", "\t", "\r", "%%", "!", "\u2028", "#", "@", "\n\n", "if 1:\n")


def of_bytes(data: bytes, random: Random) -> bytes:
    """Change some bytes: flipped, cut, doubled, moved, inserted."""
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        if not data:
            break
        start = random.randrange(len(data))
        end = min(len(data), start + random.choice((1, 1, 2, 8, 100, 1000)))
        piece = data[start:end]
        kind = random.randrange(6)
        if kind == 0:
            data = data[:start] + bytes(b ^ 1 << random.randrange(8) for b in piece) + data[end:]
        elif kind == 1:
            data = data[:start] + data[end:]
        elif kind == 2:
            data = data[:end] + piece * random.choice((1, 1, 3)) + data[end:]
        elif kind == 3:
            data = data[:start] + random.randbytes(len(piece)) + data[end:]
        elif kind == 4:
            other = random.randrange(len(data))
            data = data[:other] + piece + data[other:]
        elif random.random() < 0.2:
            data = data[:start]
    return data


def of_structure(value: Any, random: Random) -> Any:
    """Change a JSON value in place: parts removed, doubled, swapped, replaced, renamed."""
    for _ in range(random.choice((1, 1, 2, 5))):
        places = list(_places(value))
        if not places:
            return _odd(random)
        holder, key = random.choice(places)
        kind = random.randrange(6)
        if kind == 0:
            holder[key] = _odd(random)
        elif kind == 1:
            del holder[key]
        elif kind == 2 and isinstance(holder, list):
            holder.insert(random.randrange(len(holder) + 1), holder[key])
        elif kind == 3:
            other_holder, other_key = random.choice(places)
            holder[key], other_holder[other_key] = other_holder[other_key], holder[key]
        elif kind == 4 and isinstance(holder, dict):
            holder[random.choice(("source", "cell_type", "metadata", "x", ""))] = holder.pop(key)
        elif isinstance(holder[key], str):
            holder[key] = of_text(holder[key], random)
        if _is_knotted(value):
            return _odd(random)
    return value


def of_text(text: str, random: Random) -> str:
    """Change a text: lines and characters removed, doubled, inserted, indented."""
    lines = text.split("\n")
    at = random.randrange(len(lines))
    kind = random.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[at])
    elif kind == 2:
        lines[at] = " " * random.randrange(1, 9) + lines[at]
    elif kind == 3:
        place = random.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:place] + random.choice(ODD_TEXTS) + lines[at][place:]
    else:
        other = random.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


def _odd(random: Random) -> Any:
    return copy.deepcopy(random.choice(ODD_VALUES))  # the next mutation may change it in place


def _places(value: Any) -> list[tuple[Any, Any]]:
    found, stack, seen = [], [value], set()
    while stack:
        part = stack.pop()
        if id(part) in seen or not isinstance(part, (dict, list)):
            continue
        seen.add(id(part))
        keys = list(part) if isinstance(part, dict) else range(len(part))
        for key in keys:
            found.append((part, key))
            stack.append(part[key])
    return found


def _is_knotted(value: Any) -> bool:
    """Tell whether a swap has put a part into itself."""
    try:
        json.dumps(value)
    except (ValueError, RecursionError):
        return True
    return False


def notebook(original: bytes, seed: int) -> bytes:
    """Return a mutated notebook: every other one has its bytes changed, the others their parts."""
    random = Random(seed)
    if seed % 2:
        return of_bytes(original, random)
    return json.dumps(of_structure(json.loads(original), random)).encode()
