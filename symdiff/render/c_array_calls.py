"""What C functions do: reductions that are not sums, what runs along an axis, matrix functions; means and norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from symdiff.expr import ZERO_NUMBER, Call, Expr, Name, Number, bottom_up
from symdiff.ops.array_core import Axes, count, reduced
from symdiff.render.c_array_elem import Elem, Variable, at, combined, dimension, number, read, reshaped, taken
from symdiff.render.c_array_helpers import WORK
from symdiff.render.c_array_ir import Helper, Target, is_small
from symdiff.shapes import Shape, Size, broadcast, plus, product, times

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
    """An elementwise op."""
    shape: Shape = reduce(broadcast, (arg.shape for arg in args), ())
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
    if call.op == "logsumexp" and is_small(elem.shape) and 0 not in elem.shape:
        return _small_logsumexp(low, at(operand, moved.shape), [order.index(axis) for axis in gone], shape)
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
    """Written out for a few elements, so that compilers unroll it and loops around it join."""
    (elem,), (axis,) = args, call.options
    if not is_small(elem.shape) or 0 in elem.shape:
        return _along(low, "softmax", elem, (axis,), target)
    x = at(low.packed(elem), elem.shape)
    powers = low.copied(_op("exp", _op("sub", x, _largest(low, x, [axis]))), "powers")
    return _op("div", powers, _sum(low, powers, (axis,), keepdims=True))


def _largest(low: Lowering, x: Elem, axes: Sequence[int]) -> Elem:
    """The largest along axes that are next to one another, which stay with size 1."""
    variable = low.temporary("largest", reduced(x.shape, tuple(axes), True))
    operand = x.load
    assert operand is not None
    low.emit(Helper("amax", variable, _view(x.shape, axes[0], len(axes)), (operand,)))
    return read(variable)


def _small_logsumexp(low: Lowering, x: Elem, axes: Sequence[int], shape: Shape) -> Elem:
    """m + log1p(rest) as in `sd_logsumexp`: m is the largest, rest the sum of exp(x - m) over all but one largest."""
    largest, gone = _largest(low, x, axes), tuple(axes)
    zero, one = number(ZERO_NUMBER), number(Number(1.0))
    is_largest = _op("eq", x, largest)
    others = low.copied(_op("where", is_largest, zero, _op("exp", _op("sub", x, largest))), "others")
    equal = _sum(low, _op("where", is_largest, one, zero), gone, keepdims=True)
    # In a variable of its own, so that what fills its vector up is 0, and not the -1 where log1p takes its slow path.
    rest = low.copied(_op("add", _sum(low, others, gone, keepdims=True), _op("sub", equal, one)), "rest")
    is_finite = _op("lt", _op("abs", largest), number(Number(math.inf)))
    made = low.copied(_op("where", is_finite, _op("add", largest, _op("log1p", rest)), largest), "result")
    found = reshaped(made, shape)
    assert found is not None
    return found


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
