"""What the Linux kernel takes away from a process: Landlock, seccomp, prctl, through ctypes.

Landlock says which files a process can read and write, seccomp which system calls it can make.
Both need no privileges, hold for all its children, and can't be undone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterable

PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 4, 22, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_CAPABILITY_VERSION = 0x20080522


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int, more: ctypes.Array | None = None) -> None:
    zero = ctypes.c_ulong(0)
    number = ctypes.c_ulong(value)
    if _libc().prctl(option, number, zero if more is None else more, zero, zero) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have this process sent a signal when the thread that started it ends."""
    _prctl(PR_SET_PDEATHSIG, number)


def set_dumpable(dumpable: bool) -> None:
    """Allow or forbid others of the same user to look into this process (/proc/PID/mem, ptrace)."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable))


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that none gets lost."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    """Make set-uid programs run without their privileges, which the rest here asks for."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up what root may do beyond other users, if this is root; no way leads back."""
    for capability in range(64):
        # Refused to those who have none, and unknown beyond the last one.
        _libc().prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("<Ii", _CAPABILITY_VERSION, 0))
    nothing = ctypes.create_string_buffer(24)
    if _libc().capset(header, nothing) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"capset: {os.strerror(code)}")


# Landlock -----------------------------------------------------------------------------------------

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11  # root could make itself a door to the disk
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL


def landlock_abi() -> int:
    """Return the version of Landlock that the kernel has; 0 if none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1))


def landlock(write: Iterable[str], read: Iterable[str] | None = None) -> None:
    """Restrict this process to some files; also no TCP, no signals and sockets to the outside.

    Parameters
    ----------
    write : paths
        Folders and files that it can read, write and change.
    read : paths, optional
        Folders and files that it can read; everything if not given. With it, nothing can be
        executed.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    abi = landlock_abi()
    writing = _WRITE_FILE | 0x1FF0  # make and remove entries of every kind
    writing |= (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0)
    handled = writing
    if read is not None:
        handled |= _READ_FILE | _READ_DIR | _EXECUTE | (_IOCTL if abi >= 5 else 0)
    # Files, TCP (bind, connect), scopes (abstract sockets, signals).
    fields = [handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0]
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    attributes = ctypes.create_string_buffer(struct.pack("<3Q", *fields))
    rules = _syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    try:
        for path in write:
            _add_rule(rules, path, handled & ~_EXECUTE & ~_MAKE_DEVICES)
        for path in read or ():
            _add_rule(rules, path, _READ_FILE | _READ_DIR)
        no_new_privileges()
        _syscall(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _add_rule(rules: int, path: str, access: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            access &= _FOR_FILES
        _syscall(
            _ADD_RULE, rules, 1, ctypes.create_string_buffer(struct.pack("<Qi", access, folder)), 0
        )
    finally:
        os.close(folder)


def _syscall(number: int, *arguments: object) -> int:
    result = _libc().syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
    return result


# seccomp ------------------------------------------------------------------------------------------


def filter_calls(program: bytes) -> None:
    """Have a BPF program decide about every system call of this process and all that it starts.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    steps = ctypes.create_string_buffer(program)
    header = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(steps))
    no_new_privileges()
    _prctl(_PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header))
