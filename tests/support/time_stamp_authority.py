"""A time stamp authority (RFC 3161) of openssl's own, served on loopback."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

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
[ca]
default_ca = all
[all]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""
_TIME = "%Y%m%d%H%M%SZ"


class Authority:
    """What it was asked, and how it answers: ``spoil`` changes an answer on its way out.

    With ``intermediate``, the certificate of the authority is signed by an intermediate one, which its answers lack.
    With ``moment``, its clock stands at that moment, and its certificate ends a year after it.
    """

    def __init__(self, folder: Path, *, intermediate: bool = False, moment: datetime | None = None) -> None:
        self.folder, self.moment = folder, moment
        self.asked: list[bytes] = []
        self.spoil = lambda answer: answer
        self.address = ""
        (folder / "openssl.cnf").write_text(CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        (folder / "index.txt").touch()
        issuers = ["root", "intermediate"] if intermediate else ["root"]
        for issuer, name in zip(["root", *issuers], issuers, strict=False):
            self._issue(name, issuer, "root", timedelta(days=10_000))
        self._issue("tsa", issuers[-1], "signer", timedelta(days=365))

    @property
    def root(self) -> Path:
        """The certificate of the root alone."""
        return self.folder / "root.pem"

    @property
    def certificates(self) -> Path:
        """The certificates with which its stamps are verified."""
        found = self.folder / "certificates.pem"
        parts = [self.folder / f"{name}.pem" for name in ("root", "intermediate")]
        found.write_text("".join(part.read_text() for part in parts if part.exists()))
        return found

    def reply(self, query: bytes) -> bytes:
        self.asked.append(query)
        (self.folder / "query.tsq").write_bytes(query)
        signer = ("-signer", "tsa.pem", "-inkey", "tsa.key")
        self._openssl("ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query.tsq", *signer, "-out", "reply.tsr")
        if self.moment:
            self._sign_again(self.moment)
        return self.spoil((self.folder / "reply.tsr").read_bytes())

    def _sign_again(self, moment: datetime) -> None:
        """Sign the answer again with another moment, because openssl always states its own."""
        self._openssl("ts", "-reply", "-in", "reply.tsr", "-token_out", "-out", "token.der")
        self._openssl("cms", "-verify", "-noverify", "-inform", "DER", "-in", "token.der", "-out", "stated.der")
        stated = (self.folder / "stated.der").read_bytes()
        (self.folder / "stated.der").write_bytes(re.sub(rb"\d{14}Z", f"{moment:{_TIME}}".encode(), stated))
        kind = ("-cades", "-nodetach", "-binary", "-md", "sha256", "-econtent_type", "id-smime-ct-TSTInfo")
        signer = ("-signer", "tsa.pem", "-inkey", "tsa.key")
        self._openssl("cms", "-sign", *kind, "-in", "stated.der", *signer, "-outform", "DER", "-out", "token.der")
        granted = bytes.fromhex("3003020100") + (self.folder / "token.der").read_bytes()
        (self.folder / "reply.tsr").write_bytes(b"\x30\x82" + len(granted).to_bytes(2) + granted)

    def _issue(self, name: str, issuer: str, section: str, validity: timedelta) -> None:
        """Make a key, and a certificate for it that began a day before the moment of the authority."""
        key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key")
        self._openssl("req", "-new", *key, "-subj", f"/CN={name}", "-out", f"{name}.csr")
        begins = (self.moment or datetime.now(UTC)) - timedelta(days=1)
        dates = ("-startdate", f"{begins:{_TIME}}", "-enddate", f"{begins + validity:{_TIME}}")
        by = ("-keyfile", f"{issuer}.key", *(("-selfsign",) if name == issuer else ("-cert", f"{issuer}.pem")))
        config = ("-batch", "-notext", "-config", "openssl.cnf", "-extensions", section)
        self._openssl("ca", *config, *by, *dates, "-in", f"{name}.csr", "-out", f"{name}.pem")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[Authority]:
    """The authority at ``authority.address``, until the block ends. ``options`` are those of :class:`Authority`."""
    authority = Authority(folder, **options)

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
