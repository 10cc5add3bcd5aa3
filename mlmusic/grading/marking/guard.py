"""What tests are protected from: answers that say nothing, and luck that differs between students.

`np.allclose([], 440.0)` is true, and so is ``all(…)`` of nothing at all. While tests run, NumPy's
and torch's comparisons don't accept an empty answer where something is expected; and an empty
answer where the solution's isn't empty can't be looped over or compared element by element.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import functools
import hashlib
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mlmusic.grading.marking.remote import is_stand_in

_NUMPY_TRUTHS = ("allclose", "array_equiv")
_NUMPY_ARRAYS = ("array", "asarray")
_NUMPY_ASSERTIONS = (
    "assert_allclose assert_almost_equal assert_approx_equal assert_array_almost_equal "
    "assert_array_equal assert_array_less assert_equal"
).split()


# Random numbers ---------------------------------------------------------------------------------


def seed_everything(seed: int, *words: object) -> None:
    """Seed every source of random numbers, generators that are made without a seed included.

    Parameters
    ----------
    seed : int
        The run's seed.
    *words
        What else the numbers depend on, such as a test's name.
    """
    text = "\0".join(map(str, (seed, *words)))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    _seed(number)


def seed_public() -> None:
    """Seed as the sandbox does before the public cells, so that both sides draw the same."""
    _seed(0)


def _seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002
    # Where NumPy takes the seed of default_rng() and the like from.
    np.random.bit_generator.randbits = random.Random(number).getrandbits
    _Random.seeds = random.Random(number)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(number % 2**63)


class _Random(random.Random):
    """`random.Random`, whose unseeded instances depend on the test's seed."""

    seeds = random.Random(0)

    def seed(self, a: Any = None, version: int = 2) -> None:
        super().seed(type(self).seeds.getrandbits(128) if a is None else a, version)


# Comparisons ------------------------------------------------------------------------------------


def install() -> None:
    """Replace the comparisons and what draws unseeded numbers: see `preserved` for the way back."""
    random.Random = _Random  # type: ignore[misc]
    inspect.getsource = _getsource
    for name in _NUMPY_TRUTHS:
        setattr(np, name, _guarded(getattr(np, name), lambda: False))
    np.isclose = _guarded(np.isclose, lambda: np.zeros(1, bool))
    for name in _NUMPY_ARRAYS:
        setattr(np, name, _passing_on(getattr(np, name)))
    for name in _NUMPY_ASSERTIONS:
        setattr(np.testing, name, _guarded(getattr(np.testing, name), _refuse_empty))
    if torch := sys.modules.get("torch"):
        torch.allclose = _guarded(torch.allclose, lambda: False)
        torch.isclose = _guarded(torch.isclose, lambda: torch.zeros(1, dtype=torch.bool))


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Undo what `install` and the seeding functions replace, when the block is left."""
    places: list[tuple[Any, str]] = [
        (random, "Random"),
        (inspect, "getsource"),
        (np.random.bit_generator, "randbits"),
        (np, "isclose"),
        *((np, name) for name in (*_NUMPY_TRUTHS, *_NUMPY_ARRAYS)),
        *((np.testing, name) for name in _NUMPY_ASSERTIONS),
    ]
    if torch := sys.modules.get("torch"):
        places += [(torch, "allclose"), (torch, "isclose")]
    before = [getattr(*place) for place in places]
    try:
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            setattr(*place, value)


_original_getsource = inspect.getsource


def _getsource(value: Any) -> str:
    """Return the text of a function; a student's is taken from the notebook."""
    if not is_stand_in(value):
        return _original_getsource(value)
    text = value._mlmusic_student.source_of(value._mlmusic_label)
    if not text:
        raise OSError("could not get source code")
    return text


def _refuse_empty() -> Any:
    raise AssertionError("one of the two is empty: there is nothing to compare")


def _guarded(function: Callable[..., Any], otherwise: Callable[[], Any]) -> Callable[..., Any]:
    """Wrap a comparison of two things: when just one of them is empty, it isn't satisfied."""
    if hasattr(function, "_mlmusic_guarded"):
        return function

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        both = [*args[:2], *(kwargs[k] for k in _SIDES if k in kwargs)][:2]
        sizes = [_size(side) for side in both]
        if len(sizes) == 2 and None not in sizes and (sizes[0] == 0) != (sizes[1] == 0):
            return otherwise()
        return function(*args, **kwargs)

    guarded._mlmusic_guarded = True  # type: ignore[attr-defined]
    return guarded


def _passing_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a constructor of arrays, so that it doesn't make `_unusable` arrays usable again."""

    @functools.wraps(function)
    def passing_on(value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, np.ndarray) and hasattr(type(value), "_mlmusic_empty"):
            return value
        return function(value, *args, **kwargs)

    return passing_on


_SIDES = ("a", "b", "a1", "a2", "x", "y", "actual", "desired", "input", "other")


def _size(value: Any) -> int | None:
    """Return how many numbers there are to compare; None if NumPy can't tell."""
    if is_stand_in(value):
        return None
    if isinstance(value, (str, bytes)) or value is None:
        return 1
    size = getattr(value, "size", None)
    if isinstance(size, int):
        return size
    numel = getattr(value, "numel", None)
    if callable(numel):
        return int(numel())
    if isinstance(value, (list, tuple)):
        sizes = [_size(item) for item in value[:100]]
        return None if None in sizes else sum(sizes)
    return 1 if np.isscalar(value) else None


# Answers that say nothing where the solution says something ---------------------------------------


def is_empty(value: Any) -> bool:
    """Whether a value is a container or an array without anything in it."""
    if is_stand_in(value):
        return False
    if isinstance(value, (list, tuple, dict, set, frozenset, collections.deque)):
        return not value
    if isinstance(value, np.ndarray):
        return value.size == 0
    return _is_tensor(value) and value.numel() == 0


def is_hollow(value: Any) -> bool:
    """Whether an answer, or one of its parts, is empty or isn't a number (NaN)."""
    return value is not None and describe(value) != (False, False)


def describe(value: Any) -> tuple[Any, bool]:
    """Say what of a value is empty, and whether there is a NaN in it.

    Returns
    -------
    tuple
        True, False, or "none" for None; for a list or tuple with empty parts one of these for each
        part, for a dict ``("dict", ((key, part), ...))``. And whether a NaN was found.
    """
    if value is None:
        return "none", False
    return (isinstance(value, (str, bytes)) and not value) or _emptiness(value), _has_nan(value)


def _emptiness(value: Any, depth: int = 0) -> Any:
    if is_empty(value):
        return True
    if depth < _DEEP and _items(value) <= _LONG:
        if type(value) in (list, tuple):
            if _FULL.issuperset(map(type, value)):
                return False
            parts = tuple(_emptiness(part, depth + 1) for part in value)
            return parts if any(parts) else False
        if isinstance(value, dict):
            pairs = [(repr(key), _emptiness(part, depth + 1)) for key, part in value.items()]
            pairs = [pair for pair in pairs if pair[1]]
            return ("dict", tuple(pairs)) if pairs else False
    return False


_DEEP, _LONG = 12, 5000  # levels, and items on each, that are looked at
# Values of exactly these classes needn't be looked at: never empty, and never NaN.
_NO_NAN = frozenset({int, bool, str, bytes})
_FULL = frozenset({int, bool, float, complex})


def _items(value: Any) -> int:
    """Return how many items a container has; 0 for anything else."""
    return len(value) if isinstance(value, (list, tuple, dict)) else 0


def wary(value: Any, solution: tuple[Any, bool], label: str) -> Any:
    """Return an answer in such a way that a test can't take nothing for agreement.

    Parameters
    ----------
    value : object
        The student's answer.
    solution : tuple
        What `describe` says about the solution's answer to the same question.
    label : str
        Whose answer it is.

    Returns
    -------
    object
        The answer. Parts that are empty where the solution's aren't are of a class that raises
        AssertionError when it is looped over or compared element by element.

    Raises
    ------
    AssertionError
        If there is a NaN where the solution has none.
    """
    empty, nan = describe(value)
    if nan and not solution[1]:
        raise AssertionError(f"{label} gave nan, which is not a number")
    return _marked(value, empty, solution[0], nothing(label))


def _marked(value: Any, empty: Any, others: Any, told: str) -> Any:
    """Make the parts unusable that are empty where the solution's aren't."""
    if empty is True:
        if others in (True, "none"):
            return value
        if isinstance(value, (str, bytes)):  # "" is in every text
            raise AssertionError(told)
        return _unusable(value, told)
    if not isinstance(empty, tuple):
        return value
    if isinstance(value, dict):
        known = dict(others[1]) if isinstance(others, tuple) and others[0] == "dict" else {}
        marked = copy.copy(value)
        for (key, part), name in zip(value.items(), map(repr, value), strict=True):
            marked[key] = _marked(part, dict(empty[1]).get(name, False), known.get(name), told)
        return marked
    if not (isinstance(others, tuple) and len(others) == len(empty)):
        others = [others is True] * len(empty)
    parts = zip(value, empty, others, strict=True)
    return type(value)([_marked(part, here, there, told) for part, here, there in parts])


def nothing(label: str) -> str:
    """Return what to say about an answer that is empty and shouldn't be."""
    return f"{label} gave nothing where something is expected"


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _has_nan(value: Any) -> bool:
    if is_stand_in(value):
        return False
    if isinstance(value, (float, complex, np.inexact)):
        return bool(value != value)
    if isinstance(value, np.ndarray):
        if value.dtype.names is not None:
            return any(_has_nan(value[name]) for name in value.dtype.names)
        return value.dtype.kind in "fcmM" and bool(np.isnan(value).any())
    if isinstance(value, dict):
        return any(map(_has_nan, value)) or any(map(_has_nan, value.values()))
    if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        return not _NO_NAN.issuperset(map(type, value)) and any(map(_has_nan, value))
    if _is_tensor(value):
        return value.is_floating_point() and bool(value.isnan().any())
    return False


def _unusable(value: Any, told: str) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError(told)

    if _is_tensor(value):
        torch = sys.modules["torch"]

        def allow(cls: Any, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(function, "__name__", "") in ("__get__", "size", "dim", "numel"):
                with torch._C.DisableTorchFunctionSubclass():
                    return function(*args, **(kwargs or {}))
            return refuse()

        kind = type("Tensor", (torch.Tensor,), {"__torch_function__": classmethod(allow)})
        return value.as_subclass(kind)
    base = type(value)
    if isinstance(value, np.ndarray):
        names = "__array_ufunc__ __array_function__ __iter__ __len__ all any sum tolist".split()
    else:
        names = [name for name in _LOOPS if hasattr(base, name)] + ["__array__"]
    kind = type(base.__name__, (base,), {name: refuse for name in names} | {"_mlmusic_empty": True})
    return value.view(kind) if isinstance(value, np.ndarray) else kind()


_LOOPS = "__iter__ __len__ __le__ __lt__ issubset items keys values".split()
