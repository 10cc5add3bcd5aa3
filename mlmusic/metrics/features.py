"""Musical features: what made windows have in common with real ones, and what they repeat.

The protocol is that of Yang and Lerch (*On the evaluation of generative models in music*, Neural
Computing and Applications, 2020). Every window is described by musical features. For one feature,
take the distances between all pairs of real windows (*intra-set*), and those between real and made
windows (*inter-set*). If the made ones are like real ones, both have the same distribution: their
*overlap area* is 1.

Features ask what windows are like, not whether they are new or different from each other. So look
at `uniqueness`, `share_in` and `coverage` as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mlmusic.windows import FIRST, HOLD, LOWEST, REST, checked, repair

FEATURES = (
    "notes per bar",
    "pitch range",
    "pitch classes",
    "intervals",
    "inter-onset intervals",
    "scale consistency",
    "off-beat share",
)
"""What `features` measures, in this order."""

WIDEST = 12
"""Intervals of more semitones count as this many."""

BINS = 256
"""How finely densities are computed."""

_MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])
# (12 keys, 12 pitch classes): the notes of each major scale, which are those of its modes, too.
_SCALES = np.array([np.isin(np.arange(12), (_MAJOR + key) % 12) for key in range(12)])


def features(symbols: ArrayLike, steps_per_bar: int) -> dict[str, np.ndarray]:
    """Describe windows by seven musical features.

    Parameters
    ----------
    symbols : int array, shape (n, steps)
        Windows as `mlmusic.windows` has them.
    steps_per_bar : int
        Where bars and beats are: a beat has six sixteenths in bars of 12 or 18, else four.

    Returns
    -------
    dict of str to float array
        ``"notes per bar"``, ``"pitch range"`` (semitones, highest minus lowest),
        ``"scale consistency"`` (largest share of the notes that one major scale, or its modes,
        has) and ``"off-beat share"`` (notes that don't begin on a beat), of shape (n,); and as
        shares of a window's notes ``"pitch classes"`` (n, 12), ``"intervals"`` (n, 25; from 12
        semitones down to 12 up, wider ones count as these) and ``"inter-onset intervals"``
        (n, steps - 1; from one sixteenth up). A window without notes has zeros everywhere, one
        with a single note has zero intervals.

    Raises
    ------
    ValueError
        If there are no windows, or they aren't whole bars of symbols.
    """
    symbols = _windows(symbols)
    n, steps = symbols.shape
    if steps_per_bar < 1 or steps % steps_per_bar:
        raise ValueError(f"{steps} steps aren't whole bars of {steps_per_bar}")
    window, onset = np.nonzero(symbols >= FIRST)
    pitch = symbols[window, onset] - FIRST + LOWEST
    notes = np.bincount(window, minlength=n)
    played = symbols >= FIRST
    highest = np.where(played, symbols, FIRST - 1).max(axis=1)
    lowest = np.where(played, symbols, highest[:, None]).min(axis=1)
    classes = _histogram(window, pitch % 12, n, 12)
    follows = np.diff(window) == 0  # two notes of one window
    intervals = np.clip(np.diff(pitch), -WIDEST, WIDEST)[follows] + WIDEST
    gaps = np.diff(onset)[follows] - 1
    beat = 6 if steps_per_bar in (12, 18) else 4
    return {
        "notes per bar": notes * steps_per_bar / steps,
        "pitch range": (highest - lowest).astype(float),
        "pitch classes": classes,
        "intervals": _histogram(window[1:][follows], intervals, n, 2 * WIDEST + 1),
        "inter-onset intervals": _histogram(window[1:][follows], gaps, n, steps - 1),
        "scale consistency": (classes @ _SCALES.T).max(axis=1),
        "off-beat share": _histogram(window, (onset % beat > 0).astype(int), n, 2)[:, 1],
    }


def distances(a: ArrayLike, b: ArrayLike | None = None) -> np.ndarray:
    """Euclidean distances of one feature: of all pairs in a set, or between two sets.

    Parameters
    ----------
    a, b : array, shape (n,) or (n, size)

    Returns
    -------
    float array, shape (n × (n - 1) / 2,) or (n × m,)

    Raises
    ------
    ValueError
        If a set has less than two rows (one, if there are two sets), the sizes differ, or a
        number isn't finite.
    """
    left = _rows(a)
    right = left if b is None else _rows(b)
    if len(left) < (2 if b is None else 1) or len(right) < 1:
        raise ValueError("distances need two windows of one set, or one of each")
    if left.shape[1] != right.shape[1]:
        raise ValueError(f"features of sizes {left.shape[1]} and {right.shape[1]} don't compare")
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    # Rounding may leave a tiny number, of either sign, where it should be 0.
    found = np.sqrt(np.where(squares < 1e-12, 0, squares))
    return found[np.triu_indices(len(found), 1)] if b is None else found.ravel()


def densities(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel density estimates of two samples on one axis.

    A normal curve stands on every number; its width is Scott's rule (1992) for each sample, and
    at least a step of the axis. Numbers are first counted in `BINS` equal steps, so that many
    are as quick as few.

    Parameters
    ----------
    a, b : array, shape (n,) and (m,)

    Returns
    -------
    axis, a's density, b's density : float arrays, shape (BINS,)
        Each density's sum times the axis's step is 1.

    Raises
    ------
    ValueError
        If a sample is empty or not finite.
    """
    samples = [np.asarray(sample, float).ravel() for sample in (a, b)]
    if any(not sample.size or not np.isfinite(sample).all() for sample in samples):
        raise ValueError("densities need finite numbers, at least one in each sample")
    low, high = min(s.min() for s in samples), max(s.max() for s in samples)
    spread = high - low or 1.0
    widths = [sample.std() * sample.size ** (-1 / 5) for sample in samples]
    margin = max(3 * max(widths), 0.05 * spread)
    edges = np.linspace(low - margin, high + margin, BINS + 1)
    step = edges[1] - edges[0]
    axis = (edges[:-1] + edges[1:]) / 2
    found = []
    for sample, width in zip(samples, widths, strict=True):
        counts = np.histogram(sample, edges)[0] / sample.size
        kernel = np.exp(-0.5 * ((axis[:, None] - axis) / max(width, step)) ** 2)
        kernel /= kernel.sum(axis=0)  # what would lie beyond the axis stays on it
        found.append(kernel @ counts / step)
    return axis, found[0], found[1]


def overlap_area(a: ArrayLike, b: ArrayLike) -> float:
    """Return the area that two samples' densities share, from 0 to 1.

    Parameters
    ----------
    a, b : array, shape (n,) and (m,)
        For Yang and Lerch's protocol, intra-set and inter-set `distances`.

    Raises
    ------
    ValueError
        If a sample is empty or not finite.
    """
    axis, left, right = densities(a, b)
    return float(np.minimum(left, right).sum() * (axis[1] - axis[0]))


def kl_divergence(a: ArrayLike, b: ArrayLike) -> float:
    """Kullback–Leibler divergence of two samples' densities, KL(a ‖ b) in nats.

    0 if they are the same, larger the more a has where b has little. Where b has nothing at all,
    its density counts as 1e-6 of its highest, so that the number stays finite.

    Raises
    ------
    ValueError
        If a sample is empty or not finite.
    """
    axis, left, right = densities(a, b)
    step = axis[1] - axis[0]
    right = np.maximum(right, 1e-6 * right.max())
    right = right / (right.sum() * step)
    some = left > 0
    return float((left[some] * np.log(left[some] / right[some])).sum() * step)


def compare(
    real: ArrayLike, made: ArrayLike, steps_per_bar: int, *, most: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Compare made windows with real ones, feature by feature.

    Parameters
    ----------
    real, made : int array, shape (n, steps) and (m, steps)
    steps_per_bar : int
    most : int
        Of larger sets, so many windows are drawn: a thousand have a million distances.
    seed : int
        Of that draw.

    Returns
    -------
    dict of str to (overlap area, KL divergence in nats)
        Of the intra-set distances of ``real`` and the inter-set ones, for each of `FEATURES`.

    Raises
    ------
    ValueError
        If there are less than two real windows or no made one, or they don't compare.
    """
    real, made = _drawn(real, most, seed), _drawn(made, most, seed + 1)
    if real.shape[1] != made.shape[1]:
        raise ValueError(f"windows of {real.shape[1]} and of {made.shape[1]} steps don't compare")
    there, here = features(real, steps_per_bar), features(made, steps_per_bar)
    found = {}
    for name in FEATURES:
        intra, inter = distances(there[name]), distances(there[name], here[name])
        found[name] = overlap_area(intra, inter), kl_divergence(intra, inter)
    return found


def mean_overlap(
    real: ArrayLike, made: ArrayLike, steps_per_bar: int, *, most: int = 1000, seed: int = 0
) -> float:
    """Return the mean overlap area over all `FEATURES`; see `compare`."""
    found = compare(real, made, steps_per_bar, most=most, seed=seed)
    return float(np.mean([overlap for overlap, _ in found.values()]))


def uniqueness(made: ArrayLike) -> float:
    """Return how many different windows there are, as a share of all: 1 if no two are the same.

    It falls with the size of the set, so compare sets of one size.

    Raises
    ------
    ValueError
        If there are no windows.
    """
    made = _windows(made)
    return len(np.unique(made, axis=0)) / len(made)


def share_in(made: ArrayLike, training: ArrayLike) -> float:
    """Return the share of rows, windows or bars, that stand in the training set symbol for symbol.

    Human tunes share bars, too: compare with the same share of held-out tunes.

    Parameters
    ----------
    made, training : int array, shape (n, steps) and (m, steps)

    Raises
    ------
    ValueError
        If there are no rows, or their lengths differ.
    """
    made, training = _windows(made), _windows(training)
    _check_same_length(made, training)
    known = {row.tobytes() for row in training}
    return float(np.mean([row.tobytes() in known for row in made]))


def nearest(bar: ArrayLike, training: ArrayLike) -> tuple[int, int]:
    """Find the training row that is most like a bar or window.

    Rows are compared by what sounds in each step: pitch, or silence, and whether a note begins.

    Parameters
    ----------
    bar : int array, shape (steps,)
    training : int array, shape (n, steps)

    Returns
    -------
    index, distance : int
        Of the first of the nearest, and in how many steps the two differ.

    Raises
    ------
    ValueError
        If there are no rows, or their lengths differ.
    """
    bar, training = _windows(np.atleast_2d(bar)), _windows(training)
    if len(bar) != 1:
        raise ValueError(f"one bar at a time, not {len(bar)}")
    _check_same_length(bar, training)
    differs = (sounding(bar) != sounding(training)) | ((bar >= FIRST) != (training >= FIRST))
    counts = differs.sum(axis=1)
    best = int(counts.argmin())
    return best, int(counts[best])


def sounding(symbols: ArrayLike) -> np.ndarray:
    """Return what sounds in each step: the MIDI pitch, held or not, or -1 in silence."""
    symbols = repair(_windows(symbols))
    steps = np.arange(symbols.shape[1])
    begun = np.maximum.accumulate(np.where(symbols != HOLD, steps, 0), axis=1)
    found = np.take_along_axis(symbols, begun, axis=1)
    return np.where(found == REST, -1, found - FIRST + LOWEST)


def coverage(real: ArrayLike, made: ArrayLike, *, neighbours: int = 5) -> float:
    """Return the share of real windows that have a made one nearby: how many modes are covered.

    Nearby means: no farther than the real window's own fifth-nearest real neighbour, in the number
    of steps that sound differently (Naeem and others, *Reliable fidelity and diversity metrics for
    generative models*, ICML, 2020). Real against real gives a share below 1: compare with that.

    Parameters
    ----------
    real, made : int array, shape (n, steps) and (m, steps)
        Compare only values for the same n and m.
    neighbours : int

    Raises
    ------
    ValueError
        If there aren't more real windows than neighbours, no made one, or lengths differ.
    """
    real, made = _windows(real), _windows(made)
    _check_same_length(real, made)
    if not 1 <= neighbours < len(real):
        raise ValueError(f"{len(real)} real windows don't have {neighbours} neighbours each")
    own = np.sort(_differing(real, real), axis=1)[:, neighbours]  # the nearest is the window itself
    return float((_differing(real, made).min(axis=1) <= own).mean())


def _differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """In how many steps do windows sound differently? Shape (n, m)."""
    left, right = sounding(a).astype(np.int16), sounding(b).astype(np.int16)
    found = np.zeros((len(a), len(b)), np.int16)
    for step in range(a.shape[1]):  # without an array of n × m × steps
        found += left[:, step, None] != right[:, step]
    return found


def _histogram(row: np.ndarray, at: np.ndarray, rows: int, bins: int) -> np.ndarray:
    """Shares of each row's numbers that fall into each bin; zeros if it has none."""
    counts = np.bincount(row * bins + at, minlength=rows * bins).reshape(rows, bins)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _windows(symbols: ArrayLike) -> np.ndarray:
    symbols = checked(symbols)
    if symbols.ndim != 2 or not symbols.size:
        raise ValueError(f"windows are a filled array (n, steps), not {symbols.shape}")
    return np.ascontiguousarray(symbols)


def _drawn(symbols: ArrayLike, most: int, seed: int) -> np.ndarray:
    symbols = _windows(symbols)
    if len(symbols) <= most:
        return symbols
    return symbols[np.random.default_rng(seed).permutation(len(symbols))[:most]]


def _rows(a: ArrayLike) -> np.ndarray:
    a = np.asarray(a, float)
    if a.ndim not in (1, 2) or not np.isfinite(a).all():
        raise ValueError(f"a feature is a finite array (n,) or (n, size), not {a.shape}")
    return a.reshape(len(a), -1)


def _check_same_length(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"rows of {a.shape[1]} and of {b.shape[1]} steps don't compare")
