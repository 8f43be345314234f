# Copied unchanged from symdiff/runtime/library.py; the same in every generated package. Do not edit.
"""The compiled library of a generated package: built beside the package's files, loaded only if it belongs to them.

    NAME/_built/manifest.json     what the library was built from and for, and its file name and checksum
    NAME/_built/NAME-<hash>.so    the library, under a name that its own bytes give

The manifest is replaced in one step after the library is in place, so it always names a whole file, and a build that is
interrupted leaves the package as it was. A library counts only if its checksum, the C source and the platform
(processor, C library, Python, cffi) are the recorded ones; anything else is never loaded.

The module is copied verbatim into generated packages: standard library only; NumPy and cffi come in through the kernel.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import calls, compiler
from .array_kernel import c_kernel, numpy_kernel
from .compiler import CompileError, Library
from .kernel import Kernel, KernelSpec

_FOLDER, _MANIFEST = "_built", "manifest.json"
_LARGEST = 1 << 28  # bytes of a file that is read at all


class _Unfit(Exception):
    """Why a library that is there is not loaded."""


@dataclass(frozen=True)
class Source:
    """The C source of a package: `NAME.c` and `NAME.h` in `folder`, with `NAME_KIND_packed` and `NAME_KIND_arrays`.

    `module` is the dotted name that the package was imported under. `array`: a formula of arrays, whose functions are
    `NAME_KIND_packed` and `NAME_KIND_packed_workspace`. `workspace`: a long formula of scalars, whose functions take
    their workspace from the caller.
    """

    folder: Path
    module: str
    name: str
    kinds: tuple[str, ...]
    dtype: str
    array: bool = False
    workspace: bool = False

    @property
    def cdef(self) -> str:
        """Declarations of the functions that a kernel calls."""
        return compiler.kernel_cdef(self.name, self.kinds, self.dtype, array=self.array, workspace=self.workspace)

    def text(self) -> str:
        """The C file with its header written into it. Raises OSError where a file is missing."""
        header = (self.folder / f"{self.name}.h").read_text(encoding="utf-8")
        code = (self.folder / f"{self.name}.c").read_text(encoding="utf-8")
        return code.replace(f'#include "{self.name}.h"\n', header)

    def digest(self) -> str:
        """sha256 of everything that the library is made from."""
        return hashlib.sha256(f"{self.cdef}\n{self.text()}\n{calls.source()}".encode()).hexdigest()


# Loading


def kernels(source: Source, functions: dict[str, Callable[..., Any]], specs: Sequence[KernelSpec]) -> list[Kernel]:
    """A kernel per spec: over the compiled library where it is built and fits, else over `functions[kind]` in NumPy.

    A function gets the inputs and returns the value, or `(value, g1, ...)`. All specs are of arrays, or none, as the
    source is. A library that is there and does not fit is reported in one warning.
    """
    loaded = None
    try:
        loaded = load(source)
    except _Unfit as reason:
        command = f"{source.module}.build"
        if command not in sys.orig_argv:  # the remedy is not on its way already
            warnings.warn(
                f"{source.module} uses NumPy, because {reason}; to build it again: python -m {command}",
                RuntimeWarning,
                stacklevel=3,
            )

    if loaded is None:
        return [numpy_kernel(spec, functions[spec.kind], trusted=True) for spec in specs]
    return [c_kernel(spec, loaded, source.name) for spec in specs]


def load(source: Source) -> Library | None:
    """The compiled library; None where none was built. Raises `_Unfit` for one that does not belong."""
    if not (source.folder / _FOLDER).is_dir():
        return None
    try:
        manifest = _read_manifest(source)
        image = _verified(source, manifest)
        if not compiler.has_cffi():
            raise _Unfit("its compiled library needs the package cffi")
        return compiler.load_image(
            image, manifest["module"], source.cdef, api=manifest["api"], calls=calls.possible(api=manifest["api"])
        )
    except OSError as error:
        raise _Unfit(f"its compiled library cannot be read ({error})") from None
    except CompileError as error:
        raise _Unfit(f"its compiled library cannot be loaded ({str(error).splitlines()[0]})") from None


def _read_manifest(source: Source) -> dict[str, Any]:
    try:
        manifest = json.loads(_read(source.folder / _FOLDER / _MANIFEST))
    except (ValueError, RecursionError):
        manifest = None
    types = {
        "source": str,
        "platform": dict,
        "library": str,
        "sha256": str,
        "module": str,
        "api": bool,
        "built_with": dict,
    }
    if not isinstance(manifest, dict) or any(not isinstance(manifest.get(k), t) for k, t in types.items()):
        raise _Unfit("the manifest of its compiled library is damaged")
    return manifest


def _verified(source: Source, manifest: dict[str, Any]) -> bytes:
    """The library's bytes, if everything that the manifest records holds now."""
    if manifest["source"] != source.digest():
        raise _Unfit(f"its library was compiled from another {source.name}.c")
    here = compiler.platform_key()
    if manifest["platform"] != here:
        different = [name for name in here if manifest["platform"].get(name) != here[name]] or ["platform"]
        raise _Unfit(f"its library was compiled for another machine or Python (other {', '.join(different)})")
    file = manifest["library"]
    if Path(file).name != file:
        raise _Unfit("the manifest of its compiled library is damaged")
    image = _read(source.folder / _FOLDER / file)
    if hashlib.sha256(image).hexdigest() != manifest["sha256"]:
        raise _Unfit("its compiled library is damaged: wrong checksum")
    return image


def _read(path: Path) -> bytes:
    if not path.is_file() or path.stat().st_size > _LARGEST:
        raise OSError(f"{path.name} is missing or not a regular file of reasonable size")
    return path.read_bytes()


# Building


def build(
    source: Source, *, vector_functions: Sequence[str] = (), statements: int = 0, force: bool = False
) -> tuple[Path, bool]:
    """Compile the package's C file; returns the library and whether it was built now.

    A library that fits is kept unless `force`. Raises CompileError, and OSError where the package's folder cannot be
    written.
    """
    if not compiler.has_cffi():
        raise CompileError("compiled kernels need the package cffi (python -m pip install cffi)")
    found, folder = compiler.find_compiler(), source.folder / _FOLDER
    flags = compiler.flag_sets(found, vector_functions=vector_functions, statements=statements)
    parts: dict[str, Any] = {
        "source": source.digest(),
        "platform": compiler.platform_key(),
        "api": compiler.python_headers() is not None,
        "built_with": {
            "compiler": " ".join(found.command),
            "version": found.version,
            "flags": " ".join(flags[0]),
        },
    }
    old = _recorded(source)
    if old is not None and not force and all(old[name] == value for name, value in parts.items()):
        return folder / old["library"], False
    # Named after what it is made from: Python keeps one extension module per name and path.
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    manifest = {**parts, "module": f"_{source.name}_{key[:16]}"}
    with tempfile.TemporaryDirectory(prefix="symdiff-build-") as work:
        made = compiler.build_shared(
            source.text(), module_name=manifest["module"], cdef=source.cdef, out_dir=Path(work), api=manifest["api"],
            calls=calls.source() if calls.possible(api=manifest["api"]) else "",
            vector_functions=vector_functions, statements=statements,
        )  # fmt: skip
        image, suffix = made.read_bytes(), made.suffix
    manifest["sha256"] = hashlib.sha256(image).hexdigest()
    manifest["library"] = f"{source.name}-{manifest['sha256'][:16]}{suffix}"
    folder.mkdir(exist_ok=True)
    _replace(folder / manifest["library"], image)
    _replace(folder / _MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
    if old is not None and old["library"] != manifest["library"]:
        with suppress(OSError):
            (folder / old["library"]).unlink()
    return folder / manifest["library"], True


def _recorded(source: Source) -> dict[str, Any] | None:
    """The manifest of a library that fits and is whole."""
    try:
        manifest = _read_manifest(source)
        _verified(source, manifest)
    except (OSError, _Unfit):
        return None
    return manifest


def _replace(path: Path, content: bytes) -> None:
    """Write the whole file or nothing."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def main(source: Source, arguments: Sequence[str], *, vector_functions: Sequence[str] = (), statements: int = 0) -> int:
    """The command `python -m NAME.build`: 0 where the library is there afterwards, else 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {source.module}.build",
        description=f"Compile {source.name}.c for this machine, so that {source.module} uses it.",
        epilog="CC names the compiler, SYMDIFF_CFLAGS holds further flags.",
    )
    parser.add_argument("--force", action="store_true", help="build also if the library is up to date")
    force = parser.parse_args(arguments).force
    try:
        library, new = build(source, vector_functions=vector_functions, statements=statements, force=force)
        load(source)
    except CompileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (OSError, _Unfit) as error:
        print(f"error: {source.folder} has no working library: {error}", file=sys.stderr)
        return 1
    print(f"{'built' if new else 'up to date:'} {library}")
    return 0


__all__ = ["Source", "build", "kernels", "load", "main"]
