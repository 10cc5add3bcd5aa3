"""What holds for any music: there and back again, no look ahead, no order among items."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mlmusic.grading.checks.values import agree, as_plain, given, numbers


def round_trip(
    encode: Callable[[Any], Any],
    decode: Callable[[Any], Any],
    values: Iterable[Any],
    what: str = "what was encoded",
    *,
    vocabulary: int | None = None,
    tolerance: float = 1e-6,
) -> None:
    """Check that ``decode(encode(value))`` is the value.

    Parameters
    ----------
    encode, decode : callable
        The student's functions.
    values : iterable
        What to encode; draw it.
    what : str
        What it is called in the message.
    vocabulary : int, optional
        If given, codes must be whole numbers from 0 to below it: two functions that do nothing
        would make the round trip, too.
    tolerance : float
        As in `close`, for fractions.

    Raises
    ------
    AssertionError
        If something is lost on the way, or a code isn't one.

    Examples
    --------
    >>> round_trip(sorted, list, [[62, 60]], "the tune")
    Traceback (most recent call last):
    AssertionError: after encoding and decoding, the tune[0] is 60, not 62
    """
    for value in values:
        code = encode(value)
        given(code, "the code")
        if vocabulary is not None:
            ids = numbers(code, "the code", "i")
            if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary:
                wrong = ids.min() if ids.min() < 0 else ids.max()
                raise AssertionError(
                    f"the code has token {wrong}: the vocabulary is 0 to {vocabulary - 1}"
                )
        agree(decode(code), value, f"after encoding and decoding, {what}", tolerance)


def causal(
    f: Callable[[Any], Any],
    *tokens: Any,
    rng: np.random.Generator,
    vocabulary: int,
    axis: int = 0,
    what: str = "the output",
    tolerance: float = 1e-5,
) -> None:
    """Check that later notes never change earlier outputs, and that the notes are heard at all.

    Parameters
    ----------
    f : callable
        ``f(tokens)`` gives an output for each position, such as logits: shape (time, …).
    tokens : int array or tensor
        Sequences of at least two ids; draw them.
    rng : numpy.random.Generator
        What the later notes are replaced from.
    vocabulary : int
        Ids are below this number.
    axis : int
        The axis of time, in the tokens and in the output: 1 if both begin with a batch.
    what : str
        What the output is called in the message.
    tolerance : float
        As in `close`.

    Raises
    ------
    AssertionError
        If an output changes with notes after it, changes by itself, or never changes.
    ValueError
        If there is nothing to replace.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> causal(lambda x: x[::-1], np.array([1, 2, 3]), rng=rng, vocabulary=9)
    Traceback (most recent call last):
    AssertionError: the output at position 0 changes with notes that come later: only look back
    """
    if vocabulary < 2:
        raise ValueError("with fewer than two tokens there is nothing to replace")
    heard = False
    for sequence in tokens:
        ids = np.asarray(as_plain(sequence))
        length = ids.shape[axis]
        if length < 2:
            raise ValueError("causality needs sequences of at least two tokens")
        before = _output(f, sequence, ids, axis, what)
        again = _output(f, sequence, ids, axis, what)
        agree(again, before, f"for the same notes {what}", tolerance)
        for last in sorted({0, length - 2, int(rng.integers(0, length - 1))}):
            place = np.arange(length).reshape([-1 if i == axis else 1 for i in range(ids.ndim)])
            other = (ids + rng.integers(1, vocabulary, ids.shape)) % vocabulary
            after = _output(f, sequence, np.where(place > last, other, ids), axis, what)
            change = _change(before, after, axis)
            if (change[: last + 1] > tolerance).any():
                first = int(np.argmax(change > tolerance))
                raise AssertionError(
                    f"{what} at position {first} changes with notes that come later: only look back"
                )
            heard |= bool((change > tolerance).any())
    if tokens and not heard:
        raise AssertionError(f"{what} is the same whatever the notes are: use the input")


def invariant_to_permutation(
    f: Callable[[Any], Any],
    items: Any,
    rng: np.random.Generator,
    what: str = "the result",
    *,
    tolerance: float = 1e-6,
) -> None:
    """Check that the order of the items doesn't change the result.

    Parameters
    ----------
    f : callable
        ``f(items)``: a mean over pieces, say.
    items : array, tensor or list
        At least two, along the first axis.
    rng : numpy.random.Generator
        What the orders are drawn from.
    what : str
        What the result is called in the message.
    tolerance : float
        As in `close`, for results that are fractions.

    Raises
    ------
    AssertionError
        If the result changes.
    ValueError
        If there is only one item.
    """
    before = f(items)
    for order in _orders(rng, items):
        after = f"in another order of the same items, {what}"
        agree(f(_taken(items, order)), before, after, tolerance)


def equivariant_to_permutation(
    f: Callable[[Any], Any],
    items: Any,
    rng: np.random.Generator,
    what: str = "the result",
    *,
    tolerance: float = 1e-6,
) -> None:
    """Check that each item's result doesn't depend on the place where the item stands.

    Parameters
    ----------
    f : callable
        ``f(items)`` gives one result an item: a score for each user, say.
    items : array, tensor or list
        At least two, along the first axis.
    rng : numpy.random.Generator
        What the orders are drawn from.
    what : str
        What the result is called in the message.
    tolerance : float
        As in `close`, for results that are fractions.

    Raises
    ------
    AssertionError
        If the results aren't the same in the new order.
    ValueError
        If there is only one item.
    """
    before = f(items)
    given(before, what)
    if np.ndim(as_plain(before)) == 0 or len(before) != len(items):
        raise AssertionError(f"{what} must have an entry for each of the {len(items)} items")
    for order in _orders(rng, items):
        after = f"with the items in another order, so must be {what}, but it"
        agree(f(_taken(items, order)), _taken(before, order), after, tolerance)


def _output(f: Callable, sequence: Any, ids: np.ndarray, axis: int, what: str) -> np.ndarray:
    array = numbers(f(_like(sequence, ids)), what, "f")
    if array.ndim <= axis or array.shape[axis] != ids.shape[axis]:
        raise AssertionError(
            f"{what} has shape {array.shape}: {ids.shape[axis]} positions are needed on axis {axis}"
        )
    return array


def _like(sequence: Any, ids: np.ndarray) -> Any:
    """Return ids as what the sequence is: a tensor, a list or an array of its dtype."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(sequence, torch.Tensor):
        return torch.as_tensor(ids, dtype=sequence.dtype)
    return ids.tolist() if isinstance(sequence, list) else ids.astype(np.asarray(sequence).dtype)


def _change(before: np.ndarray, after: np.ndarray, axis: int) -> np.ndarray:
    """Return the largest change at each position; masked logits (-inf) that stay are none."""
    if before.shape != after.shape:
        return np.full(before.shape[axis], np.inf)
    with np.errstate(invalid="ignore"):
        change = np.abs(after.astype(float) - before.astype(float))
    change = np.where(before == after, 0, np.nan_to_num(change, nan=np.inf))
    return np.moveaxis(change, axis, 0).reshape(change.shape[axis], -1).max(1, initial=0)


def _orders(rng: np.random.Generator, items: Any) -> list[np.ndarray]:
    if len(items) < 2:
        raise ValueError("another order needs at least two items")
    shift = np.roll(np.arange(len(items)), 1)  # surely another one, whatever is drawn
    return [shift, rng.permutation(len(items)), rng.permutation(len(items))]


def _taken(items: Any, order: np.ndarray) -> Any:
    if isinstance(items, (list, tuple)):
        return [items[i] for i in order]
    return items[order.copy()]
