"""Instances of the instructor's own classes, made anew on the trusted side from their parts.

A public cell may define ``class Note``, on both sides. A student's function that returns a Note
returns plain data, in a way: the class and what it does are the instructor's, its fields are
values. So the tests get a Note of their own, which they may compare. What is of a class that the
student wrote, or that extends a library's, stays where it is.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable
from typing import Any

_MOST_FIELDS = 200
_DEEPEST = 16


class Incoming:
    """Rebuilds instances of the instructor's classes.

    Parameters
    ----------
    trusted : callable
        Takes a name and returns the instructor's class of this name, or None.
    field : callable
        Takes a stand-in and an attribute's name and returns the attribute's value.
    is_stand_in : callable
        Whether a value stands for an object in the student's process.
    """

    def __init__(
        self,
        trusted: Callable[[str], Any],
        field: Callable[[Any, str], Any],
        is_stand_in: Callable[[Any], bool],
    ) -> None:
        self._trusted, self._field, self._is_stand_in = trusted, field, is_stand_in

    def taken(self, value: Any, depth: int = 0) -> Any:
        """Return a value with its instances of the instructor's classes rebuilt."""
        if depth > _DEEPEST:
            return value
        if self._is_stand_in(value):
            return self._rebuilt(value, depth)
        kind = type(value)
        if kind in (list, tuple) and len(value) <= 10_000:
            parts = [self.taken(part, depth + 1) for part in value]
            return value if all(map(_is, parts, value)) else kind(parts)
        if kind is dict:
            parts = {key: self.taken(part, depth + 1) for key, part in value.items()}
            return value if all(map(_is, parts.values(), value.values())) else parts
        if isinstance(value, tuple):  # named: the decoder makes a class of its own for it
            own = self._trusted(kind.__name__)
            if isinstance(own, type) and getattr(own, "_fields", None) == kind._fields:
                return tuple.__new__(own, [self.taken(part, depth + 1) for part in value])
        return value

    def _rebuilt(self, value: Any, depth: int) -> Any:
        facts = value._mlmusic_facts
        kind = self._trusted(str(facts.get("type")))
        if facts.get("kind") != "instance" or not _is_plain(kind):
            return value
        if issubclass(kind, enum.Enum):
            return kind.__members__.get(str(self._field(value, "name")), value)
        fields = self._fields(value, kind)
        if fields is None or len(fields) > _MOST_FIELDS:
            return value
        made = object.__new__(kind)
        for name, part in fields.items():
            try:
                object.__setattr__(made, name, self.taken(part, depth + 1))
            except (AttributeError, TypeError):
                return value  # not the same class on both sides
        return made

    def _fields(self, value: Any, kind: type) -> dict[str, Any] | None:
        fields: dict[str, Any] = {}
        slots = [name for base in kind.__mro__ for name in _slots(base)]
        try:
            for name in slots:
                fields[name] = self._field(value, name)
            if kind.__dictoffset__:
                fields.update(self._field(value, "__dict__"))
        except (AttributeError, TypeError, ValueError):
            return None
        return fields if all(isinstance(name, str) for name in fields) else None


def _is(one: Any, other: Any) -> bool:
    return one is other


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    slots = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in slots if name not in ("__dict__", "__weakref__")]


def _is_plain(kind: Any) -> bool:
    """Whether instances are nothing but their fields: no library's class, no exception."""
    if not isinstance(kind, type) or type(kind) not in (type, abc.ABCMeta, enum.EnumMeta):
        return False
    return all(
        base.__module__ in ("__main__", "typing", "abc", "enum", "dataclasses") or base is object
        for base in kind.__mro__
    )
