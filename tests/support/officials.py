"""Officials who sign manifests: keys and certificates of openssl's own, and detached CMS signatures with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

#: The subject of a certificate in the manner of the national certification authority.
SUBJECT = "/CN=СЫНАҚОВА СЫНАҚ/serialNumber=IIN000000000000/O=«Сынақ» ЖШС/OU=BIN000000000000/C=KZ"


class Official:
    """A person with a key and a certificate, in that folder."""

    def __init__(
        self,
        folder: Path,
        subject: str = SUBJECT,
        *,
        key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        made = ("-keyout", "key.pem", "-out", "certificate.pem", "-days", "2")
        self._openssl("req", "-x509", "-newkey", *key, "-nodes", "-utf8", "-subj", subject, *made)

    def sign(self, content: bytes, *options: str, form: str = "DER") -> bytes:
        """A CMS signature over the content, which it does not contain. ``options`` are further ones of openssl."""
        (self.folder / "content").write_bytes(content)
        made = ("-in", "content", "-signer", "certificate.pem", "-inkey", "key.pem", "-out", "signature")
        self._openssl("cms", "-sign", "-binary", "-outform", form, *made, *options)
        return (self.folder / "signature").read_bytes()

    def verify(self, manifest: bytes, signature: bytes) -> bool:
        """What openssl says about the signature, with the certificate of this official as the only root."""
        (self.folder / "manifest.json").write_bytes(manifest)
        (self.folder / "manifest.json.cms").write_bytes(signature)
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "manifest.json.cms"]
        command += ["-content", "manifest.json", "-CAfile", "certificate.pem", "-purpose", "any", "-out", "verified"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, check=False).returncode == 0

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)
