r"""Make a picture (SVG) of text that a program has printed to a terminal, including colours.

    FORCE_COLOR=1 make demo | .venv/bin/python scripts/picture.py docs/images/demo.svg --title "make demo" \
        --part "(1/4)" "Search has version 2" --part "(4/4)" "The DAG run with the draft"

`--part` names the first and the last line of a part by a piece of their text. Without it, everything is shown.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

THEME = TerminalTheme(
    (17, 24, 39),
    (229, 231, 235),
    [
        *[(31, 41, 55), (248, 113, 113), (74, 222, 128), (250, 204, 21)],
        *[(96, 165, 250), (216, 180, 254), (103, 232, 249), (229, 231, 235)],
    ],
)
#: As in rich, but without fonts from elsewhere.
FORMAT = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; white-space: pre }}
.{unique_id}-title {{ font-size: 16px; font-family: -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def part_of(lines: list[str], first: str, last: str) -> list[str]:
    """The lines from one to another."""
    plain = [Text.from_ansi(line).plain for line in lines]
    begin = next(number for number, line in enumerate(plain) if first in line)
    end = next(number for number in range(begin, len(plain)) if last in plain[number])
    return lines[begin : end + 1]


def picture(lines: list[str], title: str) -> str:
    """The picture, as SVG."""
    texts = [Text.from_ansi(line) for line in lines]
    width = max(text.cell_len for text in texts) + 2
    console = Console(record=True, width=width, file=io.StringIO(), legacy_windows=False)
    for text in texts:
        console.print(text, soft_wrap=True)
    return console.export_svg(title=title, theme=THEME, code_format=FORMAT, unique_id="run")


def main() -> None:
    """Read the text from standard input, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--title", default="")
    parser.add_argument("--part", nargs=2, action="append", metavar=("FIRST", "LAST"))
    given = parser.parse_args()
    lines = sys.stdin.read().splitlines()
    parts = [part_of(lines, first, last) for first, last in given.part] if given.part else [lines]
    shown = [line for part in parts for line in ["", *part]][1:]
    given.path.write_text(picture(shown, given.title))


if __name__ == "__main__":
    main()
