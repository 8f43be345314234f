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
    "ravel": "reshape(x, -1)", "flatten": "reshape(x, -1)",
}  # fmt: skip
_NAMED = "a size has a name: declare X: (n, 3) and write n"
ABSENT = {
    "len": _NAMED, "size": _NAMED, "shape": _NAMED,
    "var": "write mean((x - mean(x))**2)", "std": "write sqrt(mean((x - mean(x))**2))",
    "einsum": "write a @ b, .T, sum, trace and outer",
    "tensordot": "write a @ b with reshape", "inner": "write a @ b.T, for vectors dot(a, b)", "vdot": "write dot(a, b)",
    "kron": "of vectors it is reshape(outer(a, b), -1)",
    "cross": "write it out: stack(a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0])",
    "triu": "multiply by a constant mask, M: const(n, n)", "tril": "multiply by a constant mask, M: const(n, n)",
    "diff": "write x[1:] - x[:-1]", "roll": "write concat(x[-1:], x[:-1])", "flip": "write x[::-1]",
    "vstack": "write concat(a, b, axis=0)", "hstack": "write concat(a, b, axis=1), of vectors concat(a, b)",
    "squeeze": "write an index, x[:, 0]", "expand_dims": "write an index, x[:, None]",
    "tile": "arrays broadcast, x[None, :] + zeros((n, 3))", "repeat": "arrays broadcast, x[:, None] + zeros((n, 3))",
    "broadcast_to": "arrays broadcast, x + zeros((n, 3))", "full": "write c*ones((n, 3))",
    "zeros_like": "write 0*x", "ones_like": "write 0*x + 1", "identity": "write eye(n)",
    "log_softmax": "write x - logsumexp(x)", "pinv": "write solve(X.T @ X, X.T)", "slogdet": "write logdet(A)",
    "argmax": "", "argmin": "", "argsort": "", "sort": "", "median": "", "expm": "", "eig": "", "eigh": "",
    "eigvals": "", "eigvalsh": "", "svd": "", "qr": "", "fft": "", "floor": "", "ceil": "", "round": "", "mod": "",
    "convolve": "", "nansum": "", "nanmean": "", "cumprod": "", "rank": "", "interp": "",
}  # fmt: skip
"""Well-known functions that the language does not have, with what to write instead where there is something."""
PYTHON_FUNCTIONS = FUNCTIONS | {other: FUNCTIONS[name] for other, name in OTHER_NAMES.items()} | {
    "square": "square", "reciprocal": "inverse", "negative": "neg", "matmul": "matmul", "transpose": "transpose",
}  # fmt: skip
METHODS = {name: name for name in ("sum", "mean", "prod", "dot", "reshape", "cumsum", "trace")} | REDUCTIONS
"""Methods of NumPy's arrays, in Python sources: x.sum(axis=0) is sum(x, axis=0)."""

MODULES = frozenset({"np", "numpy", "math", "jnp"})
OTHER_MODULES = frozenset({"torch", "jax", "tf", "tensorflow", "scipy", "sp", "cp", "cupy", "nn", "F", "autograd"})
"""Prefixes of functions in other libraries; none is dropped, and what to write instead is said."""
NOT_SIZES = frozenset(
    "float float32 float64 int double real complex bool str number scalar vector matrix array tensor".split()
)
"""Words that somebody who writes `x: float` does not mean as the name of a size."""
MAX_POLYGAMMA_ORDER = 64


def absent_message(name: str, shown: str) -> str:
    """What is said of a function in `ABSENT`."""
    return f"'{shown}' is not part of the language{'; ' * bool(ABSENT[name])}{ABSENT[name]}"


def keyword_message(word: str) -> str:
    """What is said where a keyword of Python stands."""
    advice = f"; {INSTEAD[word]}" if word in INSTEAD else ""
    return f"'{word}' is a keyword and not part of the language{advice}"
