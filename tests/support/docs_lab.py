"""The README and the pages of `docs/` as data: blocks of code with their marks, headings, links.

A mark is an HTML comment in front of a block, which readers do not see:

    <!-- test: skip: REASON -->      not tried
    <!-- test: goes on -->           Python: runs in the names of the block before it
    <!-- test: file: NAME -->        Python: written to this file, which later blocks can import
    <!-- test: prints -->            text: what the Python block before it prints; ports and times may differ
    <!-- test: in a service -->      TOML: lines of one service
    <!-- test: a route -->           TOML: lines of one route
    <!-- test: installs -->          console: what installs the plug-in of the page (tutorial for plug-ins)
    <!-- test: change: NAME -->      diff: a change of this file (tutorial for plug-ins)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "ROOT", "Block", "Page", "pages", "same_but_for_chance", "slug"]

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- test: (?P<mark>.*?) -->\n\s*\Z")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
_CHANCE = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\b(eas|modelarts|static)-\d+\b"), r"\1-N"),
    (re.compile(r"\b\d+(\.\d+)? ?ms\b"), "TIME"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code.

    Args:
        line: Where its first line stands, from 1.
        language: The word behind the fence.
        code: What stands inside.
        mark: What its mark says; empty if there is none.
    """

    line: int
    language: str
    code: str
    mark: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of Markdown."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """The path from the top of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self, *languages: str) -> Iterator[Block]:
        """The blocks in one of these languages, in order."""
        for match in _FENCE.finditer(self.text):
            if match["language"] in languages:
                before = self.text[: match.start()]
                mark = _MARK.search(before)
                line = before.count("\n") + 2
                yield Block(line, match["language"], match["code"], mark["mark"] if mark else "")

    def links(self) -> Iterator[str]:
        """The targets of all links and images outside of code."""
        for match in _LINK.finditer(_FENCE.sub("", self.text)):
            yield match["target"] or match["image"]

    def headings(self) -> list[str]:
        """The headings outside of code."""
        return [match["text"] for match in _HEADING.finditer(_FENCE.sub("", self.text))]


def pages() -> list[Page]:
    """The README, the changelog and every page of the docs."""
    paths = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
    return [Page(path, path.read_text("utf-8")) for path in paths]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def same_but_for_chance(text: str) -> str:
    """The text with everything replaced that differs from run to run."""
    for pattern, word in _CHANCE:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
