"""LaTeX -> PDF through pdflatex, in a private folder, without a shell, the same bytes on every run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from symdiff.errors import BuildError

TIMEOUT = 60.0  # seconds for one run
_PASSES = 4  # longtable settles its column widths in two or three
_ADVICE = (
    "no pdflatex found; install TeX Live (Debian, Ubuntu: apt-get install texlive-latex-recommended lmodern), "
    "or take the LaTeX source, which needs nothing: --format tex"
)


def pdf(tex: str) -> bytes:
    """The document as PDF. Raises BuildError without pdflatex, or with the log's lines where it refuses the text."""
    program = shutil.which("pdflatex")
    if program is None:
        raise BuildError(_ADVICE)
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
