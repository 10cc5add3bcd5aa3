"""A value against the expected one: first what kind of thing it is, then what it says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlmusic.score import Score

# What each kind of dtype may be given back as: a whole number where a fraction is expected, too.
_ACCEPTED = {"b": "b", "i": "iu", "u": "iu", "f": "fiu", "c": "cfiu"}
_KINDS = {
    "b": "True or False",
    "i": "whole numbers",
    "u": "whole numbers",
    "f": "numbers",
    "c": "complex numbers",
}
_FIELDS = ("onset", "duration", "pitch", "velocity", "voice")


def close(found: Any, expected: Any, what: str = "the result", *, tolerance: float = 1e-6) -> None:
    """Check numbers: kind, shape and finiteness first, then values within a tolerance.

    Parameters
    ----------
    found : number, array, tensor or nested list of numbers
        What the student's code gave back.
    expected : number or array
        What is right. Whole numbers and booleans must be given back as such.
    what : str
        What it is called in the message, such as ``"frequency(69)"``.
    tolerance : float
        The largest difference, as a share of the expected number where that is above 1.

    Raises
    ------
    AssertionError
        If it differs; the message says in what way.

    Examples
    --------
    >>> close(439.9, 440.0, "frequency(69)")
    Traceback (most recent call last):
    AssertionError: frequency(69) is 439.9, not 440.0
    """
    expected = np.asarray(as_plain(expected))
    array = numbers(found, what, expected.dtype.kind)
    _same_shape(array, expected, what)
    expected_gaps, gaps = ~np.isfinite(expected), ~np.isfinite(array)
    if (gaps & ~expected_gaps).any():
        place = _place(gaps & ~expected_gaps)
        raise AssertionError(f"{what}{_index(place)} is {array[place]}: it must be a finite number")
    limit = tolerance * np.maximum(1, np.abs(np.where(expected_gaps, 0, expected)))
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.subtract(array, expected, dtype=complex)) > limit
    alike = (array == expected) | (np.isnan(array) & np.isnan(expected))
    wrong = np.where(expected_gaps, ~alike, apart)
    if wrong.any():
        place = _place(wrong)
        raise AssertionError(f"{what}{_index(place)} is {array[place]}, not {expected[place]}")


def same(found: Any, expected: Any, what: str = "the result") -> None:
    """Check that a value is exactly the expected one: a Score, text, numbers, lists of these.

    Lists and tuples count as alike, NumPy's scalars as Python's numbers.

    Parameters
    ----------
    found : object
        What the student's code gave back.
    expected : object
        What is right.
    what : str
        What it is called in the message.

    Raises
    ------
    AssertionError
        If it differs; the message names the first place.

    Examples
    --------
    >>> same([(60, 3), (62, 2)], [(60, 3), (62, 1)], "the runs")
    Traceback (most recent call last):
    AssertionError: the runs[1][1] is 2, not 1
    """
    found, expected = as_plain(found), as_plain(expected)
    if expected is None:
        if found is not None:
            raise AssertionError(f"{what} is {_shown(found)}, not None")
        return
    given(found, what)
    if isinstance(expected, Score):
        _same_score(found, expected, what)
    elif isinstance(expected, (np.ndarray, bool, int, float, complex)):
        _same_array(found, np.asarray(expected), what)
    elif isinstance(expected, (list, tuple)):
        _same_list(found, expected, what)
    elif isinstance(expected, Mapping):
        _same_dict(found, expected, what)
    elif type(found) is not type(expected) or found != expected:
        raise AssertionError(f"{what} is {_shown(found)}, not {_shown(expected)}")


def probabilities(found: Any, what: str = "the probabilities", *, axis: int = -1) -> None:
    """Check that numbers are probabilities: none below 0, and 1 in sum.

    Parameters
    ----------
    found : array or tensor
        What the student's code gave back.
    what : str
        What it is called in the message.
    axis : int
        The axis along which they add up to 1.

    Raises
    ------
    AssertionError
        If they don't.
    """
    array = numbers(found, what, "f").astype(float)
    if array.ndim == 0 or array.size == 0:
        raise AssertionError(f"{what} must be several numbers, not {_shown(found)}")
    if not np.isfinite(array).all():
        place = _place(~np.isfinite(array))
        raise AssertionError(f"{what}{_index(place)} is {array[place]}: it must be a finite number")
    if (array < 0).any():
        place = _place(array < 0)
        raise AssertionError(f"{what}{_index(place)} is {array[place]}: none may be below 0")
    sums = array.sum(axis)
    if (np.abs(sums - 1) > 1e-4).any():
        wrong = float(np.ravel(sums)[np.argmax(np.abs(np.ravel(sums) - 1))])
        raise AssertionError(f"{what} add up to {wrong:.4g}: probabilities add up to 1")


# What the other checks are made of ---------------------------------------------------------


def as_plain(value: Any) -> Any:
    """Turn a torch tensor into an array and a NumPy scalar into a number; leave the rest."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return value.item() if isinstance(value, np.generic) else value


def given(found: Any, what: str) -> None:
    """Check that a function gave something back.

    Raises
    ------
    AssertionError
        If it is None.
    """
    if found is None:
        raise AssertionError(f"{what} is None: did you forget `return`?")


def numbers(found: Any, what: str, kind: str) -> np.ndarray:
    """Return numbers as an array, if they are of a kind that fits.

    Parameters
    ----------
    found : object
        What the student's code gave back.
    what : str
        What it is called in the message.
    kind : str
        NumPy's letter for the kind of dtype that is expected.

    Raises
    ------
    AssertionError
        If it is something else.
    """
    given(found, what)
    found = as_plain(found)
    wanted = _KINDS.get(kind, "numbers")
    if not isinstance(found, (bool, int, float, complex, list, tuple, np.ndarray)):
        raise AssertionError(f"{what} must be {wanted}, not {_kind_of(found)}")
    try:
        array = np.asarray(found)
    except (TypeError, ValueError, OverflowError):
        raise AssertionError(f"{what} must be {wanted}, in rows of the same length") from None
    if array.size and array.dtype.kind not in _ACCEPTED.get(kind, kind):
        raise AssertionError(f"{what} must be {wanted}, not {_shown(found)}")
    return array


def agree(found: Any, expected: Any, what: str, tolerance: float) -> None:
    """Compare two results of a student's function: fractions within a tolerance, the rest exactly.

    Raises
    ------
    AssertionError
        If they differ.
    """
    given(expected, what)
    plain = as_plain(expected)
    if isinstance(plain, (float, complex)) or (
        isinstance(plain, np.ndarray) and plain.dtype.kind in "fc"
    ):
        close(found, expected, what, tolerance=tolerance)
    else:
        same(found, expected, what)


def _same_shape(array: np.ndarray, expected: np.ndarray, what: str) -> None:
    if array.shape == expected.shape:
        return
    if array.ndim == expected.ndim == 1:
        raise AssertionError(f"{what} has {counted(len(array))}, not {len(expected)}")
    if expected.ndim == 0:
        raise AssertionError(f"{what} must be one number, not an array of shape {array.shape}")
    raise AssertionError(f"{what} has shape {array.shape}, not {expected.shape}")


def _same_array(found: Any, expected: np.ndarray, what: str) -> None:
    kind = expected.dtype.kind
    if kind not in _ACCEPTED:  # texts, notes
        found = as_plain(found)
        if not isinstance(found, (np.ndarray, list, tuple)):
            raise AssertionError(f"{what} must be an array, not {_kind_of(found)}")
        array = np.asarray(found)
        if array.dtype.kind != kind:
            raise AssertionError(f"{what} has dtype {array.dtype}, not {expected.dtype}")
    else:
        array = numbers(found, what, kind)
    _same_shape(array, expected, what)
    wrong = np.asarray(array != expected)
    if kind in "fc":
        wrong &= ~(np.isnan(array) & np.isnan(expected))
    if wrong.any():
        place = _place(wrong)
        raise AssertionError(f"{what}{_index(place)} is {array[place]}, not {expected[place]}")


def _same_list(found: Any, expected: list | tuple, what: str) -> None:
    is_array = isinstance(found, np.ndarray) and found.ndim > 0
    if not is_array and not isinstance(found, (list, tuple)):
        raise AssertionError(f"{what} must be a list, not {_kind_of(found)}")
    if len(found) != len(expected):
        raise AssertionError(f"{what} has {counted(len(found))}, not {len(expected)}")
    for i, (one, other) in enumerate(zip(found, expected, strict=True)):
        same(one, other, f"{what}[{i}]")


def _same_dict(found: Any, expected: Mapping, what: str) -> None:
    if not isinstance(found, Mapping):
        raise AssertionError(f"{what} must be a dictionary, not {_kind_of(found)}")
    for key in expected:
        if key not in found:
            raise AssertionError(f"{what} lacks {key!r}")
        same(found[key], expected[key], f"{what}[{key!r}]")
    for key in found:
        if key not in expected:
            raise AssertionError(f"{what} has {key!r}, which doesn't belong there")


def _same_score(found: Any, expected: Score, what: str) -> None:
    if not isinstance(found, Score):
        raise AssertionError(f"{what} must be a Score, not {_kind_of(found)}")
    if len(found) != len(expected):
        raise AssertionError(f"{what} has {counted(len(found), 'note')}, not {len(expected)}")
    for i, (one, other) in enumerate(zip(found.notes, expected.notes, strict=True)):
        for name in _FIELDS:
            if one[name] != other[name]:
                raise AssertionError(
                    f"{what}: the {name} of note {i + 1} is {one[name]}, not {other[name]}"
                )
    for name in ("tempo", "metre", "key", "programs", "title", "lyrics"):
        if getattr(found, name) != getattr(expected, name):
            raise AssertionError(
                f"{what}: its {name} is {_shown(getattr(found, name))}, "
                f"not {_shown(getattr(expected, name))}"
            )


def _place(wrong: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))


def _index(place: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, place))}]" if place else ""


def counted(number: int, thing: str = "entry") -> str:
    """Return a number with its noun: 1 note, 2 notes."""
    many = "entries" if thing == "entry" else f"{thing}s"
    return f"{number} {thing if number == 1 else many}"


def _kind_of(value: Any) -> str:
    if isinstance(value, (str, bytes, bool, int, float)):
        return _shown(value)
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def _shown(value: Any) -> str:
    if not isinstance(
        value, (str, bytes, bool, int, float, complex, list, tuple, dict, set, np.ndarray)
    ):
        return _kind_of(value)
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}…"
