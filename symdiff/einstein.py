"""Contractions in Einstein notation, and the names that people have for them.

    Spec ::= operands "->" output        # "ij,jk->ik": a matrix product

Matrix product, dot, outer product, transpose, trace, sum over axes, broadcasting, batched products and diagonals are
one op, `contract`, whose derivative is the same op again (Laue, Mitterreiter, Giesen, A Simple and Efficient Tensor
Calculus, AAAI 2020). An index is a letter; an axis of literal size 1 is written 1 and carries no index. An index that
only the output has is a broadcast (a factor of ones), whose size stands in `sizes`; an index that the output has twice
is a diagonal (a Kronecker delta, removed by renaming). `familiar` says which of the named products a spec is, so that
every language can print it as a person would.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from symdiff.shapes import Shape, Size

LETTERS = "ijklmnpqrstuvwxyzabcdefgh" + string.ascii_uppercase
UNIT = "1"


@dataclass(frozen=True, slots=True)
class Spec:
    """Indices of each operand and of the output; `sizes` of the indices that only the output has."""

    operands: tuple[str, ...]
    output: str
    sizes: tuple[tuple[str, Size], ...] = ()

    @property
    def text(self) -> str:
        """`ij,jk->ik`."""
        return ",".join(self.operands) + "->" + self.output

    @property
    def summed(self) -> str:
        """Indices that are summed over, in order of appearance."""
        return "".join(dict.fromkeys(i for indices in self.operands for i in indices if i not in self.output + UNIT))

    def index_sizes(self, shapes: Sequence[Shape]) -> dict[str, Size]:
        """The size that each index runs over, for operands of these shapes."""
        sizes = dict(self.sizes)
        for indices, shape in zip(self.operands, shapes, strict=True):
            sizes.update(zip(indices, shape, strict=True))
        sizes[UNIT] = 1
        return sizes

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Shape of the result for operands of these shapes."""
        sizes = self.index_sizes(shapes)
        return tuple(sizes[index] for index in self.output)


def spec(text: str, sizes: Mapping[str, Size] | None = None) -> Spec:
    """The Spec that `text` writes; `sizes` may hold more than is needed."""
    operands, output = text.split("->")
    given = tuple(operands.split(","))
    missing = [index for index in dict.fromkeys(output) if index != UNIT and all(index not in part for part in given)]
    return Spec(given, output, tuple((index, (sizes or {})[index]) for index in missing))


def indices(shape: Shape, letters: Iterable[str]) -> str:
    """A letter for each axis of `shape`, 1 for axes of literal size 1."""
    fresh = iter(letters)
    return "".join(UNIT if size == 1 else next(fresh) for size in shape)


def renamed(given: Spec) -> Spec:
    """The same spec with the letters i, j, k, ... in order of appearance."""
    found = dict.fromkeys(i for part in (*given.operands, given.output) for i in part if i != UNIT)
    table = str.maketrans(dict(zip(found, LETTERS, strict=False)))
    sizes = tuple((index.translate(table), size) for index, size in given.sizes)
    return Spec(tuple(part.translate(table) for part in given.operands), given.output.translate(table), sizes)


@dataclass(frozen=True, slots=True)
class Form:
    """A contraction by its name.

    kind        identity, transpose, sum, trace, diagonal, diag, broadcast, product (of matrices, vectors, or batches of
                matrices), outer, hadamard (the sum over all axes of an elementwise product), or einsum: none of these
    order       which operand comes first, which second
    transposed  for a product, whether each operand (in the new order) is transposed (its last two axes)
    axes        for a sum, the axes summed over; for a transpose, the permutation; for a broadcast, those of the result
                that the operand has
    keepdims    for a sum, whether summed axes stay as axes of size 1
    batch       for a product, the number of leading axes that go along
    """

    kind: str
    order: tuple[int, ...] = (0,)
    transposed: tuple[bool, ...] = ()
    axes: tuple[int, ...] = ()
    keepdims: bool = False
    batch: int = 0


EINSUM = Form("einsum")


@cache
def familiar(given: Spec) -> Form:
    """What a person calls this contraction."""
    if len(given.operands) == 1:
        return _one(given.operands[0], given.output)
    if len(given.operands) == 2:
        return _two(given)
    return EINSUM


def _one(inside: str, output: str) -> Form:
    letters = inside.replace(UNIT, "")
    once = len(set(letters)) == len(letters)
    kept = output.replace(UNIT, "")
    if not once:
        plain = len(inside) == 2 and inside[0] == inside[1]
        return Form({"": "trace", inside[0]: "diagonal"}.get(output, "einsum")) if plain else EINSUM
    if len(set(kept)) < len(kept):
        return Form("diag") if output == inside * 2 else EINSUM
    if inside == output:
        return Form("identity")
    if any(index not in inside for index in kept) or (letters == kept and len(output) > len(inside)):
        return _broadcast(inside, output)
    axes = tuple(axis for axis, index in enumerate(inside) if index not in output)
    if sorted(inside) == sorted(output):
        return _transposition(inside, output)
    if kept == "".join(index for index in letters if index in output) and axes:
        if output == "".join(index if index in output else UNIT for index in inside):
            return Form("sum", axes=axes, keepdims=True)
        if output == "".join(index for index in inside if index in output and index != UNIT):  # unit axes go as well
            units = tuple(axis for axis, index in enumerate(inside) if index == UNIT)
            return Form("sum", axes=tuple(sorted({*axes, *units})))
        if output == "".join(index for index in inside if index in output or index == UNIT):
            return Form("sum", axes=axes)
    return EINSUM


def _transposition(inside: str, output: str) -> Form:
    """A permutation of axes; unit axes are taken from the left."""
    free = list(enumerate(inside))
    axes = []
    for index in output:
        place = next(k for k, (_, other) in enumerate(free) if other == index)
        axes.append(free.pop(place)[0])
    return Form("transpose", axes=tuple(axes))


def _broadcast(inside: str, output: str) -> Form:
    """New indices; the operand's axes stand in the output, in their order, at `axes`."""
    axes: list[int] = []
    place = len(output)
    for index in reversed(inside):
        if index == UNIT:  # a unit axis that the output fills, or keeps
            place -= 1
        else:
            place = output.find(index)
        if place < 0 or (axes and place >= axes[-1]):
            return EINSUM
        axes.append(place)
    return Form("broadcast", axes=tuple(reversed(axes)))


def _two(given: Spec) -> Form:
    left, right = given.operands
    output = given.output
    if not given.sizes and left == right and not output.replace(UNIT, "") and len(left) > 1 and UNIT not in left:
        return Form("hadamard", (0, 1)) if not output and len(set(left)) == len(left) else EINSUM
    for order in ((0, 1), (1, 0)):
        first, second = given.operands[order[0]], given.operands[order[1]]
        form = None if given.sizes else _product(first, second, output)
        if form is not None:
            return Form("product", order, form[0], batch=form[1])
        if first + second == output and len(first) == len(second) == 1 and first != second:
            return Form("outer", order)
    return EINSUM


def _product(first: str, second: str, output: str) -> tuple[tuple[bool, bool], int] | None:
    """How `first @ second` gives `output`: which of the two is transposed, and how many axes go along."""
    for a in (first, _swapped(first)):
        for b in (second, _swapped(second)):
            if a is None or b is None:
                continue
            batch = _matmul_batch(a, b, output)
            if batch is not None:
                return (a is not first, b is not second), batch
    return None


def _swapped(part: str) -> str | None:
    return part[:-2] + part[-1] + part[-2] if len(part) >= 2 else None


def _matmul_batch(a: str, b: str, output: str) -> int | None:
    """Number of leading axes of the NumPy product of `a` and `b` where it gives `output`, else None."""
    if not a or not b:
        return None
    batch = max(len(a), len(b)) - 2
    if len(a) >= 3 or len(b) >= 3:
        if len(a) != len(b) or a[:-2] != b[:-2]:
            return None
        a, b, lead = a[-2:], b[-2:], a[:-2]
        if not output.startswith(lead) or any(index in a + b for index in lead):
            return None
        output = output[len(lead) :]
    inner, rows, columns = a[-1], a[:-1], b[1:]
    if inner != b[0] or (inner != UNIT and inner in rows + columns + output):
        return None
    letters = (rows + columns).replace(UNIT, "")
    distinct = len(set(letters)) == len(letters)
    return max(batch, 0) if rows + columns == output and distinct else None


@cache
def stretched_product(given: Spec) -> Form | None:
    """A product of arrays of which one lacks batch axes of the other, as NumPy's `X @ W` takes them; else None."""
    if len(given.operands) != 2 or given.sizes:
        return None
    for order in ((0, 1), (1, 0)):
        first, second = (given.operands[k] for k in order)
        for turned in ((False, False), (False, True), (True, False), (True, True)):
            a = _swapped(first) if turned[0] else first
            b = _swapped(second) if turned[1] else second
            if a and b and _stretched(a, b) == given.output:
                return Form("product", order, turned)
    return None


def _stretched(a: str, b: str) -> str | None:
    """Indices of NumPy's `a @ b`; None where that is not the sum over one common index."""
    inner, rows, columns = a[-1], a[-2:-1], b[-1:] if len(b) > 1 else ""
    if inner != (b[-2] if len(b) > 1 else b[0]) or inner == UNIT:
        return None
    lead = max(a[:-2], b[:-2], key=len)
    made = lead + rows + columns
    fits = lead.endswith(a[:-2]) and lead.endswith(b[:-2]) and UNIT not in lead
    letters = made.replace(UNIT, "")
    return made if fits and inner not in made and len(set(letters)) == len(letters) else None


def _table(names: Mapping[str, str]) -> dict[int, str]:
    return {ord(old): new for old, new in names.items()}


def merged(outer: Spec, place: int, inner: Spec) -> tuple[Spec, tuple[Size, ...]]:
    """`outer` with its operand at `place` replaced by the operands of the contraction `inner` that it is.

    Deltas vanish by renaming. A broadcast index of `inner` that nothing else has is a sum over ones: its size is among
    the factors that are given back.
    """
    taken = set("".join((*outer.operands, outer.output)))
    free = iter(index for index in LETTERS if index not in taken)
    own = dict.fromkeys(i for part in (*inner.operands, inner.output) for i in part if i != UNIT)
    names = {index: next(free) for index in own}
    same: dict[str, str] = {}  # letters of `outer` that a delta makes one
    for index, wanted in zip(inner.output, outer.operands[place], strict=True):
        if index == UNIT:
            continue
        wanted = same.get(wanted, wanted)
        if names[index] in taken and names[index] != wanted:
            old = names[index]
            same = {key: wanted if value == old else value for key, value in same.items()} | {old: wanted}
            names = {key: wanted if value == old else value for key, value in names.items()}
        names[index] = wanted
    inside = [part.translate(_table(names)) for part in inner.operands]
    parts = [part.translate(_table(same)) for part in outer.operands]
    parts[place : place + 1] = inside
    output = outer.output.translate(_table(same))
    sizes = {same.get(index, index): size for index, size in outer.sizes}
    summed: dict[str, Size] = {}  # two indices of which a diagonal of `outer` makes one are one sum
    for index, size in inner.sizes:
        letter = names[index]
        if any(letter in part for part in parts):
            continue
        (sizes if letter in output else summed)[letter] = size
    kept = tuple((i, size) for i, size in sizes.items() if all(i not in part for part in parts))
    return Spec(tuple(parts), output, kept), tuple(summed.values())


__all__ = [
    "EINSUM",
    "LETTERS",
    "UNIT",
    "Form",
    "Spec",
    "familiar",
    "indices",
    "merged",
    "renamed",
    "spec",
    "stretched_product",
]
