"""Program -> lines of C: sums along axes, products, calls, numbers; loops are in `c_array_loops.py`."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.render.c_array_elem import Elem, Leaf, Variable, taken
from symdiff.render.c_array_fuse import Loop, Part
from symdiff.render.c_array_helpers import WORK
from symdiff.render.c_array_ir import BLOCK, Helper, Matrix, Product, Remark, Scalar, Total
from symdiff.render.c_array_loops import LoopWriter, factors
from symdiff.render.c_array_memory import Program
from symdiff.render.c_array_text import (
    Text,
    call,
    collapsed,
    commented,
    counting,
    extents,
    indented,
    loop,
    remarks,
    spread_index,
)
from symdiff.render.c_array_tiles import Tile, row_length
from symdiff.shapes import Size, plus, product, times


class Writer:
    """Prints the parts of a program in order; `declared` are the numbers that exist already."""

    def __init__(self, text: Text, program: Program) -> None:
        self.text, self.program = text, program
        self.declared: set[Variable] = set()

    def part(self, part: Part | Tile) -> list[str]:
        """Lines of one part."""
        self.text.leave()
        match part:
            case Tile():
                return self._tile(part)
            case Loop():
                return LoopWriter(self.text, self.program, part, self.declared).lines()
            case Total():
                return self._total(part)
            case Product():
                return self._product(part)
            case Helper():
                return self._helper(part)
            case Scalar():
                return self._scalar(part)
            case Remark():
                return remarks(part.notes)

    def at_element(self, elem: Elem) -> str:
        """A value without axes."""
        return self.text.elem(elem, lambda leaf: self.text.place(leaf, [0] * len(leaf.strides)))

    def _tile(self, tile: Tile) -> list[str]:
        """A loop over some rows at a time: in it the size is their number, and arrays begin with the first of them."""
        text = self.text
        row, rows = text.local("row"), text.local("rows")
        whole = text.names[tile.size]
        lines = [f"const size_t {rows} = {whole} - {row} < {tile.rows} ? {whole} - {row} : {tile.rows};"]
        names = {variable: variable.identifier for variable in tile.shifted}
        for variable, name in names.items():
            variable.identifier = text.local(f"{name}_rows")
            const = "const " if variable.source is not None else ""
            place = text.size(times(row_length(variable), f"@{row}"))
            lines.append(f"{const}{text.real} *const {variable.identifier} = {name} + {place};")
        text.names[tile.size] = rows
        for part in tile.parts:
            lines += self.part(part)
        text.names[tile.size] = whole
        for variable, name in names.items():
            variable.identifier = name
        around = f"for (size_t {row} = 0; {row} < {whole}; {row} += {tile.rows}) {{"
        return [around, *indented(lines), "}"]

    # -- numbers ---------------------------------------------------------------------------------------------------

    def _scalar(self, item: Scalar) -> list[str]:
        return self._assigned(item.variable, self.at_element(item.elem), item.add, item.notes)

    def _assigned(self, variable: Variable, value: str, add: bool, notes: Sequence[str]) -> list[str]:
        if variable in self.declared:
            return commented(f"{variable.identifier} {'+=' if add else '='} {value};", notes)
        self.declared.add(variable)
        return commented(f"{self.text.declared(variable, variable in self.program.several)} = {value};", notes)

    # -- sums along axes -------------------------------------------------------------------------------------------

    def _total(self, item: Total) -> list[str]:
        """Rows or columns: kept axes outside and sums inside, unless the last axis is kept."""
        columns = bool(item.kept) and item.kept[-1] == len(item.space) - 1
        gone = [axis for axis in range(len(item.space)) if axis not in item.kept]
        order = [*gone, *item.kept] if columns else [*item.kept, *gone]
        sizes = tuple(item.space[axis] for axis in order)
        elem = taken(item.elem, order, sizes)
        kept = range(len(gone), len(order)) if columns else range(len(item.kept))
        nest = _Nest(self.text, item, elem, kept)
        return [*remarks(item.notes), *(self._columns(nest) if columns else self._rows(nest))]

    def _columns(self, nest: _Nest) -> list[str]:
        """Row after row added to the result."""
        text, item = self.text, nest.item
        if text.suffix and not nest.empty:
            return self._wide_columns(nest)
        lines: list[str] = []
        if not item.add:
            i = text.index(0)
            size = product(item.space[axis] for axis in item.kept)
            if size != 0:
                lines = loop([counting(i, text.size(size))], [f"{item.variable.identifier}[{i}] = {text.zero};"])
        if nest.empty:
            return lines
        return [*lines, *loop(nest.headers, [f"{nest.result} += {nest.term};"], simd=True)]

    def _wide_columns(self, nest: _Nest) -> list[str]:
        """The same for floats: for a piece of the last axis at a time, row after row added to doubles."""
        text, item, sizes = self.text, nest.item, nest.sizes
        gone = len(sizes) - nest.outer
        last = len(sizes) - 1
        start, count, sums = text.local("start"), text.local("count"), text.local("sums")
        counter, end = text.index(last), text.size(sizes[-1])
        rest = f"{text.factor(sizes[-1])} - {start}"
        place = plus(f"@{start}", f"@{last}")
        term, result = nest.term_at(place), nest.result_at(place)
        each = counting(counter, count)
        piece = [
            f"const size_t {count} = {rest} < {BLOCK} ? {rest} : {BLOCK};",
            f"double {sums}[{BLOCK}] = {{0.0}};",
            *loop([*nest.headers[:gone], each], [f"{sums}[{counter}] += {term};"], simd=True),
            *loop([each], [f"{result} {'+=' if item.add else '='} {text.rounded(f'{sums}[{counter}]')};"]),
        ]
        pieces = f"for (size_t {start} = 0; {start} < {end}; {start} += {BLOCK})"
        return loop([*nest.headers[gone:last], pieces], piece)

    def _rows(self, nest: _Nest) -> list[str]:
        """One sum for each kept index."""
        text, item = self.text, nest.item
        sign = "+=" if item.add else "="
        if any(item.space[axis] == 0 for axis in item.kept):
            return []
        outer, inner = nest.headers[: nest.outer], nest.headers[nest.outer :]
        if nest.empty:
            return loop(outer, [f"{nest.result} {sign} {text.zero};"])
        library = nest.library()
        if library is not None:
            return loop(outer, [f"{nest.result} {sign} {library};"])
        name, last = text.local("sum"), nest.sizes[-1]
        if isinstance(last, int) and last <= 16:
            summing = loop(inner, [f"{name} += {nest.term};"])
        else:
            summing = loop(inner[:-1], self._long_row(nest, name))
        return loop(outer, [f"double {name} = 0.0;", *summing, f"{nest.result} {sign} {text.rounded(name)};"])

    def _long_row(self, nest: _Nest, name: str) -> list[str]:
        """Terms in pieces, each of which is added up in lanes."""
        text = self.text
        start, count, terms = text.local("start"), text.local("count"), text.local("terms")
        rest = f"{text.factor(nest.sizes[-1])} - {start}"
        counter = text.index(len(nest.sizes) - 1)
        term = nest.term_at(plus(f"@{start}", f"@{len(nest.sizes) - 1}"))
        return loop(
            [f"for (size_t {start} = 0; {start} < {text.size(nest.sizes[-1])}; {start} += {BLOCK})"],
            [
                f"const size_t {count} = {rest} < {BLOCK} ? {rest} : {BLOCK};",
                f"{text.real} {terms}[{BLOCK}];",
                *loop([counting(counter, count)], [f"{terms}[{counter}] = {term};"], simd=True),
                f"{name} += sd_sum({count}, {terms});",
            ],
        )

    # -- products --------------------------------------------------------------------------------------------------

    def _product(self, item: Product) -> list[str]:
        text = self.text
        strides = [item.a.loop, item.b.loop, item.c.loop]
        kept = collapsed(item.loop, [Leaf(None, 0, each) for each in strides])
        sizes = extents(item.loop, kept)
        if any(size == 0 for size in (*sizes, item.rows, item.columns)):
            return remarks(item.notes)
        headers = [counting(text.index(k), text.size(size)) for k, size in enumerate(sizes)]
        index = spread_index(len(item.loop), kept, [f"@{k}" for k in range(len(kept))])

        def pointer(matrix: Matrix) -> str:
            return text.pointer(Leaf(matrix.leaf.variable, matrix.leaf.offset, matrix.loop), index)

        add, rows, depth = str(int(item.add)), text.size(item.rows), text.size(item.depth)
        a = [pointer(item.a), text.size(item.a.step or 1)]
        if item.columns is None:
            shape = [depth, rows] if item.a.transposed else [rows, depth]
            lines = call("sd_gemv", [str(int(item.a.transposed)), *shape, *a, pointer(item.b), add, pointer(item.c)])
        else:
            flags = [str(int(item.a.transposed)), str(int(item.b.transposed))]
            b = [pointer(item.b), text.size(item.b.step or 1)]
            c = [pointer(item.c), text.size(item.c.step or 1)]
            lines = call("sd_gemm", ["gemm", *flags, rows, text.size(item.columns), depth, *a, *b, add, *c])
        return [*remarks(item.notes), *loop(headers, lines)]

    # -- calls -----------------------------------------------------------------------------------------------------

    def _helper(self, item: Helper) -> list[str]:
        text, variable = self.text, item.variable
        arguments = [*(text.size(size) for size in item.sizes), *(text.pointer(leaf) for leaf in item.operands)]
        work = [item.work.identifier if item.work else "NULL"] if item.function in WORK else []
        if item.returns:
            value = f"sd_{item.function}({', '.join([*arguments, *work])})"
            return self._assigned(variable, value, item.add, item.notes)
        lines = remarks(item.notes)
        if not variable.shape and variable not in self.declared:
            self.declared.add(variable)
            lines.append(f"{text.real} {variable.identifier} = {text.zero};")
        arguments.append(variable.identifier if variable.shape else f"&{variable.identifier}")
        return [*lines, *call(f"sd_{item.function}", [*arguments, *work])]


class _Nest:
    """Loops of a sum along axes, over the elements in the order in which they are added.

    headers  of all loops; `outer` of them are over kept axes, all first or all last
    result   the element of the result, `term` what is added to it
    empty    whether nothing is added
    """

    def __init__(self, text: Text, item: Total, elem: Elem, kept: Sequence[int]) -> None:
        self.text, self.item, self.elem = text, item, elem
        strides: list[Size] = [0] * len(elem.shape)
        step: Size = 1
        for axis in reversed(kept):
            strides[axis] = step
            step = times(step, elem.shape[axis])
        self.target = Leaf(item.variable, 0, tuple(strides))
        leaves = [leaf for leaf in elem.leaves.values() if not leaf.is_number]
        self.kept = collapsed(elem.shape, [*leaves, self.target])
        self.sizes = extents(elem.shape, self.kept)
        self.headers = [counting(text.index(k), text.size(size)) for k, size in enumerate(self.sizes)]
        self.outer = sum(1 for axis in self.kept if axis in kept)
        self.index = self._index([f"@{k}" for k in range(len(self.kept))])
        self.empty = any(size == 0 for size in elem.shape)
        self.result = text.place(self.target, self.index)
        self.term = self._at(self.index)

    def _index(self, places: Sequence[Size]) -> list[Size]:
        return spread_index(len(self.elem.shape), self.kept, places)

    def _at(self, index: Sequence[Size]) -> str:
        return self.text.elem(self.elem, lambda leaf: self.text.place(leaf, index))

    def term_at(self, last: Size) -> str:
        """The term where the innermost counter is `last`."""
        places: list[Size] = [f"@{k}" for k in range(len(self.kept) - 1)]
        return self._at(self._index([*places, last]))

    def result_at(self, last: Size) -> str:
        """The element of the result where the innermost counter is `last`."""
        places: list[Size] = [f"@{k}" for k in range(len(self.kept) - 1)]
        return self.text.place(self.target, self._index([*places, last]))

    def library(self) -> str | None:
        """A call for the sum of a row, or of the products of two, that lie in memory without gaps."""
        if len(self.headers) != self.outer + 1 or (isinstance(self.sizes[-1], int) and self.sizes[-1] < 8):
            return None
        operands = factors(self.elem)
        if operands is None or any(leaf.strides[self.kept[-1]] != 1 for leaf in operands):
            return None
        index = self._index([*[f"@{k}" for k in range(len(self.kept) - 1)], 0])
        pointers = [self.text.pointer(leaf, index) for leaf in operands]
        name = "sd_sum" if len(operands) == 1 else "sd_dot"
        return f"{name}({', '.join([self.text.size(self.sizes[-1]), *pointers])})"
