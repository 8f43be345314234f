"""A small C kernel with the interface of the generated ones: f = x*sin(y), written by hand."""

from collections.abc import Callable
from string import Template
from typing import Any

import numpy as np

_TEMPLATE = Template(
    """
#include <math.h>
#include <stddef.h>
#define BLOCK 64
#ifdef SYMDIFF_SIMD
$real v_sin($real) __asm__("sin$suffix") __attribute__((simd("notinbranch"), const));
$real v_cos($real) __asm__("cos$suffix") __attribute__((simd("notinbranch"), const));
#else
#define v_sin sin$suffix
#define v_cos cos$suffix
#endif

int demo_gradient_packed(const $real *in, $real *out)
{
    out[0] = in[0]*sin$suffix(in[1]);
    out[1] = sin$suffix(in[1]);
    out[2] = in[0]*cos$suffix(in[1]);
    return 0;
}

int demo_value_packed(const $real *in, $real *out)
{
    out[0] = in[0]*sin$suffix(in[1]);
    return 0;
}

static void block(const $real *restrict x, const $real *restrict y,
                  $real *restrict value, $real *restrict gx, $real *restrict gy)
{
#ifdef SYMDIFF_SIMD
#pragma omp simd
#endif
    for (int i = 0; i < BLOCK; i++) {
        $real s = v_sin(y[i]), c = v_cos(y[i]);
        value[i] = x[i]*s;
        gx[i] = s;
        gy[i] = x[i]*c;
    }
}

static int arrays(size_t n, int outputs, const $real *const *in, const ptrdiff_t *in_stride,
                  $real *const *out, const ptrdiff_t *out_stride)
{
    $real from[2][BLOCK], to[3][BLOCK];
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t count = n - start < BLOCK ? n - start : BLOCK;
        for (int k = 0; k < 2; k++)
            for (size_t i = 0; i < BLOCK; i++)
                from[k][i] = in[k][(ptrdiff_t)(start + (i < count ? i : 0))*in_stride[k]];
        block(from[0], from[1], to[0], to[1], to[2]);
        for (int k = 0; k < outputs; k++)
            for (size_t i = 0; i < count; i++)
                out[k][(ptrdiff_t)(start + i)*out_stride[k]] = to[k][i];
    }
    return 0;
}

int demo_gradient_arrays(size_t n, const $real *const *in, const ptrdiff_t *in_stride,
                         $real *const *out, const ptrdiff_t *out_stride)
{
    return arrays(n, 3, in, in_stride, out, out_stride);
}

int demo_value_arrays(size_t n, const $real *const *in, const ptrdiff_t *in_stride,
                      $real *const *out, const ptrdiff_t *out_stride)
{
    return arrays(n, 1, in, in_stride, out, out_stride);
}
"""
)


def c_source(dtype: str = "float64", comment: str = "") -> str:
    """The C text; `comment` makes it another source without changing what it computes."""
    real, suffix = ("double", "") if dtype == "float64" else ("float", "f")
    return f"/* {comment} */\n" + _TEMPLATE.substitute(real=real, suffix=suffix)


def vector_names(dtype: str = "float64") -> tuple[str, ...]:
    return ("sin", "cos") if dtype == "float64" else ("sinf", "cosf")


def gradient(x: Any, y: Any) -> tuple[Any, ...]:
    """The same function in NumPy."""
    s, c = np.sin(y), np.cos(y)
    return x * s, s, x * c


def value(x: Any, y: Any) -> Any:
    return x * np.sin(y)


REFERENCE: dict[str, Callable[..., Any]] = {"gradient": gradient, "value": value}
