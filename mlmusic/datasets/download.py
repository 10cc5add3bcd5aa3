"""Public files: find them under ``MLMUSIC_DATA``, or download them when asked to."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

_CHUNK = 1 << 16


def data_folder() -> Path:
    """Return where public files live: ``MLMUSIC_DATA``, or ``data`` in the cache folder."""
    from mlmusic.datasets import cache

    chosen = os.environ.get("MLMUSIC_DATA")
    return Path(chosen).expanduser() if chosen else cache.folder() / "data"


def find(name: str) -> Path | None:
    """Look for a file in the data folder, up to two folders deep."""
    folder = data_folder()
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                return path
    return None


def verified(path: Path, sha256: str) -> bytes:
    """Read a file and check what it holds.

    Raises
    ------
    ValueError
        If it isn't the file that is expected.
    """
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path} isn't the published file (sha256 {found[:12]}… instead of {sha256[:12]}…): "
            "remove it and get it again"
        )
    return data


def download(url: str, path: str | Path, sha256: str, *, timeout: float = 30.0) -> Path:
    """Download a file, with a progress bar; the file appears only when it's whole and right.

    What has arrived is kept beside it as ``.part``: after an interruption, call again and the
    download goes on from there.

    Parameters
    ----------
    url : str
        Where the file is.
    path : path
        Where it goes. A file that is there already and right is left alone.
    sha256 : str
        Its checksum.
    timeout : float
        Seconds without any data after which to give up.

    Raises
    ------
    ConnectionError
        If it can't be reached, or the connection breaks; the message says how to go on.
    ValueError
        If what arrived isn't the file; nothing is kept of it.
    """
    path = Path(path)
    if path.exists() and _file_sha256(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if not (part.exists() and _file_sha256(part) == sha256):
        try:
            _fetch(url, part, timeout)
        except (OSError, http.client.HTTPException) as error:
            kept = part.stat().st_size if part.exists() else 0
            raise ConnectionError(
                f"{url}: {error}. {kept:,} bytes are kept; call again to go on, "
                f"or put the file at {path} yourself"
            ) from None
    found = _file_sha256(part)
    if found != sha256:
        part.unlink()
        raise ValueError(
            f"{url} isn't the file that it was (sha256 {found[:12]}… instead of {sha256[:12]}…): "
            "nothing was kept"
        )
    os.replace(part, path)
    return path


def _fetch(url: str, part: Path, timeout: float) -> None:
    """Append to ``part`` what is still missing; start again if the server can't resume."""
    from tqdm.auto import tqdm

    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "mlmusic"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # "range not satisfiable": there's nothing behind what we have
            raise
        part.unlink()
        return _fetch(url, part, timeout)
    with response:
        resumed = response.status == 206
        length = int(response.headers.get("Content-Length", 0))
        done = have if resumed else 0
        total = done + length if length else None
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(desc=part.stem, initial=done, total=total, unit="B", unit_scale=True) as bar,
        ):
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
                done += len(chunk)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended {total - done:,} bytes early")
    return None


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
