"""The blocked form of a loop: all elements in a row, 64 at a time through one SIMD loop; see `c_array_loops.py`.

Of a block that is not full, as many numbers are computed as fill whole vectors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from symdiff.render.c_array_elem import Leaf, Variable, is_diagonal, row_major
from symdiff.render.c_array_fuse import same_place
from symdiff.render.c_array_ir import BLOCK, Map, Total
from symdiff.render.c_array_text import collapsed, commented, counting, extents, indented, loop, spread_index
from symdiff.shapes import Size, plus, product, times

if TYPE_CHECKING:
    from symdiff.render.c_array_loops import LoopWriter


PART = 16
"""Numbers that are computed at once, a constant: whole vectors of any width, and no remainder."""


class Blocked:
    """The blocked form."""

    def __init__(self, writer: LoopWriter) -> None:
        self.writer, self.text, self.loop = writer, writer.text, writer.loop
        self.program = writer.program
        self.dense = row_major(self.loop.space)
        self.total = product(self.loop.space)
        self.step = self._step()
        self.full = -(-self.step // PART) * PART  # numbers that are computed of a block of so many elements
        self.at: dict[tuple[Variable | None, Size, tuple[Size, ...]], str] = {}
        self.first: list[str] = []  # declarations in front of the loop over blocks
        self.gather: list[tuple[str, Leaf]] = []
        self.enter: list[str] = []  # inside the loop over blocks, before the loop over a block
        self.leave: list[str] = []

    def _step(self) -> int:
        """Elements of a block: a multiple of the period of sums, and where possible of operands that repeat."""
        step = self.loop.period
        for item in self.loop.items:
            for leaf in item.reads():
                repeat = self._repeat(leaf)
                if repeat is not None and math.lcm(step, repeat) <= BLOCK:
                    step = math.lcm(step, repeat)
        whole = math.lcm(step, PART)
        return BLOCK // whole * whole if whole <= BLOCK else BLOCK // step * step

    def _repeat(self, leaf: Leaf) -> int | None:
        """After how many elements an operand starts again: it has an index of the last few, small axes alone."""
        if leaf.is_number or leaf.strides == self.dense or not any(leaf.strides):
            return None
        first = next(axis for axis, stride in enumerate(leaf.strides) if stride != 0)
        inner = product(self.loop.space[first:])
        return inner if isinstance(inner, int) and 0 < inner <= BLOCK else None

    def lines(self) -> list[str]:
        text = self.text
        lanes = self.writer.lanes()
        self.k, self.start = text.local("k"), text.local("start")
        self.left, self.count = text.local("left"), text.local("count")
        self.width = text.local("width")
        body = self._body(lanes)
        declared = [f"double {name}[{BLOCK}] = {{0.0}};" for name in lanes.values()]
        gathered = self._gathered()
        part, lane = text.local("part"), text.local("lane")
        body = [f"const int {self.k} = {part} + {lane};", *body]
        inner = loop([counting(lane, str(PART), "int")], body, simd=True)
        inner = loop([f"for (int {part} = 0; {part} < {self.count}; {part} += {PART})"], inner)
        head = [
            f"const size_t {self.left} = {text.factor(self.total)} - {self.start};",
            f"const int {self.count} = {self.left} < {self.step} ? (int){self.left} : {self.step};",
        ]
        around = f"for (size_t {self.start} = 0; {self.start} < {text.size(self.total)}; {self.start} += {self.step})"
        blocks = loop([around], [*head, *self.enter, *gathered, *inner, *self.leave])
        whole = [*declared, *self.first, *blocks, *self.writer.behind(lanes, self.width)]
        if any(re.search(rf"\b{self.width}\b", line) for line in whole):
            whole = [self._width(), *whole]
        return [*self.writer.before(), "{", *indented(whole), "}"]

    def _width(self) -> str:
        """The numbers of a block that are used: fewer than 64 where there are fewer elements."""
        total = self.text.factor(self.total)
        rounded = f"({self.text.size(self.total)} + {PART - 1}) / {PART} * {PART}"
        return f"const int {self.width} = {total} < {BLOCK} ? (int)({rounded}) : {BLOCK};"

    # -- operands --------------------------------------------------------------------------------------------------

    def _operand(self, leaf: Leaf) -> str:
        """An operand in the loop over a block."""
        inside = self.writer.inside
        if leaf.variable in inside and same_place(leaf, self.loop.space):
            return inside[leaf.variable]
        if leaf.is_number:
            return self.text.number(leaf)
        if not any(leaf.strides) and not is_diagonal(leaf):
            return self._constant(leaf)
        key = (leaf.variable, leaf.offset, leaf.strides)
        if key not in self.at:
            self.at[key] = self._arranged(leaf)
        test = " != 0" if is_diagonal(leaf) else ""
        return f"{self.at[key]}[{self.k}]{test}"

    def _constant(self, leaf: Leaf) -> str:
        key = (leaf.variable, leaf.offset, leaf.strides)
        if key not in self.at:
            assert leaf.variable is not None
            name = self.text.local(f"{leaf.variable.identifier}_at")
            self.first.append(f"const {self.text.real} {name} = {self.text.place(leaf, [0] * len(leaf.strides))};")
            self.at[key] = name
        return self.at[key]

    def _arranged(self, leaf: Leaf) -> str:
        """The name of 64 numbers in a row: in the array itself, or in a copy."""
        text, real = self.text, self.text.real
        name = text.local(f"{leaf.variable.identifier if leaf.variable else 'equal'}_at")
        if leaf.variable is not None and leaf.strides == self.dense:
            rest = text.local(f"{leaf.variable.identifier}_rest")
            where = text.pointer(Leaf(leaf.variable, plus(leaf.offset, f"@{self.start}")))
            self.enter.append(f"{real} {rest}[{BLOCK}];")
            self.enter.append(f"const {real} *{name} = sd_block({self.left}, {self.full}, {where}, {rest});")
            return name
        repeat = self._repeat(leaf)
        if repeat is not None and self.step % repeat == 0:
            self.first.append(f"{real} {name}[{BLOCK}];")
            self.first += self._repeated(name, leaf, repeat)
            return name
        self.first.append(f"{real} {name}[{BLOCK}] = {{{text.zero}}};")
        self.gather.append((name, leaf))
        return name

    def _value(self, leaf: Leaf, index: Sequence[Size]) -> str:
        text = self.text.place(leaf, index)
        return f"({self.text.real})({text})" if is_diagonal(leaf) else text

    def _repeated(self, name: str, leaf: Leaf, repeat: int) -> list[str]:
        """The first elements over the last axes, again and again."""
        first = next(axis for axis, stride in enumerate(leaf.strides) if stride != 0)
        space = self.loop.space
        inner = Leaf(leaf.variable, leaf.offset, leaf.strides[first:])
        kept = collapsed(space[first:], [inner])
        sizes = extents(space[first:], kept)
        index = spread_index(len(space) - first, kept, [f"@{k}" for k in range(len(kept))])
        counters = [self.text.index(k) for k in range(len(kept))]
        at: Size = 0
        for axis, size in enumerate(sizes):
            at = plus(times(at, size), f"@{axis}")
        headers = [counting(counter, self.text.size(size)) for counter, size in zip(counters, sizes, strict=True)]
        lines = loop(headers, [f"{name}[{self.text.size(at)}] = {self._value(inner, index)};"])
        return [
            *lines,
            *loop(
                [f"for (int {self.k} = {repeat}; {self.k} < {self.width}; ++{self.k})"],
                [f"{name}[{self.k}] = {name}[{self.k} - {repeat}];"],
            ),
        ]

    def _gathered(self) -> list[str]:
        """Operands that are not packed: walked through with a counter for each axis, run after run along the last."""
        if not self.gather:
            return []
        text, space = self.text, self.loop.space
        kept = collapsed(space, [leaf for _, leaf in self.gather])
        if not kept:
            return [f"{name}[0] = {self._value(leaf, [0] * len(space))};" for name, leaf in self.gather]
        sizes = extents(space, kept)
        names = [text.local(f"at_{axis}") for axis in range(len(kept))]
        for name in names:
            self.first.append(f"size_t {name} = 0;")
        done, run, step = text.local("done"), text.local("run"), text.index(0)
        places: list[Size] = [f"@{name}" for name in names]
        places[-1] = plus(places[-1], "@0")
        index = spread_index(len(space), kept, places)
        copies = [f"{name}[{done} + {step}] = {self._value(leaf, index)};" for name, leaf in self.gather]
        end = text.factor(sizes[-1])
        last = names[-1]
        lines = [
            f"size_t {run} = {end} - {last};",
            f"{run} = {run} < (size_t){self.count} - {done} ? {run} : (size_t){self.count} - {done};",
            *loop([counting(step, run)], copies),
            f"{last} += {run};",
            f"{done} += {run};",
            *self._carry(names, sizes),
        ]
        return loop([f"for (size_t {done} = 0; {done} < (size_t){self.count};)"], lines)

    def _carry(self, names: Sequence[str], sizes: Sequence[Size]) -> list[str]:
        lines: list[str] = []
        for k in range(1, len(names)):
            inner = (
                [f"{names[k]} = 0;", f"++{names[k - 1]};", *lines]
                if k > 1
                else [f"{names[k]} = 0;", f"++{names[k - 1]};"]
            )
            lines = [f"if ({names[k]} == {self.text.size(sizes[k])}) {{", *indented(inner), "}"]
        return lines

    # -- results ---------------------------------------------------------------------------------------------------

    def _body(self, lanes: dict[Total, str]) -> list[str]:
        lines: list[str] = []
        for k, item in enumerate(self.loop.items):
            value = self.text.elem(item.elem, self._operand)
            if isinstance(item, Total):
                lines += commented(
                    f"{lanes[item]}[{self.k}] += {self.k} < {self.count} ? {value} : {self.text.zero};", item.notes
                )
                continue
            last, read = self.writer.is_last(k), self.writer.is_read(item.variable)
            memory = "" if item.variable in self.program.registers else self._result(item)
            lines += self.writer.statement(item, value, memory, last, read)
        return lines

    def _result(self, item: Map) -> str:
        """An element of a variable that is written, in the array itself or in what is copied there."""
        name = item.variable.identifier
        to = self.at.get((item.variable, -1, ()))
        if to is None:
            to = self.text.local(f"{name}_to")
            rest = self.text.local(f"{name}_rest")
            self.at[(item.variable, -1, ())] = to
            real, left = self.text.real, self.left
            where = f"{name} + {self.start}"
            old = any(each.add for each in self.loop.items if each.variable is item.variable) and not any(
                isinstance(each, Map) and not each.add for each in self.loop.items if each.variable is item.variable
            )
            self.enter.append(f"{real} {rest}[{BLOCK}];")
            if old and self.step != self.full:  # the elements behind the block are not to be added to twice
                self.enter.append(f"{real} *{to} = {rest};")
                self.enter.append(f"(void)sd_block((size_t){self.count}, {BLOCK}, {where}, {rest});")
                self.leave.append(f"sd_copy({self.count}, {rest}, {where});")
            else:
                self.enter.append(f"{real} *{to} = {left} < {self.full} ? {rest} : {where};")
                if old:
                    self.enter += [
                        f"if ({left} < {self.full})",
                        f"    (void)sd_block({left}, {self.full}, {where}, {rest});",
                    ]
                self.leave += [f"if ({left} < {self.full})", f"    sd_copy({self.count}, {rest}, {where});"]
        return f"{to}[{self.k}]"
