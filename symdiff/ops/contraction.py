"""Products, sums, transposes, diagonals: one op, `contract`, and the many ways in which a formula writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symdiff.einstein import LETTERS, UNIT, Form, Spec, familiar, indices, stretched_product
from symdiff.expr import Call, Expr, call
from symdiff.ops.array_core import (
    ArrayOp,
    Names,
    Rule,
    array_fault,
    contraction,
    normal_axes,
    plain,
    reduction_words,
    summed,
    words,
)
from symdiff.ops.core import ATOM, LOOSE, MUL, Spelling
from symdiff.shapes import Shape, ShapeFault, Size, shape_text, size_text, size_value

_NO_AXIS = "a scalar has no axis to contract; write a*b, or declare the shapes of matrices, such as X: (n, 3)"
_LAUE = "Laue, Mitterreiter, Giesen, A Simple and Efficient Tensor Calculus, AAAI 2020, section 4"


# -- the contraction ---------------------------------------------------------------------------------------------------


def _shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    spec: Spec = call.options[0]
    return spec.shape(shapes)


def _adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    """The other operands and the adjoint, in the place of operand k, contracted to the indices of operand k."""
    spec: Spec = rule.options[0]
    sizes = spec.index_sizes(rule.shapes)
    parts = [spec.output if j == k else part for j, part in enumerate(spec.operands)]
    args = [bar if j == k else arg for j, arg in enumerate(rule.args)]
    wanted = spec.operands[k]
    missing = dict.fromkeys(i for i in wanted if i != UNIT and all(i not in part for part in parts))
    return contraction(Spec(tuple(parts), wanted, tuple((i, sizes[i]) for i in missing)), args)


def _tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    """Linear in every operand."""
    spec: Spec = rule.options[0]
    total: Expr | None = None
    for k, dot in enumerate(dots):
        if dot is not None:
            term = contraction(spec, [dot if j == k else arg for j, arg in enumerate(rule.args)])
            total = term if total is None else call("add", total, term)
    assert total is not None
    return total


def contract_numpy(options: tuple[Any, ...], *arrays: Any) -> Any:
    """The value by numpy.einsum; unit axes are taken out before and put in after."""
    spec: Spec = options[0]
    operands: list[Any] = []
    table = {index: k for k, index in enumerate(LETTERS)}
    sizes: dict[str, int] = dict(options[1]) if len(options) > 1 else {}
    for part, array in zip(spec.operands, arrays, strict=True):
        units = tuple(axis for axis, index in enumerate(part) if index == UNIT)
        operands += [np.squeeze(np.asarray(array), units), [table[i] for i in part if i != UNIT]]
        sizes |= {i: n for i, n in zip(part, np.shape(array), strict=True) if i != UNIT}
    kept = [i for i in dict.fromkeys(spec.output) if i != UNIT]
    inside = [i for i in kept if any(i in part for part in spec.operands)]
    if any(array.size == 0 for array in operands[::2]):  # einsum multiplies by what lies behind a repeated one: NaN
        value = np.zeros([sizes[i] for i in inside], np.result_type(*operands[::2]))
    else:
        value = np.einsum(*operands, [table[i] for i in inside])
    shape = [1 if i == UNIT else sizes[i] for i in spec.output]
    if inside == [i for i in spec.output if i != UNIT]:
        return np.reshape(value, shape)
    return _embedded(value, inside, spec.output, shape)


def _embedded(value: Any, inside: list[str], output: str, shape: list[int]) -> Any:
    """`value` over the indices `inside` repeated over new indices, and on the diagonal of repeated ones."""
    made = np.zeros(shape, dtype=np.asarray(value).dtype)
    grids = np.indices(shape, sparse=True)
    keep: Any = True
    first: dict[str, Any] = {}
    for grid, index in zip(grids, output, strict=True):
        if index in first:
            keep = keep & (first[index] == grid)
        elif index != UNIT:
            first[index] = grid
    source = np.asarray(value)[tuple(first[i] for i in inside)] if inside else np.asarray(value)
    return np.where(keep, source, made) if made.dtype != object else _object_where(keep, source, made)


def _object_where(keep: Any, source: Any, zeros: Any) -> Any:
    source, keep = np.broadcast_to(source, zeros.shape), np.broadcast_to(keep, zeros.shape)
    zeros[keep] = source[keep]
    return zeros


def _familiar_words(call: Call, names: Names) -> Spelling:
    """Spelling by the familiar name, in the formula language."""
    spec: Spec = call.options[0]
    form = familiar(spec)
    form = stretched_product(spec) or form if form.kind == "einsum" else form
    made: Spelling = _WRITERS.get(form.kind, _einsum)(spec, form, names)
    return made


def _numpy_words(call: Call, names: Names) -> Spelling:
    """The same functions are NumPy's; what depends on the shapes of operands is in `render/numpy_spelling.py`."""
    made = _familiar_words(call, names)
    return made if made.text.startswith("{") else replace(made, text=f"np.{made.text}")


def _product(spec: Spec, form: Form, names: Names) -> Spelling:
    places = [f"{{{k}}}" for k in form.order]
    ranks = [len(spec.operands[k]) for k in form.order]
    if ranks == [1, 1]:
        return Spelling(f"dot({places[0]}, {places[1]})", ATOM, (LOOSE, LOOSE))
    for k, transposed in enumerate(form.transposed):
        if transposed:
            places[k] += ".T" if ranks[k] == 2 else ".mT"
    needs = [ATOM if transposed else MUL + (k == 1) for k, transposed in enumerate(form.transposed)]
    strengths = tuple(needs[form.order.index(k)] for k in range(2))
    return Spelling(f"{places[0]} @ {places[1]}", MUL, strengths)


def _outer(spec: Spec, form: Form, names: Names) -> Spelling:
    first, second = form.order
    return Spelling(f"outer({{{first}}}, {{{second}}})", ATOM, (LOOSE, LOOSE))


def _hadamard(spec: Spec, form: Form, names: Names) -> Spelling:
    return Spelling("sum({0}*{1})", ATOM, (MUL, MUL + 1))


def _sum(spec: Spec, form: Form, names: Names) -> Spelling:
    whole = len(form.axes) == len(spec.operands[0]) and not form.keepdims
    axes = "" if whole else f"axis={form.axes[0]}" if len(form.axes) == 1 else f"axis={form.axes}"
    return words("sum", axes, "keepdims=True" if form.keepdims else "")


def _transpose(spec: Spec, form: Form, names: Names) -> Spelling:
    rank = len(form.axes)
    if form.axes == tuple(reversed(range(rank))):
        return Spelling("{0}.T", ATOM, (ATOM,))
    if form.axes == (*range(rank - 2), rank - 1, rank - 2):
        return Spelling("{0}.mT", ATOM, (ATOM,))
    return Spelling(f"transpose({{0}}, {form.axes})", ATOM, (LOOSE,))


def _broadcast(spec: Spec, form: Form, names: Names) -> Spelling:
    """`broadcast(x[:, None], (n, 3))`; new axes of size 1 alone need no broadcast."""
    sizes = dict(spec.sizes) | {UNIT: 1}
    lead = len(spec.output) - len(spec.operands[0])
    trailing = form.axes == tuple(range(lead, len(spec.output)))
    brackets = ", ".join(":" if axis in form.axes else "None" for axis in range(len(spec.output)))
    inner = "{0}" if trailing else f"{{0}}[{brackets}]"
    if not spec.sizes:  # every index is the operand's, so what is new are axes of size 1
        return Spelling(f"{{0}}[{brackets}]", ATOM, (ATOM,))
    shape = [size_text(sizes[index], names) if index in sizes else _size_of(spec, index) for index in spec.output]
    inside = ", ".join(shape) + "," * (len(shape) == 1)
    return Spelling(f"broadcast({inner}, ({inside}))", ATOM, (LOOSE if trailing else ATOM,))


def _size_of(spec: Spec, index: str) -> str:
    """Size of an index that the operand has, read off the operand."""
    return f"{{0}}.shape[{spec.operands[0].index(index)}]"


def _plain(name: str) -> Any:
    return lambda spec, form, names: words(name)


_WRITERS: dict[str, Any] = {
    "identity": lambda spec, form, names: Spelling("{0}", ATOM, (ATOM,)),
    "product": _product,
    "outer": _outer,
    "hadamard": _hadamard,
    "sum": _sum,
    "transpose": _transpose,
    "broadcast": _broadcast,
    "trace": _plain("trace"),
    "diagonal": _plain("diag"),
    "diag": _plain("diag"),
}


def _einsum(spec: Spec, form: Form, names: Names) -> Spelling:
    """What has no name."""
    inside = ", ".join(f"{{{k}}}" for k in range(len(spec.operands)))
    return Spelling(f'einsum("{spec.text}", {inside})', ATOM, (LOOSE,) * len(spec.operands))


# -- ways to write it --------------------------------------------------------------------------------------------------


def matmul_spec(a: Shape, b: Shape) -> Spec:
    """`a @ b` in all the ranks of NumPy. Raises ShapeFault."""
    if not a or not b:
        raise array_fault("a @ b", (a, b), _NO_AXIS)
    inner, other = a[-1], b[-2] if len(b) > 1 else b[0]
    if inner != other:
        axis = len(b) - 2 if len(b) > 1 else 0
        raise array_fault(
            "a @ b",
            (a, b),
            f"axis {len(a) - 1} of the left one has size {size_text(inner)} and axis {axis} of the right one has size "
            f"{size_text(other)}{_transposed_fits(a, b)}",
        )
    lead_a, lead_b = a[:-2], b[:-2]
    rank = max(len(lead_a), len(lead_b))
    letters = iter(LETTERS)
    batch = [next(letters) for _ in range(rank)]
    row, sum_, column = (next(letters) if size != 1 else UNIT for size in (a[-2] if len(a) > 1 else 0, inner, b[-1]))
    left = _lead(lead_a, batch) + (row if len(a) > 1 else "") + sum_
    right = _lead(lead_b, batch) + sum_ + (column if len(b) > 1 else "")
    out = []
    for axis in range(rank):
        x = lead_a[axis - rank + len(lead_a)] if axis >= rank - len(lead_a) else 1
        y = lead_b[axis - rank + len(lead_b)] if axis >= rank - len(lead_b) else 1
        if x != y and x != 1 and y != 1:
            why = f"batch axis {axis} has size {size_text(x)} on the left and {size_text(y)} on the right"
            raise array_fault("a @ b", (a, b), why)
        out.append(UNIT if x == 1 and y == 1 else batch[axis])
    output = "".join(out) + (row if len(a) > 1 else "") + (column if len(b) > 1 else "")
    return Spec((left, right), output)


def _lead(sizes: Shape, batch: list[str]) -> str:
    own = batch[len(batch) - len(sizes) :]
    return "".join(UNIT if size == 1 else index for size, index in zip(sizes, own, strict=True))


def _transposed_fits(a: Shape, b: Shape) -> str:
    if len(a) == 2 and a[0] == (b[-2] if len(b) > 1 else b[0]):
        return "; the transpose .T of the left one fits"
    return "; the transpose .T of the right one fits" if len(b) == 2 and a[-1] == b[1] else ""


def _lower_matmul(call: Call, shapes: Sequence[Shape]) -> Expr:
    return contraction(matmul_spec(*shapes), call.args)


def _lower_dot(call: Call, shapes: Sequence[Shape]) -> Expr:
    a, b = shapes
    if not a or not b:
        return Call("mul", call.args, call.span)
    if len(a) > 2 or len(b) > 2:
        raise array_fault("dot(a, b)", shapes, "it takes vectors and matrices; write a @ b")
    return contraction(matmul_spec(a, b), call.args)


def _lower_outer(call: Call, shapes: Sequence[Shape]) -> Expr:
    if any(len(shape) != 1 for shape in shapes):
        raise array_fault("outer(a, b)", shapes, "both must be vectors")
    left, right = indices(shapes[0], "i"), indices(shapes[1], "j")
    return contraction(Spec((left, right), left + right), call.args)


def _lower_transpose(call: Call, shapes: Sequence[Shape]) -> Expr:
    given = indices(shapes[0], LETTERS)
    return contraction(Spec((given,), given[::-1]), call.args) if len(given) > 1 else call.args[0]


def _lower_matrix_transpose(call: Call, shapes: Sequence[Shape]) -> Expr:
    if len(shapes[0]) < 2:
        raise array_fault(".mT", shapes, "it swaps the last two axes, and there are fewer")
    given = indices(shapes[0], LETTERS)
    return contraction(Spec((given,), given[:-2] + given[-1] + given[-2]), call.args)


def _lower_sum(call: Call, shapes: Sequence[Shape]) -> Expr:
    axis, keepdims = call.options
    return summed(call.args[0], shapes[0], normal_axes(axis, shapes[0]), keepdims)


def square_size(what: str, shape: Shape) -> Size:
    """The size of a square matrix. Raises ShapeFault."""
    if len(shape) != 2:
        raise ShapeFault(f"{what} takes a square matrix, and this has shape {shape_text(shape)}{_no_stack(shape)}")
    if shape[0] != shape[1]:
        rows, columns = map(size_text, shape)
        raise ShapeFault(
            f"{what} takes a square matrix, and this has shape {shape_text(shape)}: axis 0 has size {rows}, "
            f"axis 1 has size {columns}"
        )
    return shape[0]


def _no_stack(shape: Shape) -> str:
    return "; stacks of matrices are not supported, A[0] is one matrix of a stack A" if len(shape) > 2 else ""


def _lower_trace(call: Call, shapes: Sequence[Shape]) -> Expr:
    part = "ii" if square_size("trace", shapes[0]) != 1 else UNIT * 2
    return contraction(Spec((part,), ""), call.args)


def _lower_diag(call: Call, shapes: Sequence[Shape]) -> Expr:
    """Both ways, as in NumPy: the diagonal of a matrix, the matrix of a diagonal."""
    shape = shapes[0]
    if len(shape) == 1:
        return contraction(Spec(("i",), "ii") if shape[0] != 1 else Spec((UNIT,), UNIT * 2), call.args)
    if len(shape) != 2:
        found = f"this has shape {shape_text(shape)}{_no_stack(shape)}"
        raise ShapeFault(f"diag takes a vector or a square matrix, and {found}")
    size = square_size("diag", shape)
    return contraction(Spec(("ii",), "i") if size != 1 else Spec((UNIT * 2,), UNIT), call.args)


def _lowered_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    raise AssertionError(f"{call.op} is lowered before shapes are asked for")


def _infix(text: str, strength: int, places: tuple[int, ...]) -> Any:
    return lambda call, names: Spelling(text, strength, places)


def _sugar(name: str, lower: Any, text: Any, **rest: Any) -> ArrayOp:
    return ArrayOp(name=name, shape=_lowered_shape, lower=lower, text=text, **rest)


OPS = (
    ArrayOp(
        name="contract",
        operands=-1,
        public=False,
        gate="contraction",
        shape=_shape,
        adjoint=_adjoint,
        tangent=_tangent,
        numpy=contract_numpy,
        resolve=lambda options, values: (
            options[0],
            tuple((index, size_value(size, values)) for index, size in options[0].sizes),
        ),
        text=_familiar_words,
        python=_numpy_words,
        source=_LAUE,
    ),
    _sugar("matmul", _lower_matmul, _infix("{0} @ {1}", MUL, (MUL, MUL + 1)), operands=2, public=False),
    _sugar("transpose", _lower_transpose, _infix("{0}.T", ATOM, (ATOM,)), public=False),
    _sugar("matrix_transpose", _lower_matrix_transpose, _infix("{0}.mT", ATOM, (ATOM,)), public=False),
    _sugar("dot", _lower_dot, plain("dot", 2), operands=2),
    _sugar("outer", _lower_outer, plain("outer", 2), operands=2),
    _sugar("sum", _lower_sum, reduction_words("sum"), keywords=("axis", "keepdims")),
    _sugar("trace", _lower_trace, plain("trace")),
    _sugar("diag", _lower_diag, plain("diag")),
)
