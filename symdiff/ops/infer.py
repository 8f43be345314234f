"""Shapes of expressions, from the shapes of their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from symdiff.expr import Call, Expr, Name, Number, bottom_up
from symdiff.ops import ARRAYS
from symdiff.shapes import Shape, ShapeFault, broadcast

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}


def call_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    """Shape of one op over operands of these shapes. Raises ShapeFault with both shapes and the axis."""
    entry = ARRAYS.get(call.op)
    if entry is not None:
        return entry.shape(call, shapes)
    if not any(shapes):  # scalars
        return ()
    try:
        return reduce(broadcast, shapes, ())
    except ShapeFault as fault:
        sign = _SIGNS.get(call.op)
        raise ShapeFault(f"a {sign} b: {fault}" if sign else f"{call.op}: {fault}") from None


def shape_of(expr: Expr, shapes: Mapping[str, Shape]) -> Shape:
    """Shape of an expression; names that are not in `shapes` (dimensions) are scalars. Raises ShapeFault."""

    if type(expr) is Name:
        return shapes.get(expr.id, ())

    def leaf(part: Name | Number) -> Shape:
        return shapes.get(part.id, ()) if isinstance(part, Name) else ()

    return bottom_up(expr, leaf, call_shape)


__all__ = ["call_shape", "shape_of"]
