"""What C functions do: reductions that are not sums, what runs along an axis, matrix functions; means and norms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from symdiff.expr import Call, Expr, Name, Number, bottom_up
from symdiff.ops.array_core import Axes, count, reduced
from symdiff.render.c_array_elem import Elem, Variable, combined, dimension, number, read, taken
from symdiff.render.c_array_helpers import WORK
from symdiff.render.c_array_ir import Helper, Target
from symdiff.shapes import Shape, Size, plus, product, times

if TYPE_CHECKING:
    from symdiff.render.c_array_lower import Lowering

Lowered = Callable[["Lowering", Call, list[Elem], "Target | None"], "Elem | None"]


def _sum(low: Lowering, elem: Elem, axes: Axes, keepdims: bool) -> Elem:
    gone = range(len(elem.shape)) if axes is None else axes
    kept = [axis for axis in range(len(elem.shape)) if axis not in gone]
    made = low.total(elem, kept, reduced(elem.shape, axes, keepdims), None)
    assert made is not None
    return made


def _op(name: str, *args: Elem) -> Elem:
    """An elementwise op over arrays of one shape and numbers."""
    shape = next((arg.shape for arg in args if arg.shape), ())
    return combined(Call(name, ()), args, shape)


def _mean(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem:
    axes, keepdims = call.options
    return _op("div", _sum(low, args[0], axes, keepdims), _numbers(count(args[0].shape, axes)))


def _numbers(expr: Expr) -> Elem:
    """An expression over dimensions."""

    def node(call: Call, args: list[Elem]) -> Elem:
        return combined(call, args, ())

    return bottom_up(expr, lambda leaf: dimension(leaf.id) if isinstance(leaf, Name) else number(leaf), node)


def _norm(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem:
    return _op("sqrt", _sum(low, _op("square", _simple(low, args[0])), *call.options))


def _simple(low: Lowering, elem: Elem) -> Elem:
    """Something that is written twice in `x*x`: a name."""
    return low.copied(elem) if isinstance(elem.expr, Call) else elem


def _norm1(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem:
    return _sum(low, _op("abs", args[0]), *call.options)


def _sumsq(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem:
    return _sum(low, _op("square", _simple(low, args[0])), *call.options)


# -- along axes --------------------------------------------------------------------------------------------------------


def _together(elem: Elem, axes: Sequence[int]) -> tuple[Elem, list[int]]:
    """The elements with these axes next to one another (behind the others where they are not yet), and the order."""
    order = list(range(len(elem.shape)))
    if list(axes) != list(range(axes[0], axes[0] + len(axes))):
        order = [axis for axis in order if axis not in axes] + list(axes)
    return taken(elem, order, tuple(elem.shape[axis] for axis in order)), order


def _view(shape: Shape, start: int, length: int) -> tuple[Size, Size, Size]:
    """(outer, length, inner)."""
    return product(shape[:start]), product(shape[start : start + length]), product(shape[start + length :])


def _reduction(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    """amax, amin, prod, logsumexp."""
    (elem,), (axes, keepdims) = args, call.options
    if not elem.shape:
        return elem
    gone = tuple(range(len(elem.shape))) if axes is None else axes
    shape = reduced(elem.shape, axes, keepdims)
    if not gone:
        return elem
    moved, order = _together(elem, gone)
    operand = low.packed(moved)
    goal = low.goal(None if target is None or target.add else target, call.op, shape)
    sizes = _view(moved.shape, order.index(gone[0]), len(gone))
    low.emit(Helper(call.op, goal.variable, sizes, (operand,)))
    return None if goal is target else read(goal.variable)


def _prod_others(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    (elem,), (axes,) = args, call.options
    if not elem.shape:
        return number(Number(1.0))
    return _along(low, "prod_others", elem, tuple(range(len(elem.shape))) if axes is None else axes, target)


def _softmax(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    return _along(low, "softmax", args[0], (call.options[0],), target)


def _cumsum(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    axis, reverse = call.options
    return _along(low, "cumsum_reverse" if reverse else "cumsum", args[0], (axis,), target)


def _along(low: Lowering, function: str, elem: Elem, axes: Sequence[int], target: Target | None) -> Elem | None:
    """A function that gives as many elements as it gets."""
    moved, order = _together(elem, axes)
    operand = low.packed(moved)
    same = order == list(range(len(order)))
    goal = low.goal(target if same and target is not None and not target.add else None, function, moved.shape)
    low.emit(Helper(function, goal.variable, _view(moved.shape, order.index(axes[0]), len(axes)), (operand,)))
    if goal is target:
        return None
    return taken(read(goal.variable), [order.index(axis) for axis in range(len(order))], elem.shape)


# -- matrices ----------------------------------------------------------------------------------------------------------


def _matrix_function(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    """inv, solve, cofactor, cholesky, cholesky_adjoint; det and logdet, which give a number."""
    returns = call.op in ("det", "logdet")
    size = args[0].shape[0]
    sizes: tuple[Size, ...] = (size,)
    if call.op == "solve":
        sizes = (size, product(args[1].shape[1:]))
    shape = () if returns else args[-1].shape
    operands = tuple(low.packed(arg) for arg in args)
    direct = target is not None and (returns or not target.add)
    goal = low.goal(target if direct else None, call.op, shape)
    work = _work(low, call.op, size)
    low.emit(Helper(call.op, goal.variable, sizes, operands, work, returns, goal.add))
    return None if goal is target else read(goal.variable)


def _work(low: Lowering, function: str, size: Size) -> Variable | None:
    squares, lines = WORK.get(function, (0, 0))
    numbers = plus(times(squares, times(size, size)), times(lines, size))
    return None if numbers == 0 else low.temporary("work", (numbers,))


CALLS: dict[str, Lowered] = {
    "mean": _mean,
    "norm": _norm,
    "norm1": _norm1,
    "sumsq": _sumsq,
    "softmax": _softmax,
    "cumsum": _cumsum,
    "prod_others": _prod_others,
    **dict.fromkeys(("amax", "amin", "prod", "logsumexp"), _reduction),
    **dict.fromkeys(("inv", "solve", "cofactor", "cholesky", "cholesky_adjoint", "det", "logdet"), _matrix_function),
}
