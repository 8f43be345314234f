"""Loops over few elements, whose number is written in the formula, with functions of a vector library.

All operands are gathered into local arrays, which are filled up with zeros to whole vectors; one SIMD loop goes through
them; then results are stored and sums taken, element by element. So every element, also the last one, goes through the
same machine code, and compilers unroll everything. An array that only such loops write has the padding itself
(`Program.padded`), and is not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from symdiff.render.c_array_elem import Leaf, Variable, is_diagonal, row_major
from symdiff.render.c_array_fuse import goal_of, same_place
from symdiff.render.c_array_ir import Map, Total
from symdiff.render.c_array_text import (
    collapsed,
    commented,
    counting,
    extents,
    indented,
    loop,
    position,
    spread_index,
)
from symdiff.shapes import Size, product

if TYPE_CHECKING:
    from symdiff.render.c_array_loops import LoopWriter


class Tiny:
    """Prints one such loop."""

    def __init__(self, writer: LoopWriter) -> None:
        self.writer, self.text, self.loop, self.program = writer, writer.text, writer.loop, writer.program
        self.dense = row_major(self.loop.space)
        self.width = self.program.width(product(self.loop.space))
        self.at: dict[tuple[Variable | None, object, object], str] = {}
        self.first: list[str] = []
        self.gather: list[tuple[str, Leaf]] = []
        self.scatter: list[tuple[Leaf, bool, str]] = []  # a place, whether it is added to, and the local array

    def lines(self) -> list[str]:
        """Sums set to zero, then the loop in braces."""
        self.k = self.text.local("k")
        zeros = self.writer.zeros()
        body = self._body()
        inner = loop([counting(self.k, str(self.width), "int")], body, simd=True)
        return [*zeros, "{", *indented([*self.first, *self._gathered(), *inner, *self._scattered()]), "}"]

    def _body(self) -> list[str]:
        lines: list[str] = []
        for k, item in enumerate(self.loop.items):
            value = self.text.elem(item.elem, self._operand)
            if isinstance(item, Total):
                terms = self._array(f"{item.variable.identifier}_terms")
                lines += commented(f"{terms}[{self.k}] = {value};", item.notes)
                self.scatter.append((goal_of(item), True, terms))
                continue
            memory = "" if item.variable in self.program.registers else self._result(item)
            lines += self.writer.statement(
                item, value, memory, self.writer.is_last(k), self.writer.is_read(item.variable)
            )
        return lines

    def _array(self, wish: str, zeros: bool = False) -> str:
        name = self.text.local(wish)
        self.first.append(f"{self.text.real} {name}[{self.width}]{f' = {{{self.text.zero}}}' if zeros else ''};")
        return name

    def _operand(self, leaf: Leaf) -> str:
        inside = self.writer.inside
        if leaf.variable in inside and same_place(leaf, self.loop.space):
            return inside[leaf.variable]
        if leaf.is_number:
            return self.text.number(leaf)
        key = (leaf.variable, leaf.offset, leaf.strides)
        name = leaf.variable.identifier if leaf.variable is not None else "equal"
        if key not in self.at:
            if not any(leaf.strides) and not is_diagonal(leaf):
                self.at[key] = self.text.local(f"{name}_at")
                place = self.text.place(leaf, [0] * len(leaf.strides))
                self.first.append(f"const {self.text.real} {self.at[key]} = {place};")
            elif leaf.variable in self.program.padded and same_place(leaf, self.loop.space):
                self.at[key] = name
            else:
                self.at[key] = self._array(f"{name}_at", zeros=self.width != product(self.loop.space))
                self.gather.append((self.at[key], leaf))
        if not any(leaf.strides) and not is_diagonal(leaf):
            return self.at[key]
        return f"{self.at[key]}[{self.k}]{' != 0' if is_diagonal(leaf) else ''}"

    def _result(self, item: Map) -> str:
        variable = item.variable
        if variable in self.program.padded:
            return f"{variable.identifier}[{self.k}]"
        key = (variable, "to", ())
        if key not in self.at:
            writers = [each for each in self.loop.items if each.variable is variable]
            old = writers[0].add
            self.at[key] = self._array(f"{variable.identifier}_to", zeros=old)
            if old:
                self.gather.append((self.at[key], item.place))
            self.scatter.append((item.place, False, self.at[key]))
        return f"{self.at[key]}[{self.k}]"

    def _gathered(self) -> list[str]:
        """Operands copied into local arrays, all in one nest of loops."""

        def body(index: Sequence[Size], here: str) -> list[str]:
            return [f"{name}[{here}] = {self._value(leaf, index)};" for name, leaf in self.gather]

        return self._nest([leaf for _, leaf in self.gather], body)

    def _scattered(self) -> list[str]:
        """Results stored and sums taken, in another nest."""

        def body(index: Sequence[Size], here: str) -> list[str]:
            return [
                f"{self.text.place(place, index)} {'+=' if adds else '='} {name}[{here}];"
                for place, adds, name in self.scatter
            ]

        return self._nest([place for place, _, _ in self.scatter], body)

    def _nest(self, places: Sequence[Leaf], body: Callable[[Sequence[Size], str], list[str]]) -> list[str]:
        """Loops over the space; the body gets an index and where the element stands in a local array."""
        if not places:
            return []
        space, text = self.loop.space, self.text
        packed = Leaf(None, 0, self.dense)
        kept = collapsed(space, [*places, packed])
        sizes = extents(space, kept)
        index = spread_index(len(space), kept, [f"@{axis}" for axis in range(len(kept))])
        headers = [counting(text.index(axis), text.size(size)) for axis, size in enumerate(sizes)]
        return loop(headers, body(index, text.size(position(packed, index))))

    def _value(self, leaf: Leaf, index: Sequence[Size]) -> str:
        value = self.text.place(leaf, index)
        return f"({self.text.real})({value})" if is_diagonal(leaf) else value
