"""The symbolic music type of the course, and its ways to and from other representations.

========  ==========================================================================
module    what it holds
========  ==========================================================================
core      ``Score``: notes as a structured array, with tempo, metre, key, lyrics
grid      voices × steps, and the piano roll
midi      Standard MIDI Files, through mido and pretty_midi
stream    music21's streams
========  ==========================================================================
"""

from mlmusic.score.core import HOLD, NOTE_DTYPE, REST, Score

__all__ = ["HOLD", "NOTE_DTYPE", "REST", "Score"]
