"""The wheel carries everything, and both it and an editable install work from any folder. No network is used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FORMULA = "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)"


def _run(*command: object, **variables: str) -> str:
    """Runs from `/`, where no file of the checkout can be found by accident; gives what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run([*map(str, command)], cwd="/", env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _pip(*arguments: object) -> None:
    _run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input", *arguments)


@pytest.fixture(scope="module")
def checkout(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources: building leaves `build/` and `*.egg-info` behind."""
    copy = tmp_path_factory.mktemp("packaging") / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy / name)
    for name in ("symdiff", "templates"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, checkout)
    (built,) = folder.glob("symdiff_codegen-*.whl")
    return built


def _check_it_works(environment: dict[str, str], work: Path, *command: object) -> None:
    """`command` is the installed `symdiff`: it finds its templates, and what it generates works alone."""
    _run(*command, "generate", FORMULA, "--name", "packaged", "-o", work, **environment)
    probe = "import packaged; print(float(packaged.gradient(w1=-3, x1=-2, w2=2, x2=-1)[0]))"
    value = float(_run(sys.executable, "-c", probe, PYTHONPATH=str(work)))
    assert value == pytest.approx(0.6017114415641729, rel=1e-14)


def test_the_wheel_carries_all_sources_templates_and_examples(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package, templates = root / "symdiff", root / "templates"
    expected = {
        "symdiff/py.typed",
        *(path.relative_to(root).as_posix() for path in package.rglob("*.py")),
        "symdiff/runtime/calls.c",
        *(path.relative_to(root).as_posix() for path in (package / "examples").glob("*.sd")),
        *(path.relative_to(root).as_posix() for path in (package / "examples").glob("*.toml")),
        *(path.relative_to(root).as_posix() for path in (package / "examples").glob("*.ipynb")),
        *(f"symdiff/templates/{path.relative_to(templates).as_posix()}" for path in templates.rglob("*.*")),
    }
    assert sorted(expected - names) == []
    assert any(name.endswith(".j2") for name in names)
    assert any(name.endswith(".sd") for name in names)
    strangers = [name for name in names if not name.startswith(("symdiff/", "symdiff_codegen-"))]
    assert strangers == []


def test_the_wheel_works_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    _pip("install", "--no-deps", "--no-index", "--target", target, wheel)
    path = {"PYTHONPATH": str(target)}
    where = _run(sys.executable, "-c", "import symdiff; print(symdiff.__file__)", **path)
    assert Path(where.strip()).is_relative_to(target)
    _check_it_works(path, tmp_path / "out", sys.executable, "-c", "from symdiff.cli import main; main()")


def test_an_editable_install_works_from_anywhere(checkout: Path, tmp_path: Path) -> None:
    """`pip install -e` into a virtual environment that sees this one's packages through a `.pth` file."""
    environment = tmp_path / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    site = Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    here = _run(sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (site / "dependencies.pth").write_text(here + "\n")
    options = ("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", checkout)
    _run(sys.executable, "-m", "pip", "--python", python, "--quiet", "--no-input", *options)
    where = _run(python, "-c", "import symdiff; print(symdiff.__file__)").strip()
    assert Path(where).is_relative_to(checkout)
    _check_it_works({}, tmp_path / "out", environment / "bin" / "symdiff")
