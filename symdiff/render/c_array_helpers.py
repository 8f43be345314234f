"""The C functions of whole arrays: which there are, what each one needs, and their texts in an order that compiles.

The texts use the macros `SD_LOOP` and `SD_INLINE` of the file's beginning, `<math.h>` and `<stddef.h>`.
"""

from __future__ import annotations

from collections.abc import Iterable

from symdiff.render.environment import environment

NEEDS: dict[str, tuple[str, ...]] = {
    "exp_all": (),
    "sum": (),
    "amax": (),
    "amin": (),
    "softmax": ("exp_all", "sum", "amax"),
    "logsumexp": ("exp_all", "sum", "amax"),
    "prod": (),
    "prod_others": (),
    "cumsum": (),
    "cumsum_reverse": (),
    "subtract_row": (),
    "lu": ("subtract_row",),
    "lu_solve": ("subtract_row",),
    "scaled_product": (),
    "solve": ("lu", "lu_solve"),
    "inv": ("lu", "lu_solve"),
    "det": ("lu", "scaled_product"),
    "logdet": ("lu",),
    "cofactor": ("subtract_row", "scaled_product"),
    "cholesky": ("subtract_row",),
    "cholesky_adjoint": ("subtract_row",),
    "madd": (),
    "dot": ("madd",),
    "gemv": ("dot",),
    "ger": ("madd",),
    "gemm_small": ("madd",),
    "gemm_lanes": ("madd",),
    "gemm_tall": ("madd",),
    "gemm_loops": ("madd",),
    "gemm_blas": (),
    "gemm": ("gemm_small", "gemm_lanes", "gemm_tall", "gemm_loops", "gemm_blas"),
}
"""Template `c/helpers/array/NAME.c.j2` -> the templates whose functions it calls. All but `madd` (a macro) define a
function `sd_NAME`."""

WORK: dict[str, tuple[int, int]] = {
    "solve": (1, 1),
    "inv": (1, 1),
    "det": (1, 1),
    "logdet": (1, 1),
    "cofactor": (1, 2),
    "cholesky_adjoint": (0, 0),
}
"""Functions with a `work` argument -> (p, q): it has p*n*n + q*n numbers for an n x n matrix. Others have none."""

GEMM_THRESHOLD = 512
"""m*n*k from which `sd_gemm` calls BLAS, when it is given one.

Measured on a Zen 4 server processor: gcc 12.2 with the builder's flags, dgemm of SciPy 1.17 (OpenBLAS, one
thread), median of seven runs, ns per product of n x n matrices; dgemm's time depends on what is transposed.

    n                                                   3      4      6       8       16         32      128
    own loops                                          16     30     85     110      325       2000   107000
    dgemm (AVX-512 kernels for small matrices)      22-70  30-73  28-79  36-118  180-420  1190-1620    90000
    dgemm (AVX2 kernels, OPENBLAS_CORETYPE=Haswell)    61     62     88     104      345       1870

So the own loops keep up with AVX2 kernels at every size, and lose at most 75 ns to the others below the threshold.
"""

GEMM_PARTS = {"part": 1_000_000, "part_result": 256, "part_factor": 128, "turned_rows": 256}
"""How `sd_gemm` calls BLAS: products of more than `part` multiplications with a result of at most `part_result` or a
second factor of at most `part_factor` numbers in parts, those with a transposed first factor and few columns turned.

OpenBLAS has kernels for AVX-512 that do not copy their operands, up to m*n*k = 1e6. Same machine and method as above,
double, us per product, before and after; AVX2 kernels copy in every case, and parts cost them up to 15 %.

    m, n, k                 AVX-512 kernels     AVX2 kernels
    A' B   8, 8, 200000        2700   650        2950  2960     in parts
    A' B   32, 2, 200000       9550  1700        9320  7680     in parts
    A' B   16, 16, 100000      3410  1260        3820  3970     in parts
    A B    200000, 5, 3         840   270         670   710     in parts
    A B    200000, 8, 8        1730  1000        1690  1950     in parts
    A' B   512, 32, 4096       7060  4340        5220  4330     turned
    A' B   512, 10, 4096       3490  1980        3610  2880     turned
"""


def ordered(used: Iterable[str]) -> list[str]:
    """The named functions and all that they need, each after what it needs; the same list for the same set."""
    found: list[str] = []

    def visit(name: str) -> None:
        for needed in NEEDS[name]:
            visit(needed)
        if name not in found:
            found.append(name)

    for name in sorted(used):
        visit(name)
    return found


def array_helpers(used: Iterable[str], real: str, suffix: str, gemm: str) -> list[str]:
    """Texts of the named functions and of all that they need, in order.

    `real` is `double` or `float`, `suffix` the empty text or `f`, `gemm` the type of a pointer to BLAS's gemm.
    Raises KeyError for a name that is not in `NEEDS`.
    """
    templates = environment("c")
    context = {"real": real, "s": suffix, "gemm": gemm, "threshold": f"{GEMM_THRESHOLD}.0"}
    context |= {name: str(number) for name, number in GEMM_PARTS.items()}
    context["turned_columns"] = "64" if suffix else "32"  # 64 KiB
    return [templates.get_template(f"helpers/array/{name}.c.j2").render(context).strip("\n") for name in ordered(used)]
