"""Expressions over arrays as a person writes them in NumPy: products with `dot`, sums with `reduce_sum`, sizes by name.

The spellings of the op tables know a call alone; these also know the shapes of its operands. Of several ways to say the
same the fastest is chosen: for 3 x 3 matrices `A.dot(B)` takes 0.3 us, `np.dot(A, B)` 0.5 and `A @ B` 0.9, and
`np.add.reduce(A, axis=0)` 0.9, `A.sum(axis=0)` 1.1 and `np.sum(A, axis=0)` 2; for large ones they are the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from symdiff.einstein import UNIT, Form, Spec, familiar, stretched_product
from symdiff.expr import Call, Expr, Name, Number, bottom_up
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.core import ATOM, LOOSE, MUL, Spelling
from symdiff.ops.evaluate import fold
from symdiff.ops.infer import shape_of
from symdiff.render.printer import Printer
from symdiff.shapes import NEW_AXIS, Shape, Size, Slice, minus, shape_text, size_text
from symdiff.shapes import product as elements

_AT = MUL - 1  # a product beside `*` and `/` is put in brackets, for the reader
_WHOLE = frozenset({"add", "sub", "mul", "neg"})  # of whole numbers: whole numbers
_MIXES = frozenset({"add", "sub", "mul", "div"}) | COMPARE_OPS  # of a whole number and a float: floats


@dataclass(frozen=True)
class NumpyPrinter(Printer):
    """Prints NumPy code.

    shapes  of every name
    dims    names of the run-time sizes, which are whole numbers in the code
    single  whether new arrays are float32
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    dims: frozenset[str] = frozenset()
    single: bool = False

    def __call__(self, expr: Expr) -> str:
        """`expr` as code; sizes in it count as float64."""
        return super().__call__(self._with_float_sizes(expr))

    def spelling(self, call: Call) -> Spelling:
        """The table's spelling, or one that needs the shapes."""
        writer = _WRITERS.get(call.op)
        return (writer(self, call) if writer else None) or super().spelling(call)

    def shape_of(self, expr: Expr) -> Shape:
        """Shape of an expression over known names."""
        return shape_of(expr, self.shapes)

    def size(self, size: Size) -> str:
        """`2*n + 1`."""
        return size_text(size, self.names)

    def shape(self, shape: Shape) -> str:
        """`n` for (n,), as people write it where a shape is an argument; else `(n, 3)`."""
        return self.size(shape[0]) if len(shape) == 1 else shape_text(shape, self.names)

    def items(self, items: tuple[Any, ...], shape: Shape) -> str:
        """What stands in brackets for a normalised index: `1:-1, 0`; whole axes at the end are left out."""
        sizes, shown = iter(shape), []
        for item in items:
            size = None if item == NEW_AXIS else next(sizes)
            shown.append("None" if size is None else self._item(item, size))
        while len(shown) > 1 and shown[-1] == ":":
            shown.pop()
        return ", ".join(shown)

    def _item(self, item: Size | Slice, size: Size) -> str:
        if not isinstance(item, Slice):
            return self._place(item, size)
        start, stop, step = item.start or 0, item.stop or 0, item.step
        assert isinstance(start, int) or step > 0
        first, behind = (0, size) if step > 0 else (minus(size, 1), -1)
        ends = stop == behind or (isinstance(stop, int) and isinstance(size, int) and not -1 < stop < size)
        text = f"{'' if start == first else self._place(start, size)}:{'' if ends else self._place(stop, size)}"
        return text if step == 1 else f"{text}:{step}"

    def _place(self, place: Size, size: Size) -> str:
        """`-1` for n - 1 on an axis of size n."""
        left = minus(size, place)
        from_end = not isinstance(place, int) and isinstance(left, int) and left > 0
        return str(-left) if from_end and isinstance(left, int) else self.size(place)

    def new(self, name: str, *arguments: str) -> str:
        """`np.zeros(n)`, with the type where it is not float64."""
        return f"np.{name}({', '.join([*arguments, *(['dtype=np.float32'] if self.single else [])])})"

    def _with_float_sizes(self, expr: Expr) -> Expr:
        """Sizes that meet no float are made one: `1/np.float64(n)`, because Python's 1/0 raises, as does 0**-1."""
        if not self.dims:
            return expr

        def leaf(part: Name | Number) -> tuple[Expr, str]:
            return part, ("number" if isinstance(part, Number) else "size" if part.id in self.dims else "float")

        def node(call: Call, args: list[tuple[Expr, str]]) -> tuple[Expr, str]:
            kinds = {kind for _, kind in args}
            if call.op in _WHOLE and "float" not in kinds and "size" in kinds:
                return call.over(arg for arg, _ in args), "size"
            bare = call.op in _MIXES and "float" in kinds
            return call.over(arg if bare or kind != "size" else self._float(arg) for arg, kind in args), "float"

        made, kind = bottom_up(expr, leaf, node)
        return self._float(made) if kind == "size" else made

    def _float(self, expr: Expr) -> Name:
        return Name(f"{self.float_type}({Printer.__call__(self, expr)})")

    def guarded_quotient(self, quotient: Expr, sizes: Expr) -> str:
        """`1/n if n else np.inf`, for a number above zero over sizes."""
        return f"{Printer.__call__(self, quotient)} if {Printer.__call__(self, sizes)} else np.inf"

    @property
    def float_type(self) -> str:
        """NumPy's type of a number."""
        return "np.float32" if self.single else "np.float64"


# -- contractions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Core:
    """A spelling, and what is known of the value: a new array in C order or in another one, or a view of an operand."""

    spelling: Spelling
    ordered: bool = True
    view: bool = False


def _contract(printer: NumpyPrinter, call: Call) -> Spelling:
    return contraction(printer, call).spelling


def contraction(printer: NumpyPrinter, call: Call) -> Core:
    """A contraction by its name in NumPy."""
    spec: Spec = call.options[0]
    if familiar(spec).kind == "broadcast":
        return Core(_broadcast(printer, call, spec, familiar(spec)), view=bool(spec.operands[0]))
    if familiar(spec).kind == "einsum" and _moves_units(spec):
        shape = printer.shape(spec.shape([printer.shape_of(arg) for arg in call.args]))
        return Core(Spelling(f"np.reshape({{0}}, {shape})", ATOM, (LOOSE,)), view=True)
    return _plain(printer, call, spec) or _without_units(printer, call, spec)


def _plain(printer: NumpyPrinter, call: Call, spec: Spec) -> Core | None:
    """A contraction with a name; np.tensordot and products element by element count."""
    form = familiar(spec)
    form = stretched_product(spec) or form if form.kind == "einsum" else form
    if form.kind == "product":
        return Core(_product(call, spec, form))
    if form.kind == "sum":
        axes = _axes(form.axes, len(spec.operands[0]))
        return Core(Spelling(_total("{0}", axes, form.keepdims), ATOM, (LOOSE,)))
    if form.kind == "hadamard" and not printer.single:
        return Core(Spelling("np.vdot({0}, {1})", ATOM, (LOOSE, LOOSE)))
    if form.kind != "einsum":
        turns = form.kind in ("transpose", "diagonal")
        known = Printer.spelling(printer, Call("contract", call.args, None, (spec,)))
        return Core(known, not turns, turns or form.kind == "identity")
    made = _tensordot(spec) or _elementwise(printer, spec) or _summed_factor(spec)
    return Core(made) if made else None


def _product(call: Call, spec: Spec, form: Form) -> Spelling:
    places, needs = [f"{{{k}}}" for k in form.order], [_AT, MUL + 1]
    ranks = [len(spec.operands[k]) for k in form.order]
    for k, turned in enumerate(form.transposed):
        if turned:
            places[k] += ".T" if ranks[k] == 2 else ".mT"
            needs[k] = ATOM
    if max(ranks) <= 2:
        needs = [ATOM, LOOSE if not form.transposed[1] else ATOM]
        text = f"{places[0]}.dot({places[1]})"
        return Spelling(text, ATOM, tuple(needs[form.order.index(k)] for k in range(2)))
    first = call.args[form.order[0]]
    if isinstance(first, Call) and first.op in ("mul", "div"):
        needs[0] = max(needs[0], MUL + 1)
    return Spelling(f"{places[0]} @ {places[1]}", _AT, tuple(needs[form.order.index(k)] for k in range(2)))


def _axes(axes: tuple[int, ...], rank: int) -> str:
    """`axis=0`; empty for the one axis of a vector."""
    return "" if rank == 1 else f"axis={None if len(axes) == rank else axes[0] if len(axes) == 1 else axes}"


def _total(what: str, axes: str, keepdims: bool = False) -> str:
    """`reduce_sum(x, axis=0)`"""
    return f"reduce_sum({', '.join([what, *([axes] if axes else []), *(['keepdims=True'] if keepdims else [])])})"


def _broadcast(printer: NumpyPrinter, call: Call, spec: Spec, form: Form) -> Spelling:
    """`np.full((n, 3), x)`, `x[:, None]`, `np.broadcast_to(x, (n, 3))`."""
    shape = spec.shape([printer.shape_of(call.args[0])])
    if not spec.operands[0]:
        if isinstance(call.args[0], Number) and call.args[0].value == 1.0:
            return Spelling(printer.new("ones", printer.shape(shape)), ATOM, (LOOSE,))
        return Spelling(printer.new("full", printer.shape(shape), "{0}"), ATOM, (LOOSE,))
    inner, place = _expanded(spec, form)
    if not spec.sizes:
        return Spelling(inner, ATOM, (place,))
    return Spelling(f"np.broadcast_to({inner}, {shape_text(shape, printer.names)})", ATOM, (place,))


def _expanded(spec: Spec, form: Form) -> tuple[str, int]:
    """`{0}[:, None]`, which broadcasts to the result, and the strength that it asks for."""
    rank = len(spec.output)
    if spec.sizes and form.axes == tuple(range(rank - len(form.axes), rank)):
        return "{0}", LOOSE
    return f"{{0}}[{', '.join(':' if axis in form.axes else 'None' for axis in range(rank))}]", ATOM


def _tensordot(spec: Spec) -> Spelling | None:
    """Several common indices, all of them summed over, and the others in order."""
    if len(spec.operands) != 2 or spec.sizes or UNIT in "".join(spec.operands) or not spec.summed:
        return None
    for order in ((0, 1), (1, 0)):
        first, second = (spec.operands[k] for k in order)
        common = "".join(index for index in first if index in second)
        rest = "".join(index for index in first + second if index not in common)
        once = len(set(first)) == len(first) and len(set(second)) == len(second)
        if once and rest == spec.output and sorted(common) == sorted(spec.summed):
            axes = tuple(tuple(part.index(index) for index in common) for part in (first, second))
            return Spelling(f"np.tensordot({{{order[0]}}}, {{{order[1]}}}, axes={axes})", ATOM, (LOOSE, LOOSE))
    return None


def _elementwise(printer: NumpyPrinter, spec: Spec) -> Spelling | None:
    """`a*b[:, None]`, `reduce_sum(a*b, axis=0)`: one factor has every index, the other some of them in the same order.

    Where both have, the sum over the last axis is `np.vecdot(a, b)`; not in float32, where it rounds more than a sum.
    """
    if len(spec.operands) != 2 or spec.sizes or UNIT in "".join(spec.operands):
        return None
    whole = max(spec.operands, key=len)
    kept = "".join(index for index in whole if index in spec.output)
    if len(set(whole)) < len(whole) or spec.output != kept:
        return None
    places, needs = [], []
    for k, part in enumerate(spec.operands):
        if "".join(index for index in whole if index in part) != part:
            return None
        leading = whole.endswith(part)  # NumPy puts new axes there by itself
        places.append(f"{{{k}}}" if leading else f"{{{k}}}[{', '.join(':' if i in part else 'None' for i in whole)}]")
        needs.append(MUL + (k == 1) if leading else ATOM)
    text = f"{places[0]}*{places[1]}"
    gone = tuple(axis for axis, index in enumerate(whole) if index not in spec.output)
    if not gone:
        return Spelling(text, MUL, tuple(needs))
    if gone == (len(whole) - 1,) and spec.operands == (whole, whole) and not printer.single:
        return Spelling("np.vecdot({0}, {1})", ATOM, (LOOSE, LOOSE))
    return Spelling(_total(text, _axes(gone, len(whole))), ATOM, tuple(needs))


def _summed_factor(spec: Spec) -> Spelling | None:
    """`reduce_sum(a, axis=None)*b`: the sum over an outer product."""
    if len(spec.operands) != 2 or spec.sizes or set(spec.operands[0]) & set(spec.operands[1]):
        return None
    if spec.output not in ("", *spec.operands):
        return None
    places, needs = [], []
    for k, part in enumerate(spec.operands):
        whole = not set(part) & set(spec.output)
        if len(set(part)) < len(part) or not (whole or part == spec.output):
            return None
        every = _axes(tuple(range(len(part))), len(part))
        places.append(_total(f"{{{k}}}", every) if whole else f"{{{k}}}")
        needs.append(LOOSE if whole else MUL + (k == 1))
    return Spelling("*".join(places), MUL, tuple(needs))


def _moves_units(spec: Spec) -> bool:
    """Whether axes of size 1 come or go, and nothing else happens."""
    if len(spec.operands) != 1 or spec.sizes:
        return False
    letters = spec.operands[0].replace(UNIT, "")
    return letters == spec.output.replace(UNIT, "") and len(set(letters)) == len(letters) and spec.output != ""


def _without_units(printer: NumpyPrinter, call: Call, spec: Spec) -> Core:
    """The contraction of the axes that have an index; axes of size 1, new axes and diagonals are put in afterwards."""
    inside = "".join(dict.fromkeys(i for i in spec.output if any(i in part for part in spec.operands) and i != UNIT))
    places = [_first_of_units(k, part) for k, part in enumerate(spec.operands)]
    scalars = [place for place, part in zip(places, spec.operands, strict=True) if not part.replace(UNIT, "")]
    arrays = [k for k, part in enumerate(spec.operands) if part.replace(UNIT, "")]
    reduced = Spec(tuple(spec.operands[k].replace(UNIT, "") for k in arrays), inside)
    core = _plain(printer, call.over(call.args[k] for k in arrays), reduced) if arrays else None
    if core is not None:
        text, strength = core.spelling.text.format(*(places[k] for k in arrays)), core.spelling.strength
    elif arrays:
        text, strength = f'np.einsum("{reduced.text}", {", ".join(places[k] for k in arrays)})', ATOM
    else:
        text, strength = scalars.pop(0), ATOM
    for scalar in scalars:
        text, strength = f"{scalar}*{text if strength > MUL else f'({text})'}", MUL
    needs = tuple(ATOM for _ in places)
    if inside == spec.output:
        view = core.view if core is not None else len(arrays) == len(places) == 1 and not reduced.summed  # a diagonal
        return Core(Spelling(text, strength, needs), core is not None and core.ordered, view)
    text = text if strength == ATOM else f"({text})"
    return Core(Spelling(_outside(printer, call, spec, inside, text), ATOM, needs), False, True)


def _first_of_units(k: int, part: str) -> str:
    """Operand k without its axes of size 1."""
    brackets = ["0" if index == UNIT else ":" for index in part]
    while brackets and brackets[-1] == ":":
        brackets.pop()
    return f"{{{k}}}[{', '.join(brackets)}]" if brackets else f"{{{k}}}"


def _outside(printer: NumpyPrinter, call: Call, spec: Spec, inside: str, text: str) -> str:
    """`text`, over the indices `inside`, with the axes that the output has beside them."""
    sizes = spec.index_sizes([printer.shape_of(arg) for arg in call.args])
    shape = tuple(sizes[index] for index in spec.output)
    if not inside and not _diagonal(printer, spec.output, sizes):
        return printer.new("full", printer.shape(shape), text)
    first = {index: spec.output.index(index) for index in inside}
    brackets = [":" if first.get(index) == axis else "None" for axis, index in enumerate(spec.output)]
    text = f"{text}[{', '.join(brackets)}]" if "None" in brackets and inside else text
    mask = _diagonal(printer, spec.output, sizes)
    text = f"np.where({mask}, {text}, 0.0)" if mask else text
    return f"np.broadcast_to({text}, {shape_text(shape, printer.names)})" if spec.sizes else text


def _diagonal(printer: NumpyPrinter, output: str, sizes: Mapping[str, Size]) -> str:
    """Where all axes with the same index agree; empty if no index is repeated."""
    parts = []
    for axis, index in enumerate(output):
        first = output.index(index)
        if index != UNIT and first != axis:
            brackets = ", ".join(":" if k in (first, axis) else "None" for k in range(len(output)))
            parts.append(f"(np.eye({printer.size(sizes[index])}) > 0)[{brackets}]")
    return " & ".join(parts)


def bracketed(text: str) -> str:
    """`text` as something that `.copy()` or `[0]` may follow: in brackets unless it is a name, a call or an index."""
    depth = 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if depth == 0 and not (sign.isalnum() or sign in "_.)]"):
            return f"({text})"
    return text


def stretchable(printer: NumpyPrinter, expr: Expr) -> Expr:
    """What broadcasts to `expr`, where arithmetic on it is done once for every different element: `x[:, None]` for
    `np.broadcast_to(x[:, None], (n, 3))`. For places where the whole shape is there already, as in `y += ...`.
    """
    if isinstance(expr, Call) and expr.op in TABLE:
        return fold(expr.over(stretchable(printer, arg) for arg in expr.args))
    if isinstance(expr, Call) and expr.op == "contract" and familiar(expr.options[0]).kind == "broadcast":
        spec = expr.options[0]
        if not spec.operands[0]:
            return expr.args[0]
        text, place = _expanded(spec, familiar(spec))
        inner = printer(expr.args[0])
        return Name(text.format(inner if place == LOOSE else bracketed(inner))) if spec.sizes else expr
    return expr


# -- other ops ---------------------------------------------------------------------------------------------------------


def _mean(printer: NumpyPrinter, call: Call) -> Spelling | None:
    """A sum divided by the number, where that may be 0: np.mean warns of it."""
    axes, keepdims = call.options
    shape = printer.shape_of(call.args[0])
    count = elements(size for axis, size in enumerate(shape) if axes is None or axis in axes)
    if isinstance(count, int) and count:
        return None
    total = _total("{0}", _axes(tuple(range(len(shape))) if axes is None else axes, len(shape)), keepdims)
    number = printer.size(count)
    number = f"({number})" if any(sign in number for sign in "*+- ") else number
    return Spelling(f"{total}/{number}", MUL, (LOOSE,))


def _sumsq(printer: NumpyPrinter, call: Call) -> Spelling | None:
    """`np.vdot(x, x)` without an array of squares; not in float32, as for other sums of products."""
    axes, keepdims = call.options
    if axes is not None or keepdims or printer.single or not isinstance(call.args[0], Name):
        return None
    return Spelling("np.vdot({0}, {0})", ATOM, (LOOSE,))


def _norm(printer: NumpyPrinter, call: Call) -> Spelling | None:
    squares = _sumsq(printer, call)
    return Spelling(f"np.sqrt({squares.text})", ATOM, squares.places) if squares else None


def _index(printer: NumpyPrinter, call: Call) -> Spelling:
    inside = printer.items(call.options[0], printer.shape_of(call.args[0]))
    return Spelling(f"{{0}}[{inside}]", ATOM, (ATOM,))


def _put(printer: NumpyPrinter, call: Call) -> Spelling:
    items, shape = call.options
    inside = printer.items(items, shape)
    return Spelling(f"put({{0}}, {shape_text(shape, printer.names)}, np.s_[{inside}])", ATOM, (LOOSE,))


def _reshape(printer: NumpyPrinter, call: Call) -> Spelling:
    number = "" if call.options[0] else "[()]"  # a copy, and not an array without axes that shows the operand's memory
    return Spelling(f"np.reshape({{0}}, {printer.shape(call.options[0])}){number}", ATOM, (LOOSE,))


def _filled(name: str) -> Callable[[NumpyPrinter, Call], Spelling]:
    return lambda printer, call: Spelling(printer.new(name, printer.shape(call.options[0])), ATOM, ())


def _eye(printer: NumpyPrinter, call: Call) -> Spelling:
    sizes = dict.fromkeys(call.options) if len(set(call.options)) == 1 else call.options
    return Spelling(printer.new("eye", *map(printer.size, sizes)), ATOM, ())


_WRITERS: dict[str, Callable[[NumpyPrinter, Call], Spelling | None]] = {
    "contract": _contract,
    "mean": _mean,
    "norm": _norm,
    "sumsq": _sumsq,
    "index": _index,
    "put": _put,
    "reshape": _reshape,
    "zeros": _filled("zeros"),
    "ones": _filled("ones"),
    "eye": _eye,
}


__all__ = ["NumpyPrinter", "bracketed", "contraction", "stretchable"]
