"""A RabbitMQ node of a test's own, which it may stop and start as it likes: ``rabbitmq-server`` must be installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.site import wait_for

#: Debian's command of that name becomes another user first; the one behind it does not.
SERVER = shutil.which("rabbitmq-server", path=f"/usr/lib/rabbitmq/bin{os.pathsep}{os.environ.get('PATH', '')}")


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Broker:
    """The node; what is in ``folder`` survives that it is stopped."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "plugins").write_text("[].")
        self.port, self.log = _free(), folder / "log"
        # The home keeps the node's cookie, by which rabbitmqctl is let in: its own, and nobody else's.
        self.env = os.environ | {
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"agreement{os.getpid()}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(_free()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        assert SERVER
        with self.log.open("a") as out:
            self.process = subprocess.Popen([SERVER], env=self.env, stdout=out, stderr=out, start_new_session=True)
        wait_for(self.port, self.process, self.log)

    def stop(self) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        self.process.wait(60)
        self.process = None


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    made = Broker(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
