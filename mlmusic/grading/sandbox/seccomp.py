"""Which system calls a student's code can't make, and seccomp's program for that.

A rule refuses a call with an error, always or depending on its arguments. The rest is allowed,
but for calls that are newer than this file.
"""

from __future__ import annotations

import errno
import platform
import struct
import sys
from dataclasses import dataclass

from mlmusic.grading.sandbox.linux import PR_SET_PDEATHSIG, filter_calls

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NEWEST = 462  # the newest system call that was looked at; x32's numbers are beyond it, too

# name, number on x86_64, number on aarch64
_NUMBERS = """
accept 43 202 accept4 288 242 acct 163 89 add_key 248 217 adjtimex 159 171 bind 49 200 bpf 321 280
chmod 90 - chown 92 - chroot 161 51 clock_adjtime 305 266 clock_settime 227 112 clone 56 220
clone3 435 435 connect 42 203 delete_module 176 106 execve 59 221 execveat 322 281
fanotify_init 300 262 fanotify_mark 301 263 fchmod 91 52 fchmodat 268 53 fchmodat2 452 452
fchown 93 55 fchownat 260 54 fcntl 72 25 finit_module 313 273 fork 57 - fremovexattr 199 16
fsconfig 431 431 fsetxattr 190 7 fsmount 432 432 fsopen 430 430 fspick 433 433 futimesat 261 -
init_module 175 105 io_uring_enter 426 426 io_uring_register 427 427 io_uring_setup 425 425
ioctl 16 29 ioperm 173 - iopl 172 - ioprio_set 251 30 kcmp 312 272 kexec_file_load 320 294
kexec_load 246 104 keyctl 250 219 kill 62 129 lchown 94 - listen 50 201 lookup_dcookie 212 18
lremovexattr 198 15 lsetxattr 189 6 memfd_create 319 279 memfd_secret 447 447
migrate_pages 256 238 mmap 9 222 modify_ldt 154 - mount 165 40 mount_setattr 442 442
move_mount 429 429 move_pages 279 239 mq_getsetattr 245 185 mq_notify 244 184 mq_open 240 180
mq_timedreceive 243 183 mq_timedsend 242 182 mq_unlink 241 181 msgctl 71 187 msgget 68 186
msgrcv 70 188 msgsnd 69 189 name_to_handle_at 303 264 nfsservctl 180 42 open_by_handle_at 304 265
open_tree 428 428 perf_event_open 298 241 personality 135 92 pidfd_getfd 438 438
pidfd_send_signal 424 424 pivot_root 155 41 prlimit64 302 261 process_madvise 440 440
prctl 157 167 process_mrelease 448 448 process_vm_readv 310 270 process_vm_writev 311 271
ptrace 101 117
quotactl 179 60 quotactl_fd 443 443 reboot 169 142 removexattr 197 14 request_key 249 218
rt_sigqueueinfo 129 138 rt_tgsigqueueinfo 297 240 sched_setaffinity 203 122 sched_setattr 314 274
sched_setparam 142 118 sched_setscheduler 144 119 semctl 66 191 semget 64 190 semop 65 193
semtimedop 220 192 sendto 44 206 setdomainname 171 162 sethostname 170 161 setns 308 268
setpriority 141 140 settimeofday 164 170 setxattr 188 5 shmat 30 196 shmctl 31 195 shmdt 67 197
shmget 29 194 socket 41 198 socketpair 53 199 swapoff 168 225 swapon 167 224 syslog 103 116
tgkill 234 131 tkill 200 130 umount2 166 39 unshare 272 97 uselib 134 - userfaultfd 323 282
utime 132 - utimensat 280 88 utimes 235 - vfork 58 - vhangup 153 58
"""

_NEVER = """
acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init
fanotify_mark finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter
io_uring_register io_uring_setup ioperm iopl ioprio_set kcmp kexec_file_load kexec_load keyctl
lookup_dcookie memfd_create memfd_secret migrate_pages modify_ldt mount mount_setattr move_mount
move_pages mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget
msgrcv msgsnd name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open personality
pidfd_getfd pidfd_send_signal pivot_root process_madvise process_mrelease process_vm_readv
process_vm_writev ptrace quotactl quotactl_fd reboot request_key semctl semget semop semtimedop
setdomainname sethostname setns settimeofday shmat shmctl shmdt shmget swapoff swapon syslog
umount2 unshare uselib userfaultfd vhangup
""".split()

# Landlock doesn't look at these; where no mount namespace does, they report success and do nothing,
# so that shutil.copy goes on working.
_ATTRIBUTES = """
chmod chown fchmod fchmodat fchmodat2 fchown fchownat fremovexattr fsetxattr futimesat lchown
lremovexattr lsetxattr removexattr setxattr utime utimensat utimes
""".split()

_CLONE_NEW = 0x7E020080  # every flag that makes a namespace
_CLONE_THREAD = 0x10000
_MAP_SHARED_ANONYMOUS = 0x21
_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET = 1, 1, 5


@dataclass(frozen=True)
class Check:
    """A condition on an argument: it must (not) be one of some values, or the call fails."""

    argument: int
    values: tuple[int, ...]
    allowed: bool = True  # these values are the only ones allowed; False: these aren't
    mask: int = 0xFFFFFFFF


@dataclass(frozen=True)
class Rule:
    """What happens to a system call: refused with an error, always or if a check fails."""

    error: int = errno.EPERM
    checks: tuple[Check, ...] = ()


def syscall_numbers(machine: str) -> dict[str, int]:
    """Return the numbers of the system calls that the rules name, for an architecture."""
    words = _NUMBERS.split()
    column = {"x86_64": 1, "aarch64": 2}[machine]
    return {
        words[i]: int(words[i + column])
        for i in range(0, len(words), 3)
        if words[i + column] != "-"
    }


def student_rules(*, namespaces: bool, scoped: bool, pid: int, zygote: int) -> dict[str, Rule]:
    """Say which system calls a student's code can't make.

    Parameters
    ----------
    namespaces : bool
        Whether it runs in namespaces of its own (PIDs, mounts, network). Without them it can't
        make processes or sockets, and can't change the attributes of files.
    scoped : bool
        Whether Landlock keeps its signals inside.
    pid, zygote : int
        Its own process, and the one that it was forked from.
    """
    rules = {name: Rule() for name in _NEVER}
    own = Check(0, (0, pid))
    rules |= {name: Rule(checks=(own,)) for name in _ON_A_PROCESS}
    # It must go on dying with the warm process.
    rules["prctl"] = Rule(checks=(Check(0, (PR_SET_PDEATHSIG,), allowed=False),))
    rules["setpriority"] = Rule(checks=(Check(0, (0,)), Check(1, (0, pid))))
    rules["clone3"] = Rule(errno.ENOSYS)  # its flags lie in memory; the C library then uses clone
    rules["clone"] = Rule(checks=(Check(0, (0,), mask=_CLONE_NEW),))
    # Memory that RLIMIT_DATA doesn't count.
    shared = Check(3, (_MAP_SHARED_ANONYMOUS,), allowed=False, mask=_MAP_SHARED_ANONYMOUS)
    rules["mmap"] = Rule(errno.ENOMEM, (shared,))
    unix = Check(0, (_AF_UNIX,))
    rules["socket"] = Rule(checks=(unix,))
    rules["socketpair"] = Rule(checks=(unix,))
    if not scoped:
        rules |= _signal_rules(namespaces, pid, zygote)
    if not namespaces:
        # The sockets of D-Bus, X11 and Docker are files, which Landlock lets anybody connect to.
        # A pair of stream sockets can't be connected to anything else; datagram sockets can.
        connected = Check(1, (_SOCK_STREAM, _SOCK_SEQPACKET), mask=0xF)
        rules["socketpair"] = Rule(checks=(unix, connected))
        rules |= {name: Rule() for name in "socket connect bind listen fork vfork".split()}
        thread = Check(0, (_CLONE_THREAD,), mask=_CLONE_THREAD | _CLONE_NEW)
        rules["clone"] = Rule(checks=(thread,))
        rules |= {name: Rule() for name in ("execve", "execveat")}
        rules |= {name: Rule(error=0) for name in _ATTRIBUTES}
    return rules


_ON_A_PROCESS = (
    "prlimit64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler".split()
)


def _signal_rules(namespaces: bool, pid: int, zygote: int) -> dict[str, Rule]:
    """Keep signals away from the zygote; without namespaces, from everybody else."""
    if namespaces:
        others = Check(0, (zygote, -zygote & 0xFFFFFFFF, -1 & 0xFFFFFFFF), allowed=False)
    else:
        others = Check(0, (0, pid))
    calls = "kill tgkill rt_sigqueueinfo rt_tgsigqueueinfo".split()
    rules = {name: Rule(checks=(others,)) for name in calls}
    rules["tkill"] = Rule(checks=(others,)) if namespaces else Rule()
    # A file can be told to send any signal to anybody of the same user: F_SETOWN, F_SETSIG …
    rules["fcntl"] = Rule(checks=(Check(1, (8, 10, 15), allowed=False),))
    rules["ioctl"] = Rule(checks=(Check(1, (0x8901, 0x8902), allowed=False),))
    return rules


_LOAD, _AND, _RETURN, _JUMP_EQUAL, _JUMP_GREATER = 0x20, 0x54, 0x06, 0x15, 0x25
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def assemble(rules: dict[str, Rule], machine: str) -> bytes:
    """Assemble rules into a BPF program; what no rule names is allowed."""

    def step(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
        return struct.pack("<HBBI", code, jump_true, jump_false, value)

    numbers = syscall_numbers(machine)
    steps = [
        step(_LOAD, 4),
        step(_JUMP_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        step(_RETURN, _KILL),
        step(_LOAD, 0),
        step(_JUMP_GREATER, _NEWEST, 0, 1),
        step(_RETURN, _FAIL | errno.ENOSYS),
    ]
    for name, rule in sorted(rules.items()):
        if name not in numbers:
            continue
        refuse = step(_RETURN, _FAIL | rule.error)
        body: list[bytes] = []
        for check in rule.checks:
            # The low half is all that counts: the kernel takes these arguments as 32 bits.
            body.append(step(_LOAD, 16 + 8 * check.argument))
            if check.mask != 0xFFFFFFFF:
                body.append(step(_AND, check.mask))
            for i, value in enumerate(check.values):
                left = len(check.values) - 1 - i
                if check.allowed:
                    body.append(step(_JUMP_EQUAL, value, left + 1, 0))
                else:
                    body.append(step(_JUMP_EQUAL, value, left, 1 if not left else 0))
            body.append(refuse)
        body.append(step(_RETURN, _ALLOW) if rule.checks else refuse)
        steps += [step(_JUMP_EQUAL, numbers[name], 0, len(body)), *body]
    steps.append(step(_RETURN, _ALLOW))
    return b"".join(steps)


def apply(rules: dict[str, Rule]) -> None:
    """Apply rules to this process and all that it starts.

    Raises
    ------
    OSError
        If the kernel refuses, or its architecture isn't known here.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCH or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOSYS, f"seccomp rules are known for {' and '.join(_AUDIT_ARCH)} only")
    filter_calls(assemble(rules, machine))
