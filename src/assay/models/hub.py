"""Files of pretrained models from a hub, where the user allows the network by naming one there.

What is in the hub's cache on this machine is taken from there, without the network.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from assay._imports import require
from assay.errors import ConfigError

#: Seconds after which a hub counts as out of reach.
_PATIENCE: Final = 3.0


def hub_file(repository: str, file: str, of: str, do: str, *, revision: str | None = None) -> Path:
    """A file of a repository on the hub, from the cache of this machine or downloaded.

    Args:
        repository: such as `org/name`.
        of: what the file is of, in messages. do: what to do without the hub.
        revision: a branch, tag or commit; None for the default branch.

    Raises:
        ConfigError: the hub is out of reach, is switched off, or has no such file.
        MissingExtraError: the hub's client is not installed.
    """
    hub = require("huggingface_hub", "downloads of weights")
    call = {"repo_id": repository, "filename": file, "revision": revision}
    with contextlib.suppress(OSError, ValueError):
        return Path(hub.hf_hub_download(**call, local_files_only=True))
    if hub.constants.HF_HUB_OFFLINE:
        came = "it is not in the cache of this machine, and HF_HUB_OFFLINE switches downloads off"
        raise ConfigError(f"{file} of {of} must be at hand", came, do)
    _check_reachable(str(hub.constants.ENDPOINT), of, do)
    try:
        return Path(hub.hf_hub_download(**call, etag_timeout=_PATIENCE))
    except Exception as error:  # noqa: BLE001  # errors of the client and of what it sends through have no common base
        came = f"it did not ({(str(error) or type(error).__name__).splitlines()[0]})"
        raise ConfigError(f"the hub must give {file} of {of}", came, do) from None


def commit_of(path: Path) -> str:
    """The commit that a file in the hub's cache is of, by which all its other files are asked for."""
    return path.parent.name


def _check_reachable(address: str, of: str, do: str) -> None:
    """Find out in seconds what the hub's own client finds out after minutes of attempts."""
    parts = urlsplit(address)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    asked = parts if proxy is None else urlsplit(proxy)
    port = asked.port or (443 if asked.scheme == "https" else 80)
    try:
        socket.create_connection((asked.hostname or "", port), timeout=_PATIENCE).close()
    except OSError as error:
        came = f"it is not ({error})" if proxy is None else f"the proxy {asked.hostname}:{port} is not ({error})"
        raise ConfigError(f"the hub must be within reach for the weights of {of}", came, do) from None
