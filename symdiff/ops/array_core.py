"""What one entry of the table of array operations is made of, and the contraction that most rules are written with.

An operation on arrays is written down once, in one `ArrayOp(...)` of one family file: its shape rule, its adjoint and
its tangent (as expressions in the ops of both tables), its value in NumPy and its spelling in every language. Ops of a
formula that are only another way to write a contraction (`@`, `.T`, `sum`, `trace`, ...) have a `lower` rule instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symdiff.einstein import LETTERS, UNIT, Spec, indices, renamed
from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Name, Number, call
from symdiff.ops.core import ATOM, LOOSE, Spelling
from symdiff.shapes import Polynomial, Shape, ShapeFault, Size, product, shape_text

Axes = tuple[int, ...] | None  # None: all axes
Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What an adjoint or tangent rule may use.

    call    the op over names
    shapes  of its operands
    shape   of its value
    value   the name of its value
    """

    call: Call
    shapes: tuple[Shape, ...]
    shape: Shape
    value: Expr

    @property
    def args(self) -> tuple[Expr, ...]:
        """The operands."""
        return self.call.args

    @property
    def options(self) -> tuple[Any, ...]:
        """The options of the op."""
        return self.call.options


ShapeRule = Callable[[Call, Sequence[Shape]], Shape]
Lowering = Callable[[Call, Sequence[Shape]], Expr]
Adjoint = Callable[[Rule, int, Expr], Expr | None]
Tangent = Callable[[Rule, Sequence[Expr | None]], Expr]
Words = Callable[[Call, Names], Spelling]


def _no_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    raise NotImplementedError(rule.call.op)


def _no_adjoint(rule: Rule, k: int, bar: Expr) -> Expr | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayOp:
    """One entry of the table.

    operands   how many; -1 for any number
    keywords   options that a formula gives by name: axis, keepdims
    shape      shape of the value; raises ShapeFault with both shapes and the axis
    lower      for a way to write other ops: the expression in these
    adjoint    contribution to operand k, from the adjoint of the value
    local      for a reduction, the partial by each element, an array like the operand
    tangent    tangent of the value, from the tangents of the operands (None where an operand has none)
    numpy      the value: a function of (options, *operands)
    exact      the value over arrays of mpmath numbers, where NumPy's own function does not serve: the name of a
               function of `array_exact`, which is imported only when one of them is called
    resolve    the options with sizes as numbers, from the values of the dimensions
    text, python, latex  spelling, from the call and the names of dimensions
    edges      ties, empty axes, singular matrices, for people
    source     book and equation
    """

    name: str
    operands: int = 1
    keywords: tuple[str, ...] = ()
    public: bool = True
    gate: str = ""
    shape: ShapeRule
    lower: Lowering | None = None
    adjoint: Adjoint = _no_adjoint
    local: Callable[[Rule], Expr] | None = None
    tangent: Tangent = _no_tangent
    numpy: Callable[..., Any] | None = None
    exact: str = ""
    resolve: Callable[[tuple[Any, ...], Mapping[str, int]], tuple[Any, ...]] = lambda options, values: options
    text: Words
    python: Words | None = None
    latex: str = ""
    edges: str = ""
    source: str = ""


# -- spellings ---------------------------------------------------------------------------------------------------------


def words(name: str, *rest: str, operands: int = 1) -> Spelling:
    """`name(a, b, rest)`; `rest` holds no braces."""
    inside = [f"{{{k}}}" for k in range(operands)] + [part for part in rest if part]
    return Spelling(f"{name}({', '.join(inside)})", ATOM, (LOOSE,) * operands)


def plain(name: str, operands: int = 1) -> Words:
    """`name(a, b)` without options."""
    return lambda call, names: words(name, operands=operands)


def axis_text(axes: Axes) -> str:
    """`axis=0`, `axis=(0, 2)`, or nothing for all axes."""
    if axes is None:
        return ""
    return f"axis={axes[0]}" if len(axes) == 1 else f"axis={axes}"


def reduction_words(name: str) -> Words:
    """`name(x, axis=0, keepdims=True)`."""

    def spelling(call: Call, names: Names) -> Spelling:
        axes, keepdims = call.options
        axes = (axes,) if isinstance(axes, int) else axes
        return words(name, axis_text(axes), "keepdims=True" if keepdims else "")

    return spelling


# -- axes --------------------------------------------------------------------------------------------------------------


def normal_axis(axis: int, rank: int, shape: Shape) -> int:
    """`axis` counted from the front; raises ShapeFault."""
    if not -rank <= axis < rank:
        raise ShapeFault(f"there is no axis {axis} in shape {shape_text(shape)}")
    return axis % rank


def normal_axes(axis: int | tuple[int, ...] | None, shape: Shape) -> Axes:
    """Axes in order, counted from the front; None where they are all there are."""
    if axis is None:
        return None
    given = (axis,) if isinstance(axis, int) else axis
    found = sorted(normal_axis(each, len(shape), shape) for each in given)
    if len(set(found)) < len(found):
        raise ShapeFault(f"axis {axis} names an axis of shape {shape_text(shape)} twice")
    return None if len(found) == len(shape) else tuple(found)


def reduced(shape: Shape, axes: Axes, keepdims: bool) -> Shape:
    """Shape after a reduction."""
    gone = range(len(shape)) if axes is None else axes
    if keepdims:
        return tuple(1 if axis in gone else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


# -- expressions -------------------------------------------------------------------------------------------------------


def contraction(given: Spec, args: Sequence[Expr]) -> Expr:
    """`contract` of operands, in simpler words where there are some: scalars become factors, an elementwise product is
    one, the identity vanishes.
    """
    pairs = list(zip(given.operands, args, strict=True))
    scalars = [arg for part, arg in pairs if not part] if len(pairs) > 1 or not given.output else []
    arrays = [pair for pair in pairs if pair[0]] if scalars else pairs
    made = _arrays(given, arrays) if arrays else ONE_NUMBER
    for factor in reversed(scalars):
        made = factor if made == ONE_NUMBER else made if factor == ONE_NUMBER else call("mul", factor, made)
    if not arrays and given.output:  # a product of numbers, repeated
        return _arrays(Spec(("",), given.output, given.sizes), [("", made)])
    return made


def _arrays(given: Spec, pairs: list[tuple[str, Expr]]) -> Expr:
    parts, args = tuple(part for part, _ in pairs), tuple(arg for _, arg in pairs)
    once = len(set(given.output.replace(UNIT, ""))) == len(given.output.replace(UNIT, ""))
    if all(part == given.output for part in parts) and once:
        made = args[0]
        for arg in args[1:]:
            made = call("mul", made, arg)
        return made
    if parts == ("",) and len(given.output) == 2 and given.output[0] == given.output[1] != UNIT:
        return call("mul", args[0], call("eye", options=(given.sizes[0][1],)))
    whole = Spec(parts, given.output, given.sizes)
    if whole.sizes and (len(parts) > 1 or whole.summed):  # a broadcast is a step of its own, of what there is to repeat
        sized = {index for index, _ in whole.sizes}
        inside = "".join(index for index in whole.output if index not in sized)
        repeated = renamed(Spec((inside,), whole.output, whole.sizes))
        return Call("contract", (_arrays(Spec(parts, inside), pairs),), None, (repeated,))
    return Call("contract", args, None, (renamed(whole),))


def spread(bar: Expr, shape: Shape, axes: Axes, keepdims: bool) -> Expr:
    """An array over the axes that a reduction of `shape` leaves, so that it broadcasts against `shape`."""
    if axes is None or keepdims or axes == tuple(range(len(axes))):
        return bar
    full = indices(shape, LETTERS)
    inside = "".join(index for axis, index in enumerate(full) if axis not in axes)
    return contraction(Spec((inside,), "".join(UNIT if axis in axes else i for axis, i in enumerate(full))), (bar,))


def stretched(bar: Expr, shape: Shape, axes: Axes, keepdims: bool) -> Expr:
    """What a reduction of `shape` leaves, repeated along the axes that it took: the transpose of the sum."""
    full = indices(shape, LETTERS)
    gone = range(len(shape)) if axes is None else axes
    kept = [UNIT if axis in gone else index for axis, index in enumerate(full)]
    inside = "".join(kept if keepdims else [index for axis, index in enumerate(kept) if axis not in gone])
    sizes = [(index, size) for index, size in zip(full, shape, strict=True) if index not in inside and index != UNIT]
    return contraction(Spec((inside,), full, tuple(sizes)), (bar,))


def summed(expr: Expr, shape: Shape, axes: Axes, keepdims: bool) -> Expr:
    """The sum of `expr`, an array of `shape`, over axes."""
    full = indices(shape, LETTERS)
    gone = range(len(shape)) if axes is None else axes
    kept = [UNIT if axis in gone else index for axis, index in enumerate(full)]
    output = "".join(kept if keepdims else [index for axis, index in enumerate(kept) if axis not in gone])
    return contraction(Spec((full,), output), (expr,))


def fitted(expr: Expr, shape: Shape, wanted: Shape) -> Expr:
    """`expr` of `shape` as an array of `wanted`: repeated where it broadcasts, summed where `wanted` broadcasts to it.

    The two are transposes of each other: one is what the other's adjoint does.
    """
    if shape == wanted:
        return expr
    repeats = _covers(wanted, shape)
    long, short = (wanted, shape) if repeats else (shape, wanted)
    full = indices(long, LETTERS)
    tail = full[len(long) - len(short) :]
    part = "".join(UNIT if size == 1 else index for size, index in zip(short, tail, strict=True))
    if not repeats:
        return contraction(Spec((full,), part), (expr,))
    sizes = [(index, size) for index, size in zip(full, long, strict=True) if index not in part and index != UNIT]
    return contraction(Spec((part,), full, tuple(sizes)), (expr,))


def _covers(shape: Shape, wanted: Shape) -> bool:
    """Whether `wanted` broadcasts to `shape`."""
    if len(wanted) > len(shape):
        return False
    tail = shape[len(shape) - len(wanted) :]
    return all(size in (1, other) for size, other in zip(wanted, tail, strict=True))


def count(shape: Shape, axes: Axes) -> Expr:
    """The number of elements along axes, as an expression."""
    return size_expr(product(size for axis, size in enumerate(shape) if axes is None or axis in axes))


def size_expr(size: Size) -> Expr:
    """A size as a number that a step can use."""
    if isinstance(size, int):
        return Number(float(size))
    if isinstance(size, str):
        return Name(size)
    assert isinstance(size, Polynomial)
    total: Expr | None = None
    for names, factor in size.terms:
        term: Expr | None = None if factor == 1 and names else Number(float(factor))
        for name in names:
            term = Name(name) if term is None else call("mul", term, Name(name))
        assert term is not None
        total = term if total is None else call("add", total, term)
    return total or ZERO_NUMBER


def array_fault(what: str, shapes: Sequence[Shape], why: str) -> ShapeFault:
    """A fault that shows the shapes."""
    shown = " and ".join(shape_text(shape) for shape in shapes)
    return ShapeFault(f"{what} of shape{'s' * (len(shapes) > 1)} {shown}: {why}")
