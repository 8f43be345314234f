"""Writing a generated package: a checked name, all files or none, nothing outside its folder."""

from __future__ import annotations

import keyword
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from symdiff.errors import BuildError, SymdiffError, quoted
from symdiff.reserved import C_KEYWORDS

_LONGEST = 64
# Names that would hide a module which the package needs, or whose files are special somewhere.
_TAKEN = frozenset("numpy cffi pycparser symdiff readme con prn aux nul".split())
# Runs the package's own builder. The package is found by its file, so that nothing beside it can stand in for a module.
_BUILDER = """
import importlib, importlib.util, pathlib, sys
folder = pathlib.Path(sys.argv[1])
spec = importlib.util.spec_from_file_location(
    folder.name, folder / "__init__.py", submodule_search_locations=[str(folder)]
)
package = sys.modules[folder.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
sys.exit(importlib.import_module(folder.name + ".build").run([]))
"""
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def package_directory(name: str) -> str:
    """`name` if a package may be called that; raises SymdiffError that says what is accepted."""
    reason = _refused(name)
    if reason:
        raise SymdiffError(
            f"{quoted(str(name))} cannot name a package: {reason}; "
            f"a name has ASCII letters, digits and underscores, at most {_LONGEST}, and no digit first"
        )
    return name


def _refused(name: str) -> str:
    """Why not; empty if the name is fine."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or len(name) > _LONGEST:
        return "it is too long" if len(name) > _LONGEST else "it is not an identifier" if name else "it is empty"
    if keyword.iskeyword(name) or name in C_KEYWORDS:
        return "it is a keyword of " + ("Python" if keyword.iskeyword(name) else "C")
    if name in sys.stdlib_module_names or name.lower() in _TAKEN:
        return "it would hide something of that name"
    if name.startswith("__") or name.strip("_") == "" or (name[0] == "_" and name[1].isupper()):
        return "Python and C reserve it"
    if name.lower().startswith("sd_"):
        return "sd_ is the prefix of symdiff's own C names"
    return ""


def write_package(path: Path, files: Mapping[str, str], *, force: bool = False) -> Path:
    """Write `files` (relative path -> text) into the folder `path`, all or none; returns it as an absolute path.

    Other files in the folder are left alone. Raises SymdiffError, with everything as it was before, where a file exists
    and `force` is not given, where a link or a folder is in the way, and where writing fails.
    """
    path = Path(os.path.abspath(path))
    package_directory(path.name)
    for name in files:
        _check_relative(name)
    try:
        _check_target(path, files, force)
        with _parents(path.parent), _scratch(path) as scratch:
            new = scratch / path.name
            _fill(new, files)
            if path.exists():
                _merge(new, path, files, scratch / "replaced")
            else:
                os.rename(new, path)
    except OSError as error:
        raise SymdiffError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _check_relative(name: str) -> None:
    if any(_PART.fullmatch(part) is None for part in name.split("/")):
        raise SymdiffError(f"{quoted(name)} is not a file name inside a package")


def _check_target(path: Path, files: Mapping[str, str], force: bool) -> None:
    """That nothing is in the way. Links are refused: what they point to lies outside."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise SymdiffError(f"cannot write {path}: it is {'a link' if path.is_symlink() else 'not a folder'}")
    existing = []
    for name in sorted(files):
        for folder in reversed(PurePosixPath(name).parents[:-1]):
            if (path / folder).is_symlink() or ((path / folder).exists() and not (path / folder).is_dir()):
                raise SymdiffError(f"cannot write {path / name}: {folder} is not a folder of the package")
        file = path / name
        if file.is_symlink() or (file.exists() and not file.is_file()):
            raise SymdiffError(f"cannot write {file}: it is not a file")
        if file.exists():
            existing.append(name)
    if existing and not force:
        shown = ", ".join(existing[:6]) + (f" and {len(existing) - 6} more" if len(existing) > 6 else "")
        raise SymdiffError(f"{path} has {shown} already; --force (in Python force=True) overwrites")


@contextmanager
def _parents(folder: Path) -> Iterator[None]:
    """The folder and all above it; those that were made here go again if the block fails."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    made: list[Path] = []
    try:
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            made.append(each)
        yield
    except BaseException:
        for each in reversed(made):
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A private folder beside `path`, hence on its file system."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "x", encoding="ascii", newline="\n") as handle:
            handle.write(text)


def _merge(new: Path, path: Path, files: Mapping[str, str], replaced: Path) -> None:
    """Move every file of `new` into the existing folder `path`, each in one step; on failure all go back."""
    folders: list[Path] = []
    placed: list[Path] = []
    try:
        for number, name in enumerate(sorted(files)):
            file, old = path / name, replaced / str(number)
            for folder in reversed(PurePosixPath(name).parents[:-1]):
                if not (path / folder).exists():
                    (path / folder).mkdir()
                    folders.append(path / folder)
            if file.exists():
                replaced.mkdir(exist_ok=True)
                shutil.copy2(file, old)
            os.replace(new / name, file)
            placed.append(file)
    except BaseException:
        backups = {path / name: replaced / str(number) for number, name in enumerate(sorted(files))}
        for file in reversed(placed):
            with suppress(OSError):
                if backups[file].exists():
                    os.replace(backups[file], file)
                else:
                    file.unlink()
        for made in reversed(folders):
            with suppress(OSError):
                made.rmdir()
        raise


def run_builder(folder: Path) -> str:
    """Compile the generated package in `folder`, as `python -m NAME.build` does; returns what that says.

    Runs in a process of its own. Raises BuildError with what went wrong.
    """
    command = [sys.executable, "-P", "-c", _BUILDER, os.path.abspath(folder)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise BuildError(done.stderr.strip().removeprefix("error: ") or f"the builder of {folder} failed")
    return done.stdout.strip()
