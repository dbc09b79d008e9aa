"""A time stamp authority (RFC 3161) of openssl's own, served on loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""


class Authority:
    """What it was asked, and how it answers: ``spoil`` changes an answer on its way out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[bytes] = []
        self.spoil = lambda answer: answer
        self.address = ""
        (folder / "openssl.cnf").write_text(CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self._make("root", "Root", ["-x509"], "root")
        self._openssl("req", "-new", *self._key("tsa"), "-subj", "/CN=Time stamps", "-out", "tsa.csr")
        made = ("-CA", "root.pem", "-CAkey", "root.key", "-extfile", "openssl.cnf", "-extensions", "signer")
        self._openssl("x509", "-req", "-in", "tsa.csr", *made, "-days", "2", "-out", "tsa.pem")

    @property
    def certificates(self) -> Path:
        return self.folder / "root.pem"

    def reply(self, query: bytes) -> bytes:
        self.asked.append(query)
        (self.folder / "query.tsq").write_bytes(query)
        signer = ("-signer", "tsa.pem", "-inkey", "tsa.key")
        self._openssl("ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query.tsq", *signer, "-out", "reply.tsr")
        return self.spoil((self.folder / "reply.tsr").read_bytes())

    def _make(self, name: str, title: str, more: list[str], section: str) -> None:
        config = ("-config", "openssl.cnf", "-extensions", section)
        out = ("-subj", f"/CN={title}", "-days", "2", "-out", f"{name}.pem")
        self._openssl("req", *more, *self._key(name), *out, *config)

    def _key(self, name: str) -> tuple[str, ...]:
        return ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@contextmanager
def serving(folder: Path) -> Iterator[Authority]:
    """The authority at ``authority.address``, until the block ends."""
    authority = Authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = authority.reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    authority.address = f"http://127.0.0.1:{server.server_port}/tsa"
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
