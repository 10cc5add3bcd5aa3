"""The course's figures: legible in black and white, each with a text that says what it shows.

Every function draws on the matplotlib Axes that it's given, or on a new figure as wide as a
notebook, and returns the Axes. In a notebook an Axes of ours, as the last line of a cell, shows
itself; `show` does the same anywhere else, and for whole figures.
"""

from mlmusic.plots.attention import attention_on_score
from mlmusic.plots.classification import confusion, roc
from mlmusic.plots.comparison import comparison
from mlmusic.plots.filters import receptive_field
from mlmusic.plots.roll import piano_roll
from mlmusic.plots.saliency import saliency
from mlmusic.plots.sound import spectrogram, waveform
from mlmusic.plots.style import PALETTE, alt, panels, png, set_alt, show
from mlmusic.plots.training import loss

__all__ = [
    "PALETTE",
    "alt",
    "attention_on_score",
    "comparison",
    "confusion",
    "loss",
    "panels",
    "piano_roll",
    "png",
    "receptive_field",
    "roc",
    "saliency",
    "set_alt",
    "show",
    "spectrogram",
    "waveform",
]
