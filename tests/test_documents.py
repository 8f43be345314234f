"""What people look at in `generated/` is what the systems give now; `python tests/documents.py` makes it again."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import documents
import pytest

HINT = "python tests/documents.py makes it again"


def test_graphs_are_up_to_date() -> None:
    made = list(documents.graphs())
    assert len(made) == len(documents.SYSTEMS) + len(documents.SCHEMES)
    assert [path.name for path, content in made if path.read_bytes() != content] == [], HINT


def test_the_page_is_up_to_date() -> None:
    for path, content in documents.page():
        assert _rounded(path.read_text("utf-8")) == _rounded(content.decode("utf-8")), HINT


def _rounded(text: str) -> str:
    """With twelve digits of every number: libm differs in the last ones. The script's hash stays."""
    return re.sub(r"-?\d+\.\d{12,}(e-?\d+)?", lambda found: f"{float(found[0]):.11e}", text)


@pytest.mark.tex
@pytest.mark.poppler
def test_pdfs_say_what_the_derivations_say(tmp_path: Path) -> None:
    """Words, and not bytes: releases of TeX differ in these."""
    for path, content in documents.pdfs():
        fresh = tmp_path / path.name
        fresh.write_bytes(content)
        assert _words(path) == _words(fresh), f"{path.name}: {HINT}"


def _words(pdf: Path) -> list[str]:
    return subprocess.run(["pdftotext", str(pdf), "-"], capture_output=True, text=True, check=True).stdout.split()


def test_the_readme_shows_the_pictures() -> None:
    readme = (documents.GENERATED.parent / "README.md").read_text("utf-8")
    shown = re.findall(r"!\[[^]]+\]\((generated/[^)]+)\)", readme)
    assert {Path(name).name for name in shown} >= {path.name for path in documents.PICTURES.glob("*.png")} != set()
    for name in shown:
        content = (documents.GENERATED.parent / name).read_bytes()
        if name.endswith(".png"):
            width, height = struct.unpack(">II", content[16:24])
            assert content.startswith(b"\x89PNG") and min(width, height) >= 400
        else:
            assert content.startswith((b"<svg", b"<?xml"))
