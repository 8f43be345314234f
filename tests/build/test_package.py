"""Writing a package: the name is checked, all files or none, nothing outside the folder."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from symdiff.build import package
from symdiff.build.package import package_directory, write_package
from symdiff.errors import SymdiffError

FILES = {"__init__.py": "a = 1\n", "m.c": "int x;\n", "_runtime/kernel.py": "b = 2\n", "_runtime/deep/er.py": "\n"}


def tree(folder: Path) -> dict[str, str | None]:
    """Every entry below `folder`: text of a file, None for a folder, target of a link."""
    found: dict[str, str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_text("ascii")
    return found


@pytest.mark.parametrize("name", ["f", "F", "_f", "arm_7", "a" * 64, "f1", "match", "type", "sdx", "print"])
def test_identifiers_name_packages(name: str) -> None:
    assert package_directory(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "a/b", "../x", "/tmp/x", "a b", "a-b", "1a", "a.b", "a\n", "a\0b", "\u03b8", "\uff46", "a" * 65,
        "for", "None", "int", "typedef", "os", "math", "this", "numpy", "symdiff", "SymDiff", "cffi", "sd_x", "SD_x",
        "__init__", "__main__", "_", "_X", "README", "nul", "~", "$HOME", "-o", "*", "%s", "{{ x }}", "a;b", "a\\b",
    ],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(SymdiffError, match="a name has ASCII letters, digits and underscores"):
        package_directory(name)


def test_all_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    written = write_package(tmp_path / "a" / "b" / "mine", FILES)
    assert written == tmp_path / "a" / "b" / "mine"
    expected = {**FILES, "_runtime": None, "_runtime/deep": None}
    assert tree(tmp_path) == {"a": None, "a/b": None, "a/b/mine": None} | {
        f"a/b/mine/{k}": v for k, v in expected.items()
    }


def test_the_folder_has_ordinary_permissions(tmp_path: Path) -> None:
    written, plain = write_package(tmp_path / "mine", FILES), tmp_path / "plain"
    plain.mkdir()
    assert written.stat().st_mode == plain.stat().st_mode
    (tmp_path / "file").write_text("")
    assert (written / "m.c").stat().st_mode == (tmp_path / "file").stat().st_mode


def test_a_relative_path_is_taken_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_package(Path("mine"), FILES) == tmp_path / "mine"


def test_existing_files_are_listed_and_kept(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "m.c").write_text("the user's\n")
    before = tree(tmp_path)
    with pytest.raises(SymdiffError, match=r"has m\.c already; --force"):
        write_package(target, FILES)
    assert tree(tmp_path) == before


def test_force_replaces_its_own_files_and_leaves_the_others(tmp_path: Path) -> None:
    target = write_package(tmp_path / "mine", FILES)
    (target / "notes.txt").write_text("the user's\n")
    write_package(target, {**FILES, "m.c": "new\n", "n.c": "more\n"}, force=True)
    now = tree(target)
    assert (now["m.c"], now["n.c"], now["notes.txt"]) == ("new\n", "more\n", "the user's\n")
    assert now["_runtime/kernel.py"] == FILES["_runtime/kernel.py"]
    assert sorted(os.listdir(tmp_path)) == ["mine"]


def test_an_existing_folder_without_such_files_is_filled(tmp_path: Path) -> None:
    (tmp_path / "mine" / "_runtime").mkdir(parents=True)
    (tmp_path / "mine" / "notes.txt").write_text("the user's\n")
    write_package(tmp_path / "mine", FILES)
    assert set(FILES) | {"notes.txt"} <= set(tree(tmp_path / "mine"))


@pytest.mark.parametrize(
    "name", ["../m.c", "/m.c", "a/../../m.c", "a//b", "", "a/", ".hidden", "a\\b", "a\0", "..", "a/./b"]
)
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SymdiffError, match="not a file name inside"):
        write_package(tmp_path / "mine", {**FILES, name: "x\n"}, force=True)
    assert tree(tmp_path) == {}


def _link_target(folder: Path, outside: Path) -> None:
    os.symlink(outside, folder / "mine")


def _link_folder(folder: Path, outside: Path) -> None:
    (folder / "mine").mkdir()
    os.symlink(outside, folder / "mine" / "_runtime")


def _link_file(folder: Path, outside: Path) -> None:
    (folder / "mine").mkdir()
    os.symlink(outside / "victim", folder / "mine" / "m.c")


def _dangling_file(folder: Path, outside: Path) -> None:
    (folder / "mine").mkdir()
    os.symlink(outside / "new", folder / "mine" / "m.c")


def _dangling_target(folder: Path, outside: Path) -> None:
    os.symlink(outside / "new", folder / "mine")


def _file_for_target(folder: Path, outside: Path) -> None:
    (folder / "mine").write_text("the user's\n")


def _file_for_folder(folder: Path, outside: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "_runtime").write_text("the user's\n")


def _folder_for_file(folder: Path, outside: Path) -> None:
    (folder / "mine" / "m.c").mkdir(parents=True)


@pytest.mark.parametrize(
    "plant",
    [
        _link_target, _link_folder, _link_file, _dangling_file, _dangling_target, _file_for_target, _file_for_folder,
        _folder_for_file,
    ],
)  # fmt: skip
@pytest.mark.parametrize("force", [False, True])
def test_what_stands_in_the_way_is_refused(tmp_path: Path, plant: Callable[[Path, Path], None], force: bool) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (outside / "victim").write_text("precious\n")
    plant(folder, outside)
    before = tree(tmp_path)
    with pytest.raises(SymdiffError, match="cannot write"):
        write_package(folder / "mine", FILES, force=force)
    assert tree(tmp_path) == before


def _full_disk(monkeypatch: pytest.MonkeyPatch, function: str, call: int) -> None:
    """Call number `call` (from 0) of `os.FUNCTION`, or of `open`, fails as on a full disk; the others work."""
    holder = package if function == "open" else os
    original: Callable[..., object] = open if function == "open" else getattr(os, function)
    calls = itertools.count()

    def fails(*args: object, **kwargs: object) -> object:
        if next(calls) == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*args, **kwargs)

    monkeypatch.setattr(holder, function, fails, raising=False)


@pytest.mark.parametrize("call", range(len(FILES)))
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    _full_disk(monkeypatch, "open", call)
    with pytest.raises(SymdiffError, match=r"cannot write .*/mine: No space left"):
        write_package(tmp_path / "new" / "mine", FILES)
    assert tree(tmp_path) == {}


def test_a_failing_rename_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _full_disk(monkeypatch, "rename", 0)
    with pytest.raises(SymdiffError, match="No space left"):
        write_package(tmp_path / "new" / "mine", FILES)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("call", range(len(FILES)))
def test_a_failure_while_replacing_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    target = write_package(tmp_path / "mine", FILES)
    shutil.rmtree(target / "_runtime" / "deep")
    before = tree(tmp_path)
    _full_disk(monkeypatch, "replace", call)
    with pytest.raises(SymdiffError, match="No space left"):
        write_package(target, dict.fromkeys(FILES, "new\n"), force=True)
    assert tree(tmp_path) == before


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_package(tmp_path / "new" / "mine", FILES)
    assert tree(tmp_path) == {}


def test_a_read_only_folder_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: object, *_: object, **__: object) -> None:  # permissions do not bind root, who runs this in CI
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "mkdir", refused)
    with pytest.raises(SymdiffError, match="Permission denied"):
        write_package(tmp_path / "mine", FILES)
    assert tree(tmp_path) == {}


def test_a_parent_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("the user's\n")
    with pytest.raises(SymdiffError, match="cannot write"):
        write_package(tmp_path / "file" / "mine", FILES)
    assert tree(tmp_path) == {"file": "the user's\n"}
