"""Writes a bundle of evidence: a ZIP file with its tables (CSV), its instructions and the digests of its files."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from django.db.models import QuerySet
from django.http import FileResponse
from django.template.loader import render_to_string
from django.utils import translation

from agreement import conf
from agreement.seal import manifest
from agreement.text import dates, languages

#: The languages of the instructions in a bundle (``README.txt``).
README_LANGUAGES = (*languages.LANGUAGES, "en")
#: The program that checks a bundle. It needs Python and openssl alone.
CHECKER = Path(__file__).parent / "check_bundle.py"
#: How many lines of a CSV file are in memory at the same time.
CSV_ROWS = 2_000
#: The date of every file in a ZIP: the earliest possible, because a ZIP states no time zone. It is fixed, so that two
#: exports are equal.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class StampFiles:
    """The files of a time stamp in a bundle: the name of the stamped checkpoint, and ``name``, the name of the stamp
    and of its certificates without the extension. ``seconds`` is the moment of the stamp as seconds since 1970.
    ``chain`` is true if there are several certificates, some of which may be of intermediate authorities.
    """

    checkpoint: str
    name: str
    seconds: int
    chain: bool

    @property
    def command(self) -> str:
        """The command that verifies the stamp for its own moment, because the certificate of the authority may have
        ended since.
        """
        certificates = f"-CAfile {self.name}.pem" + (f" -untrusted {self.name}.pem" if self.chain else "")
        return f"openssl ts -verify -data {self.checkpoint} -in {self.name}.tsr {certificates} -attime {self.seconds}"


@dataclass
class Bundle:
    """A ZIP file that is being written, with the SHA-256 of each file in it by name."""

    archive: zipfile.ZipFile
    digests: dict[str, str] = field(default_factory=dict)
    stamped: list[StampFiles] = field(default_factory=list)
    """The time stamps in it."""
    logs: list[str] = field(default_factory=list)
    """The slugs of the agreements whose signed checkpoint is in the bundle."""
    disclosed: list[str] = field(default_factory=list)
    """The names, without the extension, of the records that are in a log."""
    signed: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of names: a signed manifest, and a signature that openssl can check."""

    def add(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Add a file with that name, and record its SHA-256. ``content`` may be given in chunks. The bundle must not
        contain the name yet. Raises ``ValueError`` if it does: programs that unpack the ZIP keep only one of two files.
        """
        if name in self.digests:
            msg = f"The bundle contains {name!r} already."
            raise ValueError(msg)
        info = zipfile.ZipInfo(name, _NO_DATE)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system, info.external_attr = 3, 0o100644 << 16  # An ordinary file on every system.
        digest = sha256()
        with self.archive.open(info, "w", force_zip64=True) as file:
            for chunk in [content] if isinstance(content, bytes) else content:
                digest.update(chunk)
                file.write(chunk)
        self.digests[name] = digest.hexdigest()

    def close(self, at: datetime) -> None:
        """Add the last three files: the program that checks the bundle, the instructions for checking it
        (``README.txt``, in Kazakh, Russian and English), then the digests of all files before (``SHA256SUMS``). The
        instructions state ``at`` as the instant for which the evidence was exported. The ZIP file itself stays open;
        :func:`open_bundle` closes it.
        """
        self.add(CHECKER.name, CHECKER.read_bytes())
        has_signatures = any(name.endswith(".cms") for name in self.digests)
        archived = any(name.endswith(".archive.pdf") for name in self.digests)
        parts = []
        for language in README_LANGUAGES:
            context = {
                "at": dates.instant(at, language, conf.time_zone()),
                "stamped": self.stamped,
                "logs": self.logs,
                "disclosed": self.disclosed,
                "signed": self.signed,
                "has_signatures": has_signatures,
                "archived": archived,
                "cancelled": any(name.endswith("/cancelled.json") for name in self.digests),
                "receipts": any(name.startswith("user/receipts/") for name in self.digests),
                "log_step": 5 + bool(self.stamped),
                "signature_step": 5 + bool(self.stamped) + bool(self.logs),
                "archive_step": 5 + bool(self.stamped) + bool(self.logs) + has_signatures,
            }
            with translation.override(language):
                parts.append(render_to_string("agreement/evidence/readme.txt", context).strip())
        self.add("README.txt", ("\n\n" + "-" * 72 + "\n\n").join(parts).encode() + b"\n")
        sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.digests.items()))
        self.add("SHA256SUMS", sums.encode())


@contextmanager
def open_bundle(output: Path | IO[bytes]) -> Iterator[Bundle]:
    """Context manager: a bundle that is written to ``output``.

    A path becomes a file when the block ends without an exception. Until then the bundle is a temporary file in the
    same folder, with the name of the path between two dots and a random end. After an exception the temporary file is
    removed, and ``output`` is not created. If the process is killed, the temporary file remains. Raises
    ``FileExistsError`` if the path exists when the block begins or ends. That file is not changed.

    An open file must be seekable, and stays open.
    """
    if not isinstance(output, Path):
        with zipfile.ZipFile(output, "w") as archive:
            yield Bundle(archive)
        return
    if output.exists():
        raise FileExistsError(output)
    handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                yield Bundle(archive)
            file.flush()
            os.fsync(file.fileno())
        # A hard link, because a rename would replace a file that was created in the meantime.
        os.link(name, output)
    finally:
        Path(name).unlink()


def bundle_response(export: Callable[..., object], *, filename: str) -> FileResponse:
    """Return a download, named ``filename``, of the bundle that ``export`` writes. It calls ``export`` with one keyword
    argument, ``output``: the open file to which ``export`` must write. Its exceptions are raised. Caches may not store
    the response. No file remains on the server, not even if the process is killed.
    """
    with ExitStack() as on_error:
        # On the systems of POSIX a temporary file has no name in any folder.
        output = on_error.enter_context(tempfile.TemporaryFile())
        export(output=output)
        output.seek(0)
        response = FileResponse(output, as_attachment=True, filename=filename)
        on_error.pop_all()  # The response closes the file.
    response.headers["Cache-Control"] = "private, no-store"
    return response


def csv_table(columns: dict[str, str], rows: QuerySet[Any]) -> Iterator[bytes]:
    """Return the chunks of a CSV file of these rows, as :func:`csv_chunks` yields them. ``columns`` maps each column
    heading to a field, a look-up path or an annotation of the queryset.
    """
    return csv_chunks(tuple(columns), rows.values_list(*columns.values()).iterator(chunk_size=CSV_ROWS))


def csv_chunks(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Yield a CSV file (RFC 4180, UTF-8) in chunks of at most ``CSV_ROWS`` rows, so that a large file does not fill the
    memory. ``head`` is its first row, the column headings. Each cell contains the text that :func:`csv_cell` returns.
    """
    lines = chain([head], rows)
    while chunk := list(islice(lines, CSV_ROWS)):
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows([[csv_cell(value) for value in row] for row in chunk])
        yield buffer.getvalue().encode()


#: The signs of a formula. Most cells contain none of them, and the slower search for a place is left out.
_SIGN = re.compile(r"[=+\-@＝＋－＠]")
#: A place at which a spreadsheet program may begin a cell, and the sign that would make this cell a formula. A cell
#: begins at the start of a text and after each character that separates cells or lines in some country's settings:
#: a program set to Russian or Kazakh separates by semicolons and reads no quotation marks in the middle of a cell. The
#: sign is optional, so that the separators before other text are not tried one by one.
_FORMULA = re.compile(r"""((?:^|[,;|\t\r\n])[\s",;|]*+)([=+\-@＝＋－＠]?)""")


def csv_cell(value: object) -> str:
    """Return the value as text that no spreadsheet executes as a formula (OWASP, CSV injection), whatever separator it
    is set to: an apostrophe is put before ``=``, ``+``, ``-`` and ``@``, also full-width, at the start of the text and
    after a comma, semicolon, vertical bar, tab or line break, with or without spaces and quotation marks between. This
    includes negative numbers. ``None`` becomes ``""``, and an instant is written as in RFC 3339, in UTC.
    """
    if isinstance(value, datetime):
        return manifest.rfc3339(value)
    text = "" if value is None else str(value)
    return _FORMULA.sub(_mark_sign, text) if _SIGN.search(text) else text


def _mark_sign(found: re.Match[str]) -> str:
    before, sign = found.groups()
    return f"{before}'{sign}" if sign else before
