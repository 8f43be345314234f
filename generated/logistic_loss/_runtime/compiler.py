# Copied unchanged from symdiff/runtime/compiler.py; the same in every generated package. Do not edit.
"""From C source to a loaded library: finds a compiler, chooses flags, builds through cffi, loads.

The library is a Python extension made from cffi's C (API mode: fast calls) where Python.h is present, else a plain
shared library that cffi opens (ABI mode). The compiler is called directly, so no setuptools is needed. Flags never
include fast-math: linking with it changes the floating-point mode of the whole process.

The module is copied verbatim into generated packages: standard library only, cffi imported when used.
"""

import ctypes
import functools
import hashlib
import importlib.machinery
import importlib.util
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

# Above this many statements in one function gcc's optimiser costs seconds and gains nothing in straight-line code.
LARGE = 2000
TIMEOUT = 120.0
_TAIL = 20  # lines of compiler output shown in an error
_WORK = "symdiff-build-"  # directories to compile in
# These reach beyond the kernel: they switch off denormals for the whole process, or change results.
_FORBIDDEN = re.compile(
    r"-Ofast|-mdaz-ftz|-ffp-contract=(?!off$).*|-ffp-model=(?!strict$).*|-fno-(signed-zeros|honor-(nans|infinities))"
    r"|-f(fast-math|unsafe-math-optimizations|finite-math-only|associative-math|reciprocal-math|approx-func)"
)


class CompileError(Exception):
    """The library could not be built.

    `command` is what was run (empty if nothing was), `output` the last lines of what it said, `source` where the C
    file was kept (None if there was none).
    """

    def __init__(self, message: str, *, command: str = "", output: str = "", source: Path | None = None) -> None:
        self.command, self.output, self.source = command, output, source
        kept = f"source kept in {source}" if source else ""
        super().__init__("\n".join(part for part in (message, command, output, kept) if part))

    def forget(self) -> None:
        """Throw the source away, where nobody is told that it was kept."""
        if self.source is not None and self.source.parent.name.startswith(_WORK):
            shutil.rmtree(self.source.parent, ignore_errors=True)


@dataclass(frozen=True)
class CompilerInfo:
    """A C compiler: how to call it, what it is ("gcc", "clang" or "other"), first line of its version text."""

    command: tuple[str, ...]
    kind: str
    version: str


class Library(NamedTuple):
    """A loaded library: what cffi gives, and the module of `calls.c`, None where the library has none."""

    ffi: Any
    lib: Any
    calls: Any = None


def find_compiler() -> CompilerInfo:
    """`$CC` (may carry arguments) if set, else the first of cc, gcc, clang. Raises CompileError if there is none.

    A `$CC` that cannot be found is an error too: silently taking another compiler would hide the mistake. So is one
    with fast-math among its arguments.
    """
    return _find_compiler(os.environ.get("CC", ""), os.environ.get("PATH", os.defpath))


@functools.lru_cache
def _find_compiler(cc: str, path: str) -> CompilerInfo:
    wanted = _words("CC", cc)
    for command in [wanted] if wanted else [["cc"], ["gcc"], ["clang"]]:
        found = shutil.which(command[0], path=path)
        if found:
            full = (found, *command[1:])
            text = _version_text(full)
            return CompilerInfo(full, _kind(text), text.partition("\n")[0].strip() or "unknown")
    if wanted:
        raise CompileError(f"the compiler in CC={cc!r} was not found")
    raise CompileError("no C compiler found (looked for cc, gcc, clang in PATH; CC names another)")


def _words(name: str, text: str) -> list[str]:
    """The words of an environment variable with compiler arguments. Raises CompileError for those that are refused."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise CompileError(f"{name}={text!r} cannot be read: {error}") from None
    for word in words:
        if _FORBIDDEN.fullmatch(word):
            raise CompileError(f"{name} has {word}, which changes results or the arithmetic of the whole process")
    return words


def _version_text(command: Sequence[str]) -> str:
    try:
        status, text = _run([*command, "--version"], None, 20.0)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return text if status == 0 else ""


def _kind(version: str) -> str:
    if "clang" in version.lower():
        return "clang"
    return "gcc" if "Free Software Foundation" in version else "other"


# Flags


def flag_sets(
    compiler: CompilerInfo, *, vector_functions: Sequence[str] = (), statements: int = 0, computes: bool = True
) -> tuple[tuple[str, ...], ...]:
    """Flags to try in turn: the fast set, then one that any compiler takes. `$SYMDIFF_CFLAGS` is appended to both.

    `vector_functions` are the libm names that a vectorised loop calls, `statements` the size of the largest function.
    Code that does not compute, but only calls, gets flags that compile fast. Raises CompileError for fast-math in
    `$SYMDIFF_CFLAGS`.
    """
    extra = tuple(_words("SYMDIFF_CFLAGS", os.environ.get("SYMDIFF_CFLAGS", "")))
    large, gcc = statements > LARGE, compiler.kind == "gcc"
    shared: tuple[str, ...] = ("-ffp-contract=off", "-fPIC", "-shared")
    if sys.platform == "darwin":
        shared += ("-undefined", "dynamic_lookup")  # the extension's Python symbols come from the running interpreter
    if gcc:  # in basic blocks gcc 12.2 gets code for AVX-512 wrong; loops are marked for SIMD where that pays
        shared += ("-fno-tree-slp-vectorize",)
    if not computes:
        return (("-O1", *shared, *extra),)
    level = "-O1" if large else "-O3"
    fast: tuple[str, ...] = (level, "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", *shared)
    if large and gcc:
        fast += ("-fira-algorithm=priority", "-fno-tree-ter")
    if gcc and "avx512f" in cpu()[1].split():
        fast += ("-mprefer-vector-width=512",)
    if gcc and has_vector_functions(tuple(vector_functions)):
        fast += ("-DSYMDIFF_SIMD",)
    return fast + extra, (level, *shared, *extra)


def libraries(flags: Sequence[str], vector_functions: Sequence[str]) -> tuple[str, ...]:
    """What to link with: libm, and libmvec where vector functions are used."""
    return ("-lmvec", "-lm") if vector_functions and "-DSYMDIFF_SIMD" in flags else ("-lm",)


@functools.lru_cache
def has_vector_functions(names: tuple[str, ...]) -> bool:
    """Whether glibc's libmvec has every function in every vector width gcc may pick. True for none, on x86-64 glibc."""
    if platform.machine() not in ("x86_64", "AMD64") or not libc_version().startswith("glibc"):
        return False
    try:
        library = ctypes.CDLL("libmvec.so.1")
    except OSError:
        return False
    return all(hasattr(library, symbol) for name in names for symbol in _vector_symbols(name))


def _vector_symbols(name: str) -> Iterator[str]:
    """Symbols of the x86 vector ABI: b is SSE, c AVX, d AVX2, e AVX-512."""
    single = name.endswith("f") and name != "erf"
    arguments = "v" * (2 if name.removesuffix("f") in ("pow", "atan2", "hypot") else 1)
    for letter, lanes in (("b", 2), ("c", 4), ("d", 4), ("e", 8)):
        yield f"_ZGV{letter}N{2 * lanes if single else lanes}{arguments}_{name}"


# Platform


@functools.lru_cache
def cpu() -> tuple[str, str]:
    """Model and feature flags of the processor this process runs on."""
    model, features = platform.processor(), ""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, value = (part.strip() for part in line.partition(":"))
            if not name:  # the end of the first core: reading the rest of a large machine takes long
                break
            if name in ("model name", "Processor", "CPU part"):
                model = value
            if name in ("flags", "Features"):
                features = value
    return model, features


def libc_version() -> str:
    """Such as "glibc 2.36"; empty where unknown."""
    with suppress(ValueError, OSError, AttributeError):
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    return " ".join(platform.libc_ver())


def platform_key(compiler: CompilerInfo | None = None) -> dict[str, str]:
    """Everything outside source and flags that a built library depends on; runs no process.

    With a compiler, its command and version belong to it; without, the key tells whether a library built earlier fits
    this machine.
    """
    model, features = cpu()
    key = {
        "cpu": model,
        "features": hashlib.sha256(" ".join(sorted(features.split())).encode()).hexdigest()[:16],
        "machine": platform.machine(),
        "system": sys.platform,
        "libc": libc_version(),
        "python": sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag or "",
        "cffi": _cffi_version(),
    }
    if compiler is not None:
        key |= {"compiler": shlex.join(compiler.command), "compiler_version": compiler.version}
    return key


def _cffi_version() -> str:
    """The version of the C half, which a built extension talks to."""
    try:
        return str(import_module("_cffi_backend").__version__)
    except ImportError:
        return ""


def has_cffi() -> bool:
    """Whether cffi can be imported, without importing it."""
    return importlib.util.find_spec("cffi") is not None


def python_headers() -> Path | None:
    """The directory of Python.h, or None."""
    for name in ("include", "platinclude"):
        directory = Path(sysconfig.get_path(name))
        if (directory / "Python.h").is_file():
            return directory
    return None


# Building


def kernel_cdef(prefix: str, kinds: Sequence[str], dtype: str, *, array: bool = False, workspace: bool = False) -> str:
    """The C declarations of a formula's kernel functions, the same for every formula of scalars or of arrays.

    kinds: `value`, `gradient`, and `train` for training. workspace: a formula of scalars so long that its functions
    take their workspace from the caller.
    """
    real = {"float64": "double", "float32": "float"}[dtype]
    training = _training_cdef(prefix, array=array) if "train" in kinds else ""
    kinds = [kind for kind in kinds if kind != "train"]
    if array:
        gemm = (
            f"typedef void (*{prefix}_gemm)(const char *, const char *, const int *, const int *, const int *,\n"
            f"    const {real} *, const {real} *, const int *, const {real} *, const int *, const {real} *, {real} *,\n"
            "    const int *);\n"
        )
        return (
            gemm
            + "".join(
                f"size_t {prefix}_{kind}_packed_workspace(const size_t *sizes);\n"
                f"int {prefix}_{kind}_packed(const size_t *sizes, const {real} *const *in, {real} *const *out,\n"
                f"    {real} *workspace, {prefix}_gemm gemm);\n"
                for kind in kinds
            )
            + training
        )
    last = f", {real} *workspace" if workspace else ""
    size = f"size_t {prefix}_{{}}_packed_workspace(void);\n" if workspace else ""
    return (
        "".join(
            f"int {prefix}_{kind}_packed(const {real} *in, {real} *out{last});\n"
            f"int {prefix}_{kind}_arrays(size_t n, const {real} *const *in, const ptrdiff_t *in_stride,\n"
            f"    {real} *const *out, const ptrdiff_t *out_stride{last});\n" + size.format(kind)
            for kind in kinds
        )
        + training
    )


def _training_cdef(prefix: str, *, array: bool) -> str:
    """The declarations of `PREFIX_train`; the header of the C file describes them."""
    sizes, dimension, gemm = "const size_t *sizes; ", "int dimension; ", f"{prefix}_gemm gemm; "
    if not array:
        sizes = dimension = gemm = ""
    return (
        f"typedef struct {{ {sizes}const double *const *data; const int *axis; {dimension}size_t samples;\n"
        "    size_t batch; double *theta; double *state; const double *settings; size_t before; const size_t *order;\n"
        f"    size_t first; double *workspace; {gemm}const volatile int *stop; }} {prefix}_training;\n"
        f"size_t {prefix}_train_workspace(const {prefix}_training *run);\n"
        f"int {prefix}_train(const {prefix}_training *run, size_t updates, double *values, size_t *done,\n"
        "    size_t *place);\n"
    )


def library_name(module_name: str, *, api: bool) -> str:
    """The file name of a library of that module name."""
    if api:
        return module_name + (sysconfig.get_config_var("EXT_SUFFIX") or ".so")
    return module_name + {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")


def build_shared(
    source: str,
    *,
    module_name: str,
    cdef: str,
    out_dir: Path,
    api: bool,
    calls: str = "",
    vector_functions: Sequence[str] = (),
    statements: int = 0,
    timeout: float = TIMEOUT,
) -> Path:
    """Compile `source` in a private directory and move the library into `out_dir`; returns its path.

    `api=True` makes a Python extension named `module_name` (needs Python.h), else a plain shared library. `calls` is
    the text of a second extension module in the same library, MODULE_NAME_calls; it may stand alone, without a `cdef`.
    Raises CompileError, OSError where `out_dir` cannot take the file.
    """
    compiler = find_compiler()
    sets = flag_sets(compiler, vector_functions=vector_functions, statements=statements, computes=bool(cdef))
    with _work_dir() as work:
        c_file, library = work / f"{module_name}.c", work / library_name(module_name, api=api)
        files: tuple[str, ...] = (c_file.name,)
        if api:
            # The source comes first: the macros of Python.h and of what it includes must not touch names in it.
            if cdef:
                _emit(module_name, cdef, c_file)
                source = f"{source}\n{c_file.read_text(encoding='utf-8')}"
            if calls:  # in a file of its own, which has all of Python.h
                second = work / f"{module_name}_calls.c"
                second.write_text(f"#define SD_PY_INIT PyInit_{second.stem}\n{calls}", encoding="utf-8")
                files = (*files, second.name) if cdef else (second.name,)
            files = (f"-I{python_headers()}", *files)
        c_file.write_text(source, encoding="utf-8")
        failures = []
        for flags in sets:
            link = libraries(flags, vector_functions)
            command = [*compiler.command, *flags, *files, "-o", library.name, *link]
            failure = _compile(command, work, c_file, timeout)
            if failure is None:
                return _move(library, out_dir)
            failures.append(failure)
            if isinstance(failure.__cause__, subprocess.TimeoutExpired):
                break  # the other flags would only take as long again
        raise failures[0]


@contextmanager
def _work_dir() -> Iterator[Path]:
    """A private directory that stays when the compiler fails, for the person who wants to look."""
    try:
        work = Path(tempfile.mkdtemp(prefix=_WORK))
    except OSError as error:
        raise CompileError(f"no directory to compile in: {error}") from error
    keep = False
    try:
        yield work
    except CompileError as error:
        keep = error.source is not None
        raise
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)


def _emit(module_name: str, cdef: str, c_file: Path) -> None:
    """cffi's C for an extension module over declared functions. FFI.emit_c_code does the same and prints to stdout."""
    try:
        ffi, recompiler = import_module("cffi").FFI(), import_module("cffi.recompiler")
    except ImportError as error:
        raise CompileError(f"compiled kernels need the package cffi: {error}") from error
    ffi.cdef(cdef)
    ffi.set_source(module_name, "")
    recompiler.make_c_source(ffi, module_name, "", str(c_file))


def _compile(command: list[str], work: Path, c_file: Path, timeout: float) -> CompileError | None:
    shown = shlex.join(command)
    try:
        status, output = _run(command, work, timeout)
    except subprocess.TimeoutExpired as error:
        failure = CompileError(f"the compiler took more than {timeout:g} s", command=shown, source=c_file)
        failure.__cause__ = error
        return failure
    except OSError as error:
        return CompileError(f"the compiler cannot be run: {error}", command=shown, source=c_file)
    if status == 0:
        return None
    tail = "\n".join(output.splitlines()[-_TAIL:])
    return CompileError(f"the compiler failed with status {status}", command=shown, output=tail, source=c_file)


def _run(command: Sequence[str], work: Path | None, timeout: float) -> tuple[int, str]:
    """Status and merged output. On a timeout or an interrupt the whole process group goes: cc1 and ld are children."""
    environment = {"PATH": os.defpath, **os.environ, "LC_ALL": "C"}  # gcc looks for the linker in PATH alone
    with subprocess.Popen(
        command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            if hasattr(os, "killpg"):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
    return process.returncode, output.decode("utf-8", "replace")


def _move(library: Path, out_dir: Path) -> Path:
    """Into `out_dir` by way of a temporary name there: a file under the final name is always whole."""
    target = out_dir / library.name
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=out_dir)
    try:
        with open(handle, "wb") as file:
            file.write(library.read_bytes())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    return target


# Loading


def load(path: Path, module_name: str, cdef: str, *, api: bool, calls: bool = False) -> Library:
    """A library made by `build_shared` with the same names. Raises CompileError if it does not load.

    `calls`: it has that second module; without a `cdef` it has nothing else.
    """
    try:
        second = _module(f"{module_name}_calls", path) if calls else None
        if not cdef:
            return Library(None, None, second)
        if api:
            module = _module(module_name, path)
            return Library(module.ffi, module.lib, second)
        ffi = import_module("cffi").FFI()
        ffi.cdef(cdef)
        return Library(ffi, ffi.dlopen(str(path)))
    except (ImportError, OSError, AttributeError) as error:
        raise CompileError(f"the library {path} cannot be loaded: {error}") from error


def _module(name: str, path: Path) -> Any:
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    if spec is None:
        raise ImportError(f"no module specification for {path}")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def load_image(image: bytes, module_name: str, cdef: str, *, api: bool, calls: bool = False) -> Library:
    """`load` for the bytes of a library: what was verified is what is loaded.

    They go through a file of their own in a new private directory. The name must be new in this process, because dlopen
    hands out what it has loaded under that name before without a look (so `/proc/self/fd/N` of a memory file, whose
    number returns, would be wrong). The mapping outlives the file; Windows keeps the file.
    """
    try:
        directory = Path(tempfile.mkdtemp(prefix="symdiff-load-"))
    except OSError as error:
        raise CompileError(f"no place to load a library from: {error}") from error
    try:
        path = directory / library_name(f"{module_name}-{hashlib.sha256(image).hexdigest()[:16]}", api=api)
        path.write_bytes(image)
        return load(path, module_name, cdef, api=api, calls=calls)
    except OSError as error:
        raise CompileError(f"no place to load a library from: {error}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


__all__ = [
    "CompileError", "CompilerInfo", "Library", "build_shared", "find_compiler", "flag_sets", "has_cffi",
    "has_vector_functions", "kernel_cdef", "library_name", "load", "load_image", "platform_key", "python_headers",
]  # fmt: skip
