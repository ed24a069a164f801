"""The server: it answers what it lists and nothing else, and says what is wrong with an address."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from assay.cli import main
from assay.errors import ConfigError
from assay.ui.server import OWN_POLICY, PAGE_POLICY, open_server


@contextmanager
def serving(folder):
    with open_server(folder, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ask(busy):
    """Asks the server of the workspace: status, headers and content."""
    with serving(busy) as server:

        def asked(path, method="GET", host=None):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", host or f"127.0.0.1:{server.server_address[1]}")
            connection.endheaders()
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer.status, dict(answer.getheaders()), content

        yield asked


def test_the_page_and_what_it_needs_are_served(ask):
    status, headers, content = ask("/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    needed = re.findall(r'(?:src|href)="(/[^"]+)"', content.decode())
    assert len(needed) == 4
    for path in needed:
        status, headers, content = ask(path)
        assert status == 200
        assert headers["Content-Type"].partition(";")[0] in {"text/css", "text/javascript"}
        assert content


def test_every_answer_forbids_what_is_not_needed(ask):
    for path in ("/", "/api/runs", "/static/app.js", "/nothing"):
        _, headers, _ = ask(path)
        assert headers["Content-Security-Policy"] == OWN_POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
    assert "'unsafe-inline'" not in OWN_POLICY
    assert ask("/runs/good/report.html")[1]["Content-Security-Policy"] == PAGE_POLICY
    assert "allow-same-origin" not in PAGE_POLICY


def test_rows_come_as_json_and_only_when_they_have_changed(ask, appended, make_epoch):
    status, _, content = ask("/api/runs")
    listing = json.loads(content)
    assert status == 200
    assert {row["id"] for row in listing["entries"]} >= {"good", "busy", "broken", "try"}
    status, _, content = ask(f"/api/runs?have={listing['version']}")
    assert (status, content) == (204, b"")


def test_epochs_of_a_running_run_are_told_as_they_come(ask, appended, make_epoch):
    first = json.loads(ask("/api/epochs?run=busy&from=0")[2])
    assert [epoch["epoch"] for epoch in first["epochs"]] == [1, 2]
    appended(make_epoch(3))
    second = json.loads(ask(f"/api/epochs?run=busy&from={first['end']}")[2])
    assert [epoch["epoch"] for epoch in second["epochs"]] == [3]


@pytest.mark.parametrize(
    "query", ["run=nobody", "run=busy&from=-1", "run=busy&from=x", "run=busy&from=²", "run=../x", ""]
)
def test_epochs_of_nobody_are_not_found(ask, query):
    assert ask(f"/api/epochs?{query}".replace("²", "%C2%B2"))[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/runs/../../etc/passwd",
        "/runs/good/../../secret.html",
        "/runs/good/%2e%2e/%2e%2e/secret.html",
        "/runs/good/..%2f..%2fsecret.html",
        "/runs//etc/passwd",
        "/runs/good/report.json",
        "/runs/good/model/model.onnx",
        "/runs/.busy.partial/request.json",
        "/runs/good/",
        "/runs/",
        "/static/",
        "/static/../server.py",
        "/runs/good/report.html%00",
        "/%ff%fe",
    ],
)
def test_no_path_leads_to_a_file_that_is_not_listed(ask, runs, path):
    (runs.parent / "secret.html").write_text("secret")
    status, _, content = ask(path)
    assert status == 404
    assert b"secret" not in content
    assert b"root:" not in content


def test_pages_of_runs_are_served_as_they_are(ask, runs):
    assert ask("/runs/good/report.html")[2] == (runs / "good" / "report.html").read_bytes()
    status, headers, content = ask("/runs/good/model/card.md")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert content.startswith(b"# Model card")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "192.168.0.9"])
def test_a_foreign_name_that_leads_here_gets_nothing(ask, host):
    status, _, content = ask("/api/runs", host=host)
    assert status == 403
    assert b"good" not in content


@pytest.mark.parametrize("host", ["localhost", "localhost:99", "127.0.0.1", "[::1]:8765"])
def test_names_of_this_machine_are_answered(ask, host):
    assert ask("/api/runs", host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_only_reads(ask, method):
    assert ask("/api/runs", method)[0] == 501


def test_a_head_has_no_content(ask):
    status, headers, content = ask("/", "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


def test_what_a_run_is_called_cannot_break_the_listing(busy, make_run):
    make_run(busy, "<img src=x onerror=alert(1)>&?#%20")
    with serving(busy) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
        connection.request("GET", "/runs/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%26%3F%23%2520/report.html")
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
        connection.close()


# The command ----------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_or_is_a_run_is_named(tmp_path, runs, capsys):
    assert main(["ui", str(tmp_path / "nothing")]) == 2
    assert "RUNS must be a folder, but there is no" in capsys.readouterr().err
    assert main(["ui", str(runs / "good")]) == 2
    assert f"Name the folder it is in: assay ui {runs}" in capsys.readouterr().err
    assert main(["ui", str(runs / "good" / "report.json")]) == 2
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(runs, port, capsys):
    assert main(["ui", str(runs), f"--port={port}"]) == 2
    assert "--port" in capsys.readouterr().err


def test_a_port_in_use_is_named(runs):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"another program listens on {port}\. Name another with --port"):
            open_server(runs, "127.0.0.1", port)


def test_an_address_of_another_machine_is_refused(runs):
    with pytest.raises(ConfigError, match="the server needs an address of this machine"):
        open_server(runs, "203.0.113.7", 0)


def test_ctrl_c_ends_it(tmp_path):
    code = "import sys; from assay.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "ui", str(tmp_path), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = process.stdout.readline()
    assert re.fullmatch(r".+ is shown at http://127\.0\.0\.1:\d+/ \(Ctrl-C ends it\)\n", line)
    assert "there is no run in" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
