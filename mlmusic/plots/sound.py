"""Sound over time: its wave, and the frequencies in it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mlmusic.plots.style import INK, PALETTE, canvas, numbers, set_alt

COLUMNS = 1000
"""About as many as a figure has pixels across: finer detail can't be seen."""


def waveform(wave: np.ndarray, rate: int = 22050, ax: Axes | None = None) -> Axes:
    """Draw a waveform: amplitude over seconds.

    Where many samples fall on one pixel, their lowest and highest are drawn, so that no peak is
    lost.

    Parameters
    ----------
    wave : array of numbers, shape (samples,)
        Full scale is -1 to 1.
    rate : int
        Samples a second.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the wave isn't one row of finite numbers, or the rate isn't positive.
    """
    wave = _checked(wave, rate)
    seconds = len(wave) / rate
    peak = int(np.argmax(np.abs(wave)))
    with canvas(ax, height=2.0) as ax:
        if len(wave) > 4 * COLUMNS:
            edges = np.linspace(0, len(wave), COLUMNS + 1).astype(int)
            low = np.minimum.reduceat(wave, edges[:-1])
            high = np.maximum.reduceat(wave, edges[:-1])
            times = (edges[:-1] + edges[1:]) / 2 / rate
            ax.fill_between(times, low, high, color=PALETTE[0], ec=PALETTE[0], lw=0.5)
        else:
            ax.plot(np.arange(len(wave)) / rate, wave, color=PALETTE[0], lw=0.9)
        ax.axhline(0, color=INK, lw=0.5)
        reach = max(1.0, 1.05 * abs(wave[peak]))
        ax.set(xlim=(0, seconds), ylim=(-reach, reach), xlabel="time (s)")
        ax.set_ylabel("amplitude (full scale = 1)" if reach > 1 else "amplitude")
    return set_alt(
        ax,
        f"Waveform of {seconds:.3g} seconds at {rate} samples a second: peak"
        f" {abs(wave[peak]):.2g} of full scale at {round(peak / rate, 3):g} s, {_loudness(wave)}.",
    )


def spectrogram(
    wave: np.ndarray,
    rate: int = 22050,
    ax: Axes | None = None,
    *,
    window: int = 2048,
    range_db: float = 80.0,
    low: float = 55.0,
) -> Axes:
    """Draw a spectrogram: the level of each frequency over time.

    Short-time Fourier transform with a Hann window, on a logarithmic frequency axis, where an
    octave is everywhere of one height, as on a keyboard.

    Parameters
    ----------
    wave : array of numbers, shape (samples,)
        Full scale is -1 to 1.
    rate : int
        Samples a second.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    window : int
        Samples that one column looks at: longer tells close frequencies apart, shorter close
        moments.
    range_db : float
        Levels so far below the loudest are drawn as silence.
    low : float
        Lowest frequency, in Hz; the highest is half the rate.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the wave isn't one row of finite numbers, or another number makes no sense.
    """
    wave = _checked(wave, rate)
    if not (isinstance(window, (int, np.integer)) and window >= 16):
        raise ValueError(f"window must be a whole number of samples from 16 on, not {window!r}")
    if not 0 < low < rate / 2:
        raise ValueError(f"low must lie between 0 and half the rate ({rate / 2:g} Hz), not {low!r}")
    if not range_db > 0:
        raise ValueError(f"range_db must be positive, not {range_db!r}")
    level, frequencies = _levels(wave, rate, window, low, range_db)
    seconds, high = len(wave) / rate, rate / 2
    with canvas(ax) as ax:
        image = ax.imshow(
            level,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, np.log2(low), np.log2(high)),
            cmap="magma",  # brighter is louder in grey, too
            vmin=-range_db,
            vmax=0,
            interpolation="nearest",
        )
        octaves = 55.0 * 2.0 ** np.arange(-5, 12)
        octaves = octaves[(octaves >= low * 0.999) & (octaves <= high)]
        ax.yaxis.set_major_locator(FixedLocator(np.log2(octaves)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{2**y:.0f}"))
        ax.set(xlabel="time (s)", ylabel="frequency (Hz)")
        bar = ax.figure.colorbar(image, ax=ax, pad=0.01)
        bar.set_label("level (dB below the loudest)")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{abs(y):.0f}"))
        bar.outline.set_visible(False)
    if not wave.any():
        return set_alt(ax, f"Spectrogram of {seconds:.3g} seconds of silence.")
    power = 10 ** (level / 10)
    loudest = frequencies[int(np.argmax(power.mean(axis=1)))]
    share = np.cumsum(power.sum(axis=1)) / power.sum()
    middle = frequencies[np.searchsorted(share, [0.05, 0.95])]
    return set_alt(
        ax,
        f"Spectrogram of {seconds:.3g} seconds, {low:g} to {high:g} Hz: strongest on average near"
        f" {loudest:.0f} Hz, nine tenths of the power between {middle[0]:.0f} and"
        f" {middle[1]:.0f} Hz.",
    )


def _levels(
    wave: np.ndarray, rate: int, window: int, low: float, range_db: float
) -> tuple[np.ndarray, np.ndarray]:
    """Decibels below the loudest, (frequencies, columns), and the frequencies, log-spaced."""
    hop = max(window // 16, len(wave) // COLUMNS)
    padded = np.pad(wave, window // 2)  # the first column is centred on the first sample
    if len(padded) < window:
        padded = np.pad(padded, (0, window - len(padded)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)) ** 2  # (columns, bins)
    frequencies = np.geomspace(low, rate / 2, 256)
    bins = np.fft.rfftfreq(window, 1 / rate)
    # Between bins: interpolate. Where several bins fall into one row: take the strongest.
    edges = np.sqrt(frequencies[1:] * frequencies[:-1])
    rows = np.searchsorted(edges, bins[bins >= edges[0]])
    level = np.stack([np.interp(frequencies, bins, column) for column in power], axis=1)
    np.maximum.at(level, rows, power.T[bins >= edges[0]])
    loudest = level.max()
    if loudest == 0:
        return np.full(level.shape, -range_db), frequencies
    floor = 10 ** (-range_db / 10)
    return 10 * np.log10(np.maximum(level / loudest, floor)), frequencies


def _checked(wave: np.ndarray, rate: int) -> np.ndarray:
    if not (np.isscalar(rate) and np.isreal(rate) and rate > 0):
        raise ValueError(f"rate must be a positive number of samples a second, not {rate!r}")
    return numbers(wave, "wave")


def _loudness(wave: np.ndarray) -> str:
    """Say how loud a wave is, and where it is loudest."""
    level = np.sqrt(np.mean(wave**2))
    if level == 0:
        return "silent"
    thirds = [np.mean(part**2) for part in np.array_split(wave, 3)] if len(wave) >= 3 else [1.0]
    place = ("the first", "the middle", "the last")[int(np.argmax(thirds))]
    even = max(thirds) < 2 * min(thirds)
    return f"mean level {20 * np.log10(level):.0f} dB, " + (
        "even throughout" if even else f"loudest in {place} third"
    )
