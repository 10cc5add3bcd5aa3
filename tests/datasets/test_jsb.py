"""The JSB files, and downloading in general, from a server on this machine."""

import functools
import hashlib
import http.server
import json
import sys
import threading

import numpy as np
import pytest

from mlmusic import datasets
from mlmusic.datasets import download as files

jsb_module = sys.modules["mlmusic.datasets.jsb"]

needs_jsb = pytest.mark.skipif(
    any(files.find(name) is None for name in jsb_module.SHA256),
    reason="needs " + " and ".join(jsb_module.SHA256) + " under MLMUSIC_DATA",
)

TINY = {
    "train": [[[60, 55, 52, 48]] * 4 + [[60, 57, -1, 48]] * 4],
    "valid": [[[62, 55, 52, 47]]],
    "test": [[[64, 55, 52, 48]] * 2, [[-1, -1, -1, -1], [60, 55, 52, 48]]],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLMUSIC_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def tiny(folder, monkeypatch):
    """Stand in for the published file."""
    data = json.dumps(TINY).encode()
    monkeypatch.setitem(jsb_module.SHA256, jsb_module.SIXTEENTHS, hashlib.sha256(data).hexdigest())
    return data


@needs_jsb
def test_the_published_split():
    jsb = datasets.jsb()
    assert [len(jsb[split]) for split in ("train", "valid", "test")] == [229, 76, 77]
    content = json.loads(files.find(jsb_module.SIXTEENTHS).read_bytes())
    for split in ("train", "valid", "test"):
        for score, steps in zip(jsb[split], content[split], strict=True):
            grid = score.to_grid()
            sounding = grid.copy()
            for t in range(1, grid.shape[1]):
                held = sounding[:, t] == -1
                sounding[held, t] = sounding[held, t - 1]
            sounding[sounding == -2] = -1
            expected = np.array(steps).T
            assert (sounding == expected[:, : sounding.shape[1]]).all()
            assert (expected[:, sounding.shape[1] :] == -1).all()


@needs_jsb
def test_quarter_frames():
    frames = datasets.jsb_frames()
    assert [len(frames[split]) for split in ("train", "valid", "test")] == [229, 76, 77]
    sizes = [len(frame) for pieces in frames.values() for piece in pieces for frame in piece]
    assert (len(sizes), sizes.count(0), sizes.count(1), max(sizes)) == (23134, 64, 13, 4)
    flat = [frame for pieces in frames.values() for piece in pieces for frame in piece]
    assert all(list(frame) == sorted(set(frame)) for frame in flat)


def test_repeated_pitches_become_one_note(folder, tiny):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / jsb_module.SIXTEENTHS).write_bytes(tiny)
    jsb = datasets.jsb()
    rows = [(n[0], n[1], n[2], n[4]) for n in jsb.train[0].notes.tolist()]
    assert rows == [
        (0, 2, 60, 0),
        (0, 1, 55, 1),
        (0, 1, 52, 2),
        (0, 2, 48, 3),
        (1, 1, 57, 1),
    ]
    assert jsb.test[1].notes["onset"].tolist() == [0.25] * 4
    assert jsb.piece("test/1") is jsb.test[1]


def test_a_missing_file_says_where_to_get_it_and_where_to_put_it(folder):
    with pytest.raises(FileNotFoundError) as caught:
        datasets.jsb()
    message = str(caught.value)
    assert (
        "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/Jsb16th" in message
    )
    assert str(folder / "jsb" / "Jsb16thSeparated.json") in message
    assert "download=True" in message


def test_another_file_of_that_name_is_refused(folder):
    (folder / jsb_module.SIXTEENTHS).write_text("{}")
    with pytest.raises(ValueError, match="isn't the published file"):
        datasets.jsb()


def test_the_card_names_files_and_checksums(capsys):
    card = datasets.base.card("jsb")
    for name, sha256 in jsb_module.SHA256.items():
        assert name in card
        assert sha256 in card


# Downloading ----------------------------------------------------------------------------------

CONTENT = bytes(np.random.default_rng(0).integers(0, 256, 300_000, np.uint8))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``content``; knows ranges unless told otherwise; may break off after some bytes."""

    def __init__(self, state, *args):
        self.state = state
        super().__init__(*args)

    def do_GET(self):
        state = self.state
        state["requests"].append(self.headers.get("Range"))
        body, wanted = state["content"], self.headers.get("Range")
        if state.get("status"):
            self.send_error(state["status"])
            return
        if wanted and state.get("ranges", True):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            body = body[start:]
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: state.pop("break_after", None)])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    state = {"content": CONTENT, "requests": []}
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, state)
    ) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        state["url"] = f"http://127.0.0.1:{httpd.server_port}/file"
        yield state
        httpd.shutdown()
        thread.join()


def test_download_with_progress(server, tmp_path, capsys):
    path = files.download(server["url"], tmp_path / "new" / "file", SHA256)
    assert path.read_bytes() == CONTENT
    assert "100%" in capsys.readouterr().err
    assert list(path.parent.iterdir()) == [path]
    files.download(server["url"], path, SHA256)
    assert len(server["requests"]) == 1  # it was there


def test_an_interrupted_download_goes_on(server, tmp_path):
    server["break_after"] = 100_000
    path = tmp_path / "file"
    with pytest.raises(ConnectionError, match="100,000 bytes are kept; call again to go on"):
        files.download(server["url"], path, SHA256)
    assert not path.exists()
    assert files.download(server["url"], path, SHA256).read_bytes() == CONTENT
    assert server["requests"] == [None, "bytes=100000-"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_server_that_cannot_resume_sends_all_again(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    server["ranges"] = False
    path = files.download(server["url"], tmp_path / "file", SHA256)
    assert path.read_bytes() == CONTENT


def test_a_rest_that_is_too_long_starts_again(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * (len(CONTENT) + 5))
    path = files.download(server["url"], tmp_path / "file", SHA256)
    assert path.read_bytes() == CONTENT
    assert server["requests"] == [f"bytes={len(CONTENT) + 5}-", None]


def test_a_whole_rest_needs_no_request(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    files.download(server["url"], tmp_path / "file", SHA256)
    assert server["requests"] == []


def test_wrong_content_is_thrown_away(server, tmp_path):
    server["content"] = CONTENT[:-1] + b"\0\0"
    with pytest.raises(ValueError, match="isn't the file that it was"):
        files.download(server["url"], tmp_path / "file", SHA256)
    assert list(tmp_path.iterdir()) == []


def test_unreachable_and_refusing_servers(server, tmp_path):
    server["status"] = 404
    with pytest.raises(ConnectionError, match=r"404.*put the file at .*file yourself"):
        files.download(server["url"], tmp_path / "file", SHA256)
    with pytest.raises(ConnectionError, match="0 bytes are kept"):
        files.download("http://127.0.0.1:9/file", tmp_path / "file", SHA256)


def test_jsb_downloads_only_on_request(folder, tiny, server, monkeypatch):
    server["content"] = tiny
    monkeypatch.setattr(jsb_module, "ADDRESS", server["url"] + "/")
    with pytest.raises(FileNotFoundError):
        datasets.jsb()
    assert server["requests"] == []
    assert len(datasets.jsb(download=True)) == 4
    assert (folder / "jsb" / jsb_module.SIXTEENTHS).read_bytes() == tiny
    assert len(datasets.jsb()) == 4
    assert len(server["requests"]) == 1
