"""Checks a receipt of acceptance without the site that made it: python3 check_receipt.py receipt.pdf KEY [CHECKPOINT]

KEY is the key of the log in one line, as the letters and pages of the site state it: name+id+base64. The receipt states
it too, but compare it with what you have from elsewhere. CHECKPOINT is a file with a checkpoint of the same size from
elsewhere: its root must be the same. Python 3.9 or newer and openssl 3 are needed, and nothing else.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

OPENSSL = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"


def verifies(message: bytes, signature: bytes, key: bytes) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        parts = {"message": message, "signature": signature, "key": bytes.fromhex("302a300506032b6570032100") + key}
        for name, content in parts.items():
            Path(folder, name).write_bytes(content)
        return subprocess.run(OPENSSL.split(), cwd=folder, capture_output=True, check=False).returncode == 0  # noqa: S603 - the command is above


def root_of(entry: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    found, last = hashlib.sha256(b"\0" + entry).digest(), size - 1
    for sibling in proof:
        if index & 1 or index == last:
            found = hashlib.sha256(b"\1" + sibling + found).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + sibling).digest()
        index, last = index >> 1, last >> 1
    return found if last == 0 else b""


def check(path: str, key_line: str, other: str = "") -> str:
    content, key = Path(path).read_bytes(), base64.b64decode(key_line.split("+", 2)[2])[1:]
    body, line = content[:-100], content[-100:]
    if not line.startswith(b"%signature ") or not verifies(body, base64.b64decode(line[11:]), key):
        return "REFUSED: the file was changed, or it was signed with another key."
    parts = {name: base64.b64decode(text) for name, text in re.findall(rb"^%(record|proof) (\S+)$", body, re.MULTILINE)}
    digest = hashlib.sha256(parts[b"record"]).hexdigest()
    head, note = parts[b"proof"].decode().split("\n\n", 1)
    first, *proof = head.split("\n")[1:]
    text, signatures = note.rsplit("\n\n", 1)
    origin, size, root = text.split("\n")[:3]
    signed = [base64.b64decode(one.split()[-1])[4:] for one in signatures.splitlines() if f" {origin} " in one]
    if not any(verifies(f"{text}\n".encode(), one, key) for one in signed):
        return "REFUSED: the checkpoint is not signed with this key."
    entries = [f'{{"acceptance":"{digest}"{more}}}'.encode() for more in ("", ',"earlier":true')]
    index, hashes = int(first.split()[1]), [base64.b64decode(one) for one in proof]
    if base64.b64decode(root) not in [root_of(entry, index, int(size), hashes) for entry in entries]:
        return "REFUSED: the record is not in the log that the checkpoint states."
    if other and Path(other).read_text(encoding="utf-8").split("\n")[1:3] != [size, root]:
        return "REFUSED: the other checkpoint has another size or root."
    record = json.loads(parts[b"record"].split(b"\n", 1)[1])
    return f"GENUINE: entry {index} of {size} in {origin}\n{json.dumps(record, indent=1, ensure_ascii=False)}"


if __name__ == "__main__":
    verdict = check(*sys.argv[1:]) if len(sys.argv) in {3, 4} else __doc__
    sys.stdout.write(f"{verdict}\n")
    sys.exit(not verdict.startswith("GENUINE"))
