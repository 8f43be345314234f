"""Small formulas of arrays with the interface of the generated C, written by hand, and the same in NumPy.

ridge: X: (m, n), w: (n,), lam: ()      value = sum((X @ w)**2) + lam*sum(w**2); the product goes through gemm if given
steps: x: (n,)                          value = x[2:] - x[:-2], of shape (n - 2,)
probe: x: (n,), y: ()                   value = (3,): whether there is a gemm, n, y; wants a workspace of n**2
"""

from string import Template
from typing import Any

import numpy as np

from symdiff.runtime.kernel import KernelSpec

_HEAD = """
#include <stddef.h>
#include <stdint.h>
typedef void (*PREFIX_gemm)(const char *, const char *, const int *, const int *, const int *, const $real *,
                            const $real *, const int *, const $real *, const int *, const $real *, $real *,
                            const int *);
"""
_RIDGE = """
static void products(PREFIX_gemm gemm, size_t m, size_t n, const $real *X, const $real *w, $real *r)
{
    if (gemm && m && n) {
        int rows = (int)m, columns = (int)n, one = 1;
        $real alpha = 1, beta = 0;
        gemm("T", "N", &rows, &one, &columns, &alpha, X, &columns, w, &columns, &beta, r, &rows);
        return;
    }
    for (size_t i = 0; i < m; i++) {
        r[i] = 0;
        for (size_t j = 0; j < n; j++)
            r[i] += X[i*n + j]*w[j];
    }
}

static $real value(size_t m, size_t n, const $real *w, $real lam, const $real *r, $real *square)
{
    $real sum = 0;
    *square = 0;
    for (size_t i = 0; i < m; i++)
        sum += r[i]*r[i];
    for (size_t j = 0; j < n; j++)
        *square += w[j]*w[j];
    return sum + lam**square;
}

size_t PREFIX_gradient_packed_workspace(const size_t *sizes) { return sizes[0]; }
size_t PREFIX_value_packed_workspace(const size_t *sizes) { return sizes[0]; }

int PREFIX_value_packed(const size_t *sizes, const $real *const *in, $real *const *out, $real *workspace,
                        PREFIX_gemm gemm)
{
    $real square;
    products(gemm, sizes[0], sizes[1], in[0], in[1], workspace);
    out[0][0] = value(sizes[0], sizes[1], in[1], in[2][0], workspace, &square);
    return 0;
}

int PREFIX_gradient_packed(const size_t *sizes, const $real *const *in, $real *const *out, $real *workspace,
                           PREFIX_gemm gemm)
{
    size_t m = sizes[0], n = sizes[1];
    const $real *X = in[0], *w = in[1];
    $real lam = in[2][0], *X_bar = out[1], *w_bar = out[2];
    products(gemm, m, n, X, w, workspace);
    out[0][0] = value(m, n, w, lam, workspace, &out[3][0]);
    for (size_t j = 0; j < n; j++)
        w_bar[j] = 2*lam*w[j];
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            X_bar[i*n + j] = 2*workspace[i]*w[j];
            w_bar[j] += 2*workspace[i]*X[i*n + j];
        }
    return 0;
}
"""
_STEPS = """
size_t PREFIX_value_packed_workspace(const size_t *sizes) { (void)sizes; return 0; }

int PREFIX_value_packed(const size_t *sizes, const $real *const *in, $real *const *out, $real *workspace,
                        PREFIX_gemm gemm)
{
    (void)workspace;
    (void)gemm;
    for (size_t i = 0; i + 2 < sizes[0]; i++)
        out[0][i] = in[0][i + 2] - in[0][i];
    return 0;
}
"""
_PROBE = """
size_t PREFIX_value_packed_workspace(const size_t *sizes)
{
    return sizes[0] && sizes[0] > SIZE_MAX/sizes[0]/1000 ? SIZE_MAX : sizes[0]*sizes[0]*1000;
}

int PREFIX_value_packed(const size_t *sizes, const $real *const *in, $real *const *out, $real *workspace,
                        PREFIX_gemm gemm)
{
    size_t numbers = PREFIX_value_packed_workspace(sizes);
    for (size_t i = 0; i < numbers; i++)
        workspace[i] = 1;
    out[0][0] = gemm != 0;
    out[0][1] = ($real)sizes[0];
    out[0][2] = in[1][0];
    return in[1][0] < 0 || (uintptr_t)workspace % 64;
}
"""
_BODIES = {"ridge": _RIDGE, "steps": _STEPS, "probe": _PROBE}
_FIELDS: dict[str, dict[str, Any]] = {
    "ridge": {
        "inputs": ("X", "w", "lam"),
        "defaults": {"lam": 0.5},
        "shapes": {"X": ("m", "n"), "w": ("n",)},
    },
    "steps": {
        "inputs": ("x",),
        "shapes": {"x": ("n",)},
        "value_shape": (((1, ("n",)), (-2, ())),),
        "requirements": ((((1, ("n",)), (-2, ())), "x[2:] needs n >= 2"),),
    },
    "probe": {"inputs": ("x", "y"), "shapes": {"x": ("n",)}, "value_shape": (3,)},
}


def c_source(name: str, dtype: str = "float64") -> str:
    """The C text; the prefix of its functions is the name."""
    real = "double" if dtype == "float64" else "float"
    return Template((_HEAD + _BODIES[name]).replace("PREFIX", name)).substitute(real=real)


def spec(name: str, kind: Any = "gradient", dtype: Any = "float64", **changes: Any) -> KernelSpec:
    wrt = _FIELDS[name]["inputs"] if kind == "gradient" else ()
    return KernelSpec(name, kind=kind, dtype=dtype, array=True, **{"wrt": wrt, **_FIELDS[name], **changes})


def ridge_gradient(X: Any, w: Any, lam: Any) -> tuple[Any, ...]:
    r = X @ w
    return r @ r + lam * (w @ w), 2 * np.outer(r, w), 2 * (r @ X) + 2 * lam * w, w @ w


def _ridge_value(X: Any, w: Any, lam: Any) -> Any:
    return ridge_gradient(X, w, lam)[0]


FUNCTIONS = {
    ("ridge", "gradient"): ridge_gradient,
    ("ridge", "value"): _ridge_value,
    ("steps", "value"): lambda x: x[2:] - x[:-2],
}
