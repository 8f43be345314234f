"""Every op of the table as a function, over floats, symbols, Scalars and arrays of them: `symdiff.functions`.

On floats a function gives the number that generated NumPy code computes, bit for bit. One thing a float does not tell:
`pow(x, 3.0)` computes `x*x*x`, as the code does where the exponent is a number in the program; where it is an argument
of the program, the code has `np.power(x, y)`, whose last bit may differ.

NumPy's own functions (`np.exp`, `np.maximum`, `np.where`) mean the same on a symbol, and on an OperandArray: the arrays
that a traced function is called with, what is computed of them, and what `array([x, 1.0])` makes. An array of symbols
and numbers made by `np.array` is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.ops import PUBLIC, TABLE
from symdiff.programs.operand import Operand, apply
from symdiff.programs.operand_arrays import OperandArray, array


def _function(name: str) -> Callable[..., Any]:
    op = PUBLIC[name]

    def function(*args: Any) -> Any:
        return apply(op, *args)

    function.__name__ = function.__qualname__ = name
    entry = TABLE[op]
    operands = ", ".join(("x", "y", "z")[: entry.operands]) if op != "where" else "condition, x, y"
    function.__doc__ = f"`{name}({operands})`: {entry.gate}, element by element.\n\n{entry.edges or entry.source}"
    return function


def named(x: Any, name: str) -> Any:
    """`x` with a name of its own among the steps (or nodes); a plain number is given back as it is."""
    if isinstance(x, np.ndarray) and x.ndim == 0:
        x = x[()]
    return x.named(name) if isinstance(x, Operand) else x


sin, cos, tan, asin, acos, atan = map(_function, ("sin", "cos", "tan", "asin", "acos", "atan"))
sinh, cosh, tanh, asinh, acosh, atanh = map(_function, ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"))
exp, expm1, log, log1p, log2, log10 = map(_function, ("exp", "expm1", "log", "log1p", "log2", "log10"))
sqrt, cbrt, pow, hypot, atan2, xlogy = map(_function, ("sqrt", "cbrt", "pow", "hypot", "atan2", "xlogy"))
erf, erfc, gamma, lgamma, digamma = map(_function, ("erf", "erfc", "gamma", "lgamma", "digamma"))
polygamma, sigmoid, softplus, relu, gelu = map(_function, ("polygamma", "sigmoid", "softplus", "relu", "gelu"))
silu, abs, sign, maximum, minimum, where = map(_function, ("silu", "abs", "sign", "maximum", "minimum", "where"))

__all__ = [
    "OperandArray",
    "abs",
    "acos",
    "acosh",
    "array",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "digamma",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "gamma",
    "gelu",
    "hypot",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "maximum",
    "minimum",
    "named",
    "polygamma",
    "pow",
    "relu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "tan",
    "tanh",
    "where",
    "xlogy",
]  # fmt: skip
