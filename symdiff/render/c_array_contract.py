"""Contractions: views, sums, and products that a matrix product does.

Letters are dropped where an operand has them twice (its diagonal) and where only one operand has them and the result
does not (they are summed first). What is left of two operands is an elementwise product, the sum of one, or a loop of
matrix products: letters of both and the result go along, letters of both alone are summed, the others are rows and
columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symdiff.einstein import UNIT, Spec
from symdiff.expr import ZERO_NUMBER, Call
from symdiff.render.c_array_elem import (
    Elem,
    at,
    combined,
    diagonal,
    number,
    on_diagonal,
    read,
    row_major,
    taken,
    without,
)
from symdiff.render.c_array_ir import Matrix, Product, Target
from symdiff.shapes import Polynomial, Shape, Size, times

if TYPE_CHECKING:
    from symdiff.render.c_array_lower import Lowering


@dataclass(frozen=True)
class _Part:
    """An operand with a different letter for each axis."""

    letters: str
    elem: Elem

    def sizes(self) -> dict[str, Size]:
        return dict(zip(self.letters, self.elem.shape, strict=True))


def contract(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    """The value of a contraction, or None where it has been written to the target."""
    spec: Spec = call.options[0]
    parts = [_distinct(letters, elem) for letters, elem in zip(spec.operands, args, strict=True)]
    sizes = spec.index_sizes([elem.shape for elem in args])
    shape = tuple(sizes[index] for index in spec.output)
    if len(parts) > 1:
        parts = [_presummed(low, k, parts, spec.output) for k in range(len(parts))]
    wanted = [index for index in dict.fromkeys(spec.output) if index != UNIT]
    while len(parts) > 2:
        parts = [_joined(low, parts, wanted), *parts[2:]]
    if len(parts) == 2:
        letters = _Letters.of(parts[0].letters, parts[1].letters, wanted)
        if letters.summed and (letters.first or letters.second):
            return _product(low, parts, letters, spec, shape, target)
    return _summed(low, parts, wanted, spec, shape, target)


def _distinct(letters: str, elem: Elem) -> _Part:
    """Without unit axes, and diagonals for repeated letters."""
    for axis in reversed(range(len(letters))):
        if letters[axis] == UNIT:
            elem, letters = without(elem, axis), letters[:axis] + letters[axis + 1 :]
    for axis in reversed(range(len(letters))):
        first = letters.index(letters[axis])
        if first != axis:
            elem, letters = diagonal(elem, first, axis), letters[:axis] + letters[axis + 1 :]
    return _Part(letters, elem)


def _presummed(low: Lowering, k: int, parts: Sequence[_Part], output: str) -> _Part:
    """Operand k summed over what no other operand and not the result has."""
    part = parts[k]
    others = output + "".join(other.letters for j, other in enumerate(parts) if j != k)
    kept = [axis for axis, letter in enumerate(part.letters) if letter in others]
    if len(kept) == len(part.letters):
        return part
    shape = tuple(part.elem.shape[axis] for axis in kept)
    made = low.total(part.elem, kept, shape, None)
    assert made is not None
    return _Part("".join(part.letters[axis] for axis in kept), made)


def _joined(low: Lowering, parts: Sequence[_Part], wanted: Sequence[str]) -> _Part:
    """The first two operands as one, with what the others or the result need."""
    first, second = parts[:2]
    needed = {*wanted, *(letter for part in parts[2:] for letter in part.letters)}
    letters = "".join(dict.fromkeys(letter for letter in first.letters + second.letters if letter in needed))
    call = Call("contract", (), None, (Spec((first.letters, second.letters), letters),))
    made = contract(low, call, [first.elem, second.elem], None)
    assert made is not None
    return _Part(letters, made)


def _arranged(part: _Part, output: Sequence[str], shape: Shape) -> Elem:
    """Axes in the order of `output`: new ones repeat the value, a letter that comes twice is a diagonal."""
    seen: set[str] = set()
    axes: list[int | None] = []
    for letter in output:
        fresh = letter in part.letters and letter not in seen
        axes.append(part.letters.index(letter) if fresh else None)
        seen.add(letter)
    made = taken(part.elem, axes, shape)
    for axis, letter in enumerate(output):
        first = list(output).index(letter)
        if letter != UNIT and first != axis:
            made = on_diagonal(made, first, axis)
    return made


def _summed(
    low: Lowering, parts: Sequence[_Part], wanted: Sequence[str], spec: Spec, shape: Shape, target: Target | None
) -> Elem | None:
    """The elementwise product of the operands, summed over what the result does not have."""
    sizes: dict[str, Size] = {}
    for part in sorted(parts, key=lambda part: -len(part.letters)):
        sizes |= part.sizes()
    inside = [letter for letter in wanted if letter in sizes]
    rest = [letter for letter in sizes if letter not in wanted]
    if len(parts) == 1:
        letters = list(parts[0].letters)
        elem = parts[0].elem
    else:
        letters = list(sizes) if rest else inside
        full = tuple(sizes[letter] for letter in letters)
        elem = _arranged(parts[0], letters, full)
        for part in parts[1:]:
            elem = combined(Call("mul", ()), [elem, _arranged(part, letters, full)], full)
    if rest:
        kept = [axis for axis, letter in enumerate(letters) if letter in wanted]
        inside = [letters[axis] for axis in kept]
        direct = [letter for letter in spec.output if letter != UNIT] == inside
        made = low.total(elem, kept, shape if direct else tuple(sizes[i] for i in inside), target if direct else None)
        if made is None or direct:
            return made
        elem, letters = made, inside
    return _arranged(_Part("".join(letters), elem), spec.output, shape)


# -- products ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Letters:
    """Of two operands: letters that go along, rows, columns, and what is summed."""

    batch: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]
    summed: tuple[str, ...]

    @classmethod
    def of(cls, left: str, right: str, wanted: Sequence[str]) -> _Letters:
        return cls(
            tuple(letter for letter in wanted if letter in left and letter in right),
            tuple(letter for letter in wanted if letter in left and letter not in right),
            tuple(letter for letter in wanted if letter in right and letter not in left),
            tuple(letter for letter in left if letter in right and letter not in wanted),
        )

    def loops(self, wanted: Sequence[str]) -> Iterator[_Letters]:
        """The same with more and more letters in the loop around the product: first those of the result's front."""
        rest = [letter for letter in wanted if letter not in self.batch]
        for end in range(len(rest)):
            taken_out = rest[:end]
            first = tuple(letter for letter in self.first if letter not in taken_out)
            second = tuple(letter for letter in self.second if letter not in taken_out)
            if bool(first) < bool(self.first) or bool(second) < bool(self.second):
                return
            yield _Letters((*self.batch, *taken_out), first, second, self.summed)


def _product(
    low: Lowering, parts: Sequence[_Part], letters: _Letters, spec: Spec, shape: Shape, target: Target | None
) -> Elem | None:
    """A loop of matrix products: in place where the strides allow it, else of copies in a better order."""
    sizes = parts[0].sizes() | parts[1].sizes()
    if 0 in sizes.values():
        return number(ZERO_NUMBER, shape)
    output = [letter for letter in spec.output if letter != UNIT]
    a, b = (_Part(part.letters, low.stored(part.elem)) for part in parts)
    order = (*letters.batch, *letters.first, *letters.second)
    plain = len(set(output)) == len(output) and set(output) == set(order)
    result_letters, result_shape = (output, shape) if plain else (order, tuple(sizes[i] for i in order))
    goal = low.goal(target if plain else None, "product", result_shape)
    c = _Part("".join(result_letters), _without_units(read(goal.variable)))
    for option in letters.loops(result_letters):
        made = _fitted(a, b, c, option, sizes, goal)
        if made is not None:
            low.emit(made)
            break
    else:
        a = _reordered(low, a, (*letters.batch, *letters.first, *letters.summed))
        b = _reordered(low, b, (*letters.batch, *letters.summed, *letters.second))
        made = _fitted(a, b, c, letters, sizes, goal)
        if made is None:
            goal = low.goal(None, "product", tuple(sizes[i] for i in order))
            c = _Part("".join(order), read(goal.variable))
            made = _fitted(a, b, c, letters, sizes, goal)
            plain = False
        assert made is not None
        low.emit(made)
    if plain:
        return None if target else read(goal.variable)
    return _arranged(c, spec.output, shape)


def _without_units(elem: Elem) -> Elem:
    wide = [axis for axis, size in enumerate(elem.shape) if size != 1]
    return taken(elem, wide, tuple(elem.shape[axis] for axis in wide))


def _reordered(low: Lowering, part: _Part, order: Sequence[str]) -> _Part:
    """A packed copy with the letters in this order, unless it is that already."""
    sizes = part.sizes()
    elem = _arranged(part, order, tuple(sizes[letter] for letter in order))
    return _Part("".join(order), at(low.packed(elem), elem.shape))


def _fitted(a: _Part, b: _Part, c: _Part, by: _Letters, sizes: dict[str, Size], goal: Target) -> Product | None:
    """The product without copies, or None where strides do not allow it."""
    loop = tuple(sizes[letter] for letter in by.batch)
    if by.first and by.second:
        for left, right, rows, columns in ((a, b, by.first, by.second), (b, a, by.second, by.first)):
            x, y = _matrix(left, by.batch, rows, by.summed), _matrix(right, by.batch, by.summed, columns)
            z = _matrix(c, by.batch, rows, columns)
            if x and y and z and not z.transposed:
                counts = [_count(group, sizes) for group in (rows, by.summed, columns)]
                return Product(goal.variable, goal.add, x, y, z, counts[0], counts[1], counts[2], loop)
        return None
    matrix, vector, rows = (a, b, by.first) if by.first else (b, a, by.second)
    x = _matrix(matrix, by.batch, rows, by.summed)
    v, w = _vector(vector, by.batch, by.summed), _vector(c, by.batch, rows)
    if not (x and v and w):
        return None
    return Product(goal.variable, goal.add, x, v, w, _count(rows, sizes), _count(by.summed, sizes), None, loop)


def _count(group: Sequence[str], sizes: dict[str, Size]) -> Size:
    total: Size = 1
    for letter in group:
        total = times(total, sizes[letter])
    return total


def _stride(part: _Part, group: Sequence[str]) -> Size | None:
    """The stride of several axes as one, or None where they cannot be."""
    leaf = part.elem.load
    assert leaf is not None
    sizes = part.sizes()
    strides = [leaf.strides[part.letters.index(letter)] for letter in group]
    for k in range(len(group) - 1):
        if strides[k] != times(strides[k + 1], sizes[group[k + 1]]):
            return None
    return strides[-1]


def _loop_strides(part: _Part, batch: Sequence[str]) -> tuple[Size, ...]:
    leaf = part.elem.load
    assert leaf is not None
    return tuple(leaf.strides[part.letters.index(letter)] if letter in part.letters else 0 for letter in batch)


def _matrix(part: _Part, batch: Sequence[str], rows: Sequence[str], columns: Sequence[str]) -> Matrix | None:
    """`part` as rows x columns, stored so or as its transpose."""
    row, column = _stride(part, rows), _stride(part, columns)
    leaf = part.elem.load
    if row is None or column is None or leaf is None:
        return None
    loop = _loop_strides(part, batch)
    if column == 1 and _is_positive(row, part):
        return Matrix(leaf, loop, row)
    if row == 1 and _is_positive(column, part):
        return Matrix(leaf, loop, column, transposed=True)
    return None


def _vector(part: _Part, batch: Sequence[str], letters: Sequence[str]) -> Matrix | None:
    leaf = part.elem.load
    if leaf is None or _stride(part, letters) != 1:
        return None
    return Matrix(leaf, _loop_strides(part, batch))


def _is_positive(size: Size, part: _Part) -> bool:
    """Whether a stride points forwards. One like k - 1 does if it is a product of sizes; -(k - 1) looks the same."""
    if isinstance(size, Polynomial):
        leaf = part.elem.load
        stored = leaf.variable.shape if leaf is not None and leaf.variable is not None else ()
        whole = size in row_major(stored) or size in row_major(part.elem.shape)
        return whole or all(factor > 0 for _, factor in size.terms)
    return isinstance(size, str) or size > 0
