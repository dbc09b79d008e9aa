"""Checks an unpacked bundle of evidence without the site that made it: python3 check_bundle.py [LETTER ...]

Run it in the folder of the bundle. LETTER is a file with a checkpoint of the log from elsewhere, such as a letter of
the site (.eml, or its text), or the file of a checkpoint. The program says which of the records in the bundle existed
when that letter was written. Each line of the answer begins with one of these words:

OK            A proof shows it: the log under a signed checkpoint, or the digest in a letter.
NOT PROVEN    Nothing contradicts it, but neither the bundle nor a letter proves it.
NOT COMPARED  The letter has nothing with which this bundle could be compared.
REFUSED       It was changed or added, or it contradicts something else.

The program ends with 1 if something is refused; with 2 if nothing is, but something is not proven or not compared; and
with 0 if all are OK. Python 3.9 or newer and openssl 3 are needed, and nothing else.
"""

import base64
import csv
import email
import email.policy
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

OPENSSL = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"
DIGEST = r"\b[0-9a-f]{64}\b"
#: Files beside README.txt that are not checked: what its commands write, letters, and the ZIP file.
BESIDE = re.compile(r"SHA256SUMS|body|signature|verified|[^/]*\.(eml|zip)")
#: What programs that display a folder write into it.
HIDDEN = {".DS_Store", "Thumbs.db", "desktop.ini"}
#: The columns of the tables that a record has too.
TABLES = {
    "acceptance": ("agreement", "edition", "digest", "language", "kind", "at", "recorded_at"),
    "withdrawal": ("registered_at", "effective_at", "outcome"),
}
#: What is raised for a file that is not as it should be.
ERRORS = (ValueError, LookupError, OSError, TypeError, AttributeError, RecursionError, csv.Error)
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


def edition_name(slug: str, number: object) -> str:
    return f"{slug}, edition {number}"


def manifest_of(slug: str, number: object) -> Path:
    return Path(slug, "editions", str(number), "manifest.json")


def keys_in(text: str) -> dict[tuple[str, bytes], str]:
    """The lines of keys in a text, by the origin of the log and the key."""
    found = re.findall(r"^\s*(\S+)(\+[0-9a-f]{8}\+)([A-Za-z0-9+/]{43,}=*)\s*$", text, re.MULTILINE)
    return {(name, base64.b64decode(key)[1:]): name + number + key for name, number, key in found}


class Bundle:
    """The bundle in this folder: the files that SHA256SUMS names. Every other file is refused.

    ``proved`` are the names of what proofs and letters prove. ``roots`` are those of its checkpoints by origin and
    size, with the names of what is in the log of this root. ``slugs`` are the agreements of its editions, records and
    cancellations by name. ``earlier`` are the names of each edition and of those before it, by name.
    """

    def __init__(self, letters: Iterable[str]) -> None:
        lines = [one.split("  ", 1) for one in Path("SHA256SUMS").read_text(encoding="utf-8").splitlines()]
        times = Counter(Path(name) for _digest, name in lines)
        self.sums = {Path(name): digest for digest, name in lines}
        self.misnamed = [path for path in times if times[path] > 1 or path.is_absolute() or ".." in path.parts]
        self.letters = {Path(one).resolve() for one in letters}
        self.files = sorted(path for path in self.sums if path.is_file())
        self.keys: dict[tuple[str, bytes], str] = {}
        self.logs: dict[str, str] = {}
        for path in self.find(r"[^/]+/log/key"):
            self.keys |= (keys := keys_in(path.read_text(encoding="utf-8")))
            self.logs |= {origin: path.parts[0] for origin, _key in keys}
        self.proved: set[str] = set()
        self.roots: dict[tuple[str, int], dict[str, set[str]]] = {}
        self.slugs: dict[str, str] = {}
        self.earlier: dict[str, set[str]] = {}

    def find(self, pattern: str, *new: str) -> list[Path]:
        """The files whose names have that form or, with ``new``, the names to which this changes them, each once."""
        names = [path.as_posix() for path in self.files if re.fullmatch(pattern, path.as_posix())]
        return [Path(name) for name in dict.fromkeys(re.sub(pattern, new[0], name) if new else name for name in names)]

    def moment(self, text: str, slug: str) -> str:
        """The moment in the time zone of the agreement, if this computer knows the zone, and in UTC."""
        try:
            zone = ZoneInfo(Path(slug, "time-zone.txt").read_text(encoding="utf-8").strip())
            local = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(zone)
        except ERRORS:
            return text
        return f"{local.isoformat(' ', 'seconds')} ({text})"

    def signed(self, note: str) -> tuple[str, int, str, str]:
        """The origin, size and root of a checkpoint, and the key that signed it. Raises ``ValueError`` if no key of the
        bundle did.
        """
        text, _blank, signatures = note.rpartition("\n\n")
        origin, size, root = text.split("\n")[:3]
        found = re.findall(r"^— (\S+) (\S+)$", signatures, re.MULTILINE)
        made = [base64.b64decode(one)[4:] for name, one in found if name == origin]
        for (name, key), words in self.keys.items():
            if name == origin and any(verifies(f"{text}\n".encode(), one, key) for one in made):
                self.roots.setdefault((origin, int(size)), {}).setdefault(root, set())
                return origin, int(size), root, words
        raise ValueError("no key of the bundle signed the checkpoint")

    def entry_of(self, path: Path) -> tuple[bytes, str]:
        """The entry that the proof with that name is about, and the name of what it proves."""
        name = path.as_posix()[: -len(".tlog-proof")]
        if found := re.fullmatch(r"([^/]+)/editions/(\d+)/(manifest|cancelled)\.json", name):
            return self.entry_about(found[1], found[3], found[2])
        if "/notices/" in name:
            return line(notice=sha(Path(name))), name
        found = re.fullmatch(r"(?:user/log|([^/]+)/log/\d+)[/.](\w+)-([\d-]+)", name)
        if not found:
            raise ValueError("unknown kind of proof")
        return self.entry_about(*found.groups())

    def entry_about(self, slug: str, kind: str, number: str) -> tuple[bytes, str]:
        if kind in {"edition", "manifest"}:
            return line(edition=sha(manifest_of(slug, number)), number=int(number)), edition_name(slug, number)
        if kind == "cancelled":
            return Path(slug, "editions", number, "cancelled.json").read_bytes(), f"{slug}, cancellation of {number}"
        if kind == "stamp":
            stamp = line(checkpoint=int(number.split("-")[0]), stamp=sha(Path(slug, "log", f"{number}.tsr")))
            return stamp, f"time stamp {number}"
        record = Path("user/log", f"{kind}-{number}")
        entry = record.with_suffix(".json").read_bytes()
        if json.loads(entry)[kind] != sha(record.with_suffix(".txt")):
            raise ValueError("the record has another SHA-256 than the entry states")
        return entry, record.as_posix()

    def check(self, letters: dict[str, str]) -> Iterator[Result]:
        """Yield the lines of the answer. ``letters`` are their texts by the names of their files."""
        yield from self.check_sums()
        manifests = self.find(r"([^/]+/editions/\d+)[./].*", r"\1/manifest.json")
        manifests.sort(key=lambda path: (path.parts[0], int(path.parts[2])))
        results = [
            *self.each(self.manifest, manifests),
            *self.each(self.cancellation, self.find(r"[^/]+/editions/\d+/cancelled\.json")),
            *self.each(self.notice, self.find(r"(.*/notices/.*)\.(json|txt|html)(\.tlog-proof)?", r"\1.json")),
            *self.each(self.record, self.find(r"(user/log/.*?)\.(txt|json|tlog-proof)", r"\1.txt")),
            *self.each(self.table, self.find(r"user/(acceptance|withdrawal)s\.csv")),
            *self.each(self.key, self.find(r"([^/]+/log/key)(\.pem)?", r"\1.pem")),
            *self.each(self.checkpoint, self.find(r"[^/]+/log/(.*\.)?checkpoint")),
            *self.each(self.proof, self.find(r".*\.tlog-proof")),
        ]
        compared = [result for path, text in letters.items() for result in self.letter(path, text)]
        proved = self.with_earlier(self.proved)
        for verdict, words, name in results:
            is_edition = name in self.earlier
            missing = f"; {self.no_proof}{', and no letter states its digest' if is_edition else ''}"
            yield ("NOT PROVEN", words + missing) if name and name not in proved else (verdict, words)
        for (origin, size), roots in self.roots.items():
            if len(roots) > 1:
                yield "REFUSED", f"{origin}: signed checkpoints have different roots for {size} entries"
        yield from compared
        stated = {key for text in letters.values() for _name, key in keys_in(text)}
        for (name, key), words in self.keys.items():
            if stated and key not in stated:
                yield "NOT PROVEN", f"{self.logs[name]}/log/key: no letter states the key {words}"

    @property
    def no_proof(self) -> str:
        return f"the bundle has no {'proof that it is in the log' if self.keys else 'log'}"

    def with_earlier(self, names: set[str]) -> set[str]:
        """These names, and those of the editions before them: each manifest contains the digest of the one before."""
        return names.union(*(self.earlier.get(name, ()) for name in names))

    def each(self, check: Callable[[Path], tuple[str, str]], paths: list[Path]) -> Iterator[tuple[str, str, str]]:
        """Check each of these files. Yield the verdict, words, and the name of what must be proved for it (or "")."""
        for path in paths:
            try:
                words, name = check(path)
                yield "OK", f"{path.as_posix()}: {words}", name
            except ERRORS as error:
                yield "REFUSED", f"{path.as_posix()}: {error}", ""

    def check_sums(self) -> Iterator[Result]:
        for path in self.misnamed:
            yield "REFUSED", f"SHA256SUMS: it names {path.as_posix()}, which is named twice or is not in this folder"
        wrong = [path for path, digest in self.sums.items() if not path.is_file() or sha(path) != digest]
        for path in wrong:
            yield "REFUSED", f"{path.as_posix()}: it is missing, or it has another SHA-256 than SHA256SUMS states"
        for path in sorted(Path().rglob("*")):
            is_known = path in self.sums or path.name in HIDDEN or BESIDE.fullmatch(path.as_posix())
            if not is_known and path.is_file() and path.resolve() not in self.letters:
                yield (
                    "REFUSED",
                    f"{path.as_posix()}: SHA256SUMS does not name this file, so it is no part of the bundle",
                )
        if not (wrong or self.misnamed):
            yield (
                "OK",
                f"SHA256SUMS: {len(self.sums)} files have these sums; for tables and pages there is no other proof",
            )

    def key(self, path: Path) -> tuple[str, str]:
        words = path.with_suffix("").read_text(encoding="utf-8")
        forms = re.findall(
            "-----BEGIN PUBLIC KEY-----([^-]+)-----END PUBLIC KEY-----", path.read_text(encoding="utf-8")
        )
        if {base64.b64decode(one)[-32:] for one in forms} != {key for _name, key in keys_in(words)}:
            raise ValueError(f"it has other keys than {path.with_suffix('').as_posix()}")
        return f"the keys of {path.with_suffix('').as_posix()}, for openssl", ""

    def manifest(self, path: Path) -> tuple[str, str]:
        stated, slug, number = json.loads(path.read_bytes()), path.parts[0], int(path.parts[2])
        before = manifest_of(slug, number - 1)
        if stated["number"] != number or stated["previous"] != (sha(before) if number > 1 else None):
            raise ValueError("it has another number, or another digest of the edition before")
        if stated["agreement"] != slug:
            raise ValueError("it is the manifest of another agreement")
        for text in self.find(rf"{slug}/editions/{number}\.[^.]+\.md"):
            if sha(text) != stated["texts"][text.name.split(".")[1]]["body_sha256"]:
                raise ValueError(f"{text.name} has another SHA-256 than body_sha256 states")
        for shown in self.find(rf"{slug}/editions/{number}/displayed/.*"):
            if shown.stem.rpartition("-")[2] != sha(shown)[:8]:
                raise ValueError(f"{shown.name} has another SHA-256 than its name")
        name = edition_name(slug, number)
        self.earlier[name] = {name} | self.earlier.get(edition_name(slug, number - 1), set())
        self.slugs[name] = slug
        effective, recorded = (self.moment(stated[word], slug) for word in ("effective_from", "recorded_at"))
        words = f"digest {sha(path)}, to take effect at {effective}, recorded {recorded}"
        cancelled = path.with_name("cancelled.json") in self.files
        return f"{words}{', as earlier history' * stated['imported']}{'; see cancelled.json' * cancelled}", name

    def cancellation(self, path: Path) -> tuple[str, str]:
        stated, (slug, _editions, number) = json.loads(path.read_bytes()), path.parts[:3]
        manifest = manifest_of(slug, number)
        if stated["cancelled"] != sha(manifest) or stated["at"] >= json.loads(manifest.read_bytes())["effective_from"]:
            raise ValueError("it is about another edition, or the edition had taken effect")
        name = self.entry_about(slug, "cancelled", number)[1]
        self.slugs[name] = slug
        return f"edition {number} was cancelled at {self.moment(stated['at'], slug)} and never took effect", name

    def notice(self, path: Path) -> tuple[str, str]:
        subject, text, html = json.loads(path.read_bytes())
        for ending, words in {".txt": f"{subject}\n\n{text}", ".html": html}.items():
            beside = path.with_name(path.name[: -len(".json")] + ending)
            if beside in self.files and beside.read_bytes() != words.encode():
                raise ValueError(f"{beside.name} has other words")
        return f"the words of a notice, SHA-256 {sha(path)}", path.as_posix()

    def record(self, path: Path) -> tuple[str, str]:
        record, name = json.loads(path.read_bytes().partition(b"\n")[2]), path.with_suffix("").as_posix()
        if "withdrawal" in record:
            slug = self.slugs[name] = record["withdrawal"].split("/")[0]
            effect = self.moment(record["effective_at"], slug) if record["effective_at"] else "without an effect"
            recorded = self.moment(record["registered_at"], slug)
            return f"{record['withdrawal']}, {record['outcome']}, {effect}, recorded {recorded}", name
        slug, number = record["agreement"], record["edition"]
        manifest = manifest_of(slug, number)
        if path.name != f"acceptance-{record['acceptance']}.txt" or record["digest"] != sha(manifest):
            raise ValueError("it has another number than its name, or names another digest than that of the edition")
        first = record["recorded_at"] if record["kind"] == "imported" else min(record["at"], record["recorded_at"])
        if first < json.loads(manifest.read_bytes())["recorded_at"]:
            raise ValueError("it is recorded before its edition was")
        if record["html_digest"] not in {"", *map(sha, self.find(rf"{slug}/editions/{number}/displayed/.*"))}:
            raise ValueError("the displayed HTML that it names is not in the bundle")
        self.slugs[name] = slug
        at, recorded = (self.moment(record[word], slug) for word in ("at", "recorded_at"))
        return f"{edition_name(slug, number)}, {record['kind']}, {at}, recorded {recorded}", name

    def table(self, path: Path) -> tuple[str, str]:
        kind, rows = path.stem[:-1], list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
        missing = []
        for row in rows:
            file = Path("user/log", f"{kind}-{row['record']}.txt")
            if file not in self.files:
                missing.append(f"record {row['record']}")
                continue
            record = json.loads(file.read_bytes().partition(b"\n")[2])
            if any(row[column] != str(record[column] or "") for column in TABLES[kind]):
                raise ValueError(f"record {row['record']} is not as in {file.as_posix()}")
        complete = f"{len(rows)} rows, as in user/log; nothing proves that there are no others"
        return ", ".join(missing) or complete, "a row without a record" if missing else ""

    def checkpoint(self, path: Path) -> tuple[str, str]:
        origin, size, _root, key = self.signed(path.read_text(encoding="utf-8"))
        return f"{size} entries of {origin}, signed with the key {key}", ""

    def proof(self, path: Path) -> tuple[str, str]:
        head, _blank, note = path.read_text(encoding="utf-8").partition("\n\n")
        origin, size, root, _key = self.signed(note)
        index, hashes = int(head.split("\n")[1].split()[1]), [base64.b64decode(one) for one in head.split("\n")[2:]]
        entry, name = self.entry_of(path)
        if root_of(entry, index, size, hashes) != base64.b64decode(root):
            raise ValueError(f"{name} is not in the log that the checkpoint states")
        self.roots[origin, size][root].add(name)
        self.proved.add(name)
        return f"{name} is the entry with the number {index} in a log of {size} entries; the first has the number 0", ""

    def letter(self, path: str, text: str) -> Iterator[Result]:
        if Path(path).resolve() in {one.resolve() for one in self.files}:
            yield "NOT COMPARED", f"{path}: it is a file of this bundle, and no letter from elsewhere"
            return
        # A letter states the digest of its edition, and then the address.
        stated = re.findall(
            rf"({DIGEST})((?:(?!{DIGEST})[^/]){{1,300}}//(?:[^/\s]+/)*?([\w-]+)/editions/(\d+)/)?", text
        )
        for digest, _link, slug, number in stated:
            manifest = manifest_of(slug, number)
            if manifest in self.files and sha(manifest) != digest:
                other = "but states another digest than the bundle has"
                yield "REFUSED", f"{path}: it links to {edition_name(slug, number)}, {other}"
        ours = [
            one for one in self.find(r"[^/]+/editions/\d+/manifest\.json") if sha(one) in {one[0] for one in stated}
        ]
        names = {edition_name(one.parts[0], one.parts[2]) for one in ours}
        self.proved |= names
        yield from self.letter_of_log(path, text, names, {slug for _digest, _link, slug, _number in stated})

    def letter_of_log(self, path: str, text: str, names: set[str], about: set[str]) -> Iterator[Result]:
        """Compare the checkpoint in a letter, which states the digests of the editions with these names, and links to
        editions of the agreements ``about``.
        """
        for name, _key in sorted(keys_in(text).keys() - self.keys.keys()):
            if name in self.logs or about & set(self.logs.values()):
                yield "REFUSED", f"{path}: it states a key that the bundle does not have: {name}"
        named = f"; it states the digest of {', '.join(sorted(names))}" if names else ""
        for origin, slug in self.logs.items():
            found = re.search(rf"^\s*{re.escape(origin)}\s+(\d+)\s+([A-Za-z0-9+/]{{43}}=)", text, re.MULTILINE)
            if not found:
                continue
            roots = self.roots.get((origin, int(found[1])), {})
            if roots and set(roots) != {found[2]}:
                yield "REFUSED", f"{path}: the bundle has another root for {found[1]} entries. One of the two is false."
            elif not roots.get(found[2]):
                yield "NOT COMPARED", f"{path}: the bundle has no proof for a checkpoint of {found[1]} entries{named}"
            else:
                existed = self.with_earlier(roots[found[2]] | names)
                written = f"when it was written, the log had {found[1]} entries, and these existed"
                yield "OK", f"{path}: {written}: {'; '.join(sorted(existed))}{named}"
                if later := {name for name, of in self.slugs.items() if of == slug} - existed:
                    yield "NOT PROVEN", f"{path}: this letter does not prove: {'; '.join(sorted(later))}"
            return
        reason = "there is no checkpoint of a log of this bundle in it" if self.logs else "the bundle has no log"
        yield "NOT COMPARED", f"{path}: {reason}{named}"


def answer(results: Iterable[Result]) -> int:
    verdicts = set()
    for verdict, words in results:
        verdicts.add(verdict)
        sys.stdout.write(f"{verdict:12} {words}\n")
    return 1 if "REFUSED" in verdicts else 2 if verdicts - {"OK"} else 0


def main(arguments: list[str]) -> int:
    if not shutil.which("openssl"):
        return answer([("REFUSED", "The program openssl is not installed, so nothing can be checked.")])
    letters, unread = {}, []
    for path in arguments:
        try:
            letters[path] = text_of(path)
        except ERRORS as error:
            unread.append(("REFUSED", f"{path}: it can't be read: {error}"))
    try:
        return answer([*Bundle(arguments).check(letters), *unread])
    except ERRORS as error:
        return answer([("REFUSED", f"This folder is not an unpacked bundle, or SHA256SUMS can't be read: {error}")])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
