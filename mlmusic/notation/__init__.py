"""Engraved notation: a Score as a sheet of music that a playhead can follow.

=========  ==============================================================
module     what it holds
=========  ==============================================================
writing    Score → MEI: note values, ties, beams, triplets, accidentals
engraving  MEI → verovio → SVG, and where each note stands in it
=========  ==============================================================
"""

from mlmusic.notation.engraving import engrave
from mlmusic.notation.writing import mei

__all__ = ["engrave", "mei"]
