"""From generated source to a `Kernel`: cache, compiler and engine put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from symdiff.build import cache
from symdiff.errors import BuildError, ShapeError
from symdiff.runtime import array_kernel, compiler
from symdiff.runtime.c_train import CTrainEngine, TrainSpec
from symdiff.runtime.compiler import CompileError
from symdiff.runtime.kernel import Kernel, KernelSpec

# Loaded libraries by entry key. A library is never unloaded, so loading one again would only use up address space.
_loaded: dict[str, tuple[Any, Any]] = {}


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
    ffi, lib = _library(source, cdef, vector_functions, statements)
    return array_kernel.c_kernel(spec, ffi, lib, prefix, shape_error=ShapeError)


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
    return CTrainEngine(*_library(source, cdef, vector_functions, statements), spec)


def numpy_kernel(function: Callable[..., Any], spec: KernelSpec, *, trusted: bool = False) -> Kernel:
    """A kernel of a Python function, `trusted` if generated; see `NumpyEngine` and `NumpyArrayEngine` for what it
    gets.
    """
    return array_kernel.numpy_kernel(spec, function, shape_error=ShapeError, trusted=trusted)


def _library(source: str, cdef: str, vector_functions: Sequence[str], statements: int) -> tuple[Any, Any]:
    """`(ffi, lib)` of the compiled source. Raises BuildError."""
    try:
        return _built(source, cdef, vector_functions, statements)
    except CompileError as error:
        raise BuildError(str(error)) from error


def _built(source: str, cdef: str, vector_functions: Sequence[str], statements: int) -> tuple[Any, Any]:
    if not compiler.has_cffi():
        raise CompileError("compiled kernels need the package cffi (pip install cffi)")
    found = compiler.find_compiler()
    api = compiler.python_headers() is not None
    names = tuple(sorted(vector_functions))
    parts = {
        "source": source,
        "cdef": cdef,
        "api": api,
        "flags": compiler.flag_sets(found, vector_functions=names, statements=statements),
        "vector_functions": names,
        **compiler.platform_key(found),
    }
    key = cache.entry_key(parts)
    if key not in _loaded:
        module_name = f"_symdiff_{key[:20]}"

        def build(directory: Path) -> Path:
            return compiler.build_shared(
                source, module_name=module_name, cdef=cdef, out_dir=directory, api=api,
                vector_functions=names, statements=statements,
            )  # fmt: skip

        image = cache.get_or_build(parts, build)
        _loaded[key] = compiler.load_image(image, module_name, cdef, api=api)
    return _loaded[key]
