"""Statements of an array formula, between the tape and C.

    Map      variable[places] = or += elem, for every element of a space
    Total    variable = or += sum of elem over some axes
    Scalar   number = or += elem
    Product  sums of products of two arrays: matrix product, or matrix times vector, in a loop over batches
    Helper   a call of one of the static C functions
    Remark   a step that needs no code

Every statement has `notes`: the comments of the steps that it carries out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from symdiff.expr import Call, is_constant, walk
from symdiff.ops import TABLE
from symdiff.ops.evaluate import constant_value
from symdiff.render.c_array_elem import Elem, Leaf, Variable, row_major
from symdiff.shapes import Shape, Size, product

# Every one of these is rounded once, or picks an operand: the bits of an element are the same in any loop.
EXACT = frozenset(
    "identity neg add sub mul div inverse square abs sign sqrt relu maximum minimum where lt le gt ge eq ne".split()
)


BLOCK = 64
"""Elements that one SIMD loop goes through; so many or fewer, if their number is literal, are a small array."""


def is_small(shape: Shape) -> bool:
    """Whether an array has a literal number of elements, and few."""
    size = product(shape)
    return isinstance(size, int) and size <= BLOCK


@dataclass(frozen=True)
class Target:
    """Where the value of a step goes: `=`, or `+=`."""

    variable: Variable
    add: bool


@dataclass(eq=False)
class Map:
    """Elements of `elem` go to `place` of the variable."""

    variable: Variable
    elem: Elem
    add: bool
    place: Leaf
    notes: list[str] = field(default_factory=list)

    @property
    def space(self) -> Shape:
        return self.elem.shape

    @property
    def whole(self) -> bool:
        """Whether element i of the space is element i of the variable."""
        same = self.place.offset == 0 and self.place.strides == row_major(self.space)
        return same and product(self.space) == product(self.variable.shape)

    def reads(self) -> Iterator[Leaf]:
        return iter(self.elem.leaves.values())


@dataclass(eq=False)
class Total:
    """Sum over all axes of the space but `kept`, which are in order."""

    variable: Variable
    elem: Elem
    add: bool
    kept: tuple[int, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def space(self) -> Shape:
        return self.elem.shape

    def reads(self) -> Iterator[Leaf]:
        return iter(self.elem.leaves.values())


@dataclass(eq=False)
class Scalar:
    """A number."""

    variable: Variable
    elem: Elem
    add: bool
    notes: list[str] = field(default_factory=list)

    def reads(self) -> Iterator[Leaf]:
        return iter(self.elem.leaves.values())


@dataclass(frozen=True)
class Matrix:
    """A view of a variable in a product: rows and columns, strides of the axes of the loop around it.

    `transposed`: what is stored is the transpose. `step` is the distance of stored rows. A vector has no `step`.
    """

    leaf: Leaf
    loop: tuple[Size, ...]
    step: Size | None = None
    transposed: bool = False


@dataclass(eq=False)
class Product:
    """c = or += a b for every index of the loop: (rows x depth) (depth x columns), or times a vector (columns None)."""

    variable: Variable
    add: bool
    a: Matrix
    b: Matrix
    c: Matrix
    rows: Size
    depth: Size
    columns: Size | None
    loop: tuple[Size, ...]
    notes: list[str] = field(default_factory=list)

    def reads(self) -> Iterator[Leaf]:
        yield self.a.leaf
        yield self.b.leaf


@dataclass(eq=False)
class Helper:
    """`function(sizes, operands, result, work)`; a number may come back as the value of the function."""

    function: str
    variable: Variable
    sizes: tuple[Size, ...]
    operands: tuple[Leaf, ...]
    work: Variable | None = None
    returns: bool = False
    add: bool = False
    notes: list[str] = field(default_factory=list)

    def reads(self) -> Iterator[Leaf]:
        return iter(self.operands)


@dataclass(eq=False)
class Remark:
    """Comments alone."""

    notes: list[str] = field(default_factory=list)


Statement = Map | Total | Scalar | Product | Helper | Remark
Writing = Map | Total | Scalar | Product | Helper


def is_exact(elem: Elem) -> bool:
    """Whether the bits of an element are the same whatever loop it is computed in."""
    return all(
        part.op in EXACT or (part.op == "pow" and _short_power(part))
        for part in walk(elem.expr)
        if isinstance(part, Call)
    )


def _short_power(part: Call) -> bool:
    """Whether C writes the power as products."""
    special = TABLE["pow"].literal_exponents["c"]
    return is_constant(part.args[1]) and special(constant_value(part.args[1])) is not None
