"""`assay ui`."""

from __future__ import annotations

import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer


def ui(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS", help="The folder that your runs, studies or comparisons are in.")
    ] = Path("runs"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Where to listen; 0 takes any that is free.")
    ] = 8765,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Whom to answer; any other address lets others read your runs."),
    ] = "127.0.0.1",
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Show the page in your browser.", show_default="no")
    ] = False,
) -> None:
    """Show the runs of a folder in the browser: a leaderboard, their pages, and curves of those in progress.

    It only reads, and only this machine can reach it. Ctrl-C ends it.
    """
    from assay.ui.server import open_server

    with open_server(runs, host, port) as server, suppress(KeyboardInterrupt):  # Ctrl-C is how it is ended
        if not server.is_local:
            sys.stderr.write(f"note: whoever reaches {host} can read the runs in {runs}; there is no password\n")
        sys.stdout.write(f"{runs} is shown at {server.url} (Ctrl-C ends it)\n")
        sys.stdout.flush()
        if not server.library.listing().entries:
            sys.stderr.write(f"note: there is no run in {runs} yet; the page shows those that come\n")
        if open_page and not webbrowser.open(server.url):
            sys.stderr.write("note: no browser was found; open the address yourself\n")
        server.serve_forever(poll_interval=0.2)
    sys.stdout.write("\n")
