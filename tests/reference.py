"""A 50-digit reference for scalar formulas, independent of the product.

The formula language is close enough to Python's syntax that Python's own ``ast`` can read the
formulas *of this test suite* (they are ours; the product never does this to a user's text).  The
tree is rewritten so that every literal becomes an mpmath number and every function an mpmath
function, compiled once, and evaluated at 110 digits.  Derivatives are central differences of that
value: with a step of 1e-35 of the scale the truncation error is near 1e-70, so no derivative rule
appears anywhere in this file.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath
from mpmath import mp, mpf

DIGITS = 110
_H1 = mpf(10) ** -35  # first differences
_H2 = mpf(10) ** -25  # second differences


# ---------------------------------------------------------------------------------------------
# The functions of the language, in mpmath


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _softplus(x: Any) -> Any:
    # log1p at working precision; for x > 0 the larger term is taken out first
    return x + mp.log1p(mp.exp(-x)) if x > 0 else mp.log1p(mp.exp(x))


def _cbrt(x: Any) -> Any:
    return mp.cbrt(x) if x >= 0 else -mp.cbrt(-x)


def _xlogy(x: Any, y: Any) -> Any:
    return mpf(0) if x == 0 else x * mp.log(y)


def _power(x: Any, y: Any) -> Any:
    if mp.isint(y) and abs(y) < 10**6:
        return mpf(x) ** int(y)
    return mpf(x) ** y


def _lgamma(x: Any) -> Any:
    return mp.loggamma(x) if x > 0 else mp.log(abs(mp.gamma(x)))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "asin": mp.asin, "acos": mp.acos,
    "atan": mp.atan, "atan2": mp.atan2, "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh,
    "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh, "exp": mp.exp, "expm1": mp.expm1,
    "log": mp.log, "log1p": mp.log1p, "log2": lambda x: mp.log(x) / mp.log(2),
    "log10": lambda x: mp.log(x) / mp.log(10), "sqrt": mp.sqrt, "cbrt": _cbrt, "abs": abs,
    "sign": mp.sign, "erf": mp.erf, "erfc": mp.erfc, "gamma": mp.gamma, "lgamma": _lgamma,
    "digamma": mp.digamma, "polygamma": lambda n, x: mp.polygamma(int(n), x), "pow": _power,
    "hypot": lambda x, y: mp.sqrt(x * x + y * y), "sigmoid": _sigmoid, "softplus": _softplus,
    "relu": lambda x: x if x > 0 else mpf(0), "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "silu": lambda x: x * _sigmoid(x), "xlogy": _xlogy,
    "minimum": lambda a, b: min(a, b), "maximum": lambda a, b: max(a, b),
    "min": lambda a, b: min(a, b), "max": lambda a, b: max(a, b),
}  # fmt: skip


# ---------------------------------------------------------------------------------------------
# Formula text -> one compiled Python function of the inputs


class _ToMpmath(ast.NodeTransformer):
    """Literals to mpmath constants, ``**`` to a call, functions to ``F_name``, names to ``n_name``."""

    def __init__(self, helpers: set[str]) -> None:
        self.helpers = helpers
        self.constants: list[float] = []
        self.used: set[str] = set()  # functions called, for the coverage test
        self.operations = 0

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        self.constants.append(float(node.value))
        return ast.Name(f"K{len(self.constants) - 1}", ast.Load())

    def visit_Name(self, node: ast.Name) -> ast.AST:
        name = "PI" if node.id == "pi" else f"n_{node.id}"
        return ast.Name(name, node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(f"n_{node.arg}")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.operations += 1
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.operations += 1
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Pow):
            return ast.Call(ast.Name("F_pow", ast.Load()), [left, right], [])
        return ast.BinOp(left, node.op, right)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        assert isinstance(node.func, ast.Name), "only plain calls in our formulas"
        self.operations += 1
        name = node.func.id
        self.used.add(name)
        args = [self.visit(a) for a in node.args]
        if name == "where":  # lazy: the branch not taken is not evaluated
            return ast.IfExp(args[0], args[1], args[2])
        prefix = "H_" if name in self.helpers else "F_"
        return ast.Call(ast.Name(prefix + name, ast.Load()), args, [])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        body = [self.visit(statement) for statement in node.body]
        args = ast.arguments([], [self.visit(a) for a in node.args.args], None, [], [], None, [])
        return ast.FunctionDef(f"H_{node.name}", args, body, [], None, type_params=[])


def _declaration(node: ast.AnnAssign) -> tuple[str, bool, float | None]:
    assert isinstance(node.target, ast.Name)
    constant = any(isinstance(n, ast.Name) and n.id == "const" for n in ast.walk(node.annotation))
    default = None if node.value is None else float(ast.literal_eval(node.value))
    return node.target.id, constant, default


class Reference:
    """A formula's value, partials and second partials at 50 digits and more.

    ``inputs`` are all inputs in the language's order, ``wrt`` those that are not ``const`` and
    ``defaults`` the values given in declarations.
    """

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        helpers = {s.name for s in tree.body if isinstance(s, ast.FunctionDef)}
        declared = [_declaration(s) for s in tree.body if isinstance(s, ast.AnnAssign)]
        statements = [s for s in tree.body if not isinstance(s, ast.AnnAssign)]
        self.defaults = {name: value for name, _, value in declared if value is not None}
        constants = {name for name, const, _ in declared if const}
        self.inputs = [name for name, _, _ in declared] or _free_names(statements)
        self.wrt = [name for name in self.inputs if name not in constants]
        self.program = bool(declared) or len(statements) > 1
        rewrite = _ToMpmath(helpers)
        body: list[ast.stmt] = [rewrite.visit(s) for s in statements]
        last = body[-1]
        if isinstance(last, ast.Assign):
            body.append(ast.Return(ast.Name(last.targets[0].id, ast.Load())))  # type: ignore[attr-defined]
        elif isinstance(last, ast.Expr):
            body[-1] = ast.Return(last.value)
        self.operations = rewrite.operations
        self.used = rewrite.used - helpers
        arguments = ast.arguments([], [ast.arg(f"n_{n}") for n in self.inputs], None, [], [], None, [])
        function = ast.FunctionDef("formula", arguments, body, [], None, type_params=[])
        module = ast.fix_missing_locations(ast.Module([function], []))
        with mp.workdps(DIGITS):
            scope: dict[str, Any] = {f"F_{k}": v for k, v in FUNCTIONS.items()}
            scope |= {f"K{i}": mpf(c) for i, c in enumerate(rewrite.constants)}
            scope["PI"] = +mp.pi
        exec(compile(module, "<formula>", "exec"), scope)  # our own text, see above
        self._function: Callable[..., Any] = scope["formula"]

    def _point(self, point: Mapping[str, float]) -> list[Any]:
        return [mpf(point[n] if n in point else self.defaults[n]) for n in self.inputs]

    def _at(self, values: Sequence[Any]) -> Any:
        result = self._function(*values)
        assert mpmath.isfinite(result) and mp.im(result) == 0, f"reference is {result}"
        return mpf(result)

    def value(self, point: Mapping[str, float]) -> Any:
        with mp.workdps(DIGITS):
            return self._at(self._point(point))

    def gradient(self, point: Mapping[str, float]) -> dict[str, Any]:
        with mp.workdps(DIGITS):
            x = self._point(point)
            return {name: self._difference(x, self.inputs.index(name)) for name in self.wrt}

    def _difference(self, x: list[Any], i: int) -> Any:
        h = _H1 * _scale(x[i])
        up, down = list(x), list(x)
        up[i], down[i] = x[i] + h, x[i] - h
        plus, minus = self._at(up), self._at(down)
        slope = (plus - minus) / (2 * h)
        noise = mpf(10) ** -60 * max(abs(plus), abs(minus)) / _scale(x[i])
        return mpf(0) if abs(slope) < noise else slope

    def condition(self, point: Mapping[str, float], name: str | None) -> Any:
        """sum_j |H_ij x_j| for the partial ``name``, sum_j |g_j x_j| for the value (``None``).

        Times 2**-53 this bounds, to first order, what half-ulp roundings of the inputs do.
        """
        with mp.workdps(DIGITS):
            x = self._point(point)
            if name is None:
                return mp.fsum(abs(self._difference(x, j) * x[j]) for j in range(len(x)))
            i = self.inputs.index(name)
            return mp.fsum(abs(self._second(x, i, j) * x[j]) for j in range(len(x)))

    def _second(self, x: list[Any], i: int, j: int) -> Any:
        h, k = _H2 * _scale(x[i]), _H2 * _scale(x[j])
        total = mpf(0)
        for a in (1, -1):
            for b in (1, -1):
                moved = list(x)
                moved[i] += a * h
                moved[j] += b * k
                total += a * b * self._at(moved)
        return total / (4 * h * k)


def _scale(x: Any) -> Any:
    return max(abs(x), mpf(2) ** -20)


def _free_names(statements: Sequence[ast.stmt]) -> list[str]:
    """Inputs of a program without declarations, in order of first appearance."""
    assigned: set[str] = set()
    free: list[str] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Name) and node.id != "pi" and node.id not in assigned:
            if node.id not in free:
                free.append(node.id)
        elif isinstance(node, ast.Call):
            for argument in node.args:
                visit(argument)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child)

    for statement in statements:
        if isinstance(statement, ast.FunctionDef):
            continue  # helpers see their own arguments only
        if isinstance(statement, ast.Assign):
            visit(statement.value)
            assigned |= {t.id for t in statement.targets if isinstance(t, ast.Name)}
        else:
            visit(statement)
    return free


def relative(got: float, want: Any) -> float:
    """|got - want| / |want|, zero when both are zero, infinite when only one is or got is not finite."""
    if not math.isfinite(got):
        return math.inf
    with mp.workdps(DIGITS):
        error = abs(mpf(got) - want)
        if error == 0:
            return 0.0
        return math.inf if want == 0 else float(error / abs(want))
