"""What all tests share: which tools a test needs, where goldens are rewritten, and a kernel cache of their own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest


def _found(*programs: str) -> bool:
    return any(shutil.which(program) for program in programs)


def _compiler_found() -> bool:
    chosen = os.environ.get("CC", "").split()
    return _found(*chosen[:1], "cc", "gcc", "clang")


@cache
def _tex_file(name: str) -> bool:
    """Whether TeX finds a file of its own."""
    return _found("kpsewhich") and subprocess.run(["kpsewhich", name], capture_output=True).returncode == 0


# Marker: (is the tool there?, what to say if it is not).
TOOLS: dict[str, tuple[Callable[[], bool], str]] = {
    "compiler": (_compiler_found, "a C compiler (apt-get install gcc)"),
    "clang": (lambda: _found("clang"), "clang (apt-get install clang)"),
    "tex": (
        lambda: _found("pdflatex"),
        "pdflatex (apt-get install texlive-latex-base texlive-latex-recommended lmodern)",
    ),
    "tikz": (
        lambda: _found("pdflatex") and _tex_file("tikz.sty"),
        "TikZ (apt-get install texlive-latex-base texlive-latex-recommended texlive-pictures lmodern)",
    ),
    "poppler": (lambda: _found("pdftotext"), "pdftotext (apt-get install poppler-utils)"),
    "graphviz": (lambda: _found("dot"), "graphviz (apt-get install graphviz)"),
    "chromium": (
        lambda: _found("chromium", "chromium-browser", "google-chrome"),
        "Chromium (apt-get install chromium)",
    ),
}


def _missing_tools(item: pytest.Item) -> Iterator[str]:
    for marker, (is_there, name) in TOOLS.items():
        if item.get_closest_marker(marker) and not is_there():
            yield name
    for peer in item.iter_markers("peer"):
        for module in peer.args:
            if importlib.util.find_spec(module) is None:
                yield f"the Python module {module} (python -m pip install {module})"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose tool is missing. Raised here, so that pytest folds all skips for one tool into one line."""
    for name in _missing_tools(item):
        if os.environ.get("SYMDIFF_REQUIRE_ALL") == "1":
            pytest.fail(f"needs {name}, and SYMDIFF_REQUIRE_ALL=1 forbids skipping", pytrace=False)
        pytest.skip(f"needs {name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the golden files instead of comparing with them")


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """True under `--update`: write the golden file, do not compare."""
    return bool(request.config.getoption("--update"))


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """One kernel cache for the session and its workers, which inherit the variable: the user's stays untouched."""
    if not _is_worker(config):
        os.environ["SYMDIFF_CACHE"] = tempfile.mkdtemp(prefix="symdiff-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        shutil.rmtree(os.environ["SYMDIFF_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent
