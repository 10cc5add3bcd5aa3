"""Values on their way between a trusted test and a student's code: JSON and raw bytes, no pickle.

`encode` turns a value into a header (JSON) and blobs (bytes), `decode` turns them back. What is
decoded may come from hostile code, so `decode` builds nothing but exact builtin types, NumPy
arrays of plain numbers and text, dense torch tensors and `Score`, and checks every length before
it allocates. In the header a number, a text, None, True and a list stand for themselves; anything
else is an object with one key that names its kind:

``f c b s``      a float that isn't finite, complex, bytes, a long text (the last two as blobs)
``t d S F``      tuple, dict, set, frozenset
``C O D q n``    Counter, OrderedDict, defaultdict, deque, named tuple
``r l e v Q X``  range, slice, Ellipsis, a dict's keys, values or items, Fraction, Decimal
``P``            many numbers of one kind, as one blob, where a list is expected
``a g T M``      NumPy array, NumPy scalar, torch tensor, Score
``h callback``   an object that stays where it is: in the sandbox, or on the trusted side
"""

from mlmusic.grading.codec.decoding import decode
from mlmusic.grading.codec.encoding import encode
from mlmusic.grading.codec.messages import pack, read_message
from mlmusic.grading.codec.values import Callback, CodecError, Handle

__all__ = ["Callback", "CodecError", "Handle", "decode", "encode", "pack", "read_message"]
