"""What Python said about a student's code, in words that a person can use."""

from __future__ import annotations

import re
from collections.abc import Iterable

# A stub that was called, without a text of its own.
_UNWRITTEN = re.compile(
    r"(^|: )(?:your code raised )?NotImplementedError( \(line \d+ of its cell\))?:?\s*$"
)
_TOLD = "not answered yet: raises NotImplementedError"
_CELL = re.compile(r"cell (\d+): (.*)", re.S)


def tidy(message: str) -> str:
    """Return what an error said, without a colon that nothing stands behind."""
    return _UNWRITTEN.sub(rf"\1{_TOLD}\2", message.strip()).rstrip(": ")


def is_unwritten(message: str) -> bool:
    """Whether an error only says that a stub was called."""
    return bool(_UNWRITTEN.search(message.strip()))


def folded(details: Iterable[str]) -> list[str]:
    """Return remarks about cells, those that say the same in one: ``cells 3, 5: NameError: …``."""
    cells: dict[str, list[str]] = {}
    for detail in map(tidy, details):
        found = _CELL.fullmatch(detail)
        numbers = cells.setdefault(found[2] if found else detail, [])
        if found and found[1] not in numbers:
            numbers.append(found[1])
    return [
        f"cell{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}: {words}" if numbers else words
        for words, numbers in cells.items()
    ]
