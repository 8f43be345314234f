"""LaTeX -> PDF in a private folder, without a shell or a network, the same bytes on every run.

Two engines: TeX, where pdflatex is found, and Typst, a Python package that needs nothing else. Typst sets the same
words and formulas (typst.py reads them off the LaTeX) in the same family of fonts.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from symdiff.errors import BuildError, UnsupportedError, quoted
from symdiff.render.typst import typst_source

Engine = Literal["auto", "tex", "typst"]
ENGINES = ("auto", "tex", "typst")

TIMEOUT = 60.0  # seconds for one run
_PASSES = 4  # longtable settles its column widths in two or three
_TYPST_ADVICE = "python -m pip install 'symdiff-codegen[pdf]' (Typst, one package, nothing else needed)"
_TEX_ADVICE = "TeX Live (Debian, Ubuntu: apt-get install texlive-latex-recommended lmodern)"
_WITHOUT = "; or take the LaTeX source, which needs nothing: --format tex"


def pdf(tex: str, engine: Engine = "auto") -> bytes:
    """The document as PDF: by TeX where there is pdflatex, else by Typst; or by the engine that is named.

    Raises BuildError where the engine is missing, or with its message where it refuses the text, and UnsupportedError
    for an engine that there is not.
    """
    if engine not in ENGINES:
        raise UnsupportedError(f"no PDF engine {quoted(str(engine))}; there are {', '.join(ENGINES)}")
    program = shutil.which("pdflatex") if engine != "typst" else None
    if program is not None:
        return _by_tex(tex, program)
    if engine == "tex":
        raise BuildError(f"no pdflatex found; install {_TEX_ADVICE}{_WITHOUT}")
    if importlib.util.find_spec("typst") is not None:
        return by_typst(typst_source(tex), "document")
    if engine == "typst":
        raise BuildError(f"the Python package typst is not installed: {_TYPST_ADVICE}{_WITHOUT}")
    raise BuildError(
        f"a PDF needs pdflatex or the Python package typst, and neither was found: {_TYPST_ADVICE}, "
        f"or install {_TEX_ADVICE}{_WITHOUT}"
    )


def by_typst(source: str, what: str, **files: str) -> bytes:
    """The PDF of a Typst document, which is alone in a folder with its `files` (text by name, of SVG) and has the fonts
    that Typst carries. Raises BuildError, about `what`, where Typst refuses it.
    """
    import typst

    with tempfile.TemporaryDirectory(prefix="symdiff-typst-") as folder:
        main = Path(folder) / "main.typ"
        for path, text in {
            main: source,
            **{Path(folder) / f"{name}.svg": text for name, text in files.items()},
        }.items():
            path.write_text(text, encoding="ascii", newline="\n")
        try:
            made = typst.compile(str(main), root=folder, ignore_system_fonts=True, format="pdf")
        except RuntimeError as error:  # what typst's own error is derived from
            raise BuildError(f"Typst refused the {what}: {error}") from None
    assert isinstance(made, bytes)
    return made


def _by_tex(tex: str, program: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="symdiff-tex-") as folder:
        place = Path(folder)
        (place / "derivation.tex").write_text(tex, encoding="ascii", newline="\n")
        seen = b""
        for _ in range(_PASSES):
            _run(program, place)
            aux = (place / "derivation.aux").read_bytes()
            if aux == seen:
                break
            seen = aux
        try:
            return (place / "derivation.pdf").read_bytes()
        except FileNotFoundError:
            raise BuildError(f"pdflatex made no PDF; last lines of its log:\n{_tail(place)}") from None


def _run(program: str, place: Path) -> None:
    command = [program, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "derivation.tex"]
    try:
        process = subprocess.Popen(
            command,
            cwd=place,
            env=_environment(place),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise BuildError(f"pdflatex could not be started: {error.strerror}; --format tex works without it") from None
    try:
        code = process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        raise BuildError(
            f"pdflatex did not finish within {TIMEOUT:.0f} seconds; --format tex works without it"
        ) from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        raise BuildError(f"pdflatex failed (exit {code}); last lines of its log:\n{_tail(place)}")


def _environment(place: Path) -> dict[str, str]:
    """No configuration of the user, no files outside the folder but those of TeX, no clock."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(place),
        "TEXMFVAR": str(place / "texmf-var"),
        "TEXMFHOME": str(place / "texmf"),
        "TEXMFCONFIG": str(place / "texmf-config"),
        "TMPDIR": str(place),
        "LC_ALL": "C",
        "openin_any": "p",
        "openout_any": "p",
        "shell_escape": "f",
        "SOURCE_DATE_EPOCH": "0",
        "FORCE_SOURCE_DATE": "1",
        "max_print_line": "200",
    }


def _tail(place: Path) -> str:
    try:
        log = (place / "derivation.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(there is no log)"
    lines = [line.encode("ascii", "replace").decode() for line in log.splitlines() if line.strip()]
    wrong = next((k for k, line in enumerate(lines) if line.startswith("!")), len(lines) - 12)
    return "\n".join(lines[max(wrong, 0) :][:12])
