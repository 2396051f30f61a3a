"""The tutorial for plug-ins is followed, step by step, and each command shows what the page says.

`...` in an output stands for any lines, or for the rest of one. Not followed: what asks the index. In place of `pip
install -e` the metadata is written by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from docs_lab import DOCS, Block, Page, same_but_for_chance
from plugin_lab import environment_with, install

PAGE = DOCS / "tutorial" / "write-a-plugin.md"
_END = "--- end of a command ---"
_TIME = re.compile(r"\bin \d+\.\d+s\b( \(\d+:\d\d:\d\d\))?")  # the second form is there from a minute on
_COUNT = re.compile(r"\b\d+ (passed|skipped)\b")
"""The kit gets more rules; how many there are is not what the page teaches."""

# The commands of the page are this interpreter's, wherever its scripts are.
_COMMANDS = """\
directlane() { "$PYTHON" -m directlane.core.cli "$@"; }
pytest() { "$PYTHON" -m pytest -p no:cacheprovider "$@"; }
python() { "$PYTHON" "$@"; }
"""


@dataclass(slots=True)
class Reader:
    """Somebody who does what the page says. Mutable state: where they are, and which variables they have set."""

    home: Path
    project: Path
    state: Path

    def follow(self, block: Block) -> None:
        mark, _, file = block.mark.partition(": ")
        match mark:
            case "file":
                (self.project / file).write_text(block.code, "utf-8")
            case "change":
                path = self.project / file
                path.write_text(changed(path.read_text("utf-8"), block.code), "utf-8")
            case "installs":
                install(self.project, self.home / "site")
            case "":
                self._type(block)
            case _:
                assert mark == "skip"

    def _type(self, block: Block) -> None:
        steps = re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]
        wanted = [step.partition("\n") for step in steps]
        lines = [f"{command} 2>&1\necho '{_END}'" for command, _, _ in wanted]
        keep = f"{{ export -p; echo cd \"'$PWD'\"; }} > {self.state}"
        script = "\n".join([_COMMANDS, f". {self.state}", *lines, keep])
        environment = {**environment_with(self.project, self.home / "site"), "PYTHON": sys.executable, "COLUMNS": "120"}
        ran = subprocess.run(
            ["bash", "-c", script], cwd=self.home, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        outputs = ran.stdout.split(f"{_END}\n")[:-1]
        assert len(outputs) == len(wanted), ran.stdout + ran.stderr
        for (command, _, text), output in zip(wanted, outputs, strict=True):
            assert matches(text, output), f"line {block.line}: {command}\n{output}"


def changed(text: str, change: str) -> str:
    """The text after a change that is shown as in a diff: lines with `-` go, lines with `+` come, the others stay."""
    lines = change.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] != "+")
    after = "".join(line[1:] for line in lines if line[0] != "-")
    assert text.count(before) == 1, f"this must stand there once:\n{before}"
    return text.replace(before, after)


def matches(wanted: str, output: str) -> bool:
    """Whether an output is as the page says. Spaces in a row count as one."""
    pattern = ""
    for line in _plain(wanted).splitlines(keepends=True):
        start, dots, _ = line.partition("...")
        if line == "...\n":
            pattern += r"(.*\n)*"
        else:
            pattern += re.escape(start) + r".*\n" if dots else re.escape(line)
    return re.fullmatch(pattern, _plain(output)) is not None


def _plain(text: str) -> str:
    words = _COUNT.sub(r"N \1", _TIME.sub("in TIME", same_but_for_chance(text)))
    return "".join(f"{' '.join(line.split())}\n" for line in words.splitlines())


@pytest.mark.timeout(300)
def test_who_follows_the_page_sees_what_it_says(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("", "utf-8")
    reader = Reader(tmp_path, tmp_path / "directlane-acme", state)
    page = Page(PAGE, PAGE.read_text("utf-8"))
    for block in page.blocks("console", "python", "toml", "diff"):
        reader.follow(block)


def test_an_output_may_leave_out_lines_and_ends_but_nothing_else() -> None:
    assert matches("a\n...\nd\n", "a\nb\nc\nd\n")
    assert matches("a\n...\nd\n", "a\nd\n")
    assert matches("a   b ...\n", "a b c\n")
    assert matches("2 passed in 1.41s\n", "2 passed in 0.30s\n")
    assert not matches("a\n...\nd\n", "a\nb\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("2 passed in 1.41s\n", "1 failed, 1 passed in 1.41s\n")
