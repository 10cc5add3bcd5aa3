"""What the solution does in the tests, where that decides how a student's answer is to be taken.

The solution is marked like a submission, with the same seed, when the first answer comes that says
nothing, changes its arguments or is an object that a test computes with. Most never need it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mlmusic.grading import codec
from mlmusic.grading.codec import Callback
from mlmusic.grading.marking import guard
from mlmusic.grading.marking.remote import Remote, is_stand_in

_OBJECT = "object"  # stands for the description of an answer that isn't plain data


@dataclass
class Reference:
    """What the solution does in the tests, where that decides how an answer is to be taken.

    Attributes
    ----------
    seed : int
        The run's seed that the tests drew their numbers from.
    answers : dict
        For each question of each test, what `guard.describe` says about the solution's answer.
        ``(*question, "end")`` is there if that answer is an object without anything in it.
    operations : set
        The operators that tests use on objects of the student's.
    in_place : set of str
        The functions that change their arguments.
    broken : set of int
        The instructor's cells that only run where the answers are.
    """

    seed: int
    answers: dict[tuple, Any] = field(default_factory=dict)
    operations: set[tuple[str, str]] = field(default_factory=set)
    in_place: set[str] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """Return it in a form that JSON can write."""
        return {
            "seed": self.seed,
            "answers": [[list(key), value] for key, value in self.answers.items()],
            "operations": sorted(map(list, self.operations)),
            "in_place": sorted(self.in_place),
            "broken": sorted(self.broken),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Reference:
        """Make one from what `as_json` has returned."""
        return cls(
            seed=values["seed"],
            answers={tuple(key): _as_tuples(value) for key, value in values["answers"]},
            operations={tuple(pair) for pair in values["operations"]},
            in_place=set(values["in_place"]),
            broken=set(values["broken"]),
        )


class NeedsReference(BaseException):
    """Marking can't go on before the solution itself has been marked with the same seed."""


class Comparison:
    """Takes a student's answers as the solution's were taken.

    Parameters
    ----------
    seed : int
        The run's seed.
    reference : Reference or None
        What the solution does.
    record : Reference or None
        The submission is the solution: what it does is noted here.

    Attributes
    ----------
    where : tuple of str
        The test that is running, and the pass.
    last : tuple or None
        The last question, and its answer.
    changed : set of str
        The functions that changed an argument, which the solution doesn't do.
    write_back : bool
        Whether the running test sees these changes.
    """

    def __init__(self, seed: int, reference: Reference | None, record: Reference | None) -> None:
        self._seed, self._reference, self.record = seed, reference, record
        self.where: tuple[str, str] = ("", "")
        self.last: tuple[str, Any] | None = None
        self.changed: set[str] = set()
        self.write_back = False
        self._asked: Counter[tuple] = Counter()  # how often each question was asked in each test
        self._nth: dict[tuple, tuple] = {}  # of questions whose answer was an object

    def begin(self, test: str, kind: str) -> None:
        """Note that a test begins, or begins again."""
        self.where = (test, kind)
        self._asked.clear()
        self._nth.clear()

    def broken(self) -> set[int]:
        """Return the instructor's cells that are known to run only where the answers are."""
        known = self.record or self._reference
        return known.broken if known else set()

    def known(self) -> Reference:
        """Return what the solution does; raises NeedsReference if that isn't known yet."""
        if self.record is not None:
            return self.record
        if self._reference is None or self._reference.seed != self._seed:
            raise NeedsReference
        return self._reference

    def permit(self, label: str, operator: str) -> None:
        """Let values of a test meet an object of the student's only where the solution has one.

        An object whose subtraction always gives 0 would be as good as any number.
        """
        if self.record is not None:
            self.record.operations.add((label, operator))
        elif (label, operator) not in self.known().operations:
            raise TypeError(f"{label} is an object of your own, where a plain value is expected")

    def observe(
        self, label: str, args: Any, kwargs: Any, value: Any, asked: Remote | None = None
    ) -> Any:
        """Return an answer as a test may have it: not taken for agreement where it says nothing.

        Parameters
        ----------
        label, args, kwargs
            The question.
        value : object
            The answer.
        asked : Remote, optional
            The object or function that gave it.
        """
        self.last = label, value
        self._asked[self.where, label] += 1
        # Where an answer goes into the next question, the solution's questions differ.
        nth = (*self.where, label, f"#{self._asked[self.where, label]}")
        object_ = is_stand_in(value)
        if self.record is None and not object_ and not guard.is_hollow(value):
            return value
        key = (*self.where, label, _digest([args, kwargs]))
        origin = asked._mlmusic_origin if asked is not None else None
        # What comes out of an object inside of an answer has no origin either.
        if object_ and (asked is None or origin is not None):
            object.__setattr__(value, "_mlmusic_origin", origin or key)
            self._nth.setdefault(key, nth)
        if self.record is not None:
            found = _OBJECT if object_ else guard.describe(value)
            for known in (key, nth):
                if self.record.answers.setdefault(known, found) != found:
                    self.record.answers[known] = None  # not always the same: nothing to go by
        elif not object_:
            answers = self.known().answers
            solution = answers.get(key) if key in answers else answers.get(nth)
            if solution is None and origin is not None:
                solution = answers.get(origin)  # where the solution's answer is plain
            if solution not in (None, _OBJECT):
                return guard.wary(value, solution, label)
        return value

    def ended(self, handle: Remote) -> None:
        """Don't let an object that is empty pass for an answer where the solution's isn't.

        Raises
        ------
        AssertionError
            If the solution's answer has something in it.
        """
        # An object inside of an answer has none of its own.
        inside = handle._mlmusic_origin is None
        origin = (*self.where, handle._mlmusic_label) if inside else handle._mlmusic_origin
        if self.record is not None:
            for known in (origin, self._nth.get(origin, origin)):
                self.record.answers[(*known, "end")] = True
            return
        answers = self.known().answers
        if origin not in answers:
            origin = self._nth.get(origin, origin)
        solution = _OBJECT if inside else answers.get(origin)
        if solution == _OBJECT and (*origin, "end") not in answers:
            solution = False, False
        if solution not in (None, _OBJECT) and solution[0] is not True:
            raise AssertionError(guard.nothing(handle._mlmusic_label))

    def arguments_after(self, name: str, args: tuple, after: list[Any]) -> None:
        """Change a test's arguments as the student's function did, where the solution's does so.

        Otherwise a function could set them to what makes its answer right.
        """
        for old, new in zip(args, after, strict=True):
            if type(old) is not type(new) or _digest(old) == _digest(new):
                continue
            if self.record is not None:
                self.record.in_place.add(name)
            if name in self.known().in_place or self.write_back:
                _overwrite(old, new)
            else:
                self.changed.add(name)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _digest(value: Any) -> str:
    """Return a short text that is the same for the same values; objects count as one another."""
    try:
        header, blobs = codec.encode(value, lambda other: Callback(0))
        data = codec.pack(header, blobs)
    except (TypeError, ValueError):
        return ""
    return hashlib.sha256(data).hexdigest()


def _overwrite(old: Any, new: Any) -> None:
    """Give an argument the contents that the student's function left in its copy."""
    if isinstance(old, list):
        old[:] = new
    elif isinstance(old, (dict, set)):
        old.clear()
        old.update(new)
    elif old.shape == new.shape and old.dtype == new.dtype:
        old[...] = new
