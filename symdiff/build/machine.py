"""What this machine gives to compiled kernels: the facts that `symdiff doctor` prints.

Nothing is probed here in a way of its own: which compiler, flags, vector functions and BLAS there are is what the
builder itself answers, and the probe is built as a kernel is.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from symdiff.build import cache
from symdiff.build.fact import Fact, gathered, without_home
from symdiff.build.processors import in_bytes, processor, threads
from symdiff.runtime import blas, compiler
from symdiff.runtime.compiler import CompileError, CompilerInfo

NEEDED = ("compiler", "probe", "cffi")  # without one of these there are no compiled kernels
_INSTALL_GCC = {"darwin": "xcode-select --install"}.get(sys.platform, "on Debian: apt-get install gcc libc6-dev")
_WITHOUT_C = f"kernels are NumPy code without it: batches 7 to 25 times slower, calls 15 times and more; {_INSTALL_GCC}"
# Macros that the compiler sets for what it may use, widest first.
_WIDTHS = (
    ("__AVX512F__", "AVX-512", 8),
    ("__AVX2__", "AVX2", 4),
    ("__AVX__", "AVX", 4),
    ("__SSE2__", "SSE2", 2),
    ("__ARM_FEATURE_SVE", "SVE", 0),
    ("__ARM_NEON", "NEON", 2),
)
_PROBE = """
#include <math.h>
int symdiff_probe(const double *in, double *out);
int symdiff_probe(const double *in, double *out)
{
    out[0] = sin(in[0]) + in[1];
    return 0;
}
"""


def machine_facts(vector_functions: Sequence[str]) -> list[Fact]:
    """All of them, in the order to show; `vector_functions` are the libm names that batch loops may call. Never raises.

    Takes the time of one small compilation.
    """
    names = tuple(vector_functions)
    return gathered(
        [
            ("compiler", _compiler),
            ("probe", partial(_of_compiler, "probe", partial(_probe, names))),
            ("cffi", _cffi),
            ("Python.h", _headers),
            ("SIMD", partial(_of_compiler, "SIMD", _simd)),
            ("vector maths", partial(_of_compiler, "vector maths", partial(_vector_maths, names))),
            ("BLAS", _blas),
            ("threads", threads),
            ("processor", processor),
            ("kernel cache", _cache),
        ]
    )


def _compiler() -> Fact:
    try:
        found = compiler.find_compiler()
    except CompileError as error:
        return Fact("compiler", "missing", str(error), _WITHOUT_C)
    origin = "CC" if os.environ.get("CC", "").strip() else "PATH"
    path = without_home(found.command[0])
    more = " and its arguments" if len(found.command) > 1 else ""
    data = {"kind": found.kind, "version": found.version, "path": path, "from": origin}
    return Fact("compiler", "ok", f"{found.version} ({path}{more}, from {origin})", data=data)


def _of_compiler(name: str, ask: Callable[[CompilerInfo], Fact]) -> Fact:
    """The answer about the compiler that there is."""
    try:
        return ask(compiler.find_compiler())
    except CompileError:
        return Fact(name, "unknown", "not known without a compiler")


def _probe(vector_functions: Sequence[str], found: CompilerInfo) -> Fact:
    """Builds, loads and runs a small function just as a kernel is built."""
    if not compiler.has_cffi():
        return Fact("probe", "unknown", "not tried without cffi")
    api = compiler.python_headers() is not None
    cdef = "int symdiff_probe(const double *in, double *out);"
    begun = perf_counter()
    try:
        names = [name for name in vector_functions if _has(found, name)]
        with tempfile.TemporaryDirectory(prefix="symdiff-doctor-") as folder:
            module = f"_symdiff_probe_{os.getpid()}"
            library = compiler.build_shared(
                _PROBE, module_name=module, cdef=cdef, out_dir=Path(folder), api=api, vector_functions=names
            )
            seconds = perf_counter() - begun
            ffi, lib = compiler.load_image(library.read_bytes(), module, cdef, api=api)[:2]
    except CompileError as error:
        error.forget()
        lines = (error.output or str(error)).strip().splitlines()
        reason = next((line for line in lines if "error:" in line), lines[-1])  # gcc ends with other words
        return Fact("probe", "missing", f"no kernel can be built: {without_home(reason)}", _WITHOUT_C)
    given, out = ffi.new("double[]", [0.0, 0.25]), ffi.new("double[]", 1)
    right = lib.symdiff_probe(given, out) == 0 and out[0] == 0.25
    if not right:
        return Fact("probe", "missing", "what the compiler builds computes wrong numbers", _WITHOUT_C)
    if float("5e-324") * float("1") == 0:
        return Fact("probe", "missing", "loading what the compiler builds turns denormals off", _WITHOUT_C)
    return Fact("probe", "ok", f"compiled in {seconds:.2f} s, loaded, right", data={"seconds": round(seconds, 3)})


def _cffi() -> Fact:
    if not compiler.has_cffi():
        return Fact("cffi", "missing", "not installed", "compiled kernels need it: pip install cffi")
    return Fact("cffi", "ok", "installed")


def _headers() -> Fact:
    version = ".".join(platform.python_version_tuple()[:2])
    if compiler.python_headers() is None:
        remedy = "calls at one point take at least twice as long; on Debian: apt-get install python3-dev"
        return Fact("Python.h", "missing", f"not there for Python {version}: ABI mode", remedy, {"mode": "ABI"})
    return Fact("Python.h", "ok", "found: API mode", data={"mode": "API", "abi": sysconfig.get_config_var("SOABI")})


def _simd(found: CompilerInfo) -> Fact:
    flags = compiler.flag_sets(found)[0]
    macros = _macros(found, flags)
    if macros is None:
        remedy = f"kernels are built with {compiler.flag_sets(found)[1][0]} alone, for any processor of this kind"
        return Fact("SIMD", "missing", "the compiler refuses the flags for this very processor", remedy)
    _, name, lanes = next((each for each in _WIDTHS if each[0] in macros), ("", "none known", 0))
    width = next((int(each.partition("=")[2]) for each in flags if each.startswith("-mprefer-vector-width=")), None)
    chosen = [each for each in flags if each.startswith(("-march", "-mprefer"))]
    if name == "AVX-512" and width is None:
        shown = "the compiler takes 4 or 8 float64 at a time"
    else:
        shown = f"{lanes} float64 at a time" if lanes else "as many float64 at a time as the processor has"
    fused = "; fused multiply-add" if "__FMA__" in macros or "__ARM_FEATURE_FMA" in macros else ""
    data = {"instructions": name, "lanes": lanes, "flags": list(flags)}
    if name != "AVX-512" and "avx512f" in compiler.cpu()[1].split():
        remedy = "the processor has AVX-512: a newer compiler would use it"
        return Fact("SIMD", "missing", f"{name}, {shown}{fused}", remedy, data)
    text = f"{name}, {shown} ({' '.join(chosen) or 'no flag'}){fused}"
    return Fact("SIMD", "ok" if name != "none known" else "unknown", text, data=data)


def _macros(found: CompilerInfo, flags: Sequence[str]) -> set[str] | None:
    """Names of the macros that the compiler sets under these flags; None where it refuses them."""
    command = [*found.command, *(each for each in flags if each != "-shared"), "-dM", "-E", "-x", "c", "-"]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=20, errors="replace")
    if done.returncode:
        return None
    return set(re.findall(r"^#define (\w+)", done.stdout, re.MULTILINE))


def _has(found: CompilerInfo, name: str) -> bool:
    """Whether the builder makes SIMD code of this function."""
    return "-DSYMDIFF_SIMD" in compiler.flag_sets(found, vector_functions=(name,))[0]


def _vector_maths(names: Sequence[str], found: CompilerInfo) -> Fact:
    missing = [name for name in names if not _has(found, name)]
    there = len(names) - len(missing)
    data = {"functions": there, "of": len(names), "missing": missing}
    costs = "batches of formulas with sin, exp, log, ... are 4 to 20 times slower without; "
    if there == len(names):
        return Fact("vector maths", "ok", f"libmvec, all {there} functions", data=data)
    if there:
        text = f"libmvec, {there} of {len(names)} functions, without {', '.join(missing)}"
        return Fact("vector maths", "missing", text, f"{costs}glibc 2.35 or newer has all", data)
    if found.kind != "gcc":
        return Fact("vector maths", "missing", f"not used with {found.kind}", f"{costs}{_INSTALL_GCC}", data)
    return Fact("vector maths", "missing", "none", f"{costs}needs x86-64 with glibc 2.35 or newer", data)


def _blas() -> Fact:
    slower = "formulas of large matrices take 1.1 to 1.3 times as long without"
    if description := blas.description():
        return Fact("BLAS", "ok", f"{description}, 32-bit integers", data={"description": description})
    if find_spec("scipy") is None:
        return Fact("BLAS", "missing", "SciPy is not installed", f"{slower}: pip install scipy")
    text = "SciPy gives no dgemm over 32-bit integers"
    return Fact("BLAS", "missing", text, f"{slower}: pip install --upgrade scipy")


def _cache() -> Fact:
    remedy = "every process builds its kernels anew; SYMDIFF_CACHE names another directory"
    try:
        root = cache.default_root()
        cache.prepare(root)
        with tempfile.TemporaryFile(dir=root):
            pass
    except Exception as reason:  # Unusable, OSError: no directory, or one that must not or cannot be used
        return Fact("kernel cache", "missing", f"cannot be used: {without_home(reason)}", remedy)
    sizes = [_size(entry) for entry in root.iterdir() if re.fullmatch("[0-9a-f]{64}", entry.name)]
    shown = f"{len(sizes)} {'entry' if len(sizes) == 1 else 'entries'}, {in_bytes(sum(sizes))}"
    data = {"folder": without_home(root), "entries": len(sizes), "bytes": sum(sizes), "writable": True}
    return Fact("kernel cache", "ok", f"{without_home(root)}: {shown}, writable", data=data)


def _size(entry: Path) -> int:
    """Bytes in an entry; another process may be taking it away meanwhile."""
    with suppress(OSError):
        return sum(file.stat().st_size for file in entry.iterdir())
    return 0
