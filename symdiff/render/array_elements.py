"""Small arrays written out: every element of every step as a formula of elements.

    [[v1], [v2]] = [[w11 x1 + w21 x2], [w12 x1 + w22 x2]]

For shapes of whole numbers alone and of few elements. Steps that no short formula says (an inverse, an abstract
function) have no elements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.einstein import UNIT, Spec
from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Name, Number, bottom_up, call
from symdiff.ops import ARRAYS, TABLE
from symdiff.render.array_people import nicer
from symdiff.shapes import Shape, product
from symdiff.tape import ADJOINT, Step, Tape

MOST_ELEMENTS = 12  # of one array
MOST_STEPS = 16
_MOVING = frozenset({"index", "concat", "stack", "reshape"})


@dataclass(frozen=True)
class Written:
    """A step, or an adjoint, by its elements: an object array of expressions over element names, or None."""

    step: Step
    expr: Expr
    array: Any


def element_name(name: str, place: tuple[int, ...]) -> str:
    """`W[0,1]`: the name of an element inside an expression, as in the formula language."""
    return f"{name}[{','.join(map(str, place))}]" if place else name


def is_small(tape: Tape) -> bool:
    """Whether the formula is small enough to be written out."""
    shapes = [given.shape for given in tape.inputs] + [step.shape for step in tape.steps]
    sizes = [product(shape) for shape in shapes]
    small = all(isinstance(size, int) and size <= MOST_ELEMENTS for size in sizes)
    return small and not tape.dims and len(tape.primal) <= MOST_STEPS and max(map(len, shapes)) <= 2


def symbols_of(name: str, shape: Shape) -> Any:
    """The elements of a variable."""
    array = np.empty([int(size) for size in shape if isinstance(size, int)], dtype=object)
    for place in np.ndindex(array.shape):
        array[place] = Name(element_name(name, place))
    return array


class Elements:
    """The forward steps and the adjoints of a small tape by their elements."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.primal = {step.name: step for step in tape.primal}

    def forward(self) -> Iterator[Written]:
        """Every forward step."""
        for step in self.tape.primal:
            yield Written(step, step.expr, self.array(step.expr))

    def reverse(self) -> Iterator[Written]:
        """Every contribution to an array."""
        for step in self.tape.reverse:
            if step.role == ADJOINT and step.shape:
                expr = nicer(step.expr, self.primal)
                yield Written(step, expr, self.array(expr))

    def array(self, expr: Expr) -> Any:
        """Elements of an expression; None where there is no short formula."""
        shapes = self.tape.shapes

        def leaf(part: Name | Number) -> Any:
            return symbols_of(part.id, shapes.get(part.id, ())) if isinstance(part, Name) else np.array(part, object)

        return bottom_up(expr, leaf, _node)


def _node(old: Call, args: list[Any]) -> Any:
    if any(arg is None for arg in args):
        return None
    if old.op == "contract":
        return _contracted(old.options[0], args)
    if old.op in TABLE:
        return _mapped(old.op, args)
    if old.op in ("sumsq", "mean") and old.options[0] is None and not old.options[1]:
        cells: list[Expr] = [call("square", cell) if old.op == "sumsq" else cell for cell in args[0].ravel()]
        total = _total(cells)
        return _scalar(call("div", total, float(len(cells))) if old.op == "mean" else total)
    if old.op in _MOVING:
        entry = ARRAYS[old.op]
        assert entry.numpy is not None
        return np.asarray(entry.numpy(entry.resolve(old.options, {}), *args), dtype=object)  # of an element as well
    if old.op == "put":
        entry = ARRAYS["put"]
        assert entry.numpy is not None
        cells = list(args[0].ravel())
        numbers = np.arange(1.0, len(cells) + 1).reshape(args[0].shape)
        places = np.asarray(entry.numpy(entry.resolve(old.options, {}), numbers)).astype(int)
        return _filled([ZERO_NUMBER, *cells])[places]
    return None


def _filled(cells: list[Expr]) -> Any:
    made = np.empty(len(cells), dtype=object)
    made[:] = cells
    return made


def _scalar(expr: Expr) -> Any:
    made = np.empty((), dtype=object)
    made[()] = expr
    return made


def _mapped(op: str, args: list[Any]) -> Any:
    shape = np.broadcast_shapes(*(np.shape(arg) for arg in args))
    made = np.empty(shape, dtype=object)
    whole = [np.broadcast_to(arg, shape) for arg in args]
    for place in np.ndindex(shape):
        cells: list[Any] = [each[place] for each in whole]
        made[place] = _simple(op, cells)
    return made


def _simple(op: str, args: list[Expr]) -> Expr:
    """An elementary operation; a product with 1 or 0 is none."""
    if op == "mul" and ONE_NUMBER in args:
        return args[1] if args[0] == ONE_NUMBER else args[0]
    return call(op, *args)


def _contracted(spec: Spec, args: list[Any]) -> Any:
    sizes: dict[str, int] = {UNIT: 1} | {index: int(size) for index, size in spec.sizes if isinstance(size, int)}
    for part, arg in zip(spec.operands, args, strict=True):
        sizes |= dict(zip(part, np.shape(arg), strict=True))
    made = np.empty([sizes[index] for index in spec.output], dtype=object)
    for place in np.ndindex(made.shape):
        fixed: dict[str, int] = {}
        same = all(fixed.setdefault(i, k) == k for i, k in zip(spec.output, place, strict=True) if i != UNIT)
        made[place] = _total(list(_terms(spec, args, fixed, sizes))) if same else ZERO_NUMBER
    return made


def _terms(spec: Spec, args: list[Any], fixed: Mapping[str, int], sizes: Mapping[str, int]) -> Iterator[Expr]:
    letters = spec.summed
    for place in np.ndindex(*(sizes[index] for index in letters)):
        at = {**fixed, **dict(zip(letters, place, strict=True)), UNIT: 0}
        term: Expr = ONE_NUMBER
        for part, arg in zip(spec.operands, args, strict=True):
            cell = arg[tuple(at[index] for index in part)]
            term = cell if term == ONE_NUMBER else term if cell == ONE_NUMBER else call("mul", term, cell)
        yield term


def _total(cells: list[Expr]) -> Expr:
    made: Expr = cells[0] if cells else ZERO_NUMBER
    for cell in cells[1:]:
        made = call("add", made, cell)
    return made


__all__ = ["Elements", "Written", "element_name", "is_small", "symbols_of"]
