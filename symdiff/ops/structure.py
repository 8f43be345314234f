"""What moves elements and changes none: indexing, concatenation, stacking, reshaping; and arrays without operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.expr import Call, Expr, call
from symdiff.ops import array_helpers
from symdiff.ops.array_core import ArrayOp, Names, Rule, array_fault, axis_text, normal_axis, words
from symdiff.ops.core import ATOM, LOOSE, Spelling
from symdiff.shapes import (
    NEW_AXIS,
    Shape,
    ShapeFault,
    Size,
    Slice,
    dimensions,
    minus,
    plain_terms,
    plus,
    product,
    shape_text,
    shape_value,
    size_text,
    size_value,
)

_LINEAR = "a linear map with entries 0 and 1; the adjoint is its transpose"


# -- index and put -----------------------------------------------------------------------------------------------------


def normal_items(items: tuple[Any, ...], shape: Shape) -> tuple[Any, ...]:
    """One item for every axis, counted from the front, slices with start and stop. Raises ShapeFault."""
    if sum(item != NEW_AXIS for item in items) > len(shape):
        raise ShapeFault(f"shape {shape_text(shape)} has {len(shape)} axes, and here are more indices")
    made: list[Any] = []
    axis = 0
    for item in items:
        if item == NEW_AXIS:
            made.append(NEW_AXIS)
            continue
        size = shape[axis]
        made.append(_slice(item, size, axis, shape) if isinstance(item, Slice) else _index(item, size, axis, shape))
        axis += 1
    made.extend(Slice(0, size, 1) for size in shape[axis:])
    return tuple(made)


def _index(item: Size, size: Size, axis: int, shape: Shape) -> Size:
    found = plus(size, item) if isinstance(item, int) and item < 0 else item
    if isinstance(found, int) and isinstance(size, int) and not 0 <= found < size:
        raise ShapeFault(f"index {item} is outside of axis {axis} of shape {shape_text(shape)}")
    if _always_negative(minus(minus(size, found), 1)):
        sizes = " and ".join(dimensions(plus(size, found)) or dimensions(size)) or "size"
        where = f"axis {axis} of shape {shape_text(shape)} for every {sizes}"
        raise ShapeFault(f"index {size_text(item)} is outside of {where}; the last one is {size_text(minus(size, 1))}")
    return found


def _always_negative(size: Size) -> bool:
    """Whether `size` is below 0 whatever its dimensions are."""
    terms = plain_terms(size)
    return all(factor < 0 for factor, _ in terms) and any(not names for _, names in terms)


def _slice(item: Slice, size: Size, axis: int, shape: Shape) -> Slice:
    if item.step != 1 and not isinstance(size, int):
        raise ShapeFault(
            f"a slice with a step needs an axis of literal size, and axis {axis} of shape {shape_text(shape)} has "
            f"size {size_text(size)}; reshape the axis into (..., step) and take an index"
        )
    if isinstance(size, int) and all(bound is None or isinstance(bound, int) for bound in (item.start, item.stop)):
        start, stop, step = slice(item.start, item.stop, item.step).indices(size)  # clipped, as in Python
        length = len(range(start, stop, step))
        return Slice(start, start + length * step, step)
    return Slice(_bound(item.start, 0, size), _bound(item.stop, size, size), item.step)


def _bound(bound: Size | None, default: Size, size: Size) -> Size:
    if bound is None:
        return default
    return plus(size, bound) if isinstance(bound, int) and bound < 0 else bound


def slice_size(item: Slice) -> Size:
    """Number of elements of a normalised slice."""
    length = minus(item.stop or 0, item.start or 0)
    return length if item.step == 1 else len(range(0, size_value(length, {}), item.step))


def requirements(items: tuple[Any, ...], shape: Shape) -> list[tuple[Size, str]]:
    """What must not be negative for a normalised index to be inside the array, with the words of an error."""
    found: list[tuple[Size, str]] = []
    axis = 0
    for item in items:
        if item == NEW_AXIS:
            continue
        size = shape[axis]
        if isinstance(item, Slice):
            ends: list[tuple[Size, Size]] = [(item.start or 0, 0), (item.stop or 0, item.start or 0)]
            ends.append((size, item.stop or 0))
            text = f"the slice {size_text(item.start or 0)}:{size_text(item.stop or 0)}" if item.step == 1 else ""
            found += [(minus(a, b), f"{text} of an axis of size {size_text(size)}") for a, b in ends if text]
        else:
            inside = [(item, f"the index {size_text(item)}"), (minus(minus(size, item), 1), f"index {size_text(item)}")]
            found += [(need, f"{what} of an axis of size {size_text(size)}") for need, what in inside]
        axis += 1
    return [(need, text) for need, text in found if any(factor < 0 for factor, _ in plain_terms(need))]


def _index_lower(call: Call, shapes: Sequence[Shape]) -> Expr:
    return Call("index", call.args, call.span, (normal_items(call.options[0], shapes[0]),))


def _index_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    sizes: list[Size] = []
    for item in call.options[0]:
        if item == NEW_AXIS:
            sizes.append(1)
        elif isinstance(item, Slice):
            sizes.append(slice_size(item))
    return tuple(sizes)


def _item_text(item: Any, names: Names) -> str:
    if item == NEW_AXIS:
        return "None"
    if not isinstance(item, Slice):
        return size_text(item, names)
    step = item.step
    start = "" if item.start in (None, 0) and step > 0 else size_text(item.start or 0, names)
    stop = "" if item.stop is None else size_text(item.stop, names)
    if step < 0 and stop.startswith("-"):
        stop = ""  # down to the first element: -1 would count from the end
    return f"{start}:{stop}" + (f":{step}" if step != 1 else "")


def items_text(items: tuple[Any, ...], names: Names, shape: Shape | None = None) -> str:
    """What stands in the brackets, whole axes at the end left out; a slice that ends where the axis ends is open."""
    shown = [_item_text(item, names) for item in items]
    if shape is not None:
        axes = [k for k, item in enumerate(items) if item != NEW_AXIS]
        for axis, k in enumerate(axes):
            item = items[k]
            if isinstance(item, Slice) and item.step == 1 and item.stop == shape[axis]:
                shown[k] = _item_text(Slice(item.start, None, 1), names)
    while len(shown) > 1 and shown[-1] == ":":
        shown.pop()
    return ", ".join(shown)


def _index_words(call: Call, names: Names) -> Spelling:
    inside = items_text(call.options[0], names)
    return Spelling(f"{{0}}[{inside}]", ATOM, (ATOM,))


def python_items(items: tuple[Any, ...], values: Mapping[str, int]) -> tuple[Any, ...]:
    """A normalised index as NumPy takes it, for given dimensions."""
    made: list[Any] = []
    for item in items:
        if item == NEW_AXIS:
            made.append(None)
        elif isinstance(item, Slice):
            stop: int | None = size_value(item.stop or 0, values)
            stop = None if item.step < 0 and stop is not None and stop < 0 else stop
            made.append(slice(size_value(item.start or 0, values), stop, item.step))
        else:
            made.append(size_value(item, values))
    return tuple(made)


def _put_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    shape: Shape = call.options[1]
    return shape


def _put_words(name: str) -> Any:
    def spelling(call: Call, names: Names) -> Spelling:
        items, shape = call.options
        return words(name, shape_text(shape, names), f"np.s_[{items_text(items, names, shape)}]")

    return spelling


# -- concat and stack --------------------------------------------------------------------------------------------------


def _concat_lower(call: Call, shapes: Sequence[Shape]) -> Expr:
    rank = len(shapes[0])
    if rank == 0:
        raise array_fault("concat", shapes, "scalars have no axis to join along; write stack")
    return Call("concat", call.args, call.span, (normal_axis(call.options[0], rank, shapes[0]),))


def _concat_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    (axis,), first = call.options, shapes[0]
    total: Size = 0
    for shape in shapes:
        if len(shape) != len(first):
            raise array_fault("concat", (first, shape), "they have different numbers of axes")
        for k, (x, y) in enumerate(zip(first, shape, strict=True)):
            if k != axis and x != y:
                why = f"axis {k} has sizes {size_text(x)} and {size_text(y)}, and they are joined along axis {axis}"
                raise array_fault("concat", (first, shape), why)
        total = plus(total, shape[axis])
    return (*first[:axis], total, *first[axis + 1 :])


def _concat_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    (axis,), shapes = rule.options, rule.shapes
    start: Size = 0
    for shape in shapes[:k]:
        start = plus(start, shape[axis])
    items = [Slice(0, size, 1) for size in shapes[k]]
    items[axis] = Slice(start, plus(start, shapes[k][axis]), 1)
    return call("index", bar, options=(tuple(items),))


def _stack_lower(call: Call, shapes: Sequence[Shape]) -> Expr:
    rank = len(shapes[0]) + 1
    return Call("stack", call.args, call.span, (normal_axis(call.options[0], rank, shapes[0]),))


def _stack_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    (axis,), first = call.options, shapes[0]
    for shape in shapes:
        if shape != first:
            differ = [k for k, (x, y) in enumerate(zip(first, shape, strict=False)) if x != y]
            at = f"axis {differ[0]} differs" if differ else "they have different numbers of axes"
            raise array_fault("stack", (first, shape), f"all must have the same shape; {at}")
    return (*first[:axis], len(shapes), *first[axis:])


def _stack_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    (axis,) = rule.options
    items: list[Any] = [Slice(0, size, 1) for size in rule.shape]
    items[axis] = k
    return call("index", bar, options=(tuple(items),))


def _joined_words(name: str) -> Any:
    def spelling(call: Call, names: Names) -> Spelling:
        n, axis = len(call.args), call.options[0]
        inside = ", ".join(f"{{{k}}}" for k in range(n))
        wrapped = f"({inside}{',' * (n == 1)})" if name.startswith("np.") else inside
        return Spelling(f"{name}({wrapped}, {axis_text((axis,))})", ATOM, (LOOSE,) * n)

    return spelling


def _all_linear(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    """The same op over the tangents, zeros where an operand has none."""
    pairs = zip(dots, rule.shapes, strict=True)
    return rule.call.over([call("zeros", options=(shape,)) if dot is None else dot for dot, shape in pairs])


# -- reshape and arrays without operands -------------------------------------------------------------------------------


def _reshape_lower(call: Call, shapes: Sequence[Shape]) -> Expr:
    shape: Shape = call.options[0]
    elements = product(shapes[0])
    if shape == (-1,):
        shape = (elements,)
    elif -1 in shape:
        rest = product(size for size in shape if size != -1)
        whole = isinstance(rest, int) and isinstance(elements, int) and rest and elements % rest == 0
        if shape.count(-1) > 1 or not whole:
            raise ShapeFault(f"reshape of {shape_text(shapes[0])}: write the size that -1 stands for")
        assert isinstance(rest, int) and isinstance(elements, int)
        shape = tuple(elements // rest if size == -1 else size for size in shape)
    if product(shape) != elements:
        raise ShapeFault(
            f"reshape of shape {shape_text(shapes[0])} to {shape_text(shape)}: {size_text(elements)} elements against "
            f"{size_text(product(shape))} over all axes"
        )
    return Call("reshape", call.args, call.span, (shape,))


def _shape_option(call: Call, shapes: Sequence[Shape]) -> Shape:
    shape: Shape = call.options[0]
    return shape


def _eye_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    return (call.options[0], call.options[-1])


def _sizes(options: tuple[Any, ...], values: Mapping[str, int]) -> tuple[Any, ...]:
    return (shape_value(options[0], values),)


def _reshape_words(numpy: bool) -> Any:
    def spelling(call: Call, names: Names) -> Spelling:
        return words("np.reshape" if numpy else "reshape", shape_text(call.options[0], names))

    return spelling


def _filled_words(name: str) -> Any:
    return lambda call, names: Spelling(f"{name}({shape_text(call.options[0], names)})", ATOM, ())


def _eye_words(name: str) -> Any:
    return lambda call, names: Spelling(
        f"{name}({', '.join(size_text(size, names) for size in call.options)})", ATOM, ()
    )


OPS = (
    ArrayOp(
        name="index",
        gate="index",
        public=False,
        shape=_index_shape,
        lower=_index_lower,
        adjoint=lambda rule, k, bar: call("put", bar, options=(rule.options[0], rule.shapes[0])),
        tangent=_all_linear,
        numpy=lambda options, x: np.asarray(x)[options[0]],
        resolve=lambda options, values: (python_items(options[0], values),),
        text=_index_words,
        python=_index_words,
        edges="a slice with run-time bounds must lie inside the array",
        source=_LINEAR,
    ),
    ArrayOp(
        name="put",
        gate="zeros around",
        public=False,
        shape=_put_shape,
        adjoint=lambda rule, k, bar: call("index", bar, options=(rule.options[0],)),
        tangent=_all_linear,
        numpy=lambda options, x: array_helpers.put(x, options[1], options[0]),
        exact="put",
        resolve=lambda options, values: (python_items(options[0], values), shape_value(options[1], values)),
        text=_put_words("put"),
        python=_put_words("put"),
        source=_LINEAR,
    ),
    ArrayOp(
        name="concat",
        operands=-1,
        keywords=("axis",),
        gate="concatenation",
        shape=_concat_shape,
        lower=_concat_lower,
        adjoint=_concat_adjoint,
        tangent=_all_linear,
        numpy=lambda options, *arrays: np.concatenate(arrays, axis=options[0]),
        text=_joined_words("concat"),
        python=_joined_words("np.concatenate"),
        latex=r"\operatorname{concat}",
        source=_LINEAR,
    ),
    ArrayOp(
        name="stack",
        operands=-1,
        keywords=("axis",),
        gate="stack",
        shape=_stack_shape,
        lower=_stack_lower,
        adjoint=_stack_adjoint,
        tangent=_all_linear,
        numpy=lambda options, *arrays: np.stack(arrays, axis=options[0]),
        text=_joined_words("stack"),
        python=_joined_words("np.stack"),
        latex=r"\operatorname{stack}",
        source=_LINEAR,
    ),
    ArrayOp(
        name="reshape",
        gate="reshape",
        shape=_shape_option,
        lower=_reshape_lower,
        adjoint=lambda rule, k, bar: call("reshape", bar, options=(rule.shapes[0],)),
        tangent=_all_linear,
        numpy=lambda options, x: np.reshape(x, options[0]),
        resolve=_sizes,
        text=_reshape_words(numpy=False),
        python=_reshape_words(numpy=True),
        latex=r"\operatorname{reshape}",
        source=_LINEAR,
    ),
    ArrayOp(
        name="zeros",
        operands=0,
        gate="zeros",
        shape=_shape_option,
        numpy=lambda options: np.zeros(options[0]),
        resolve=_sizes,
        text=_filled_words("zeros"),
        python=_filled_words("np.zeros"),
        latex=r"\mathbf{0}",
        source="a constant",
    ),
    ArrayOp(
        name="ones",
        operands=0,
        gate="ones",
        shape=_shape_option,
        numpy=lambda options: np.ones(options[0]),
        resolve=_sizes,
        text=_filled_words("ones"),
        python=_filled_words("np.ones"),
        latex=r"\mathbf{1}",
        source="a constant",
    ),
    ArrayOp(
        name="eye",
        operands=0,
        gate="identity matrix",
        shape=_eye_shape,
        numpy=lambda options: np.eye(options[0], options[-1]),
        resolve=lambda options, values: shape_value(options, values),
        text=_eye_words("eye"),
        python=_eye_words("np.eye"),
        latex="I",
        source="a constant",
    ),
)
