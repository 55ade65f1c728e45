r"""Make a picture (SVG) of text that a program has printed to a terminal, including colours.

    make demo | .venv/bin/python scripts/picture.py docs/images/demo.svg --title "make demo" --first Before \
        --last "missing  " --skip "Waiting|in batches|Of \d|Search returns|left search|tolerated|:01   0"

`--first` and `--last` name the first and last line by a part of their text; `--skip` drops lines that match a regular
expression.
"""

from __future__ import annotations

import argparse
import io
import re
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


def chosen(lines: list[str], first: str | None, last: str | None, skip: str | None) -> list[str]:
    """The lines to show."""
    plain = [Text.from_ansi(line).plain for line in lines]
    begin = next(number for number, line in enumerate(plain) if first is None or first in line)
    rest = (number for number in range(begin, len(lines)) if last is not None and last in plain[number])
    end = next(rest, len(lines) - 1)
    return [lines[n] for n in range(begin, end + 1) if not (skip and re.search(skip, plain[n]))]


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
    for name in ("--first", "--last", "--skip"):
        parser.add_argument(name)
    given = parser.parse_args()
    lines = chosen(sys.stdin.read().splitlines(), given.first, given.last, given.skip)
    given.path.write_text(picture(lines, given.title))


if __name__ == "__main__":
    main()
