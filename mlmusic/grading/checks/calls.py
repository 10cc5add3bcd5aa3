"""What a call does besides returning: to its arguments, on the screen, to impossible input."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Callable
from typing import Any

from mlmusic.grading.checks.values import same


def keeps_arguments(f: Callable, *args: Any, **kwargs: Any) -> None:
    """Check that a function leaves its arguments as they were.

    Parameters
    ----------
    f : callable
        The student's function.
    args, kwargs
        What to call it with.

    Raises
    ------
    AssertionError
        If an argument was changed in place; the message names it.

    Examples
    --------
    >>> keeps_arguments(list.sort, [62, 60])
    Traceback (most recent call last):
    AssertionError: argument 1 was changed in place: work on a copy: it[0] is 60, not 62
    """
    before = copy.deepcopy((args, kwargs))
    f(*args, **kwargs)
    for i, (now, then) in enumerate(zip(args, before[0], strict=True), start=1):
        same(now, then, f"argument {i} was changed in place: work on a copy: it")
    for name, then in before[1].items():
        same(kwargs[name], then, f"argument {name} was changed in place: work on a copy: it")


def printed(f: Callable, *args: Any, **kwargs: Any) -> str:
    """Call a function and return the text that it prints.

    Parameters
    ----------
    f : callable
        The student's function.
    args, kwargs
        What to call it with.

    Returns
    -------
    str
        All that it printed; empty if nothing.
    """
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        f(*args, **kwargs)
    return text.getvalue()


def refuses(
    f: Callable,
    *args: Any,
    error: type[Exception] | tuple[type[Exception], ...] = ValueError,
    what: str = "this input",
    **kwargs: Any,
) -> None:
    """Check that a function raises an error for impossible input, instead of answering.

    Parameters
    ----------
    f : callable
        The student's function.
    args, kwargs
        What to call it with.
    error : exception class, or several
        What it must raise.
    what : str
        What the input is called in the message, such as ``"an empty score"``.

    Raises
    ------
    AssertionError
        If it answers, or raises something else.
    """
    wanted = error if isinstance(error, tuple) else (error,)
    names = " or ".join(kind.__name__ for kind in wanted)
    try:
        f(*args, **kwargs)
    except NotImplementedError:
        if NotImplementedError not in wanted:
            raise  # the stub's: Exception or RuntimeError would take it for an answer
    except wanted:
        pass
    except Exception as other:
        raise AssertionError(f"{what} must raise {names}, not {type(other).__name__}") from other
    else:
        raise AssertionError(f"{what} must raise {names}: say what is wrong with it")
