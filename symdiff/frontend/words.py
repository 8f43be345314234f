"""Which words mean what: functions, keywords, names of arrays' functions, and what to write instead of a word."""

from __future__ import annotations

import keyword
import math

from symdiff.ops import ARRAYS, PUBLIC, exponential, trigonometric

CONSTANTS = {"pi": math.pi}
KEYWORDS = frozenset(keyword.kwlist)
INSTEAD = {
    "if": "write where(condition, a, b)",
    "else": "write where(condition, a, b)",
    "elif": "write where(condition, a, b)",
    "for": "write every term out; loops are not part of the language",
    "while": "write every step out; loops are not part of the language",
    "lambda": "write lam for the letter, or def f(x): return ... for a function",
    "and": "nest where(): where(a < b, where(c < d, x, y), y)",
    "or": "nest where(): where(a < b, x, where(c < d, x, y))",
    "not": "turn the comparison round, or swap the branches of where()",
    "is": "compare with == inside where(condition, a, b)",
    "in": "compare with == inside where(condition, a, b)",
    "return": "the last statement is the output; write it without return",
    "True": "write the branch itself",
    "False": "write the branch itself",
    "None": "every name is a number",
    "import": "listed functions need no import",
    "from": "listed functions need no import",
    "global": "pass it as an input",
    "nonlocal": "pass it as an input",
    "async": "write a plain def",
    "await": "write a plain def",
    "yield": "a formula has one output",
    "class": "write statements NAME = EXPRESSION",
    "with": "write statements NAME = EXPRESSION",
    "try": "use where() to guard a value",
    "pass": "write statements NAME = EXPRESSION",
}

FUNCTIONS: dict[str, str] = PUBLIC | {name: name for name, op in ARRAYS.items() if op.public}
"""What a formula may call, and which op that is."""

REDUCTIONS = {"max": "amax", "min": "amin"}
"""What a function of two operands is when it has one."""

SHAPED = {"reshape": (0, None), "zeros": (0, None), "ones": (0, None), "eye": (1, 2)}
"""Functions that take a shape after their operands: least and greatest number of sizes."""

ELEMENTARY = frozenset(
    [op.name for family in (trigonometric, exponential) for op in family.OPS if op.public]
    + ["abs", "where", "pow", "max", "min", "maximum", "minimum"]
)
"""Functions that cannot be variables: written bare, they are always a forgotten bracket."""

# Names of NumPy, math and SciPy for listed functions. They count where a module prefix does; elsewhere they are advice.
OTHER_NAMES = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh", "fabs": "abs", "absolute": "abs", "power": "pow", "float_power": "pow", "fmax": "maximum",
    "fmin": "minimum", "concatenate": "concat",
}  # fmt: skip
ADVICE = OTHER_NAMES | {
    "ln": "log", "tgamma": "gamma", "gammaln": "lgamma", "loggamma": "lgamma", "psi": "digamma", "swish": "silu",
    "expit": "sigmoid", "logistic": "sigmoid", "sgn": "sign", "heaviside": "where", "Max": "max",
    "Min": "min", "Abs": "abs", "Piecewise": "where",
    "clip": "min(max(x, a), b)", "exp2": "2**x", "factorial": "gamma(n + 1)", "square": "x**2",
    "radians": "x*pi/180", "degrees": "x*180/pi", "matmul": "a @ b", "transpose": "x.T", "einsum": "a @ b",
    "ravel": "reshape(x, -1)", "flatten": "reshape(x, -1)", "len": "the name of the dimension",
}  # fmt: skip
PYTHON_FUNCTIONS = FUNCTIONS | {other: FUNCTIONS[name] for other, name in OTHER_NAMES.items()} | {
    "square": "square", "reciprocal": "inverse", "negative": "neg", "matmul": "matmul", "transpose": "transpose",
}  # fmt: skip
METHODS = {name: name for name in ("sum", "mean", "prod", "dot", "reshape", "cumsum", "trace")} | REDUCTIONS
"""Methods of NumPy's arrays, in Python sources: x.sum(axis=0) is sum(x, axis=0)."""

MODULES = frozenset({"np", "numpy", "math", "jnp"})
MAX_POLYGAMMA_ORDER = 64


def keyword_message(word: str) -> str:
    """What is said where a keyword of Python stands."""
    advice = f"; {INSTEAD[word]}" if word in INSTEAD else ""
    return f"'{word}' is a keyword and not part of the language{advice}"
