"""Frames arrive whole and in time, or not at all, whatever the other side does."""

import os
import struct
import sys
import time

import pytest

from mlmusic.grading.sandbox import transport
from mlmusic.grading.sandbox.transport import Channel, Late, Lost

ECHO = """
import sys
while head := sys.stdin.buffer.read(5):
    data = head + sys.stdin.buffer.read(int.from_bytes(head[1:], "little"))
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""


@pytest.fixture(params=["pipes", "threads"])
def channel(request, monkeypatch):
    """Open a channel to a Python script; on Windows it would use threads."""
    opened = []
    if request.param == "threads":
        monkeypatch.setattr(transport, "_pipes", transport._ThreadedPipes)
    monkeypatch.setattr(transport, "_GRACE", 0.3)

    def channel(code):
        opened.append(Channel([sys.executable, "-c", code], dict(os.environ), "/"))
        return opened[-1]

    yield channel
    for one in opened:
        one.close()


def soon(seconds=10.0):
    return time.monotonic() + seconds


def test_frames_come_back_as_they_were_sent(channel):
    echo = channel(ECHO)
    for body in (b"", b"abc", bytes(range(256)) * 40_000):
        echo.send(b"D", body, soon())
        assert echo.receive(soon()) == (b"D", body)


def test_a_silent_process_is_late(channel):
    silent = channel("import time; time.sleep(60)")
    with pytest.raises(Late):
        silent.receive(soon(0.05))
    with pytest.raises(Late):
        silent.receive(soon(-1))
    with pytest.raises(Late):  # it doesn't read either
        silent.send(b"D", bytes(1 << 20), soon(0.1))


def test_a_dead_process_is_lost_and_its_last_words_are_known(channel):
    dead = channel("import sys; sys.stderr.write('one\\nlast words\\n\\n'); sys.exit(3)")
    for _ in range(2):
        with pytest.raises(Lost):
            dead.receive(soon())
    with pytest.raises(Lost):
        for _ in range(100):
            dead.send(b"D", bytes(1 << 20), soon())
    assert dead.last_words() == "last words"


def test_half_a_frame_and_then_the_end(channel):
    half = channel("import os; os.write(1, b'D' + bytes([9, 0, 0, 0]) + b'abc')")
    with pytest.raises(Lost):
        half.receive(soon())


def test_a_token_is_found_in_the_middle_of_a_frame(channel):
    echo = channel(ECHO)
    token = os.urandom(16)
    echo.send(b"D", bytes(100_000), soon())
    echo._pipes.read(soon())  # as somebody would who is killed meanwhile
    echo.send(b"S", token, soon())
    echo.send(b"R", b"next", soon())
    echo.skip_past(token, soon())
    assert echo.receive(soon()) == (b"R", b"next")
    with pytest.raises(Late):
        echo.skip_past(token, soon(0.1))


def test_a_flood_is_read_no_faster_than_it_is_used(channel):
    flood = channel("import os\nwhile True: os.write(1, bytes(1 << 16))")
    with pytest.raises(Late):
        flood.skip_past(b"x" * 16, soon(0.3))
    assert len(flood._arrived) < 2 << 20


def test_a_process_that_wont_leave_is_killed(channel):
    stubborn = channel("import time; time.sleep(60)")
    process = stubborn._process
    stubborn.close()
    assert process.returncode == -9


def test_what_isnt_there_cant_be_started():
    with pytest.raises(OSError, match="No such file"):
        Channel(["/no/such/program"], {}, "/")


def test_the_frame_is_as_documented(channel):
    echo = channel(ECHO)
    echo.send(b"K", b"token", soon())
    assert echo._pipes.read(soon()) == b"K" + struct.pack("<I", 5) + b"token"
