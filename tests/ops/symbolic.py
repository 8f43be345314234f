"""Proof of a partial: the rule of the table against SymPy's own derivative of the op's SymPy head."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import sympy as sp

from symdiff.expr import Call, Expr, Name, Number, bottom_up
from symdiff.formula_data import sympy_call
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.activation import ONE_OVER_SQRT_TWO_PI, SQRT_HALF
from symdiff.ops.core import OPERAND_NAMES
from symdiff.ops.exponential import LN2, LN10
from symdiff.ops.special import TWO_OVER_SQRT_PI

# The rules' float64 constants and the numbers that they are the nearest float64 of (held by test_constants).
CONSTANTS = {
    LN2: sp.log(2),
    LN10: sp.log(10),
    SQRT_HALF: 1 / sp.sqrt(2),
    ONE_OVER_SQRT_TWO_PI: 1 / sp.sqrt(2 * sp.pi),
    TWO_OVER_SQRT_PI.value: 2 / sp.sqrt(sp.pi),
}

UNPROVED = {
    **dict.fromkeys(COMPARE_OPS, "a comparison has no derivative; it stands in the condition of `where` alone"),
    "where": "its partials are masks on a whole contribution, made by adjoint.py and tested in tests/test_adjoint.py",
}
"""Ops without a proof here, and why."""


def symbols(op: str) -> tuple[Any, ...]:
    """Operands with the assumptions that their domains give; an order of polygamma is a whole number."""
    found = []
    for place, name in enumerate(OPERAND_NAMES[: TABLE[op].operands]):
        low = TABLE[op].domain[place][0] if place < len(TABLE[op].domain) else -1
        if TABLE[op].partials[place] is None:
            found.append(sp.Symbol(name, integer=True, positive=True))
        else:
            found.append(sp.Symbol(name, positive=True) if low >= 0 else sp.Symbol(name, real=True))
    return tuple(found)


def _exact(number: Number) -> Any:
    return CONSTANTS.get(number.value, sp.Rational(number.value))


def to_sympy(expr: Expr, values: dict[str, Any]) -> Any:
    """`expr` in SymPy. A guard `where(a == b, p, q)` is q: where a is b has its own tests, among the edges."""

    def leaf(part: Name | Number) -> Any:
        return values[part.id] if isinstance(part, Name) else _exact(part)

    def node(call: Call, args: list[Any]) -> Any:
        condition = call.args[0]
        if call.op == "where" and isinstance(condition, Call) and condition.op == "eq":
            return args[2]
        if call.op in COMPARE_OPS:
            relation = {"lt": sp.Lt, "le": sp.Le, "gt": sp.Gt, "ge": sp.Ge, "eq": sp.Eq, "ne": sp.Ne}[call.op]
            return relation(*args)
        if call.op == "where":
            return sp.Piecewise((args[1], args[0]), (args[2], True))
        return sympy_call(call.op, args)

    return bottom_up(expr, leaf, node)


@cache
def head(op: str) -> Any:
    return sympy_call(op, list(symbols(op)))


@cache
def derivative(op: str, place: int) -> Any:
    """SymPy's own."""
    return sp.diff(head(op).doit(), symbols(op)[place])


def rule(op: str, partial: Expr) -> Any:
    """The table's, with the op itself for `v`."""
    values = dict(zip(OPERAND_NAMES, symbols(op), strict=False)) | {"v": head(op)}
    return to_sympy(partial, values)


def _assumptions(op: str) -> Iterator[dict[Any, Any]]:
    """No case; then every operand on one side of zero; then, for two, one side of the other."""
    given = symbols(op)
    yield {}
    p, q = sp.symbols("p q", positive=True)
    signs = [[p], [q], [sp.Symbol("r", positive=True)]]
    choices = [
        [positive[0]] if symbol.is_positive else [positive[0], -positive[0]]
        for symbol, positive in zip(given, signs, strict=False)
    ]
    for choice in itertools.product(*choices):
        yield dict(zip(given, choice, strict=True))
    if len(given) == 2:
        yield {given[0]: given[1] + p}
        yield {given[0]: given[1] - p}


def _is_zero(expr: Any) -> bool:
    forms = (
        lambda e: e,
        sp.simplify,
        lambda e: sp.simplify(e.rewrite(sp.exp)),
        lambda e: sp.simplify(e.rewrite(sp.erf)),
        lambda e: sp.simplify(e.rewrite(sp.polygamma)),
        lambda e: sp.simplify(sp.powdenest(e.rewrite(sp.sqrt), force=False)),
    )
    return any(form(expr) == 0 for form in forms)


def _squares_agree(a: Any, b: Any, substitution: dict[Any, Any]) -> bool:
    """For roots: a^2 = b^2 everywhere, and a = b at a point inside."""
    if not (a.has(sp.sqrt) or b.has(sp.Pow)) or sp.simplify(a**2 - b**2) != 0:
        return False
    point = {symbol: sp.Rational(1, 3) for symbol in a.free_symbols | b.free_symbols}
    if a.subs(point).is_real is False:
        point = {symbol: sp.Rational(4, 3) for symbol in point}
    return abs(sp.N(a.subs(point) - b.subs(point), 40)) < sp.Float("1e-35") and sp.simplify(a) != 0


def same(op: str, place: int, partial: Expr) -> bool:
    """Proof that `partial` is the derivative of `op` by operand `place`, everywhere or case by case."""
    ours, theirs = rule(op, partial), derivative(op, place)
    everywhere, *by_case = _assumptions(op)
    if _is_zero(ours - theirs) or _squares_agree(ours, theirs, everywhere):
        return True
    pairs = (by_case[:-2], by_case[-2:]) if TABLE[op].operands == 2 else (by_case,)
    return any(all(_case(ours, theirs, one) for one in group) for group in pairs)


def _case(ours: Any, theirs: Any, substitution: dict[Any, Any]) -> bool:
    a, b = (sp.simplify(expr.subs(substitution)) for expr in (ours, theirs))
    return _is_zero(a - b) or _squares_agree(a, b, substitution)


def differ(op: str, first: Expr, second: Expr) -> bool:
    """False only with a proof that the two rules are the same function."""
    a, b = rule(op, first), rule(op, second)
    if a == b or _is_zero(a - b):
        return False
    _, *by_case = _assumptions(op)
    groups = (by_case[:-2], by_case[-2:]) if TABLE[op].operands == 2 else (by_case,)
    return not any(all(_is_zero(a.subs(one) - b.subs(one)) for one in group) for group in groups)
