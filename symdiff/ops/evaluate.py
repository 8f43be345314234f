"""Numbers out of expressions: float64 through NumPy, any precision through mpmath, and constant folding.

The float64 functions are made from the table's own NumPy spellings, so that a trace and the generated Python code
cannot differ. What is compiled here is text of the table, never text of a user.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

import numpy as np

from symdiff.expr import Call, Expr, Form, Name, Number, Pattern, bottom_up, form_of, is_constant
from symdiff.ops import ARRAYS, COMPARE_OPS, TABLE, helpers
from symdiff.ops.array_core import contraction
from symdiff.ops.core import OPERAND_NAMES, Spelling

_HELPERS = dict(inspect.getmembers(helpers, inspect.isfunction))


@cache
def float_function(op: str) -> Callable[..., Any]:
    """The op over float64 (or complex) operands, from its NumPy spelling."""
    return _compiled(TABLE[op].python, TABLE[op].operands)


@cache
def _compiled(spelling: Spelling, operands: int) -> Callable[..., Any]:
    names = OPERAND_NAMES[:operands]
    text = f"lambda {', '.join(names)}: {spelling.text.format(*(f'({name})' for name in names))}"
    function: Callable[..., Any] = eval(text, {"np": np, **_HELPERS})  # the table's text, never a user's
    return function


def _spelled(call: Call) -> Callable[..., Any]:
    """The op as generated code spells it: a power with a small whole exponent has a spelling of its own."""
    special = TABLE[call.op].literal_exponents.get("python")
    if special is not None and is_constant(call.args[-1]):
        spelling = special(constant_value(call.args[-1]))
        if spelling is not None:
            return _compiled(spelling, len(call.args))
    return float_function(call.op)


@cache
def mpmath_function(op: str) -> Callable[..., Any]:
    """The op at the working precision of mpmath."""
    import mpmath

    given = TABLE[op].mpmath
    if isinstance(given, str):
        function: Callable[..., Any] = getattr(mpmath, given)
        return function
    return lambda *operands: given(mpmath.mp, *operands)


def evaluate(expr: Expr, values: Mapping[str, Any], sizes: Mapping[str, int] | None = None) -> Any:
    """Value of `expr`, one op after the other in the order typed; silent on domains, as IEEE 754 is.

    `values` holds numbers and arrays by name; a dimension that the expression reads as a number is one of them. `sizes`
    are the sizes of the run-time dimensions, for the shapes that ops make.
    """

    def leaf(part: Name | Number) -> Any:
        return values[part.id] if isinstance(part, Name) else np.float64(part.value)

    def node(call: Call, args: list[Any]) -> Any:
        entry = ARRAYS.get(call.op)
        if entry is None:
            return _spelled(call)(*args)
        assert entry.numpy is not None, call.op
        return entry.numpy(entry.resolve(call.options, sizes or {}), *args)

    with np.errstate(all="ignore"):
        return bottom_up(expr, leaf, node)


def evaluate_mp(
    expr: Expr,
    values: Mapping[str, Any],
    sizes: Mapping[str, int] | None = None,
    function: Callable[[str], Callable[..., Any]] = mpmath_function,
) -> Any:
    """Value of `expr` at mpmath's working precision; literals are their nearest float64, as in the language.

    Arrays are NumPy arrays of mpmath numbers (dtype object); `values` and `sizes` are as for `evaluate`. `function`
    gives the elementwise ops.
    """
    import mpmath

    from symdiff.ops import array_exact

    def leaf(part: Name | Number) -> Any:
        return values[part.id] if isinstance(part, Name) else mpmath.mpf(part.value)

    def node(call: Call, args: list[Any]) -> Any:
        entry = ARRAYS.get(call.op)
        if entry is not None:
            own = getattr(array_exact, entry.exact) if entry.exact else entry.numpy or _no_value
            value = own(entry.resolve(call.options, sizes or {}), *args)
            return array_exact.numbers(value)
        if any(isinstance(arg, np.ndarray) for arg in args):
            return np.frompyfunc(function(call.op), len(args), 1)(*args)
        return function(call.op)(*args)

    return bottom_up(expr, leaf, node)


def _no_value(options: tuple[Any, ...], *args: Any) -> Any:
    raise AssertionError("an abstract function has no value")


def constant_value(expr: Expr) -> float:
    """float64 value of an expression without names."""
    return float(evaluate(expr, {}))


def fold(expr: Expr) -> Expr:
    """`expr` with constants folded in float64 and with what a person would not write left out.

    Only what keeps every bit, or gains accuracy, is done: 1*a, a/1, a - 0, a**1 vanish; a*(1/b) becomes a/b; minus
    signs move to the front of a product. `a + 0` stays, because it turns -0.0 into 0.0. One rule may change the sign of
    a zero: xlogy(a, c) of a positive constant c is a*log(c).
    """
    if not isinstance(expr, Call):
        return expr
    form, names = form_of(expr)
    folded = _folded(form)
    return expr if folded is None else folded.over(names)


@lru_cache(maxsize=10_000)
def _folded(form: Form) -> Pattern | None:
    """What calls of a form fold to; None for those that stay."""
    made = bottom_up(form.expr, lambda leaf: leaf, lambda call, args: _fold_call(call.over(args)))
    return None if made == form.expr else Pattern(made)


def _number(expr: Expr) -> float | None:
    return expr.value if isinstance(expr, Number) else None


def _is(expr: Expr, op: str) -> bool:
    return isinstance(expr, Call) and expr.op == op


def _inside(expr: Expr) -> Expr:
    assert isinstance(expr, Call)
    return expr.args[0]


def _fold_call(call: Call) -> Expr:
    args = call.args
    if call.op == "contract":
        return contraction(call.options[0], args)
    if call.op not in TABLE:
        return call
    if call.op == "where":
        return _fold_where(call)
    if call.op not in COMPARE_OPS and all(isinstance(arg, Number) for arg in args):
        return Number(constant_value(call), span=call.span)
    rule = _RULES.get(call.op)
    return rule(call, *args) if rule else call


def _fold_where(call: Call) -> Expr:
    condition, taken, other = call.args
    if isinstance(condition, Call) and is_constant(condition):
        return taken if bool(evaluate(condition, {})) else other
    return call


def _fold_mul(call: Call, a: Expr, b: Expr) -> Expr:
    if _number(a) == 1.0:
        return b
    if _number(b) == 1.0:
        return a
    if _number(a) == -1.0:
        return _negative(b)
    if _number(b) == -1.0:
        return _negative(a)
    if _is(b, "neg"):
        return _negative(_fold_mul(call, a, _inside(b)))
    if _is(a, "neg"):
        return _negative(_fold_mul(call, _inside(a), b))
    if _is(b, "inverse"):
        return Call("div", (a, _inside(b)), call.span)
    if isinstance(b, Call) and b.op == "div" and _number(b.args[0]) == 1.0:
        return Call("div", (a, b.args[1]), call.span)
    return call.over((a, b)) if call.op == "mul" else Call("mul", (a, b), call.span)


def _fold_div(call: Call, a: Expr, b: Expr) -> Expr:
    if _number(b) == 1.0:
        return a
    if _is(a, "neg"):
        return _negative(_fold_div(call, _inside(a), b))
    if _number(a) == 1.0:
        return Call("inverse", (b,), call.span)
    return call.over((a, b)) if call.op == "div" else Call("div", (a, b), call.span)


def _negative(a: Expr) -> Expr:
    if isinstance(a, Number):
        return Number(-a.value)
    return _inside(a) if _is(a, "neg") else Call("neg", (a,))


def _fold_add(call: Call, a: Expr, b: Expr) -> Expr:
    if _is(b, "neg"):
        return Call("sub", (a, _inside(b)), call.span)
    if isinstance(b, Number) and b.value < 0:
        return Call("sub", (a, Number(-b.value)), call.span)
    return call


def _fold_sub(call: Call, a: Expr, b: Expr) -> Expr:
    if isinstance(b, Number) and b.value == 0.0 and str(b.value) == "0.0":
        return a
    return Call("add", (a, _inside(b)), call.span) if _is(b, "neg") else call


def _fold_pow(call: Call, a: Expr, b: Expr) -> Expr:
    special = {1.0: a, 2.0: Call("square", (a,), call.span), -1.0: Call("inverse", (a,), call.span), 0.0: Number(1.0)}
    exponent = _number(b)
    return special.get(exponent, call) if exponent is not None else call


def _fold_xlogy(call: Call, a: Expr, b: Expr) -> Expr:
    """For a positive constant there is nothing to guard against."""
    constant = isinstance(b, Number) and 0.0 < b.value < float("inf")
    return fold(Call("mul", (a, Call("log", (b,))), call.span)) if constant else call


_RULES: dict[str, Callable[..., Expr]] = {
    "mul": _fold_mul,
    "div": _fold_div,
    "add": _fold_add,
    "sub": _fold_sub,
    "pow": _fold_pow,
    "xlogy": _fold_xlogy,
    "neg": lambda call, a: _negative(a),
    "identity": lambda call, a: a,
}


def is_zero(expr: Expr) -> bool:
    """True for a folded partial that is the constant 0 (of a step function, say)."""
    return isinstance(expr, Number) and expr.value == 0.0
