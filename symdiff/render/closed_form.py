"""The derivative in closed form, by SymPy, where it is short enough to be worth reading.

Nothing is simplified or expanded: one `diff` of a small expression, printed as it comes. What has a kink is left to
the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from symdiff.expr import Call, Number, walk
from symdiff.formula_data import FormulaData
from symdiff.render.context import Sheet

MOST_NODES = 32
LONGEST = 150  # characters of LaTeX, with every variable counted as one
_LARGEST_NUMBER = 1e6
_KINKED = frozenset({"abs", "sign", "maximum", "minimum", "where", "relu", "cbrt", "polygamma", "lgamma", "gelu"})


def closed_forms(sheet: Sheet, names: Mapping[str, str]) -> dict[str, str]:
    """Variable -> LaTeX of its derivative; variables whose derivative is long, or has a kink, are left out."""
    if not _is_small(sheet.formula):
        return {}
    import sympy

    expr = sheet.formula.sympy
    if len(list(islice(sympy.preorder_traversal(expr), MOST_NODES + 1))) > MOST_NODES:
        return {}
    expr = _evaluated(sympy, expr)
    spelled = {sympy.Symbol(name): latex for name, latex in names.items()}
    plain = dict.fromkeys(spelled, "x")
    found = {}
    for name in sheet.people.wrt:
        derivative = expr.diff(sympy.Symbol(name))
        if derivative.has(sympy.Derivative, sympy.Subs, sympy.zoo, sympy.nan):
            continue
        if len(sympy.latex(derivative, symbol_names=plain)) <= LONGEST:
            found[name] = str(sympy.latex(derivative, symbol_names=spelled))
    return found


def _is_small(formula: FormulaData) -> bool:
    bodies = [statement.expr for statement in formula.statements] + [helper.body for helper in formula.helpers.values()]
    nodes = list(islice((part for body in bodies for part in walk(body)), 3 * MOST_NODES))
    if len(nodes) >= 3 * MOST_NODES:
        return False
    for part in nodes:
        if isinstance(part, Call) and part.op in _KINKED:
            return False
        if (
            isinstance(part, Number)
            and part.symbol is None
            and (abs(part.value) > _LARGEST_NUMBER or len(repr(part.value)) > 8)
        ):
            return False
    return True


def _evaluated(sympy: Any, expr: Any) -> Any:
    """The expression built again by SymPy's own rules, with decimals as the fractions that were typed."""
    if expr.is_Float:
        return sympy.Rational(repr(float(expr)))
    return expr.func(*(_evaluated(sympy, arg) for arg in expr.args)) if expr.args else expr
