"""Scores as pictures: the piano roll."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from mlmusic.describe import spell, voice_names
from mlmusic.plots.style import PALETTE, canvas, set_alt
from mlmusic.score import Score

# Beyond colour: how much of it fills a voice's bars, their hatching, and their height. In the
# order of the player's fillings, so that a voice looks the same in both.
LOOKS = (
    (1.0, "", 0.9),
    (0.0, "", 0.8),
    (0.1, "//////", 0.9),
    (0.45, "------", 0.7),
    (0.1, "......", 0.9),
    (0.1, "||||||||", 0.9),
)
BLACK_KEYS = (1, 3, 6, 8, 10)


def piano_roll(score: Score, ax: Axes | None = None, *, names: Sequence[str] | None = None) -> Axes:
    """Draw a piano roll: pitch over bars, one bar of colour a note.

    Voices differ by colour, hatching and edge. Bars are numbered as musicians do: from 1, a
    pickup is 0.

    Parameters
    ----------
    score : Score
        With at least one note.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    names : sequence of str, optional
        What the voices are called, from the lowest number up; by default as in the player.

    Returns
    -------
    matplotlib Axes
        Its horizontal axis is in quarter notes, whatever the labels say.

    Raises
    ------
    TypeError
        If this is no Score.
    ValueError
        If the score is empty, or ``names`` are not as many as the voices.
    """
    if not isinstance(score, Score):
        raise TypeError(f"a piano roll shows a Score, not {type(score).__name__}")
    if not len(score):
        raise ValueError("there is nothing to draw: the score has no notes")
    voices = score.voices
    names = list(voice_names(score).values()) if names is None else list(names)
    if len(names) != len(voices):
        raise ValueError(f"{len(names)} names for {len(voices)} voices")
    with canvas(ax) as ax:
        low, high = int(score.notes["pitch"].min()), int(score.notes["pitch"].max())
        low, high = low - 2, high + 2
        for pitch in range(low, high + 1):
            if pitch % 12 in BLACK_KEYS:
                ax.axhspan(pitch - 0.5, pitch + 0.5, color="#F3F3F3", lw=0, zorder=0)
        for place, voice in enumerate(voices):
            _draw_voice(ax, score.notes[score.notes["voice"] == voice], place)
        if len(voices) > 1:
            handles = [Patch(label=name, **_look(place)) for place, name in enumerate(names)]
            ax.legend(
                handles=handles,
                loc="upper right",
                bbox_to_anchor=(1, -0.12),  # beside the label of the axis: titles are long
                ncols=min(len(names), 6),
                borderaxespad=0.2,
                handlelength=1.8,
            )
        _label_bars(ax, score)
        _label_pitches(ax, low, high, _key(score))
        if score.title:
            ax.set_title(score.title)
    return set_alt(ax, describe(score, names))


def describe(score: Score, names: Sequence[str]) -> str:
    """Say in words what a piano roll shows."""
    bars, notes, key = len(score.bar_lines) - 1, score.notes, _key(score)
    _, numerator, denominator = score.metre[0]
    title = f" of {score.title}" if score.title else ""
    pickup = " with a pickup" if score.has_pickup else ""
    text = (
        f"Piano roll{title}: {bars} bar{'s' * (bars > 1)}{pickup} in {numerator}/{denominator},"
        f" {len(names)} voice{'s' * (len(names) > 1)}, {len(notes)} note{'s' * (len(notes) > 1)},"
        f" pitches {_span(notes['pitch'], key)}."
    )
    for voice, name in zip(score.voices, names, strict=True):
        line = notes[notes["voice"] == voice]
        first, last = (_name(line["pitch"][i], key) for i in (0, -1))
        who = f"{name[:1].upper()}{name[1:]}: {_span(line['pitch'], key)}," if names[1:] else "It"
        text += f" {who} begins on {first}, ends on {last}."
    return text


def _span(pitches: np.ndarray, key: tuple[int, str]) -> str:
    return f"{_name(pitches.min(), key)} to {_name(pitches.max(), key)}"


def _name(pitch: int, key: tuple[int, str]) -> str:
    """Name a pitch as the player does, with the signs that an axis has room for."""
    letter, alter, octave = spell(int(pitch), *key)
    return f"{letter}{'♭' * -alter}{'♯' * alter}{octave}"


def _key(score: Score) -> tuple[int, str]:
    return score.key[0][1:] if score.key else (0, "")


def _look(place: int) -> dict:
    """Colours and hatching of the voice at a place."""
    colour = np.array(to_rgb(PALETTE[place % len(PALETTE)]))
    filled, hatch, _ = LOOKS[place % len(LOOKS)]
    return {
        "facecolor": filled * colour + (1 - filled),
        "edgecolor": colour * 0.55,
        "hatch": hatch,
        "linewidth": 0.8,
    }


def _draw_voice(ax: Axes, notes: np.ndarray, place: int) -> None:
    left, right = notes["onset"], notes["onset"] + notes["duration"]
    half = LOOKS[place % len(LOOKS)][2] / 2
    bottom, top = notes["pitch"] - half, notes["pitch"] + half
    corners = np.array([[left, bottom], [right, bottom], [right, top], [left, top]])
    ax.add_collection(
        PolyCollection(corners.transpose(2, 0, 1), zorder=2 + 0.01 * place, **_look(place))
    )


def _label_bars(ax: Axes, score: Score) -> None:
    lines, first = score.bar_lines, 0 if score.has_pickup else 1
    for line in lines:
        ax.axvline(line, color="#999999", lw=0.8, zorder=1)
    every = next(n for n in (1, 2, 4, 8, 16, 32, 10**6) if len(lines) <= 20 * n)
    numbers = np.arange(first, first + len(lines) - 1)
    shown = (numbers - 1) % every == 0
    ax.set_xticks(lines[:-1][shown], [str(n) for n in numbers[shown]])
    _, numerator, denominator = score.metre[0]
    changes = ", changing" if len({entry[1:] for entry in score.metre}) > 1 else ""
    ax.set_xlabel(f"bar ({numerator}/{denominator}{changes})", loc="left")
    ax.set_xlim(lines[0], lines[-1])


def _label_pitches(ax: Axes, low: int, high: int, key: tuple[int, str]) -> None:
    span = high - low
    if span <= 18:
        steps = (0, 2, 4, 5, 7, 9, 11)
    elif span <= 34:
        steps = (0, 4, 7)
    else:
        steps = (0, 7) if span <= 60 else (0,)
    ticks = [pitch for pitch in range(low, high + 1) if pitch % 12 in steps]
    ax.set_yticks(ticks, [_name(pitch, key) for pitch in ticks])
    ax.set_ylim(low - 0.5, high + 0.5)
    ax.set_ylabel("pitch")
