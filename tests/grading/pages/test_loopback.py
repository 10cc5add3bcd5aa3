"""A server for one page: nothing and nobody but that page gets an answer."""

import http.client
import json
import socket
import threading
from http import HTTPStatus

import pytest

from mlmusic.grading.pages.loopback import MOST_BODY, Answer, Server


@pytest.fixture
def server():
    """A server that says which address and body arrived."""
    seen = []

    def read(path):
        seen.append(path)
        return None if path == "missing" else Answer(HTTPStatus.OK, f"read {path}", "text/plain")

    def change(path, body):
        seen.append((path, body))
        return None if path == "missing" else Answer(HTTPStatus.OK, {"path": path, "body": body})

    with Server(read, change) as server:
        server.seen = seen
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path="", method="GET", body=None, **headers):
    """Send a request below the token, or to a path of its own; return status, headers, text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    path = path if path.startswith(("/", "http:", "*")) else f"/{server.token}/{path}"
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None and "Content-Length" not in headers:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def post(server, path="save", body=b'{"a": 1}', **headers):
    headers.setdefault("Content_Type", "application/json")
    return ask(server, path, "POST", body, **headers)


def test_the_page_is_answered_and_kept_to_itself(server):
    status, headers, text = ask(server)
    assert (status, text) == (200, "read ")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers and "Python" not in headers["Server"]
    assert ask(server, "?names=hidden")[2] == "read ?names=hidden"
    assert ask(server, "outputs/3")[2] == "read outputs/3"
    assert ask(server, "missing")[0] == 404


def test_it_listens_on_this_computer_only(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    assert len(server.token) == 32


def test_tokens_are_never_the_same():
    servers = [Server(lambda path: None, lambda path, body: None) for _ in range(5)]
    assert len({server.token for server in servers}) == 5
    for server in servers:
        server.server_close()


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/x", "/x/", "/{token}x/", "/{TOKEN}/", "/{half}/", "/x/{token}/",
     "/{token}%2F", "/%7B/", "/\u00e9/", "http://127.0.0.1/{token}/", "*", "/?{token}/",
     "/x?/{token}/", "/.%2e/{token}/"],
)  # fmt: skip
def test_a_wrong_token_is_refused(server, path):
    path = path.format(token=server.token, TOKEN=server.token.swapcase(), half=server.token[:16])
    for method in ("GET", "POST"):
        text = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.server_port), 20) as connection:
            connection.sendall(text.encode())
            assert b" 403 " in connection.makefile("rb").readline()
    assert server.seen == []


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost", "",
     "127.0.0.1:{port}.evil.example", "127.0.0.1:{port}@evil.example", "[::1]:{port}",
     "evil.example#127.0.0.1:{port}", "0.0.0.0:{port}", "127.0.0.2:{port}"],
)  # fmt: skip
def test_another_host_is_refused_even_with_the_token(server, host):
    host = host.format(port=server.server_port)
    assert ask(server, Host=host)[0] == 403
    assert post(server, Host=host)[0] == 403
    assert server.seen == []


def test_localhost_is_this_computer_too(server):
    assert ask(server, Host=f"localhost:{server.server_port}")[0] == 200


def test_two_hosts_or_none_are_refused(server):
    for hosts in ("", f"Host: 127.0.0.1:{server.server_port}\r\nHost: evil.example\r\n"):
        text = f"GET /{server.token}/ HTTP/1.1\r\n{hosts}\r\n"
        with socket.create_connection(("127.0.0.1", server.server_port), 20) as connection:
            connection.sendall(text.encode())
            assert b" 403 " in connection.makefile("rb").readline()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_other_pages_change_and_load_nothing(server, headers):
    headers = {name: value.format(port=server.server_port) for name, value in headers.items()}
    assert post(server, **headers)[0] == 403
    assert ask(server, "outputs/3", **headers)[0] == 403
    assert server.seen == []
    assert ask(server, **headers)[0] == 200, "but a link to the page may be followed"


def test_the_page_itself_changes_what_it_will(server):
    own = f"http://127.0.0.1:{server.server_port}"
    status, _, text = post(server, Origin=own, Sec_Fetch_Site="same-origin")
    assert (status, json.loads(text)) == (200, {"path": "save", "body": {"a": 1}})
    assert post(server, "missing")[0] == 404


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_a_form_is_no_request(server, kind):
    assert post(server, Content_Type=kind)[0] == 415
    assert server.seen == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'"x"', b"null", b"\xff", b"[" * 60_000])
def test_what_isnt_an_object_is_refused(server, body):
    assert post(server, body=body)[0] == 400
    assert server.seen == []


def test_big_bodies_are_refused_unread(server):
    assert post(server, body=b"", Content_Length=str(MOST_BODY + 1))[0] == 413
    assert post(server, body=b"", Content_Length="9" * 5000)[0] == 413
    for length in ("-1", "x", "1e3", "", "\u00b2"):
        assert post(server, body=b"", Content_Length=length)[0] == 411
    assert post(server, body=b'{"a": "' + b"x" * (MOST_BODY - 9) + b'"}')[0] == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "PATCH", "X"])
def test_other_methods_dont_exist(server, method):
    assert ask(server, method=method)[0] == 501
    assert server.seen == []


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/", "/etc/passwd", "\\..\\x"]
)
def test_paths_are_names_and_not_files(server, path):
    status, _, text = ask(server, path)
    assert (status, text) in ((200, f"read {path}"), (403, "Forbidden\n"))


def test_without_the_last_slash_there_is_no_page(server):
    assert ask(server, f"/{server.token}")[0] == 404


def test_a_browser_that_hangs_up_harms_nobody(server, capfd):
    for text in (b"", b"GET", b"\0\xff\r\n\r\n", b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"):
        with socket.create_connection(("127.0.0.1", server.server_port), 20) as connection:
            connection.sendall(text)
    assert ask(server)[0] == 200
    assert capfd.readouterr() == ("", ""), "nor does it print the token"
