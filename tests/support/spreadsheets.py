"""What a spreadsheet program makes of a CSV file: which cells it would execute as formulas."""

from __future__ import annotations

import csv
import io

#: Each contains a place that some spreadsheet program reads as the start of a cell with a formula.
FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", '"=1', "＝1", "＋1", "－1", "＠A"),
    *("x;=1", "x;=1;y", "x,=1", "x|=1", "x\t=1", "x\n=1", "x\r\n=1", "x; =1", 'x;"=1', 'x;""=1', "x;;=1", "x;＝1"),
    *(";+1", ";-1", ";@A", "x;=1;+2,-3"),
]


def formulas(written: bytes) -> list[str]:
    """The cells of a CSV file that a spreadsheet program would execute, for each separator that it may be set to, and
    with and without quotation marks.
    """
    text = written.decode().removeprefix("\ufeff")
    found = []
    for separator in ",;|\t":
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting):
                found += [cell for cell in row if cell.strip('\u00a0 \t"').startswith(tuple("=+-@＝＋－＠"))]
    return found
