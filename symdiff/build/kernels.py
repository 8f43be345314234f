"""From generated source to a `Kernel`: cache, compiler and engine put together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from symdiff.build import cache
from symdiff.errors import BuildError, ShapeError
from symdiff.runtime import array_kernel, calls, compiler
from symdiff.runtime.c_train import CTrainEngine, TrainSpec
from symdiff.runtime.compiler import CompileError, Library
from symdiff.runtime.kernel import Kernel, KernelSpec

# Loaded libraries by entry key. A library is never unloaded, so loading one again would only use up address space.
_loaded: dict[str, Library] = {}


def compile_c(
    source: str,
    spec: KernelSpec,
    *,
    prefix: str | None = None,
    vector_functions: Sequence[str] = (),
    statements: int = 0,
    workspace: bool = False,
) -> Kernel:
    """A kernel of the C text, which defines `PREFIX_KIND_packed` and `PREFIX_KIND_arrays`, or for arrays
    `PREFIX_KIND_packed` and `PREFIX_KIND_packed_workspace` (prefix: the spec's name).

    `vector_functions` are the libm names its batch loop calls, `statements` the size of its largest function,
    `workspace`: its functions take one though it is of scalars.
    Raises BuildError with the command, the compiler's last lines and where the source was kept.
    """
    prefix = spec.name if prefix is None else prefix
    cdef = compiler.kernel_cdef(prefix, [spec.kind], spec.dtype, array=spec.array, workspace=workspace)
    with _calls_beside():
        library = _library(source, cdef, vector_functions, statements)
    library = library._replace(calls=_calls())
    return array_kernel.c_kernel(spec, library, prefix, shape_error=ShapeError)


def compile_training(
    source: str,
    spec: TrainSpec,
    *,
    vector_functions: Sequence[str] = (),
    statements: int = 0,
) -> CTrainEngine:
    """What trains with the C text, which defines `NAME_train` and `NAME_train_workspace`, NAME being the spec's name.

    Raises BuildError as `compile_c` does.
    """
    cdef = compiler.kernel_cdef(spec.name, ["train"], "float64", array=spec.array)
    library = _library(source, cdef, vector_functions, statements)
    return CTrainEngine(library.ffi, library.lib, spec)


def numpy_kernel(function: Callable[..., Any], spec: KernelSpec, *, trusted: bool = False) -> Kernel:
    """A kernel of a Python function, `trusted` if generated; see `NumpyEngine` and `NumpyArrayEngine` for what it
    gets.
    """
    return array_kernel.numpy_kernel(spec, function, shape_error=ShapeError, trusted=trusted)


def _library(source: str, cdef: str, vector_functions: Sequence[str], statements: int) -> Library:
    """The compiled source. Raises BuildError."""
    try:
        return _built(source, cdef, vector_functions, statements)
    except CompileError as error:
        raise BuildError(str(error)) from error


def _calls() -> Any:
    """The module of `calls.c`, compiled once for all kernels; None where it cannot be had: cffi makes calls then."""
    if not calls.possible(api=compiler.python_headers() is not None):
        return None
    try:
        return _built("", "", (), 0, calls.source()).calls
    except CompileError as error:
        error.forget()
        return None


@contextmanager
def _calls_beside() -> Iterator[None]:
    """The first time, `calls.c` is compiled beside what happens here, so that nobody waits for two compilers in turn.

    Only where the cache is usable, and without errors: whatever has to be said, the caller's own thread says it later.
    """

    def ahead() -> None:
        with suppress(Exception):
            _calls()

    thread = None
    if _calls_are_new():
        with suppress(RuntimeError):  # no thread left, or the interpreter is ending: in turn, then
            started = threading.Thread(target=ahead)
            started.start()
            thread = started
    try:
        yield
    finally:
        if thread is not None:
            thread.join()


def _calls_are_new() -> bool:
    try:
        if not compiler.has_cffi() or not calls.possible(api=compiler.python_headers() is not None):
            return False
        key = cache.entry_key(_parts("", "", (), 0, calls.source()))
        if key in _loaded:
            return False
        root = cache.default_root()
        cache.prepare(root)
        return not (root / key).exists()
    except Exception:  # no compiler, no cache: building the kernel says so
        return False


def _parts(source: str, cdef: str, names: Sequence[str], statements: int, calls_text: str) -> dict[str, object]:
    """Everything that a library depends on. Raises CompileError without a compiler."""
    found = compiler.find_compiler()
    return {
        "source": source,
        "cdef": cdef,
        "calls": calls_text,
        "api": compiler.python_headers() is not None,
        "flags": compiler.flag_sets(found, vector_functions=names, statements=statements, computes=bool(cdef)),
        "vector_functions": names,
        **compiler.platform_key(found),
    }


def _built(source: str, cdef: str, vector_functions: Sequence[str], statements: int, calls_text: str = "") -> Library:
    if not compiler.has_cffi():
        raise CompileError("compiled kernels need the package cffi (pip install cffi)")
    names = tuple(sorted(vector_functions))
    parts = _parts(source, cdef, names, statements, calls_text)
    key, api = cache.entry_key(parts), bool(parts["api"])
    if key not in _loaded:
        module_name = f"_symdiff_{key[:20]}"

        def build(directory: Path) -> Path:
            return compiler.build_shared(
                source, module_name=module_name, cdef=cdef, out_dir=directory, api=api, calls=calls_text,
                vector_functions=names, statements=statements,
            )  # fmt: skip

        image = cache.get_or_build(parts, build)
        _loaded[key] = compiler.load_image(image, module_name, cdef, api=api, calls=bool(calls_text))
    return _loaded[key]
