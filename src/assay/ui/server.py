"""The server behind `assay ui`: the folder's rows and epochs as JSON, its pages, and nothing else; it never writes.

What can be asked for is looked up among the names that a listing gives, so that no path of a request reaches the disk.
The interface runs only scripts of its own; pages of runs come from wherever their folder comes from, so they are put
into a sandbox, where a script has no origin and no network.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from socketserver import TCPServer
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from assay.errors import ConfigError
from assay.ui.library import Library
from assay.ui.live import epochs_after
from assay.version import __version__

OWN_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_POLICY: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HTML, _TEXT, _JSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"
_STATIC = {
    "": ("assay.ui", "static/index.html", _HTML),
    "static/app.css": ("assay.ui", "static/app.css", "text/css; charset=utf-8"),
    "static/app.js": ("assay.ui", "static/app.js", "text/javascript; charset=utf-8"),
    "static/page.css": ("assay.report", "templates/page.css", "text/css; charset=utf-8"),
    "static/parts.js": ("assay.report", "templates/parts.js", "text/javascript; charset=utf-8"),
}
#: Seconds after which a connection that asks nothing is closed.
_IDLE = 30


class Server(ThreadingHTTPServer):
    """Serves a folder of runs until it is shut down; threads of requests end with the process."""

    daemon_threads = True

    def __init__(self, library: Library, host: str, port: int) -> None:
        self.library, self.host = library, host
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Take the address; the name that belongs to it is not asked for, which can take seconds."""
        TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        """Where it is to be found; the port is the one it has got."""
        return f"http://{self.host}:{self.server_address[1]}/"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return _is_loopback(self.host)


def open_server(folder: Path, host: str, port: int) -> Server:
    """The server of a folder, listening.

    Raises:
        ConfigError: there is no such folder, it is a run itself, or the port or the address cannot be had.
    """
    from assay.ui.places import is_run

    if not folder.is_dir():
        came = f"{str(folder)!r} is a file" if folder.exists() else f"there is no {str(folder)!r}"
        do = "Name the folder that your runs are in; `assay fit DATA --target COL` makes runs/."
        raise ConfigError("RUNS must be a folder", came, do)
    if is_run(folder):
        do = f"Name the folder it is in: assay ui {folder.resolve().parent}"
        raise ConfigError("RUNS must be a folder of runs", f"{str(folder)!r} is a run itself", do)
    try:
        return Server(Library(folder), host, port)
    except OSError as error:
        raise _refused(error, host, port) from None


def _refused(error: OSError, host: str, port: int) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        came, do = f"another program listens on {port}", "Name another with --port, or 0 for any that is free."
    elif error.errno in (errno.EACCES, errno.EPERM):
        came, do = f"this user may not listen on {port}", "Name one from 1024 on with --port."
    else:
        came = f"the system says: {error.strerror or error} ({host}, port {port})"
        return ConfigError("the server needs an address of this machine", came, "Leave --host out.")
    return ConfigError("the port must be free", came, do)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host.strip("[]")).is_loopback
    return False


class _Handler(BaseHTTPRequestHandler):
    """Answers one request; what it does not know is not found."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = f"assay/{__version__}", ""
    timeout = _IDLE

    def do_GET(self) -> None:
        """Answer."""
        with suppress(BrokenPipeError, ConnectionResetError):  # the browser went away
            self._answer()

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the page asks every other second."""

    def _answer(self) -> None:
        if not self._is_for_us():
            self._say(HTTPStatus.FORBIDDEN, "This server answers to its own address only.")
            return
        parts = urlsplit(self.path)
        path, asked = unquote(parts.path, errors="replace").removeprefix("/"), parse_qs(parts.query)
        if path in _STATIC:
            package, file, kind = _STATIC[path]
            self._send(files(package).joinpath(file).read_bytes(), kind)
        elif path == "api/runs":
            self._runs(asked)
        elif path == "api/epochs":
            self._epochs(asked)
        elif path.startswith("runs/"):
            self._page(path.removeprefix("runs/"))
        else:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _is_for_us(self) -> bool:
        """Whether the request names this machine: a foreign name that leads here is a trick to read from outside."""
        if not self.server.is_local:
            return True
        return _is_loopback(urlsplit(f"//{self.headers.get('Host', '')}").hostname or "")

    def _runs(self, asked: Mapping[str, list[str]]) -> None:
        """The rows; nothing where the reader has them already."""
        content = self.server.library.listing().model_dump(mode="json")
        version = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
        if asked.get("have") == [version]:
            self._send(b"", _JSON, status=HTTPStatus.NO_CONTENT)
        else:
            self._send(json.dumps({"version": version, **content}).encode(), _JSON)

    def _epochs(self, asked: Mapping[str, list[str]]) -> None:
        """The epochs of a run from a byte of their file on."""
        start = asked.get("from", ["0"])[0]
        path = self.server.library.epochs(asked.get("run", [""])[0])
        if path is None or not (start.isascii() and start.isdigit() and len(start) < 16):
            self._say(HTTPStatus.NOT_FOUND, "There is no run of this name that has epochs.")
            return
        self._send(epochs_after(path, int(start)).model_dump_json().encode(), _JSON)

    def _page(self, asked: str) -> None:
        """A page of a run: `<name>/<file>`, where the file may be one of its bundle."""
        name, _, file = asked.rpartition("/")
        path = self.server.library.page(name, file)
        if path is None and name.endswith("/model"):
            path = self.server.library.page(name.removesuffix("/model"), f"model/{file}")
        try:
            content = None if path is None else path.read_bytes()
        except OSError:  # gone meanwhile
            content = None
        if content is None:
            self._say(HTTPStatus.NOT_FOUND, "There is no such page.")
            return
        self._send(content, _HTML if file.endswith(".html") else _TEXT, policy=PAGE_POLICY)

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._send(f"{text}\n".encode(), _TEXT, status=status)

    def _send(self, content: bytes, kind: str, *, status: HTTPStatus = HTTPStatus.OK, policy: str = OWN_POLICY) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Security-Policy": policy, "Content-Type": kind}.items():
            self.send_header(name, value)
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
