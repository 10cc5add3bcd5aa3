"""No network but the loopback: sockets of this Python process to anywhere else raise.

Used by tests/conftest.py, and put into every kernel that ``run_notebooks.py`` starts (there as
``sitecustomize``, so that Python processes which a notebook starts are held to it as well). It
watches Python's own socket module through an audit hook, which nothing can take out again;
programs in other languages, and C libraries that open sockets themselves, aren't seen.
"""

import ipaddress
import os
import socket
import sys

_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}


class NetworkBlocked(RuntimeError):
    """Something tried to reach the network.

    Not an OSError on purpose: code that takes 'no network' in its stride would hide the attempt.
    """


def _local(host) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def install(log: str | None = None) -> None:
    """Block the network for the rest of this process.

    Parameters
    ----------
    log : str, optional
        A file to which one line is added for each attempt.
    """

    def hook(event, args):
        if event in _LOOKUPS:
            host = args[0]
        elif event in _SENDS:
            internet = args[0].family in (socket.AF_INET, socket.AF_INET6)
            if not internet or args[1] is None:  # None: an already connected socket sends
                return
            host = args[1][0]
        else:
            return
        if _local(host):
            return
        if log:
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"{event} {host}\n")
        raise NetworkBlocked(
            f"{event}({host!r}): tests and notebooks run without a network; data come from the "
            "installed packages or from files"
        )

    sys.addaudithook(hook)


if __name__ == "sitecustomize":
    install(os.environ.get("MLMUSIC_NETWORK_LOG"))
