"""A formula's trees as text in which nothing is left out: every bracket, every option."""

from __future__ import annotations

from typing import Any

from symdiff.expr import Call, Expr, Name, bottom_up
from symdiff.formula_data import FormulaData
from symdiff.shapes import Polynomial, Slice, size_text


def shown(expr: Expr) -> str:
    """`op(args | options)`."""

    def node(call: Call, args: list[str]) -> str:
        options = ", ".join(_option(option) for option in call.options)
        inside = ", ".join(args) + (f" | {options}" if call.options else "")
        return f"{call.op}({inside})"

    return bottom_up(expr, lambda leaf: leaf.id if isinstance(leaf, Name) else f"{leaf.value:g}", node)


def _option(option: Any) -> str:
    if isinstance(option, Polynomial):
        return size_text(option)
    if isinstance(option, Slice):
        start, stop = ("" if bound is None else size_text(bound) for bound in (option.start, option.stop))
        return f"{start}:{stop}:{option.step}"
    if isinstance(option, tuple):
        return "[" + ", ".join(_option(each) for each in option) + "]"
    return str(option)


def output(formula: FormulaData) -> str:
    """The last statement."""
    return shown(formula.statements[-1].expr)
