"""The warm process's side of the frames between it and the trusted side.

A frame is a letter, the length of its body (four bytes, little-endian) and the body. What a
student's process says is passed on inside a frame, so that no student can say anything in the warm
process's name.

====  ========================================================================
in    ``W`` the setting; ``F`` fork a student, ``D`` data for it, ``K`` end it, with a token
out   ``R`` ready, ``D`` data, ``X`` how the student ended, ``S`` with the token: all is gone
====  ========================================================================
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator

_PIECE = 1 << 16
_HEAD = struct.Struct("<cI")


class Frames:
    """Two pipes and what waits in them.

    Parameters
    ----------
    requests, replies : int
        The descriptors to read from and to write to. After the first frame neither ever blocks.
    """

    def __init__(self, requests: int, replies: int) -> None:
        self.requests, self.replies = requests, replies
        self._arrived = bytearray()  # not yet a whole frame
        self._waiting = bytearray()

    @property
    def waiting(self) -> int:
        """How many bytes wait to be written."""
        return len(self._waiting)

    def first(self) -> tuple[bytes, bytes]:
        """Wait for the first frame.

        Raises
        ------
        EOFError
            If the trusted side is gone.
        """
        while True:
            for frame in self.read():
                os.set_blocking(self.requests, False)
                os.set_blocking(self.replies, False)
                return frame

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Read what has come, and yield the frames that are whole.

        Raises
        ------
        EOFError
            If the trusted side is gone.
        """
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.requests, 1 << 20)
            if not data:
                raise EOFError
            self._arrived += data
        while len(self._arrived) >= _HEAD.size:
            letter, length = _HEAD.unpack_from(self._arrived)
            end = _HEAD.size + length
            if len(self._arrived) < end:
                return
            body = bytes(self._arrived[_HEAD.size : end])
            del self._arrived[:end]
            yield letter, body

    def tell(self, letter: bytes, body: bytes = b"") -> None:
        """Queue a frame."""
        self._waiting += _HEAD.pack(letter, len(body)) + body

    def write(self) -> None:
        """Write some of what waits.

        Raises
        ------
        BrokenPipeError
            If the trusted side is gone.
        """
        with contextlib.suppress(BlockingIOError):
            del self._waiting[: os.write(self.replies, self._waiting[:_PIECE])]

    def close(self) -> None:
        """Close both pipes."""
        os.close(self.requests)
        os.close(self.replies)
