"""Passes over rows: parts of a program that go through the rows of arrays one by one, done for some rows at a time.

A batch of n samples that does not fit into a cache would be read from memory and written to it by every loop and every
product. Where rows are independent, and short, the parts are put into one loop over tiles of rows instead: what one
part writes, the next one finds in the cache; arrays that no part outside needs hold the rows of one tile alone; and
sums over all rows are added up from tile to tile.

    for tile in rows:                    # X: (n, 3)
        v1 = X[tile] @ W                 # a product of rows
        p = sigmoid(v1 + b)              # a loop
        W_bar += X[tile].T @ p           # a product that sums over rows

What can be part of it: loops over (n, ...), sums that keep all rows or none, products with n rows or that sum over n,
and functions that go along a row. What lies between them and has nothing to do with them is moved before or behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from symdiff.expr import ZERO_NUMBER
from symdiff.render.c_array_elem import Leaf, Variable, is_diagonal, number, row_major
from symdiff.render.c_array_fuse import Block, Loop, Part, items_of
from symdiff.render.c_array_ir import Helper, Map, Matrix, Product, Remark, Scalar, Total
from symdiff.shapes import Shape, Size, dimensions, product

_NUMBERS = 4096  # of all arrays of a tile together, about: they are to fit into the cache next to the processor
_FEWEST, _MOST = 64, 512  # rows
_LONGEST = 40  # parts of one pass, which stands in one function
_UNKNOWN = 16  # what a row of an input of any width counts as
_ALONG_ROWS = frozenset("softmax logsumexp amax amin prod prod_others cumsum cumsum_reverse".split())
_SMALL_FACTOR, _SMALL_SUM = 64, 16  # products that sd_gemm does in loops at the call, not by BLAS


@dataclass(eq=False)
class Tile:
    """Parts that are done for `rows` rows at a time, of the dimension `size`.

    `held` are the arrays that hold the rows of one tile; `shifted` those that have all rows.
    """

    size: str
    rows: int
    parts: list[Block]
    held: set[Variable] = field(default_factory=set)
    shifted: list[Variable] = field(default_factory=list)


def tiled(parts: Sequence[Part], dims: Iterable[str], needed: set[Variable]) -> tuple[list[Part | Tile], set[Variable]]:
    """The parts with passes over rows, and the numbers that are now written more than once.

    `needed` are variables that have to be whole at the end.
    """
    made: list[Part | Tile] = list(parts)
    several: set[Variable] = set()
    for size in dims:
        made = _Grouping(made, size, needed, several).made
    return made, several


# -- what a part does with rows ----------------------------------------------------------------------------------------


def has_rows(variable: Variable, size: str) -> bool:
    """Whether the variable is an array of rows along this dimension, which no other axis has."""
    shape = variable.shape
    return bool(shape) and shape[0] == size and all(size not in dimensions(each) for each in shape[1:])


def row_length(variable: Variable) -> Size:
    """Numbers of one row."""
    return product(variable.shape[1:])


def _free(sizes: Iterable[Size], size: str) -> bool:
    return all(size not in dimensions(each) for each in sizes)


def _by_rows(leaf: Leaf, size: str) -> bool:
    """Whether row i of the space reads or writes row i of the variable, or something that has no rows."""
    if is_diagonal(leaf):
        return not any(leaf.strides)
    if leaf.is_number:
        return True
    variable = leaf.variable
    assert variable is not None
    if not leaf.strides or not _free((leaf.offset, *leaf.strides), size):
        return False
    if has_rows(variable, size):
        return leaf.strides[0] == row_length(variable)
    return leaf.strides[0] == 0 and _free(variable.shape, size)


def _fits_loop(items: Iterable[Map | Total], size: str) -> bool:
    for item in items:
        space = item.space
        if not space or space[0] != size or not _free(space[1:], size):
            return False
        if not all(_by_rows(leaf, size) for leaf in item.reads()):
            return False
        if isinstance(item, Map):
            if not has_rows(item.variable, size) or not _by_rows(item.place, size):
                return False
        elif not (has_rows(item.variable, size) if 0 in item.kept else _free(item.variable.shape, size)):
            return False
    return True


def _is_rows(matrix: Matrix, size: str, transposed: bool) -> bool:
    """Whether the matrix has a row for each row of its variable, or is the transpose of such a one."""
    variable = matrix.leaf.variable
    if variable is None or not has_rows(variable, size) or not _free((matrix.leaf.offset,), size):
        return False
    step = 1 if matrix.step is None else matrix.step
    return matrix.transposed == transposed and step == row_length(variable)


def _is_free(matrix: Matrix, size: str) -> bool:
    variable = matrix.leaf.variable
    return variable is not None and _free(variable.shape, size)


def _fits_product(item: Product, size: str) -> bool:
    """Whether it is a product of rows, or a sum over rows; one that BLAS would do is none of ours."""
    if item.loop:
        return False
    if item.rows == size:
        other = (item.depth, 1 if item.columns is None else item.columns)
        fits = _is_rows(item.a, size, False) and _is_free(item.b, size) and _is_rows(item.c, size, False)
        most = _SMALL_FACTOR
    else:
        other = (item.rows, 1 if item.columns is None else item.columns)
        fits = item.depth == size and _is_rows(item.a, size, True) and _is_rows(item.b, size, False)
        fits = fits and _is_free(item.c, size)
        most = _SMALL_SUM
    numbers = product(other)
    small = item.columns is None or (isinstance(numbers, int) and numbers <= most)
    return fits and small and _free(other, size)


def _fits_helper(item: Helper, size: str) -> bool:
    if item.function not in _ALONG_ROWS or item.work is not None or item.add:
        return False
    whole = item.sizes[0] == size and _free(item.sizes[1:], size) and has_rows(item.variable, size)
    return whole and all(
        leaf.variable is not None and has_rows(leaf.variable, size) and leaf.offset == 0 for leaf in item.operands
    )


def _fits(part: Part | Tile, size: str) -> bool:
    """Whether the part can be done for some rows at a time."""
    match part:
        case Loop():
            return _fits_loop(part.items, size)
        case Total():
            return _fits_loop([part], size)
        case Product():
            return _fits_product(part, size)
        case Helper():
            return _fits_helper(part, size)
    return False


def used_by(part: Part | Tile) -> set[Variable]:
    """All variables that the part reads or writes."""
    return _read(part) | _written(part)


def _read(part: Part | Tile) -> set[Variable]:
    parts = part.parts if isinstance(part, Tile) else [part]
    found = {leaf.variable for each in parts for item in items_of(each) for leaf in item.reads()}
    return {variable for variable in found if variable is not None}


def _written(part: Part | Tile) -> set[Variable]:
    parts = part.parts if isinstance(part, Tile) else [part]
    work = {item.work for each in parts for item in items_of(each) if isinstance(item, Helper) and item.work}
    return {item.variable for each in parts for item in items_of(each)} | work


# -- grouping ----------------------------------------------------------------------------------------------------------


class _Grouping:
    """Collects parts that fit into one pass; what does not fit goes before or behind the pass, or ends it."""

    def __init__(self, parts: Sequence[Part | Tile], size: str, needed: set[Variable], several: set[Variable]) -> None:
        self.size, self.several = size, several
        self.made: list[Part | Tile] = []
        self.uses: dict[Variable, int] = dict.fromkeys(needed, 1)
        for part in parts:
            for variable in used_by(part):
                self.uses[variable] = self.uses.get(variable, 0) + 1
        self._begin()
        for part in parts:
            self._add(part)
        self._end()

    def _begin(self) -> None:
        self.group: list[Block] = []
        self.behind: list[Part | Tile] = []
        self.read: set[Variable] = set()  # by the group
        self.written: set[Variable] = set()
        self.sums: set[Variable] = set()  # over all rows, complete behind the group
        self.read_behind: set[Variable] = set()
        self.written_behind: set[Variable] = set()

    def _add(self, part: Part | Tile) -> None:
        reads, writes = _read(part), _written(part)
        free = not (reads & self.written_behind) and not writes & (self.written_behind | self.read_behind)
        if len(self.group) >= _LONGEST:
            free = False
        if free and _fits(part, self.size):
            sums = {variable for variable in writes if not has_rows(variable, self.size)}
            if not reads & (self.sums | sums) and not sums & self.read:
                assert not isinstance(part, Scalar | Remark | Tile)
                self.group.append(part)
                self.read |= reads
                self.written |= writes
                self.sums |= sums
                return
        elif free and not reads & self.written and not writes & (self.read | self.written):
            self.made.append(part)  # nothing of the group, or of what is behind it
            return
        elif not _fits(part, self.size):
            self.behind.append(part)
            self.read_behind |= reads
            self.written_behind |= writes
            return
        if not self.group and not self.behind:
            self.made.append(part)
            return
        self._end()
        self._add(part)

    def _end(self) -> None:
        self.made += self._passes()
        self.made += self.behind
        self._begin()

    def _passes(self) -> Iterator[Part | Tile]:
        """The group as one pass where that saves something, else as it was."""
        counts = Counter(variable for part in self.group for variable in used_by(part))
        arrays = [variable for variable in counts if has_rows(variable, self.size)]
        written = [variable for variable in arrays if variable in self.written]
        literal = all(isinstance(row_length(variable), int) for variable in written)
        if len(self.group) < 2 or not literal or all(counts[variable] < 2 for variable in arrays):
            yield from self.group
            return
        yield from self._zeros()
        inside = {each for each in written if each.output is None and self.uses[each] == counts[each]}
        # What only one part uses is a number there.
        lengths = [row_length(each) for each in arrays if each not in inside or counts[each] > 1]
        total = sum(length if isinstance(length, int) else _UNKNOWN for length in lengths)
        rows = max(_FEWEST, min(_MOST, _NUMBERS // max(total, 1) // _FEWEST * _FEWEST))
        variables = (each for part in self.group for item in items_of(part) for each in _variables(item))
        order = dict.fromkeys(each for each in variables if has_rows(each, self.size) and each not in inside)
        shifted = sorted(order, key=lambda each: each.source is None)
        yield Tile(self.size, rows, self.group, inside, shifted)

    def _zeros(self) -> Iterator[Part]:
        """Sums that begin with the group are set to zero before it, and added to inside."""
        seen: set[Variable] = set()
        for part in self.group:
            for item in items_of(part):
                if item.variable not in self.sums or item.variable in seen:
                    continue
                seen.add(item.variable)
                if item.add:
                    continue
                assert isinstance(item, Total | Product)
                item.add = True
                variable = item.variable
                if not variable.shape:
                    self.several.add(variable)
                    yield Scalar(variable, number(ZERO_NUMBER), False)
                    continue
                shape: Shape = variable.shape
                zero = Map(variable, number(ZERO_NUMBER, shape), False, Leaf(variable, 0, row_major(shape)))
                yield Loop(shape, [zero])


def _variables(item: Map | Total | Scalar | Product | Helper) -> Iterator[Variable]:
    yield from (leaf.variable for leaf in item.reads() if leaf.variable is not None)
    yield item.variable
