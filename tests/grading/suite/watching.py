"""What attacks must not touch: files, sockets and processes of the test's own."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PLACES = ("/", "/tmp", "/var/tmp", "/dev/shm", "/root", "/home", "/etc", "/run", "/usr/local/bin")


class Watched:
    """Canaries: a folder, listening sockets, a process; and the marker of what attacks start.

    Parameters
    ----------
    folder : Path
        Where the files lie; it is made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.marker = f"suite{secrets.token_hex(4)}"  # short enough for a process's name
        (folder / "secret.txt").write_text("CANARY-8812: nobody may read or change this " * 3)
        self.visits: list[str] = []
        self._sockets: list[socket.socket] = []
        self._victim = subprocess.Popen(
            [sys.executable, "-S", "-c", "import time; time.sleep(9999)"]
        )
        tcp = self._listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        with contextlib.suppress(OSError):
            self._listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port))
        with contextlib.suppress(OSError):
            self._listen(socket.AF_INET6, socket.SOCK_STREAM, ("::1", port))
        path = f"/tmp/{self.marker}.sock"  # a socket's path must be short
        self._path = Path(path)
        self._listen(socket.AF_UNIX, socket.SOCK_STREAM, path)
        if sys.platform.startswith("linux"):
            self._listen(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.marker}")
            self._listen(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.marker}.d")
        self.place = {
            "CANARY": str(folder),
            "PORT": str(port),
            "SOCKET": path,
            "VICTIM": str(self._victim.pid),
            "MARKER": self.marker,
        }

    def _listen(self, family: int, kind: int, address: Any) -> socket.socket:
        made = socket.socket(family, kind)
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen()
        self._sockets.append(made)
        threading.Thread(target=self._wait, args=(made, kind, str(address)), daemon=True).start()
        return made

    def _wait(self, made: socket.socket, kind: int, address: str) -> None:
        with contextlib.suppress(OSError):
            while True:
                if kind == socket.SOCK_STREAM:
                    made.accept()[0].close()
                else:
                    made.recv(100)
                self.visits.append(address)

    def look(self, *folders: Path) -> dict[str, Any]:
        """Return what can be compared later: the files in the canary's and other folders."""
        found: dict[str, Any] = {}
        for folder in (self.folder, *folders):
            for path in sorted(folder.rglob("*")):
                state = path.lstat()
                found[str(path)] = (state.st_mode, state.st_size, state.st_mtime_ns, state.st_nlink)
        return found

    def strays(self) -> list[str]:
        """Return files that carry the marker where no attack may write."""
        import mlmusic

        package = Path(mlmusic.__file__).parent
        places = [Path(p) for p in (*PLACES, package, package.parent, sys.prefix, Path.home())]
        ours = {self._path.name}
        return [
            str(path)
            for place in places
            if place.is_dir()
            for path in place.iterdir()
            if self.marker in path.name and path.name not in ours
        ]

    def processes(self, patience: float = 3.0) -> list[str]:
        """Return the processes that carry the marker; those that are just ending may end."""
        deadline = time.monotonic() + patience
        while True:
            found = self._processes()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def _processes(self) -> list[str]:
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes() + (folder / "comm").read_bytes()
                if self.marker.encode() in words:
                    found.append(words.decode(errors="replace"))
        return found

    def victim_state(self) -> str:
        """Return the state of the process that nobody may stop: S while it sleeps."""
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{self._victim.pid}/stat").read_text()
            return text.rpartition(")")[2].split()[0]
        return "gone"

    def close(self) -> None:
        """Close the sockets and end the process."""
        for made in self._sockets:
            made.close()
        self._path.unlink(missing_ok=True)
        self._victim.kill()
        self._victim.wait()
