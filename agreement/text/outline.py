"""What begins at each line of an agreement: the grammar of numbers, in one pass and without looking at Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["title", "section", "clause", "subclause", "item", "note", "heading", "text"]

#: What may begin a unit. Four digits are a year; a leading zero is a date's; four parts are an address of some kind.
_NUMBERED = re.compile(
    r"(?P<indent>[ ]*)(?P<hashes>\#{0,6})[ ]*(?P<strong>\*\*|__)?"
    r"(?:(?P<number>[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){0,2})(?P<dot>\.?)|(?P<item>[1-9]\d{0,2}|[a-zа-яёәғқңөұүһі])\))"
    r"(?P<closed>\*\*|__)?(?=\s|$)\s*(?P<rest>.*)"
)
_NOTE = re.compile(r"(?P<label>(?:Ескерту|Ескертпе|Примечани[ея]|Сноска)\s?[.:])\s*(?P<rest>.*)")
_HEADING = re.compile(r"(?P<hashes>\#{1,6})(?P<rest>.*?)\#*\s*$")
_UNDERLINE = re.compile(r"(?:=+|-+) *$")
_BULLET = re.compile(r" {0,3}(?:[-*+]|\d+\.)\s")
#: A line that ends so goes on in the next: the number there is being referred to.
_GOES_ON = re.compile(r"(?:\b(?:пп?\.|пункт\w*|раздел\w*|и|или|либо|с|по|және|мен|немесе)|[,–—-])\s*$", re.IGNORECASE)
_ITEM_GOES_ON = re.compile(r"(?:\bподпункт\w*|\w(?:тың|тің|ның|нің|дың|дің))\s*$", re.IGNORECASE)


@dataclass(slots=True)
class Start:
    """A unit that begins at ``line`` (from 0); the fields are those of ``clauses.Clause``."""

    line: int
    kind: Kind
    number: str = ""
    label: str = ""
    parent: str = ""
    rest: str = ""
    tag: str = "p"
    words: list[str] | tuple[str, ...] = ()


def outline(lines: list[str]) -> Iterator[Start]:
    """The units that begin in these lines, in order. Linear in their length."""
    section = clause = sub = ""
    counts: dict[str, int] = {}
    before: Start | None = None  # The unit a line belongs to unless it begins one.
    in_list = blank = False
    for index, line in enumerate(lines):
        bare = line.strip()
        if not bare:
            blank = True
            continue
        apart, blank = blank or before is None or before.kind in {"title", "section", "heading"}, False
        if before and before.line + 1 == index and before.tag != "p" and underlined(lines, index - 1):
            continue
        start = _begin(lines, index, bare, apart=apart, in_list=in_list, after=clause)
        if start is None:
            in_list = (in_list and (not apart or line[:1] == " ")) or _BULLET.match(line) is not None
            if before is None and not in_list and line[:4].strip() and bare[0] not in ">|":
                start = Start(index, "title", rest=bare.strip("#").strip(), tag="h1")
            elif before is None or before.kind in {"title", "section", "heading"}:
                start = Start(index, "text")
            else:
                continue
        else:
            in_list = False
            if before is None and start.kind == "heading":
                start.kind = "title"
        if start.kind == "section":
            start.number, section, clause, sub = start.number, start.number, "", ""
        elif start.kind == "item" or (start.kind == "subclause" and not start.number):
            place = start.label[:-1]
            if start.kind == "subclause":
                start.parent = clause or section or "0"
                start.number = sub = f"{start.parent}-{place}"
            else:
                start.parent = sub or clause or section or "0"
                counts[start.parent] = counts.get(start.parent, 0) + 1
                start.number = start.parent + ("" if sub else "-") + _letters(counts[start.parent])
        elif start.number:
            start.parent = start.number.rpartition(".")[0]
            clause, sub = start.number, ""
        else:
            start.parent = sub or clause or section
        before = start
        yield start


def _begin(lines: list[str], index: int, bare: str, *, apart: bool, in_list: bool, after: str) -> Start | None:
    first = bare[0]
    if first in "#*_" or first.isdigit() or bare[1:2] == ")":
        if (match := _NUMBERED.match(lines[index])) and not (len(match["indent"]) > 3 and in_list):
            start = _numbered(lines, index, match, apart=apart, after=after)
            if start:
                return start
    elif match := _NOTE.match(bare):
        return Start(index, "note", label=match["label"], rest=match["rest"])
    if first == "#" and lines[index][0] == "#" and (match := _HEADING.match(lines[index])):
        return Start(index, "heading", rest=match["rest"].strip(), tag=f"h{max(2, len(match['hashes']))}")
    if apart and not lines[index].startswith("    ") and underlined(lines, index) and first not in "->|=*+":
        return Start(index, "heading", rest=bare, tag="h2")
    return None


def _numbered(lines: list[str], index: int, match: re.Match[str], *, apart: bool, after: str) -> Start | None:
    rest = match["rest"].strip()
    previous = "" if apart or not index else lines[index - 1]
    if (strong := match["strong"]) and not match["closed"]:  # **1. ALL OF IT**
        if not rest.endswith(strong) or strong in rest[:-2]:
            return None
        rest = rest[:-2] if "." not in (match["number"] or ".") else strong + rest
    elif match["closed"] and not strong:
        rest = match["closed"] + " " + rest
    if match["hashes"]:
        rest = rest.rstrip("#").rstrip()
    if label := match["item"]:
        if match["hashes"] or _ITEM_GOES_ON.search(previous) or rest.startswith(("тармақша", "подпункт")):
            return None
        return Start(index, "subclause" if label.isdigit() else "item", label=f"{label})", rest=rest)
    number, depth = match["number"], match["number"].count(".")
    heads = bool(match["hashes"]) or (apart and underlined(lines, index))
    if previous and _GOES_ON.search(previous[-40:]):
        return None
    if not depth:
        plain = match["dot"] and (
            (rest.isupper() and len(rest) > 2)
            or (rest and _next(lines, index).lstrip("#*_ ").startswith(f"{number}.1"))
        )
        if not heads and not plain:
            return None
        return Start(index, "section", number, number + match["dot"], rest=rest, tag="h2")
    if not match["dot"] and rest[:1].islower() and not heads and not apart and not _follows(number, after):
        return None  # "1.5 million" in the middle of a sentence.
    kind: Kind = "clause" if depth == 1 else "subclause"
    return Start(index, kind, number, number + match["dot"], rest=rest, tag="h3" if heads else "p")


def _follows(number: str, after: str) -> bool:
    head, _, tail = after.rpartition(".")
    return number == f"{after}.1" or (bool(tail) and number == f"{head}.{int(tail) + 1}")


def _next(lines: list[str], index: int) -> str:
    return next((line for line in lines[index + 1 : index + 4] if line.strip()), "")


def underlined(lines: list[str], index: int) -> bool:
    return index + 1 < len(lines) and lines[index + 1][:1] in ("=", "-") and bool(_UNDERLINE.match(lines[index + 1]))


def _letters(place: int) -> str:
    """1 → a, 26 → z, 27 → aa; after zz (702) the last stays."""
    place = min(place, 702) - 1
    return (chr(96 + place // 26) if place >= 26 else "") + chr(97 + place % 26)
