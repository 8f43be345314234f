"""Values on their way to C loops: an elementwise expression over leaves, each of which knows where its element stands.

    Elem ::= shape, expr over leaf names, leaves
    Leaf ::= an element of a variable: offset + sum of stride * index      # stride 0: repeated along the axis
           | whether such a sum is 0                                       # the diagonal: `variable` is None
           | a dimension as a number                                       # `dimension`

Because every leaf has a stride for every axis of the whole, a transposition, a slice, a diagonal or a broadcast is the
same change of strides at every leaf, and costs no copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from symdiff.expr import ZERO_NUMBER, Call, Expr, Name, Number, substitute
from symdiff.shapes import NEW_AXIS, Shape, Size, Slice, plus, times

_keys = count()


@dataclass(eq=False)
class Variable:
    """A value that statements write and read: an input, a step, an accumulator, or something on the way.

    wish     what its identifier should be; `identifier` is what it became
    shape    () for a number in a local variable
    source   position among the inputs, for an input
    output   position among the outputs, for a variable that lives in the caller's array
    """

    wish: str
    shape: Shape
    source: int | None = None
    output: int | None = None
    identifier: str = field(default="", init=False)


@dataclass(frozen=True)
class Leaf:
    """One operand of an expression; see above."""

    variable: Variable | None
    offset: Size = 0
    strides: tuple[Size, ...] = ()
    dimension: str | None = None

    @property
    def is_number(self) -> bool:
        """A local variable or a dimension: nothing in memory."""
        return self.dimension is not None or (self.variable is not None and not self.variable.shape)


@dataclass(frozen=True)
class Elem:
    """A value of `shape`, element by element."""

    shape: Shape
    expr: Expr
    leaves: Mapping[str, Leaf] = field(default_factory=dict)

    @property
    def load(self) -> Leaf | None:
        """The leaf that this is, where it is nothing but one element of a variable."""
        leaf = self.leaves.get(self.expr.id) if isinstance(self.expr, Name) else None
        return leaf if leaf is not None and leaf.variable is not None else None

    def changed(self, shape: Shape, change: Callable[[Leaf], Leaf]) -> Elem:
        """The same expression over other places."""
        return Elem(shape, self.expr, {key: _tidy(change(leaf), shape) for key, leaf in self.leaves.items()})

    def packed(self) -> bool:
        """Whether every leaf is row-major without gaps, or one number for all elements."""
        dense = row_major(self.shape)
        return all(
            leaf.strides == dense or not any(leaf.strides) for leaf in self.leaves.values() if not is_diagonal(leaf)
        ) and not any(is_diagonal(leaf) and any(leaf.strides) for leaf in self.leaves.values())


def is_diagonal(leaf: Leaf) -> bool:
    """Whether the leaf is a condition on indices."""
    return leaf.variable is None and leaf.dimension is None


def _tidy(leaf: Leaf, shape: Shape) -> Leaf:
    """Axes of literal size 1 have stride 0."""
    strides = tuple(0 if size == 1 else stride for size, stride in zip(shape, leaf.strides, strict=True))
    return replace(leaf, strides=strides)


def row_major(shape: Shape) -> tuple[Size, ...]:
    """Strides of a packed array; 0 for axes of literal size 1."""
    strides: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        strides.append(0 if size == 1 else step)
        step = times(step, size)
    return tuple(reversed(strides))


# -- making ------------------------------------------------------------------------------------------------------------


def at(leaf: Leaf, shape: Shape) -> Elem:
    """What a leaf says, for every element of `shape`."""
    key = f"#{next(_keys)}"
    return Elem(shape, Name(key), {key: leaf})


def read(variable: Variable) -> Elem:
    """All elements of a variable."""
    return at(Leaf(variable, 0, row_major(variable.shape)), variable.shape)


def number(value: Expr, shape: Shape = ()) -> Elem:
    """One constant for all elements."""
    return Elem(shape, value)


def dimension(name: str) -> Elem:
    """A run-time size as a number."""
    return at(Leaf(None, dimension=name), ())


def combined(op: Call, args: Sequence[Elem], shape: Shape) -> Elem:
    """An elementwise op over operands that broadcast to `shape`."""
    leaves: dict[str, Leaf] = {}
    parts: list[Expr] = []
    for arg in args:
        arg = broadcast_to(arg, shape)
        clashes = {key for key, leaf in arg.leaves.items() if leaves.get(key, leaf) != leaf}  # two views of one array
        fresh = {key: f"#{next(_keys)}" if key in clashes else key for key in arg.leaves}
        leaves.update((fresh[key], leaf) for key, leaf in arg.leaves.items())
        parts.append(substitute(arg.expr, {key: Name(fresh[key]) for key in clashes}) if clashes else arg.expr)
    return Elem(shape, op.over(parts), leaves)


def identity_matrix(rows: Size, columns: Size) -> Elem:
    """1 on the diagonal, else 0."""
    return on_diagonal(number(Number(1.0), (rows, columns)), 0, 1)


def on_diagonal(elem: Elem, first: int, second: int) -> Elem:
    """`elem` where the indices of two axes are equal, else 0."""
    strides: list[Size] = [0] * len(elem.shape)
    strides[first], strides[second] = 1, -1
    key = f"#{next(_keys)}"
    expr = Call("where", (Name(key), elem.expr, ZERO_NUMBER))
    return Elem(elem.shape, expr, {**elem.leaves, key: _tidy(Leaf(None, 0, tuple(strides)), elem.shape)})


# -- other places ------------------------------------------------------------------------------------------------------


def broadcast_to(elem: Elem, shape: Shape) -> Elem:
    """Repeated along new leading axes and axes of size 1."""
    if elem.shape == shape:
        return elem
    lead: tuple[Size, ...] = (0,) * (len(shape) - len(elem.shape))
    return elem.changed(shape, lambda leaf: replace(leaf, strides=lead + (leaf.strides or (0,) * len(elem.shape))))


def taken(elem: Elem, axes: Iterable[int | None], sizes: Shape) -> Elem:
    """Axes by their number, in any order; None for a new one, along which the value is repeated."""
    axes = list(axes)
    return elem.changed(
        sizes, lambda leaf: replace(leaf, strides=tuple(0 if axis is None else leaf.strides[axis] for axis in axes))
    )


def without(elem: Elem, axis: int) -> Elem:
    """Without an axis of size 1."""
    kept = [k for k in range(len(elem.shape)) if k != axis]
    return taken(elem, kept, tuple(elem.shape[k] for k in kept))


def diagonal(elem: Elem, first: int, second: int) -> Elem:
    """Both indices the same; the second axis goes."""

    def change(leaf: Leaf) -> Leaf:
        strides = list(leaf.strides)
        strides[first] = plus(strides[first], strides[second])
        del strides[second]
        return replace(leaf, strides=tuple(strides))

    return elem.changed(tuple(size for k, size in enumerate(elem.shape) if k != second), change)


def indexed(elem: Elem, items: Sequence[Any], shape: Shape) -> Elem:
    """`elem[items]` for a normalised index, of the given shape."""

    def change(leaf: Leaf) -> Leaf:
        return _indexed(leaf, items)

    return elem.changed(shape, change)


def _indexed(leaf: Leaf, items: Sequence[Any]) -> Leaf:
    offset, axis = leaf.offset, 0
    strides: list[Size] = []
    for item in items:
        if item == NEW_AXIS:
            strides.append(0)
            continue
        stride = leaf.strides[axis]
        axis += 1
        if isinstance(item, Slice):
            offset = plus(offset, times(item.start or 0, stride))
            strides.append(times(stride, item.step))
        else:
            offset = plus(offset, times(item, stride))
    return replace(leaf, offset=offset, strides=tuple(strides))


def reshaped(elem: Elem, shape: Shape) -> Elem | None:
    """The same elements in another shape, or None where that needs a copy."""
    wide = [k for k, size in enumerate(elem.shape) if size != 1]
    if [elem.shape[k] for k in wide] == [size for size in shape if size != 1]:
        axes = iter(wide)
        return taken(elem, [None if size == 1 else next(axes) for size in shape], shape)
    if not elem.packed():
        return None
    dense = row_major(shape)
    return elem.changed(shape, lambda leaf: replace(leaf, strides=dense if any(leaf.strides) else (0,) * len(shape)))
