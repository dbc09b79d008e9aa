"""A Redis server of a test's own: ``redis-server`` must be installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.site import wait_for

SERVER = shutil.which("redis-server")


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """The URL of a server with nothing in it, which ends with the test."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert SERVER
    log = folder / "log"
    command = [SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([*command, "--logfile", str(log)])
    try:
        wait_for(port, process, log)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(30)
