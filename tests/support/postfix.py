"""A Postfix of its own on loopback, for a test: it needs the package ``postfix`` and root.

=========================  ====================================================================
recipient                  what happens
=========================  ====================================================================
``…@example.kz``           lands in the Maildir ``inbox``
``…@portal.example.kz``    lands in the Maildir ``bounces``, also with a token after a ``+``
``…@refused.example.net``  is refused when the sender names it
``…@away.example.net``     is accepted, and returned to the sender of the envelope a moment later
=========================  ====================================================================
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

POSTFIX = shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_postfix = pytest.mark.skipif(
    POSTFIX is None or os.geteuid() != 0, reason="needs root and Postfix: apt-get install postfix"
)

#: The lines of ``master.cf`` (master(5)) after the one of the port. No service runs in a chroot.
SERVICES = """\
pickup    unix       n - n 60  1 pickup
cleanup   unix       n - n -   0 cleanup
qmgr      unix       n - n 300 1 qmgr
rewrite   unix       - - n -   - trivial-rewrite
bounce    unix       - - n -   0 bounce
defer     unix       - - n -   0 bounce
trace     unix       - - n -   0 bounce
error     unix       - - n -   - error
retry     unix       - - n -   - error
proxymap  unix       - - n -   - proxymap
virtual   unix       - n n -   - virtual
anvil     unix       - - n -   1 anvil
postlog   unix-dgram n - n -   1 postlogd
"""


class Postfix:
    """The running server: its port and its two Maildirs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.inbox, self.bounces = folder / "mail/inbox", folder / "mail/bounces"

    def wait(self, maildir: Path, count: int, *, seconds: float = 60) -> None:
        """Return when so many mails are in that Maildir; fail if they are not within that time."""
        until = time.monotonic() + seconds
        while (found := len(list(maildir.glob("new/*")))) < count:
            assert time.monotonic() < until, f"{found} of {count} mails arrived.\n{self.log()}"
            time.sleep(0.1)

    def log(self) -> str:
        return "\n".join((self.folder / "lib/mail.log").read_text(encoding="utf-8").splitlines()[-30:])


@contextlib.contextmanager
def postfix() -> Iterator[Postfix]:
    """Start a Postfix whose files are all in a temporary folder, and stop it at the end."""
    assert POSTFIX
    with tempfile.TemporaryDirectory() as name:
        server = Postfix(Path(name), _free_port())
        _configure(server)
        command = [POSTFIX, "-c", str(server.folder / "etc")]
        subprocess.run([*command, "start"], check=True, capture_output=True, timeout=60)
        try:
            _wait_for(server.port)
            yield server
        finally:
            subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _configure(server: Postfix) -> None:
    folder = server.folder
    folder.chmod(0o755)  # The services run as other users.
    for name in ("etc", "spool", "lib", "mail"):
        (folder / name).mkdir()
    shutil.chown(folder / "lib", "postfix")
    shutil.chown(folder / "mail", "nobody", "nogroup")
    parameters = {
        "compatibility_level": "3.6",
        "queue_directory": folder / "spool",
        "data_directory": folder / "lib",
        "maillog_file": folder / "lib/mail.log",
        "maillog_file_prefixes": folder,
        "myhostname": "mx.example.kz",
        "mydestination": "",
        "alias_maps": "",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "mynetworks": "127.0.0.1",
        "recipient_delimiter": "+",
        "virtual_mailbox_domains": "example.kz, portal.example.kz, away.example.net",
        "virtual_mailbox_base": folder / "mail",
        "virtual_mailbox_maps": "inline:{ {@example.kz = inbox/}, {@portal.example.kz = bounces/} }",
        "virtual_uid_maps": f"static:{(folder / 'mail').stat().st_uid}",
        "virtual_gid_maps": f"static:{(folder / 'mail').stat().st_gid}",
        "default_transport": "error:5.4.4 there is no other host",
        "smtpd_reject_unlisted_recipient": "no",
        "smtpd_recipient_restrictions": (
            "check_recipient_access inline:{ {refused.example.net = 550 5.1.1 no such mailbox} },"
            " permit_mynetworks, reject"
        ),
    }
    (folder / "etc/main.cf").write_text("".join(f"{name} = {value}\n" for name, value in parameters.items()))
    (folder / "etc/master.cf").write_text(f"127.0.0.1:{server.port} inet n - n - - smtpd\n{SERVICES}")


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, "Postfix does not answer."
            time.sleep(0.1)
        else:
            return
