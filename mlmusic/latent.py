"""What one can do with latent numbers: walk between melodies, measure the way, push an attribute.

Latent numbers are NumPy arrays of shape (…, latent) here. Melodies are windows of symbols, as
`mlmusic.windows` has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mlmusic.metrics.features import sounding
from mlmusic.windows import FIRST, checked

ATTRIBUTES = ("density", "range", "contour")
"""What `attributes` measures, in this order."""


# Ways -------------------------------------------------------------------------------------------


def lerp(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> np.ndarray:
    """Go straight from a to b: (1 - t) a + t b.

    Parameters
    ----------
    a, b : array, shape (latent,)
    t : array, shape (points,)
        From 0 at a to 1 at b.

    Returns
    -------
    float array, shape (points, latent)

    Raises
    ------
    ValueError
        If the shapes differ, or a number isn't finite.
    """
    a, b, t = _ends(a, b, t)
    return (1 - t) * a + t * b


def slerp(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> np.ndarray:
    """Go from a to b along an arc: the direction turns evenly, the length changes evenly.

    With Ω the angle between a and b, the direction at t is
    (sin((1 - t) Ω) â + sin(t Ω) b̂) / sin Ω (Shoemake, *Animating rotation with quaternion
    curves*, 1985). Halfway between two random directions a straight line is shorter by √2 than
    its ends; an arc isn't (White, *Sampling generative networks*, 2016).

    Parameters and errors are those of `lerp`; it's also an error if a or b is 0, or they point in
    opposite directions, between which no arc is the shortest.
    """
    a, b, t = _ends(a, b, t)
    long = np.linalg.norm(a), np.linalg.norm(b)
    if min(long) < 1e-12:
        raise ValueError("slerp needs two directions, but one of the points is 0")
    u, v = a / long[0], b / long[1]
    # As good for tiny angles as for large ones, unlike the cosine's inverse.
    angle = 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))
    if np.pi - angle < 1e-6:
        raise ValueError("a and b point in opposite directions: every arc is as short as any other")
    if angle < 1e-6:
        direction = (1 - t) * u + t * v
    else:
        direction = (np.sin((1 - t) * angle) * u + np.sin(t * angle) * v) / np.sin(angle)
    return ((1 - t) * long[0] + t * long[1]) * direction


def plane(corners: ArrayLike, rows: int, columns: int) -> np.ndarray:
    """Spread a grid between four points, along arcs: first up the sides, then across.

    Parameters
    ----------
    corners : array, shape (4, latent)
        Bottom left, bottom right, top left, top right, as `mlmusic.latentmap` draws them.
    rows, columns : int
        At least 2.

    Returns
    -------
    float array, shape (rows, columns, latent)

    Raises
    ------
    ValueError
        If there aren't four corners, or a number is below 2.
    """
    corners = np.asarray(corners, float)
    if corners.ndim != 2 or len(corners) != 4 or min(rows, columns) < 2:
        raise ValueError("a plane has four corners (4, latent), and at least 2 rows and columns")
    up, across = np.linspace(0, 1, rows), np.linspace(0, 1, columns)
    left, right = slerp(corners[0], corners[2], up), slerp(corners[1], corners[3], up)
    return np.stack([slerp(a, b, across) for a, b in zip(left, right, strict=True)])


@dataclass(frozen=True)
class Way:
    """How even a way from one window to another is.

    Attributes
    ----------
    distance : float
        Share of steps that sound differently at its two ends.
    largest : float
        The same for the largest step on the way.
    detour : float
        All steps added up, over ``distance``: 1 if nothing changes to and fro.
    """

    distance: float
    largest: float
    detour: float


def way(windows: ArrayLike) -> Way:
    """Measure a way: windows from one end to the other.

    Raises
    ------
    ValueError
        If there are fewer than two, or both ends sound the same.
    """
    windows = checked(windows)
    if windows.ndim != 2 or len(windows) < 2:
        raise ValueError(f"a way needs two windows at least, (n, steps), not {windows.shape}")
    sounds = sounding(windows)
    distance = (sounds[0] != sounds[-1]).mean()
    steps = (sounds[1:] != sounds[:-1]).mean(axis=1)
    if distance == 0:
        raise ValueError("both ends sound the same: there is no way to measure")
    return Way(
        distance=float(distance),
        largest=float(steps.max()),
        detour=float(steps.sum() / distance),
    )


def cut_and_paste(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> np.ndarray:
    """Go from a to b without a model: the first share t of the steps is b's, the rest a's.

    Parameters
    ----------
    a, b : int array, shape (steps,)
        Windows.
    t : array, shape (points,)
        0 to 1.

    Returns
    -------
    int64 array, shape (points, steps)
    """
    a, b = checked(a), checked(b)
    cut = np.rint(np.asarray(t, float) * len(a))[:, None]
    return np.where(np.arange(len(a)) < cut, b, a)


# Attributes -------------------------------------------------------------------------------------


def attributes(symbols: ArrayLike) -> np.ndarray:
    """Measure three attributes of windows.

    Parameters
    ----------
    symbols : int array, shape (n, steps)

    Returns
    -------
    float array, shape (n, 3)
        ``density`` (notes), ``range`` (semitones from the lowest to the highest) and ``contour``
        (mean pitch of the second half of the notes minus that of the first half, in semitones:
        positive if the melody rises). A window with fewer than two notes has no range and no
        contour: both are 0.

    Raises
    ------
    ValueError
        If it isn't windows of symbols.
    """
    symbols = checked(symbols)
    if symbols.ndim != 2:
        raise ValueError(f"windows are an array (n, steps), not {symbols.shape}")
    found = np.zeros((len(symbols), 3))
    for row, window in zip(found, symbols, strict=True):
        pitches = window[window >= FIRST]
        row[0] = len(pitches)
        if len(pitches) > 1:
            half = len(pitches) // 2
            row[1] = np.ptp(pitches)
            row[2] = pitches[-half:].mean() - pitches[:half].mean()
    return found


def attribute_vector(latents: ArrayLike, values: ArrayLike, *, share: float = 0.25) -> np.ndarray:
    """Return the way from windows with little of an attribute to those with much of it.

    The mean of the latent numbers of the quarter with the highest values, minus that of the
    quarter with the lowest (Roberts et al., *A hierarchical latent vector model for learning
    long-term structure in music*, 2018).

    Parameters
    ----------
    latents : array, shape (n, latent)
    values : array, shape (n,)
    share : float
        Which share of the windows is at either end, above 0, at most 0.5.

    Raises
    ------
    ValueError
        If the lengths differ, the share is impossible, or all values are the same.
    """
    latents, values = np.asarray(latents, float), np.asarray(values, float)
    if latents.ndim != 2 or values.shape != (len(latents),) or not len(values):
        raise ValueError(f"latents {latents.shape} need one value each, not {values.shape}")
    if not 0 < share <= 0.5:
        raise ValueError(f"share must be above 0 and at most 0.5, not {share}")
    low, high = np.quantile(values, [share, 1 - share])
    if low == high:
        raise ValueError("the values don't differ enough: both ends have the same")
    return latents[values >= high].mean(axis=0) - latents[values <= low].mean(axis=0)


def _ends(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b, t = np.asarray(a, float), np.asarray(b, float), np.asarray(t, float)
    if a.ndim != 1 or a.shape != b.shape or t.ndim != 1:
        raise ValueError(
            f"a {a.shape} and b {b.shape} must have one shape (latent,), and t {t.shape} be a row"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all() and np.isfinite(t).all()):
        raise ValueError("a, b and t must be finite numbers")
    return a, b, t[:, None]
