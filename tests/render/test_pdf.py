"""PDF: which engine is taken, what is said where there is none, and that Typst leaves and reads nothing."""

from __future__ import annotations

import importlib.util
import shutil
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from symdiff import pipeline
from symdiff.cli import main
from symdiff.errors import BuildError, UnsupportedError
from symdiff.render import pdf as module
from symdiff.render.pdf import pdf

TEXT = "x*sin(y)**2"
TEX = pipeline.formula(TEXT).gradient().latex({"x": 1.0, "y": 2.0})


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


def test_both_ways_are_named(nothing: None) -> None:
    with pytest.raises(BuildError) as error:
        pdf(TEX)
    assert all(part in str(error.value) for part in ("symdiff-codegen[pdf]", "texlive", "--format tex"))
    with pytest.raises(BuildError, match="no pdflatex") as error:
        pdf(TEX, "tex")
    assert "pip" not in str(error.value)
    with pytest.raises(BuildError, match="typst is not installed"):
        pdf(TEX, "typst")


def test_there_are_three_engines() -> None:
    with pytest.raises(UnsupportedError, match="auto, tex, typst"):
        pdf(TEX, "word")  # type: ignore[arg-type]


def test_tex_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(module, "_by_tex", lambda tex, program: taken.append(program) or b"tex")
    monkeypatch.setattr(module, "by_typst", lambda source, what: b"typst")
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    assert pdf(TEX) == pdf(TEX, "tex") == b"tex" and taken == ["/somewhere/pdflatex"] * 2
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "typst")
    assert pdf(TEX, "typst") == b"typst"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert pdf(TEX) == b"typst"


@pytest.mark.peer("typst")
def test_typst_makes_the_same_bytes_twice_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first = pdf(TEX, "typst")
    pdf(TEX.replace("sin", "cos"), "typst")
    assert first.startswith(b"%PDF-") and first == pdf(TEX, "typst")
    assert b"CreationDate" not in first and str(tmp_path).encode() not in first
    assert list(tmp_path.iterdir()) == []


@pytest.mark.peer("typst")
def test_typst_sees_its_own_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hello")
    for wanted in (str(secret), "../../.." + str(secret), "/derivation.aux"):
        monkeypatch.setattr(module, "typst_source", lambda _, wanted=wanted: f'#read("{wanted}")')
        with pytest.raises(BuildError, match="Typst refused"):
            pdf(TEX, "typst")


@pytest.mark.peer("typst")
def test_the_command(tmp_path: Path) -> None:
    runner, target = CliRunner(), tmp_path / "f.pdf"
    command = ["derive", TEXT, "--format", "pdf", "-o", str(target), "--pdf-engine"]
    assert runner.invoke(main, [*command, "typst"]).exit_code == 0
    assert target.read_bytes() == pipeline.formula(TEXT).gradient().pdf(engine="typst")
    assert "is not one of" in runner.invoke(main, [*command, "word"]).output
    refused = runner.invoke(main, ["derive", TEXT, "--pdf-engine", "tex"])
    assert refused.exit_code == 2 and "--format pdf" in refused.output


def fonts(data: bytes) -> set[bytes]:
    """Names of the fonts in a PDF, some of whose objects are compressed."""
    found, place = [data], 0
    while (start := data.find(b"stream\n", place)) >= 0:
        place = start + 7
        try:
            found.append(zlib.decompressobj().decompress(data[place:]))
        except zlib.error:
            continue
    text = b"\n".join(found)
    return {name for name in (b"NewCM10-Regular", b"NewCMMath-Regular", b"NewCM10-Bold") if name in text}


@pytest.mark.peer("typst")
def test_the_fonts_are_those_that_typst_carries() -> None:
    assert fonts(pdf(TEX, "typst")) == {b"NewCM10-Regular", b"NewCMMath-Regular", b"NewCM10-Bold"}
