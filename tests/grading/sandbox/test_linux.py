"""The rules as the kernel would apply them, and Landlock and seccomp as it does apply them."""

import errno
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from mlmusic.grading.sandbox import linux, seccomp

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
on_linux = pytest.mark.skipif(not linux.landlock_abi(), reason="needs Linux with Landlock")


def verdict(program, machine, call, *arguments, arch=None):
    """Interpret a seccomp program; return 0 where it allows a call, else the error (-1: killed)."""
    number = call if isinstance(call, int) else seccomp.syscall_numbers(machine)[call]
    arguments = [a & 0xFFFFFFFFFFFFFFFF for a in arguments] + [0] * (6 - len(arguments))
    data = struct.pack("<IIQ6Q", number, arch or ARCH[machine], 0, *arguments)
    steps = list(struct.iter_unpack("<HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, jump_true, jump_false, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x15:
            at += jump_true if accumulator == value else jump_false
        elif code == 0x25:
            at += jump_true if accumulator > value else jump_false
        else:
            assert code == 0x06
            kind = value & 0xFFFF0000
            return {0x7FFF0000: 0, 0x80000000: -1}.get(kind, value & 0xFFFF or "pretended")


CASES = [
    # call, arguments, in namespaces, without
    ("ptrace", (16, 1), errno.EPERM, errno.EPERM),
    ("socket", (1, 1), 0, errno.EPERM),
    ("socket", (2, 1), errno.EPERM, errno.EPERM),
    ("socket", (10, 2), errno.EPERM, errno.EPERM),
    ("socket", (16, 3), errno.EPERM, errno.EPERM),
    ("socket", (1 | 2 << 32, 1), 0, errno.EPERM),
    ("socketpair", (1, 1 | 0o2000000), 0, 0),
    ("socketpair", (1, 5), 0, 0),
    ("socketpair", (1, 2), 0, errno.EPERM),
    ("socketpair", (1, 3), 0, errno.EPERM),
    ("socketpair", (2, 1), errno.EPERM, errno.EPERM),
    ("connect", (3,), 0, errno.EPERM),
    ("clone", (0x3D0F00,), 0, 0),  # a thread
    ("clone", (17,), 0, errno.EPERM),  # a process
    ("clone", (0x4111,), 0, errno.EPERM),  # posix_spawn
    ("clone", (0x10000000 | 17,), errno.EPERM, errno.EPERM),  # a user namespace
    ("clone", (0x3D0F00 | 0x20000,), errno.EPERM, errno.EPERM),
    ("clone3", (), errno.ENOSYS, errno.ENOSYS),
    ("execve", (), 0, errno.EPERM),
    ("mmap", (0, 4096, 3, 0x22), 0, 0),  # private memory
    ("mmap", (0, 4096, 3, 0x21), errno.ENOMEM, errno.ENOMEM),  # shared memory
    ("mmap", (0, 4096, 3, 0x23), errno.ENOMEM, errno.ENOMEM),
    ("mmap", (0, 4096, 3, 0x01), 0, 0),  # a shared file
    ("fchmod", (3, 0), 0, "pretended"),
    ("fsetxattr", (3,), 0, "pretended"),
    ("prlimit64", (0, 7), 0, 0),
    ("prlimit64", (77, 7), 0, 0),
    ("prlimit64", (55, 7), errno.EPERM, errno.EPERM),
    ("setpriority", (0, 0), 0, 0),
    ("setpriority", (0, 55), errno.EPERM, errno.EPERM),
    ("setpriority", (2, 0), errno.EPERM, errno.EPERM),
    ("prctl", (1, 0), errno.EPERM, errno.EPERM),  # to outlive the warm process
    ("prctl", (15, 0), 0, 0),
    ("memfd_create", (), errno.EPERM, errno.EPERM),
    ("keyctl", (), errno.EPERM, errno.EPERM),
    ("io_uring_setup", (), errno.EPERM, errno.EPERM),
    (463, (), errno.ENOSYS, errno.ENOSYS),  # newer than this file
    (0x40000000 | 41, (2,), errno.ENOSYS, errno.ENOSYS),  # x32
    (0xFFFFFFFF, (), errno.ENOSYS, errno.ENOSYS),
]

SIGNALS = [
    # call, arguments, in namespaces, without; where Landlock doesn't scope signals
    ("kill", (77, 9), 0, 0),
    ("kill", (0, 9), 0, 0),
    ("kill", (80, 9), 0, errno.EPERM),  # its own child
    ("kill", (55, 9), errno.EPERM, errno.EPERM),
    ("kill", (-55, 9), errno.EPERM, errno.EPERM),
    ("kill", (-1, 9), errno.EPERM, errno.EPERM),
    ("tgkill", (55, 55, 9), errno.EPERM, errno.EPERM),
    ("tgkill", (77, 78, 9), 0, 0),
    ("tkill", (55, 9), errno.EPERM, errno.EPERM),
    ("rt_sigqueueinfo", (55, 9), errno.EPERM, errno.EPERM),
    ("fcntl", (3, 2), 0, 0),
    ("fcntl", (3, 8, 55), errno.EPERM, errno.EPERM),
    ("fcntl", (3, 10, 9), errno.EPERM, errno.EPERM),
    ("ioctl", (3, 0x8901), errno.EPERM, errno.EPERM),
    ("ioctl", (3, 0x5401), 0, 0),
]


def program(machine, **options):
    return seccomp.assemble(seccomp.student_rules(pid=77, zygote=55, **options), machine)


@pytest.mark.parametrize("machine", ARCH)
@pytest.mark.parametrize("scoped", [True, False])
def test_rules_do_what_they_should(machine, scoped):
    apart = program(machine, namespaces=True, scoped=scoped)
    alone = program(machine, namespaces=False, scoped=scoped)
    for call, arguments, in_namespaces, without in CASES + ([] if scoped else SIGNALS):
        assert verdict(apart, machine, call, *arguments) == in_namespaces, (call, arguments)
        assert verdict(alone, machine, call, *arguments) == without, (call, arguments)
    for number in (0, 1, 3, 20):  # read, write, close … or aarch64's own
        assert verdict(apart, machine, number) == verdict(alone, machine, number) == 0
    other = next(arch for name, arch in ARCH.items() if name != machine)
    assert verdict(apart, machine, "ptrace", arch=other) == -1
    assert verdict(apart, machine, 0, arch=0x40000003) == -1  # 32 bits


def test_without_fork_the_old_calls_are_refused_too():
    alone = program("x86_64", namespaces=False, scoped=True)
    assert verdict(alone, "x86_64", "fork") == verdict(alone, "x86_64", "vfork") == errno.EPERM
    assert verdict(alone, "x86_64", "chmod") == "pretended"
    assert "fork" not in seccomp.syscall_numbers("aarch64")  # which has only clone


def test_every_rule_names_a_known_call():
    rules = seccomp.student_rules(namespaces=False, scoped=False, pid=1, zygote=2)
    both = seccomp.syscall_numbers("x86_64").keys() | seccomp.syscall_numbers("aarch64").keys()
    assert rules.keys() <= both
    for machine in ARCH:
        numbers = seccomp.syscall_numbers(machine)
        assert len(set(numbers.values())) == len(numbers)
        assert all(0 <= number <= 462 for number in numbers.values())


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_numbers_are_the_kernels(machine, header):
    if not Path(header).exists():
        pytest.skip("the kernel's headers aren't installed")
    pattern = r"#define __NR(?:3264)?_(\w+)\s+(\d+)"
    known = {name: int(number) for name, number in re.findall(pattern, Path(header).read_text())}
    numbers = seccomp.syscall_numbers(machine)
    compared = {name: numbers[name] for name in numbers if name in known}
    assert len(compared) > 80
    assert compared == {name: known[name] for name in compared}


def alone(code, tmp_path):
    """Run code in a process of its own, with a folder `mine`; return what it prints."""
    script = (
        "import errno, os, socket, sys, threading\n"
        "from mlmusic.grading.sandbox import linux, seccomp\n"
        f"mine = {str(tmp_path / 'mine')!r}\n"
        "os.mkdir(mine, 0o700)\n"
        "def refused(function, *args):\n"
        "    try: function(*args)\n"
        "    except (OSError, MemoryError, RuntimeError) as error:\n"
        "        return errno.errorcode.get(getattr(error, 'errno', None), type(error).__name__)\n"
        f"{code}"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@on_linux
def test_landlock_lets_only_the_own_folder_be_written(tmp_path):
    (tmp_path / "secret").write_text("x")
    out = alone(
        f"outside = {str(tmp_path)!r}\n"
        "linux.landlock([mine, '/dev/null', '/no/such/path'])\n"
        "print(refused(open, outside + '/new', 'w'), refused(os.remove, outside + '/secret'),\n"
        "      refused(os.mkdir, outside + '/dir'), refused(os.symlink, 'a', outside + '/link'),\n"
        "      refused(open, mine + '/new', 'w'), refused(open, '/dev/null', 'w'),\n"
        "      refused(open, outside + '/secret'))",
        tmp_path,
    )
    assert out == ["EACCES"] * 4 + ["None"] * 3
    assert sorted(os.listdir(tmp_path)) == ["mine", "secret"]


@on_linux
def test_landlock_lets_only_what_is_named_be_read(tmp_path):
    (tmp_path / "secret").write_text("x")
    out = alone(
        f"outside = {str(tmp_path)!r}\n"
        "linux.landlock([mine], read=[sys.prefix, sys.base_prefix])\n"
        "print(refused(open, outside + '/secret'), refused(os.listdir, outside),\n"
        "      refused(os.listdir, '/proc'), refused(os.listdir, sys.prefix),\n"
        "      refused(open, mine + '/x', 'w'), refused(open, sys.prefix + '/x', 'w'),\n"
        "      refused(os.execv, sys.executable, [sys.executable, '-c', 'print(1)']))",
        tmp_path,
    )
    assert out == ["EACCES", "EACCES", "EACCES", "None", "None", "EACCES", "EACCES"]


@on_linux
def test_seccomp_holds_for_threads_that_come_later(tmp_path):
    out = alone(
        "seccomp.apply(seccomp.student_rules(namespaces=False, scoped=True, pid=os.getpid(),\n"
        "                                  zygote=os.getppid()))\n"
        "print(refused(os.fork), refused(socket.socket), refused(os.chmod, mine, 0o777),\n"
        "      oct(os.stat(mine).st_mode)[-3:], len(socket.socketpair()))\n"
        "def work(): print(refused(os.fork), refused(socket.socket))\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start()\n"
        "thread.join()",
        tmp_path,
    )
    assert out == ["EPERM", "EPERM", "None", "700", "2", "EPERM", "EPERM"]


def test_other_machines_are_told(monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="rules are known for x86_64 and aarch64 only"):
        seccomp.apply({})
    monkeypatch.setattr(linux.sys, "platform", "darwin")
    assert linux.landlock_abi() == 0
