# Copied unchanged from symdiff/runtime/blas.py; the same in every generated package. Do not edit.
"""The matrix product of SciPy's BLAS, as an address for compiled kernels.

Generated C names no BLAS: it takes a pointer to Fortran's dgemm or sgemm, or uses its own loops. SciPy hands such
pointers out to Cython code, in capsules whose name is the C signature. SciPy is imported when a kernel first needs the
address, and its absence is no error. The module is copied verbatim into generated packages.
"""

import ctypes
import functools
import re
from importlib import import_module
from typing import Any

_HOME = "scipy.linalg.cython_blas"


@functools.lru_cache
def gemm_address(dtype: str) -> int:
    """Address of dgemm ("float64") or sgemm ("float32") with 32-bit integers; 0 where SciPy does not give one."""
    letter = {"float64": "d", "float32": "s"}[dtype]
    try:
        capsule = import_module(_HOME).__pyx_capi__[f"{letter}gemm"]
        return _pointer(capsule, letter)
    except Exception:  # not installed, or broken in one of many ways: plain loops do the same
        return 0


def _pointer(capsule: Any, letter: str) -> int:
    """The address in a capsule if its name says the signature that is expected, else 0."""
    api = ctypes.pythonapi  # with prototypes of our own: setting its restype would change it for everybody
    get_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    name = get_name(capsule)
    return (get_pointer(capsule, name) or 0) if is_gemm(name.decode(), letter) else 0


def is_gemm(signature: str, letter: str) -> bool:
    """Whether a C signature is that of Fortran's gemm over C int, in double ("d") or float ("s")."""
    real = rf"(?:{'double' if letter == 'd' else 'float'}|__pyx_t_\w+cython_blas_{letter})"
    types = {"c": "char", "i": "int", "r": real}
    arguments = ", ".join(types[kind] + r" \*" for kind in "cciiirririrri")
    return ctypes.sizeof(ctypes.c_int) == 4 and re.fullmatch(rf"void \({arguments}\)", signature) is not None


def description() -> str:
    """Which BLAS `gemm_address` gives, such as "scipy-openblas 0.3.30 through SciPy 1.17.1"; empty without one."""
    if not gemm_address("float64"):
        return ""
    scipy = import_module("scipy")
    name = ""
    try:
        found = scipy.show_config(mode="dicts")["Build Dependencies"]["blas"]
        name = f"{found['name']} {found['version']} "
    except Exception:  # a text for people: SciPy may describe itself otherwise some day
        pass
    return f"{name}through SciPy {scipy.__version__}"
