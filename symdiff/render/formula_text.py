"""Trees of the formula language as text that reads as the same tree: what was typed as an option stays as it is."""

from __future__ import annotations

from dataclasses import replace

from symdiff.expr import Call, Expr, Name, Number, bottom_up, walk
from symdiff.formula_data import FormulaData
from symdiff.ops import ARRAYS
from symdiff.ops.core import ATOM, LOOSE, Spelling
from symdiff.render.printer import Printer, plain_number
from symdiff.shapes import NEW_AXIS, Size, Slice, shape_text, size_text

_POSTFIX = {"transpose": ".T", "matrix_transpose": ".mT"}


class _FormulaPrinter(Printer):
    def spelling(self, call: Call) -> Spelling:
        """Options exactly as typed; everything else as people see it anywhere."""
        if call.op in self.helpers or call.op not in ARRAYS:
            return super().spelling(call)
        after = f"[{_items(call)}]" if call.op == "index" else _POSTFIX.get(call.op)
        if after is not None:  # 2.T would be the number `2.` and a name
            return Spelling(f"({{0}}){after}" if isinstance(call.args[0], Number) else f"{{0}}{after}", ATOM, (ATOM,))
        if call.op in ("reshape", "zeros", "ones"):
            return _function(call, shape_text(call.options[0]))
        if call.op == "eye":
            return _function(call, *map(size_text, call.options))
        if ARRAYS[call.op].keywords:
            axis, *keepdims = call.options
            return _function(call, *([] if axis is None else [f"axis={axis}"]), *["keepdims=True"] * any(keepdims))
        return super().spelling(call)


def _function(call: Call, *options: str) -> Spelling:
    operands = [f"{{{k}}}" for k in range(len(call.args))]
    return Spelling(f"{call.op}({', '.join([*operands, *options])})", ATOM, (LOOSE,) * len(operands))


def _items(call: Call) -> str:
    return ", ".join(_item(item) for item in call.options[0])


def _item(item: Size | Slice) -> str:
    if not isinstance(item, Slice):
        return "None" if item == NEW_AXIS else size_text(item)
    bounds = ":".join("" if bound is None else size_text(bound) for bound in (item.start, item.stop))
    return bounds if item.step == 1 else f"{bounds}:{item.step}"


_FORMULA = _FormulaPrinter("text", {}, plain_number, {})


def formula_text(expr: Expr, formula: FormulaData) -> str:
    """`expr` in the formula language, from its tree."""
    return replace(_FORMULA, helpers=frozenset([*formula.helpers, *formula.functions]))(_without_checks(expr))


def _without_checks(expr: Expr) -> Expr:
    """What holds a bound function to its declaration is no text: the check has been made."""
    if not any(isinstance(part, Call) and part.op == "declared" for part in walk(expr)):
        return expr

    def leaf(part: Name | Number) -> Expr:
        return part

    def node(call: Call, args: list[Expr]) -> Expr:
        return args[0] if call.op == "declared" else call.over(args)

    return bottom_up(expr, leaf, node)


__all__ = ["formula_text"]
