"""What Doxygen reads in place of a header: its ``//`` comments, as documentation.

The headers explain themselves in plain comments with formulas set by hand. A block of comment
lines above a declaration documents it: the first sentence in short, then the block verbatim, so
that no formula is taken for a command or for markup. The block at the top of a file documents the
file and the class that it opens with ("Samples: who is retained, ..."). A comment behind a member
of a structure or an enumeration documents that member.
"""

import re
import sys
from pathlib import Path


def escaped(text: str) -> str:
    """Text that Doxygen shows as it stands."""
    return re.sub(r"([\\@&$#<>%\"])", r"\\\1", text)


def documentation(lines: list[str], command: str = "") -> list[str]:
    text = re.sub(r"^\w+: ", "", " ".join(line.strip() for line in lines))
    sentence = re.match(r".*?[\w)\]]\.(?=\s|$)", text)
    brief = escaped(sentence[0] if sentence else text)
    return ["/**", command, f"\\brief {brief}", "", "\\verbatim", *lines, "\\endverbatim", "*/"]


def comment_text(line: str) -> str | None:
    found = re.fullmatch(r"\s*// ?(.*)", line)
    return found[1] if found else None


def filtered(source: str) -> list[str]:
    lines = source.splitlines()
    out: list[str] = []
    block: list[str] = []
    head: list[str] | None = None
    in_record = False
    for line in [*lines, ""]:
        text = comment_text(line)
        if text is not None:
            block.append(text)
            continue
        if block and head is None:
            head = block
            out += documentation(block, "\\file")
        elif block and line.strip() and line.strip()[0] not in "#}":
            out += documentation(block)
        block = []
        if re.match(r"(typedef )?(struct|class|enum)\b.*\{$", line):
            in_record = True
        elif line.startswith("}"):
            in_record = False
        member = re.fullmatch(r"(  \w[^(]*[;,\w]) +// (.*)", line) if in_record else None
        out.append(f"{member[1]}  ///< {escaped(member[2])}" if member else line)
    title = re.match(r"(\w+): ", head[0]) if head else None
    if title and re.search(rf"^(class|struct) {title[1]}\b", source, re.M):
        out += documentation(head or [], f"\\class minnorm::{title[1]}")
    return out


if __name__ == "__main__":
    print("\n".join(filtered(Path(sys.argv[1]).read_text(encoding="utf-8"))))
