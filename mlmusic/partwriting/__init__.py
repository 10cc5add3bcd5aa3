"""Feedback on part writing, like a teacher's: what rules four voices break, where, in words.

===========  =================================================================================
module       what it holds
===========  =================================================================================
`moments`    a score as the moments at which something changes, and the chords on its beats
`rules`      one function a rule: `Fault`, where it is and who sings it
`remarks`    `Remark`: bar, beat and a sentence; `remarks`, `faults_per_bar`
`peer`       music21's own checks, to compare with
===========  =================================================================================

The rules are those of textbooks on four-part harmony (Aldwell, Schachter and Cadwallader, *Harmony
and Voice Leading*, 2019). They were drawn from music like Bach's, long after it was written, and he
breaks them, too: compare with his rate, not with 0.
"""

from mlmusic.partwriting.moments import Moments, moments
from mlmusic.partwriting.remarks import Remark, faults_per_bar, remarks
from mlmusic.partwriting.rules import KINDS, RANGES

__all__ = ["KINDS", "RANGES", "Moments", "Remark", "faults_per_bar", "moments", "remarks"]
