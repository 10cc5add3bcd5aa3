"""The course's data: one function a set, each from the module of its name.

``chorales()``, ``tunes()`` and ``folksongs()`` are read from the installed music21's corpus at
first use and cached; ``jsb()`` needs two public files. Each returns a `Dataset` with ``train``,
``valid``, ``test`` and ``describe()``. ``lastfm(path)`` reads who listened to what, as `Plays`.
"""

from typing import NoReturn

# Imported here and not on demand: a function and its module share a name, and whoever imports
# the module first would otherwise find the module where the function is expected.
# The modules themselves import nothing heavy.
from mlmusic.datasets.base import Dataset
from mlmusic.datasets.chorales import chorales
from mlmusic.datasets.folksongs import folksongs
from mlmusic.datasets.jsb import jsb, jsb_frames
from mlmusic.datasets.lastfm import lastfm
from mlmusic.datasets.tunes import tunes

__all__ = ["Dataset", "chorales", "folksongs", "jsb", "jsb_frames", "lastfm", "tunes"]


def __getattr__(name: str) -> NoReturn:
    known = ", ".join(set_name for set_name in __all__ if set_name.islower())
    raise AttributeError(f"there is no data set {name!r}; mlmusic.datasets has {known}")
