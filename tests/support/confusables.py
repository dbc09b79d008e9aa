"""Writes ``agreement/text/lint/confusables.py`` from Unicode's ``confusables.txt``.

Run ``python -m tests.support.confusables FILE``. The file for each version of Unicode is at
``https://www.unicode.org/Public/security/``.
"""

from __future__ import annotations

import re
import string
import sys
from collections import defaultdict
from pathlib import Path
from textwrap import wrap

CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюяәғқңөұүһі"
#: The characters of Kazakh and Russian texts, of Latin abbreviations and of numbers.
USUAL = CYRILLIC + CYRILLIC.upper() + string.ascii_letters + string.digits
TARGET = Path(__file__).parents[2] / "agreement" / "text" / "lint" / "confusables.py"

HEAD = '''"""Characters that look like the letters and digits of Kazakh and Russian texts, by Unicode's confusables.

Made by ``python -m tests.support.confusables confusables.txt`` from version {version} of
https://www.unicode.org/Public/security/. Do not edit it. The data is © {year} Unicode, Inc. under the Unicode License
V3 (``Unicode-3.0``, https://www.unicode.org/license.txt).
"""

from __future__ import annotations

#: One group of characters in each line, as hexadecimal numbers. They look alike: UTS #39 gives them the same skeleton.
_GROUPS = """
{groups}
"""

#: Character → the first character of its group. Only letters and decimal digits are included, and only groups with a
#: letter or digit of Kazakh, Russian or ASCII.
SKELETONS: dict[str, str] = {{
    chr(int(code, 16)): chr(int(group.split()[0], 16))
    for group in _GROUPS.strip().replace("\\n ", " ").split("\\n")
    for code in group.split()
}}
'''


def main(path: str) -> None:
    text = Path(path).read_text(encoding="utf-8-sig")
    skeletons = {}
    for line in text.splitlines():
        source, found, target = line.partition("#")[0].partition(";")
        if found:
            skeletons[chr(int(source, 16))] = "".join(chr(int(code, 16)) for code in target.partition(";")[0].split())
    groups = defaultdict[str, list[str]](list)
    for char in USUAL:
        groups[skeletons.get(char, char)].append(char)
    for char, skeleton in sorted((skeletons | {key: key for key in groups if len(key) == 1}).items()):
        if skeleton in groups and char not in USUAL and (char.isalpha() or char.isdecimal()):
            groups[skeleton].append(char)
    lines = (" ".join(f"{ord(char):x}" for char in group) for group in groups.values() if len(group) > 1)
    version, year = re.search(r"Version: ([\d.]+)", text), re.search(r"© (\d{4})", text)
    assert version
    assert year
    written = "\n".join("\n ".join(wrap(line, 118)) for line in lines)
    TARGET.write_text(HEAD.format(version=version[1], year=year[1], groups=written), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
