"""`symdiff graph`: the language follows the file's suffix, and what is wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from symdiff.cli import main

B = "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)"
AT = "w1=-3,x1=-2,w2=2,x2=-1"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["graph", *arguments])


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        (".svg", "<svg "),
        (".tex", "% formula: computation graph\n\\documentclass"),
        (".dot", "// formula"),
        (".gv", "//"),
    ],
)
def test_the_suffix_says_the_language(suffix: str, start: str, tmp_path: Path) -> None:
    target = tmp_path / f"g{suffix}"
    result = run(B, "--at", AT, "-o", str(target))
    assert result.exit_code == 0 and result.output == ""
    text = target.read_text("ascii")
    assert text.startswith(start) and "0.60171" in text


@pytest.mark.tikz
def test_pdf(tmp_path: Path) -> None:
    target = tmp_path / "g.pdf"
    assert run(B, "-o", str(target)).exit_code == 0
    assert target.read_bytes().startswith(b"%PDF-")


def test_format_goes_before_the_suffix_and_standard_output_is_svg(tmp_path: Path) -> None:
    target = tmp_path / "g.txt"
    assert run(B, "--format", "dot", "-o", str(target)).exit_code == 0
    assert "digraph" in target.read_text("ascii")
    assert run(B).output.startswith("<svg ")
    assert run(B, "--fragment").output.startswith("% formula: computation graph; needs \\usepackage{tikz}")


def test_scheme_and_level() -> None:
    result = run("x: const(3); W: (2, 3); sum(tanh(W @ x))", "--scheme")
    assert result.exit_code == 0 and "symdiff-scheme" in result.output
    result = run("a = x*y + 1; b = sin(a)*a*a", "--level", "statement", "--format", "dot")
    assert result.output.count(" -> ") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x*y", "-o", "g.png"), "no graph has the suffix .png"),
        (("x*y", "--fragment", "--format", "svg"), "--fragment goes with --format tikz"),
        (("x*y", "--scheme", "--level", "statement"), "--level goes with the computation graph"),
        (("x*y", "--scheme"), "not a network of layers"),
        (("x*y", "--at", "x=1"), "no value for y"),
        (("x*+",), "line 1"),
    ],
)
def test_bad_use(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2 and message in " ".join(result.output.split())
