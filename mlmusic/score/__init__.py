"""The symbolic music type of the course, and its ways to and from other representations.

========  ==========================================================================
module    what it holds
========  ==========================================================================
notes     the structured array of notes, and the checks of all fields
core      ``Score``: notes with tempo, metre, key, programs, lyrics
grid      voices × steps, and the piano roll
midi      Standard MIDI Files, through mido and pretty_midi
stream    music21's streams
========  ==========================================================================
"""

from mlmusic.score.core import Score
from mlmusic.score.notes import HOLD, NOTE_DTYPE, REST

__all__ = ["HOLD", "NOTE_DTYPE", "REST", "Score"]
