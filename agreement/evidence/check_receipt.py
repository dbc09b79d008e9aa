"""Checks a receipt of acceptance without the site that made it: python3 check_receipt.py receipt.pdf KEY [LETTER]

KEY is the key of the log in one line, as the letters and pages of the site state it: name+id+base64. The receipt states
it too, but compare it with what you have from elsewhere. LETTER is a file with a checkpoint of the log from elsewhere,
such as a letter of the site (.eml, or its text). If it has as many entries as that of the receipt, its root must be the
same. If it has another number of entries, check_bundle.py compares it with the proofs in the bundle of the user.

It ends with 0 if the receipt is genuine, 1 if it is refused, and 2 if it is genuine but the letter was not compared.
Python 3.9 or newer and openssl 3 are needed, and nothing else.
"""

import base64
import email
import email.policy
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


def text_of(path: str) -> str:
    content = Path(path).read_bytes()
    if re.match(rb"[\w-]+:[ \t]|From ", content):  # A letter as a mail program stores it.
        body = email.message_from_bytes(content, policy=email.policy.default).get_body(("plain", "html"))
        return re.sub(r"<[^>]*>", "\n", body.get_content()) if body else ""
    return re.sub(r"<[^>]*>", "\n", content.decode(errors="replace"))


def checkpoints_in(text: str, origin: str) -> dict[int, bytes]:
    """The roots of the checkpoints of this log that stand in a text, by the number of entries."""
    found = re.findall(rf"^\s*{re.escape(origin)}\s+(\d+)\s+([A-Za-z0-9+/]{{43}}=)", text, re.MULTILINE)
    return {int(size): base64.b64decode(root) for size, root in found}


def check(path: str, key_line: str, letter: str = "") -> str:
    content, line = Path(path).read_bytes()[:-100], Path(path).read_bytes()[-100:]
    name, _id, key = "".join(key_line.split()).split("+", 2)  # A PDF file may break the line.
    public = base64.b64decode(key)[1:]
    signature = base64.b64decode(line[11:])
    if line != b"%signature " + base64.b64encode(signature) + b"\n" or not verifies(content, signature, public):
        return "REFUSED: the file was changed, or it was signed with another key."
    parts = {word: base64.b64decode(text) for word, text in re.findall(rb"^%(record|proof) (\S+)$", content, re.M)}
    digest = hashlib.sha256(parts[b"record"]).hexdigest()
    head, note = parts[b"proof"].decode().split("\n\n", 1)
    first, *proof = head.split("\n")[1:]
    text, signatures = note.rsplit("\n\n", 1)
    origin, size, root = text.split("\n")[:3]
    signed = [base64.b64decode(one.split()[-1])[4:] for one in signatures.splitlines() if f" {origin} " in one]
    if origin != name or not any(verifies(f"{text}\n".encode(), one, public) for one in signed):
        return "REFUSED: the checkpoint is not signed with this key."
    entries = [f'{{"acceptance":"{digest}"{more}}}'.encode() for more in ("", ',"earlier":true')]
    index, hashes = int(first.split()[1]), [base64.b64decode(one) for one in proof]
    if base64.b64decode(root) not in [root_of(entry, index, int(size), hashes) for entry in entries]:
        return "REFUSED: the record is not in the log that the checkpoint states."
    found = checkpoints_in(text_of(letter), origin) if letter else {int(size): base64.b64decode(root)}
    if found.get(int(size), base64.b64decode(root)) != base64.b64decode(root):
        return f"REFUSED: the receipt and the letter state different roots for {size} entries. One of them is false."
    record = json.loads(parts[b"record"].split(b"\n", 1)[1])
    place = f"the entry with the number {index} in a log of {size} entries; the first has the number 0"
    verdict = f"GENUINE: {place}; {origin}\n"
    if int(size) not in found:
        others = " and ".join(map(str, found)) or "no"
        verdict += f"NOT COMPARED: the letter has a checkpoint of {others} entries, and the receipt of {size}.\n"
    return verdict + json.dumps(record, indent=1, ensure_ascii=False)


def main(arguments: list[str]) -> int:
    if len(arguments) not in {2, 3}:
        sys.stdout.write(str(__doc__))
        return 1
    try:
        verdict = check(*arguments)
    except OSError as error:
        verdict = f"REFUSED: a file can't be read, or openssl is not installed: {error}"
    except (ValueError, LookupError):
        verdict = "REFUSED: this is not a receipt with its parts, or not a key in one line."
    sys.stdout.write(f"{verdict}\n")
    return 1 if verdict.startswith("REFUSED") else 2 if "\nNOT COMPARED" in verdict else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
