"""Checks an unpacked bundle of evidence without the site that made it: python3 check_bundle.py [LETTER ...]

Run it in the folder of the bundle. LETTER is a file with a checkpoint of the log from elsewhere, such as a letter of
the site (.eml, or its text), or the file of a checkpoint. The program says which of the records in the bundle existed
when that letter was written. A key that the letter states must be one of the keys in the bundle.

Each line of the answer begins with OK, REFUSED or NOT COMPARED. It ends with 0 if all are OK, with 1 if something is
refused, and with 2 if a letter could not be compared. Python 3.9 or newer and openssl 3 are needed, and nothing else.
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
from collections.abc import Callable, Iterator
from pathlib import Path

OPENSSL = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"
Result = tuple[str, str]


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


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def line(**content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


class Bundle:
    """The bundle in this folder. ``roots`` are those of its proofs by origin and size, with the names of the entries
    that they show to be in the log.
    """

    def __init__(self) -> None:
        self.folder = folder = Path()
        lines = [one for path in folder.glob("*/log/key") for one in path.read_text(encoding="utf-8").split()]
        self.keys = {(one.split("+", 2)[0], base64.b64decode(one.split("+", 2)[2])[1:]) for one in lines}
        self.roots: dict[tuple[str, int], dict[str, set[str]]] = {}

    def signed(self, note: str) -> tuple[str, int, str]:
        """The origin, size and root of a checkpoint. Raises ``ValueError`` if no key of the bundle signed it."""
        text, _blank, signatures = note.rpartition("\n\n")
        origin, size, root = text.split("\n")[:3]
        found = re.findall(r"^— (\S+) (\S+)$", signatures, re.MULTILINE)
        made = [base64.b64decode(one)[4:] for name, one in found if name == origin]
        keys = [key for name, key in self.keys if name == origin]
        if not any(verifies(f"{text}\n".encode(), one, key) for one in made for key in keys):
            raise ValueError("no key of the bundle signed the checkpoint")
        return origin, int(size), root

    def entry_of(self, path: Path) -> tuple[bytes, str]:
        """The entry that the proof with that name is about, and its name."""
        name = path.as_posix()[: -len(".tlog-proof")]
        if found := re.fullmatch(r"([^/]+)/editions/(\d+)/manifest\.json", name):
            return self.edition(found[1], found[2])
        if "/notices/" in name:
            return line(notice=sha(self.folder / name)), name
        found = re.fullmatch(r"(?:user/log|([^/]+)/log/\d+)[/.](edition|stamp|acceptance|withdrawal)-([\d-]+)", name)
        if not found:
            raise ValueError("unknown kind of proof")
        if found[2] == "edition":
            return self.edition(found[1], found[3])
        if found[2] == "stamp":
            stamp = self.folder / found[1] / "log" / f"{found[3]}.tsr"
            return line(checkpoint=int(found[3].split("-")[0]), stamp=sha(stamp)), f"time stamp {found[3]}"
        record = self.folder / "user/log" / f"{found[2]}-{found[3]}"
        entry = record.with_suffix(".json").read_bytes()
        if json.loads(entry)[found[2]] != sha(record.with_suffix(".txt")):
            raise ValueError("the record has another SHA-256 than the entry states")
        return entry, f"user/log/{record.name}"

    def edition(self, slug: str, number: str) -> tuple[bytes, str]:
        digest = sha(self.folder / slug / "editions" / number / "manifest.json")
        return line(edition=digest, number=int(number)), f"{slug}, edition {number}"

    def check(self) -> Iterator[Result]:
        yield from self.sums()
        manifests = self.folder.glob("*/editions/*/manifest.json")
        yield from self.each(self.manifest, sorted(manifests, key=lambda path: (path.parts[0], int(path.parts[2]))))
        yield from self.each(self.notice, sorted(self.folder.glob("*/editions/*/notices/*.json")))
        checkpoints = [*self.folder.glob("*/log/checkpoint"), *self.folder.glob("*/log/*.checkpoint")]
        yield from self.each(self.checkpoint, sorted(checkpoints))
        yield from self.each(self.proof, sorted(self.folder.rglob("*.tlog-proof")))
        yield from self.each(self.acceptance, sorted(self.folder.glob("user/log/acceptance-*.txt")))

    def each(self, check: Callable[[Path], str], paths: list[Path]) -> Iterator[Result]:
        for path in paths:
            try:
                yield "OK", f"{path}: {check(path)}"
            except (ValueError, LookupError, OSError, TypeError) as error:
                yield "REFUSED", f"{path}: {error}"

    def sums(self) -> Iterator[Result]:
        stated = [one.split("  ", 1) for one in Path("SHA256SUMS").read_text(encoding="utf-8").splitlines()]
        wrong = [name for digest, name in stated if not Path(name).is_file() or sha(Path(name)) != digest]
        for name in wrong:
            yield "REFUSED", f"{name}: it is missing, or it has another SHA-256 than SHA256SUMS states"
        if not wrong:
            yield "OK", f"SHA256SUMS: {len(stated)} files"

    def manifest(self, path: Path) -> str:
        stated, number = json.loads(path.read_bytes()), int(path.parent.name)
        before = path.parent.parent / str(number - 1) / "manifest.json"
        if stated["number"] != number or stated["previous"] != (sha(before) if number > 1 else None):
            raise ValueError("it has another number, or another digest of the edition before")
        texts = {path.parent.parent / f"{number}.{code}.md": text for code, text in stated["texts"].items()}
        for text, about in texts.items():
            if text.exists() and sha(text) != about["body_sha256"]:
                raise ValueError(f"{text.name} has another SHA-256 than body_sha256 states")
        for shown in (path.parent / "displayed").glob("*.html"):
            if shown.stem.rpartition("-")[2] != sha(shown)[:8]:
                raise ValueError(f"{shown.name} has another SHA-256 than its name")
        moments = f"in effect from {stated['effective_from']}, recorded {stated['recorded_at']}"
        return f"digest {sha(path)}, {moments}{', as earlier history' if stated['imported'] else ''}"

    def notice(self, path: Path) -> str:
        subject, text, html = json.loads(path.read_bytes())
        parts = {".txt": f"{subject}\n\n{text}", ".html": html}
        for ending, words in parts.items():
            beside = path.with_name(path.name[: -len(".json")] + ending)
            if beside.exists() and beside.read_bytes() != words.encode():
                raise ValueError(f"{beside.name} has other words")
        return f"the words of a notice, SHA-256 {sha(path)}"

    def checkpoint(self, path: Path) -> str:
        origin, size, _root = self.signed(path.read_text(encoding="utf-8"))
        return f"signed; {size} entries of {origin}"

    def proof(self, path: Path) -> str:
        head, _blank, note = path.read_text(encoding="utf-8").partition("\n\n")
        origin, size, root = self.signed(note)
        index, hashes = int(head.split("\n")[1].split()[1]), [base64.b64decode(one) for one in head.split("\n")[2:]]
        entry, name = self.entry_of(path)
        if root_of(entry, index, size, hashes) != base64.b64decode(root):
            raise ValueError(f"{name} is not in the log that the checkpoint states")
        self.roots.setdefault((origin, size), {}).setdefault(root, set()).add(name)
        return f"{name} is entry {index} (counted from 0) in a log of {size} entries"

    def acceptance(self, path: Path) -> str:
        record = json.loads(path.read_bytes().partition(b"\n")[2])
        manifest = self.folder / record["agreement"] / "editions" / str(record["edition"]) / "manifest.json"
        if record["digest"] != sha(manifest):
            raise ValueError("it names another digest than that of the edition")
        if record["html_digest"] not in {"", *map(sha, (manifest.parent / "displayed").glob("*.html"))}:
            raise ValueError("the displayed HTML that it names is not in the bundle")
        about = f"{record['agreement']}, edition {record['edition']}, {record['kind']}, {record['at']}"
        return f"{about}, recorded {record['recorded_at']}"

    def letter(self, path: str) -> Iterator[Result]:
        text = text_of(path)
        keys = set(re.findall(r"^\s*(\S+)\+[0-9a-f]{8}\+([A-Za-z0-9+/]{43,}=*)\s*$", text, re.MULTILINE))
        if other := {name for name, key in keys if (name, base64.b64decode(key)[1:]) not in self.keys}:
            yield "REFUSED", f"{path}: it states a key that the bundle does not have: {', '.join(sorted(other))}"
        for origin in sorted({name for name, _key in self.keys}):
            found = re.search(rf"^\s*{re.escape(origin)}\s+(\d+)\s+([A-Za-z0-9+/]{{43}}=)", text, re.MULTILINE)
            if not found:
                continue
            digests = [path for path in sorted(self.folder.glob("*/editions/*/manifest.json")) if sha(path) in text]
            named = "".join(f"; it contains the digest of {path}" for path in digests)
            proved = self.roots.get((origin, int(found[1])))
            if not proved:
                yield "NOT COMPARED", f"{path}: the bundle has no proof for a checkpoint of {found[1]} entries"
            elif set(proved) != {found[2]}:
                yield "REFUSED", f"{path}: the bundle has another root for {found[1]} entries. One of the two is false."
            else:
                names = ", ".join(sorted(proved[found[2]]))
                written = f"when it was written, the log had {found[1]} entries, and these existed: {names}"
                yield "OK", f"{path}: {written}{named}"
            return
        yield "NOT COMPARED", f"{path}: there is no checkpoint of a log of this bundle in it"


def main(letters: list[str]) -> int:
    bundle = Bundle()
    results = list(bundle.check())
    for one in letters:
        results += bundle.letter(one)
    sys.stdout.write("".join(f"{verdict:12} {words}\n" for verdict, words in results))
    verdicts = {verdict for verdict, _words in results}
    return 1 if "REFUSED" in verdicts else 2 if "NOT COMPARED" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
