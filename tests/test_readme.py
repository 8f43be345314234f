"""What README.md shows is what happens.

A fenced block ```python holds a doctest session (`>>>` prompts); all of them run in order, in one namespace.
A fenced block ```console holds commands after `$ `, each followed by what it prints. Those that start with
`symdiff ` are run, in order, in one scratch folder that has the examples at the paths they have in the checkout; a
command without output below it only has to succeed. `...` in expected output stands for anything, as in doctest.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FENCE = re.compile(r"^```(?P<language>[a-z]*)[^\n]*\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

pytestmark = pytest.mark.compiler


@dataclass(frozen=True)
class Command:
    """A command of a console block, what is printed below it, and the README's line."""

    text: str
    expected: str
    line: int


def blocks(text: str, language: str) -> list[tuple[int, str]]:
    """(line of its first line, body) of every fenced block of one language."""
    return [
        (text.count("\n", 0, fence.start("body")) + 1, fence["body"])
        for fence in FENCE.finditer(text)
        if fence["language"] == language
    ]


def commands(first_line: int, body: str) -> list[Command]:
    """The commands of one console block; a backslash at a line's end continues the command."""
    found: list[Command] = []
    lines = enumerate(body.splitlines(), first_line)
    for number, line in lines:
        if line.startswith("$ "):
            text = line[2:]
            while text.endswith("\\"):
                text = text[:-1] + next(lines)[1].lstrip("> ")
            found.append(Command(text, "", number))
        elif found:
            last = found[-1]
            found[-1] = Command(last.text, f"{last.expected}{line}\n", last.line)
    return found


def _readme() -> str:
    assert README.is_file(), "README.md is missing"
    return README.read_text("utf-8")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a copy of the examples, and `symdiff` on the path as a command that runs this checkout."""
    shutil.copytree(ROOT / "symdiff" / "examples", tmp_path / "work" / "symdiff" / "examples")
    command = tmp_path / "bin" / "symdiff"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -c "from symdiff.cli import main; main()" "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name, value in {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.usefixtures("scratch")
def test_python_blocks() -> None:
    found = blocks(_readme(), "python")
    assert found, "README.md has no ```python block with >>> prompts"
    namespace: dict[str, object] = {}
    for line, body in found:
        assert ">>> " in body, f"README.md:{line}: a ```python block without >>> prompts cannot be checked"
        test = doctest.DocTestParser().get_doctest(body, namespace, f"README.md:{line}", "README.md", line - 1)
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=OPTIONS)
        outcome = runner.run(test, out=report.append, clear_globs=False)
        assert outcome.failed == 0, "\n" + "".join(report)
        namespace = test.globs


def test_console_blocks(scratch: Path) -> None:
    found = [each for line, body in blocks(_readme(), "console") for each in commands(line, body)]
    ours = [each for each in found if each.text.startswith("symdiff ")]
    assert ours, "README.md has no ```console block with a `$ symdiff ...` command"
    for each in ours:
        done = subprocess.run(["bash", "-c", each.text], cwd=scratch, capture_output=True, text=True, timeout=120)
        place = f"README.md:{each.line}: $ {each.text}"
        assert done.returncode == 0, f"{place}\nexit code {done.returncode}\n{done.stderr}"
        if each.expected.strip():
            same = doctest.OutputChecker().check_output(each.expected, done.stdout, OPTIONS)
            assert same, f"{place}\n--- README.md says\n{each.expected}--- it prints\n{done.stdout}"


def test_the_test_command_stands_where_ci_looks_for_it() -> None:
    assert re.search(r"^<!-- test-command -->\n+```[a-z]*\n(\$ )?\S[^\n]*\n```$", _readme(), re.MULTILINE), (
        "README.md: after `<!-- test-command -->` a fenced block with one line, which .ci/run runs"
    )
