"""What this machine gives to compiled kernels: the facts that `symdiff doctor` prints."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil

from symdiff.build import cache
from symdiff.runtime import blas, compiler
from symdiff.runtime.compiler import CompileError

_WIDTHS = (("avx512f", "AVX-512 (8 float64 at a time)"), ("avx2", "AVX2 (4 float64)"), ("sse2", "SSE2 (2 float64)"))
_PROBE = ("sin", "cos", "exp", "log", "pow", "erf", "tanh", "hypot")


def machine_facts() -> list[tuple[str, str]]:
    """Pairs of a name and a fact; what is missing says how to get it."""
    return [
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("processor", f"{compiler.cpu()[0] or 'unknown'}, {os.cpu_count()} cores"),
        ("SIMD", _simd()),
        *_compiler_facts(),
        ("vector maths", _vector_maths()),
        ("cffi", "found" if compiler.has_cffi() else "missing: pip install cffi"),
        (
            "Python.h",
            "found (extension modules)"
            if compiler.python_headers()
            else "missing: plain libraries through dlopen, slower calls",
        ),
        ("cache", _cache()),
        (
            "BLAS",
            blas.description() or "none, matrix products use plain loops; for faster ones: pip install scipy",
        ),
        (
            "pdflatex",
            shutil.which("pdflatex")
            or "missing: install TeX Live for PDFs (Debian: texlive-latex-recommended lmodern), or use Typst",
        ),
        ("Typst", _typst()),
    ]


def _typst() -> str:
    if importlib.util.find_spec("typst") is None:
        return "missing: for PDFs without TeX: pip install 'symdiff-codegen[pdf]'"
    return f"found, version {importlib.metadata.version('typst')}"


def _simd() -> str:
    features = compiler.cpu()[1].split()
    width = next((text for flag, text in _WIDTHS if flag in features), "unknown")
    return width + (", fused multiply-add" if "fma" in features else "")


def _compiler_facts() -> list[tuple[str, str]]:
    try:
        found = compiler.find_compiler()
    except CompileError as error:
        return [("compiler", f"{error}; kernels fall back to NumPy (Debian: apt-get install gcc)")]
    flags = compiler.flag_sets(found, vector_functions=_PROBE)[0]
    return [("compiler", f"{' '.join(found.command)}: {found.version}"), ("flags", " ".join(flags))]


def _vector_maths() -> str:
    missing = [name for name in _PROBE if not compiler.has_vector_functions((name,))]
    if not missing:
        return "libmvec"
    if len(missing) == len(_PROBE):
        return "none: batch loops call plain libm (glibc >= 2.35 on x86-64 has vector functions)"
    return f"libmvec without {', '.join(missing)} (glibc >= 2.35 has them)"


def _cache() -> str:
    try:
        root = cache.default_root()
        cache.prepare(root)
    except Exception as reason:
        return f"cannot be used, kernels are built for each process: {reason}"
    return str(root)
