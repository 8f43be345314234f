"""Loops over the elements of a space.

Two forms. *Direct*: a nest of loops over the collapsed axes, in which every statement is exact, so that SIMD code gives
the same bits as one element at a time. *Blocked*: all elements in a row, in blocks of 64 that go through one and the
same SIMD loop; what does not fill a block, and what is not packed, is copied into local arrays first. So the bits of an
element depend neither on its place nor on the number of elements, also where functions of a vector library are used.

A sum over all elements is taken in 64 lanes, which are added in pairs at the end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from symdiff.expr import Call, Name
from symdiff.render.c_array_elem import Elem, Leaf, Variable, is_diagonal, row_major
from symdiff.render.c_array_fuse import BLOCK, Loop, Program, period, same_place
from symdiff.render.c_array_ir import Map, Total
from symdiff.render.c_array_text import (
    Text,
    collapsed,
    commented,
    counting,
    extents,
    indented,
    loop,
    remarks,
    spread_index,
)
from symdiff.shapes import Size, plus, product, times


class LoopWriter:
    """Prints one loop."""

    def __init__(self, text: Text, program: Program, made: Loop, declared: set[Variable]) -> None:
        self.text, self.program, self.loop, self.declared = text, program, made, declared
        self.inside: dict[Variable, str] = {}  # variables of this loop -> the number that holds the element

    def lines(self) -> list[str]:
        """The whole, with what is declared before and added up behind."""
        if any(size == 0 for size in self.loop.space):
            return self._nothing()
        direct = self._library_sum()
        if direct is not None:
            return direct
        if not self.loop.is_exact or self.loop.period > 1:
            return Blocked(self).lines()
        return self._direct()

    # -- parts that both forms have --------------------------------------------------------------------------------

    def before(self) -> list[str]:
        """Declarations of the numbers that sums give, in front of the braces around the loop."""
        lines = []
        for total in self.loop.totals:
            if not total.variable.shape and total.variable not in self.declared:
                self.declared.add(total.variable)
                lines.append(f"{self.text.real} {total.variable.identifier};")
        return lines

    def lanes(self) -> dict[Total, str]:
        """A name for the lanes of each sum."""
        return {total: self.text.local(f"{total.variable.identifier}_sums") for total in self.loop.totals}

    def behind(self, lanes: dict[Total, str], width: int = BLOCK) -> list[str]:
        """The lanes added up; there are `width`."""
        lines: list[str] = []
        for total, name in lanes.items():
            target = total.variable.identifier
            sign = "+=" if total.add else "="
            if not total.variable.shape:
                lines.append(f"{target} {sign} sd_lanes({width}, {name});")
                continue
            count = period(total)
            i, j = self.text.index(0), self.text.index(1)
            if count == 1:
                lines.append(f"{target}[0] {sign} sd_lanes({width}, {name});")
                continue
            adding = loop(
                [f"for (int {j} = {i} + {count}; {j} < {BLOCK}; {j} += {count})"], [f"{name}[{i}] += {name}[{j}];"]
            )
            lines += loop([counting(i, str(count), "int")], [*adding, f"{target}[{i}] {sign} {name}[{i}];"])
        return lines

    def statement(self, item: Map | Total, value: str, memory: str, last: bool, read: bool) -> list[str]:
        """One item inside the loop: a number, an element of an array, or both.

        memory is the element of the variable, empty for a variable without memory; last says that no later item writes
        the variable, read that another item of the loop reads it.
        """
        variable, real = item.variable, self.text.real
        holder = self.inside.get(variable)
        if holder is None and memory and last and not read:
            return commented(f"{memory} {'+=' if item.add else '='} {value};", item.notes)
        lines: list[str] = []
        if holder is None:
            name = variable.identifier if not memory else self.text.local(f"{variable.identifier}_i")
            self.inside[variable] = holder = name
            start = f"{memory} + " if item.add else ""
            kind = f"const {real}" if last else real
            lines += commented(f"{kind} {name} = {start}{value};", item.notes)
        else:
            lines += commented(f"{holder} += {value};", item.notes)
        if memory and last:
            lines.append(f"{memory} = {holder};")
        return lines

    def is_last(self, k: int) -> bool:
        """Whether no later item writes the variable of item k."""
        variable = self.loop.items[k].variable
        return all(item.variable is not variable for item in self.loop.items[k + 1 :])

    def is_read(self, variable: Variable) -> bool:
        """Whether an item of the loop reads what the loop makes."""
        return any(
            leaf.variable is variable and variable in self.written for item in self.loop.items for leaf in item.reads()
        )

    @property
    def written(self) -> set[Variable]:
        return {item.variable for item in self.loop.items if isinstance(item, Map)}

    def _nothing(self) -> list[str]:
        """A loop over no elements: sums are 0."""
        lines = self.before()
        for item in self.loop.items:
            lines += remarks(item.notes)
            if isinstance(item, Total) and not item.add:
                if item.variable.shape:
                    i = self.text.index(0)
                    lines += loop(
                        [counting(i, str(period(item)))], [f"{item.variable.identifier}[{i}] = {self.text.zero};"]
                    )
                else:
                    lines.append(f"{item.variable.identifier} = {self.text.zero};")
        return lines

    def _library_sum(self) -> list[str] | None:
        """The sum of an array, or of the products of two, alone in its loop."""
        item = self.loop.items[0]
        if len(self.loop.items) > 1 or not isinstance(item, Total) or item.kept or self.plain:
            return None
        operands = factors(item.elem)
        if operands is None or any(leaf.strides != row_major(item.space) for leaf in operands):
            return None
        function = "sd_sum" if len(operands) == 1 else "sd_dot"
        arguments = [self.text.size(product(item.space)), *(self.text.pointer(leaf) for leaf in operands)]
        value = f"{function}({', '.join(arguments)})"
        return self.assigned(item, value)

    def assigned(self, item: Total, value: str) -> list[str]:
        """A sum over everything that an expression gives."""
        variable = item.variable
        if variable.shape:
            return commented(f"{variable.identifier}[0] {'+=' if item.add else '='} {value};", item.notes)
        if item.add or variable in self.declared:
            return commented(f"{variable.identifier} {'+=' if item.add else '='} {value};", item.notes)
        self.declared.add(variable)
        return commented(f"{self.text.declared(variable, variable in self.program.several)} = {value};", item.notes)

    # -- direct ----------------------------------------------------------------------------------------------------

    def _direct(self) -> list[str]:
        space, items, text = self.loop.space, self.loop.items, self.text
        places = [leaf for item in items for leaf in item.reads() if not leaf.is_number]
        places += [item.place for item in items if isinstance(item, Map)]
        kept = collapsed(space, places)
        sizes = extents(space, kept)
        lanes = {} if self.plain else self.lanes()
        counters = [text.index(k) for k in range(len(kept))]
        marks: list[Size] = [f"@{k}" for k in range(len(kept))]
        blocked = bool(lanes) and not (isinstance(sizes[-1], int) and sizes[-1] <= BLOCK)
        lane = counters[-1] if counters else "0"
        if blocked:
            start, left = text.local("start"), text.local("count")
            marks[-1] = plus(f"@{start}", marks[-1])
        body = self._body(spread_index(len(space), kept, marks), lanes, lane)
        headers = [counting(name, text.size(size)) for name, size in zip(counters, sizes, strict=True)]
        simd = (
            bool(sizes) and not (isinstance(sizes[-1], int) and sizes[-1] < 8) and (bool(lanes) or not self.loop.totals)
        )
        if blocked:
            end = text.size(sizes[-1])
            inner = loop([counting(lane, left)], body, simd)
            rest = text.factor(sizes[-1])
            inner = [f"const size_t {left} = {rest} - {start} < {BLOCK} ? {rest} - {start} : {BLOCK};", *inner]
            outer = f"for (size_t {start} = 0; {start} < {end}; {start} += {BLOCK})"
            lines = loop([*headers[:-1], outer], inner)
        else:
            lines = loop(headers, body, simd) if headers else self._once(body)
        if not lanes:
            return [*self._zeros(), *lines]
        width = sizes[-1] if sizes and isinstance(sizes[-1], int) and sizes[-1] < BLOCK else BLOCK
        declared = [f"{text.real} {name}[{width}] = {{{text.zero}}};" for name in lanes.values()]
        return [*self.before(), "{", *indented([*declared, *lines, *self.behind(lanes, width)]), "}"]

    @property
    def plain(self) -> bool:
        """Whether elements are so few that a sum is one number."""
        size = product(self.loop.space)
        return isinstance(size, int) and size <= BLOCK

    def _zeros(self) -> list[str]:
        """Numbers that sums are added to, one element after the other."""
        lines = []
        for total in self.loop.totals:
            variable, zero = total.variable, self.text.zero
            if total.add:
                continue
            if variable.shape:
                lines.append(f"{variable.identifier}[0] = {zero};")
            elif variable in self.declared:
                lines.append(f"{variable.identifier} = {zero};")
            else:
                self.declared.add(variable)
                lines.append(f"{self.text.real} {variable.identifier} = {zero};")
        return lines

    def _once(self, body: list[str]) -> list[str]:
        return body if len(body) == 1 else ["{", *indented(body), "}"]

    def _body(self, index: Sequence[Size], lanes: dict[Total, str], lane: str) -> list[str]:
        def at(leaf: Leaf) -> str:
            if leaf.variable in self.inside and same_place(leaf, self.loop.space):
                return self.inside[leaf.variable]
            return self.text.place(leaf, index)

        lines: list[str] = []
        for k, item in enumerate(self.loop.items):
            value = self.text.elem(item.elem, at)
            if isinstance(item, Total):
                where = item.variable.identifier + ("[0]" if item.variable.shape else "")
                lines += commented(f"{f'{lanes[item]}[{lane}]' if lanes else where} += {value};", item.notes)
            else:
                memory = "" if item.variable in self.program.registers else self.text.place(item.place, index)
                lines += self.statement(item, value, memory, self.is_last(k), self.is_read(item.variable))
        return lines


def factors(elem: Elem) -> list[Leaf] | None:
    """The operand, or the two factors, where the value is that and nothing else, in memory."""
    names: list[str] = []
    if isinstance(elem.expr, Name):
        names = [elem.expr.id]
    elif isinstance(elem.expr, Call) and elem.expr.op in ("mul", "square"):
        args = elem.expr.args * (2 if elem.expr.op == "square" else 1)
        names = [arg.id for arg in args if isinstance(arg, Name)]
        names = names if len(names) == 2 else []
    found = [elem.leaves[name] for name in names]
    return found if found and all(leaf.variable is not None and not leaf.is_number for leaf in found) else None


class Blocked:
    """The blocked form."""

    def __init__(self, writer: LoopWriter) -> None:
        self.writer, self.text, self.loop = writer, writer.text, writer.loop
        self.program = writer.program
        self.dense = row_major(self.loop.space)
        self.total = product(self.loop.space)
        self.step = self._step()
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
        return BLOCK // step * step

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
        body = self._body(lanes)
        declared = [f"{text.real} {name}[{BLOCK}] = {{{text.zero}}};" for name in lanes.values()]
        gathered = self._gathered()
        inner = loop([counting(self.k, str(BLOCK), "int")], body, simd=True)
        uses = "\n".join([*self.enter, *gathered, *inner, *self.leave])
        head = [f"const size_t {self.left} = {text.factor(self.total)} - {self.start};"]
        if re.search(rf"\b{self.count}\b", uses):
            head.append(f"const int {self.count} = {self.left} < {self.step} ? (int){self.left} : {self.step};")
        elif not re.search(rf"\b{self.left}\b", uses):
            head = []
        around = f"for (size_t {self.start} = 0; {self.start} < {text.size(self.total)}; {self.start} += {self.step})"
        blocks = loop([around], [*head, *self.enter, *gathered, *inner, *self.leave])
        whole = [*declared, *self.first, *blocks, *self.writer.behind(lanes)]
        return [*self.writer.before(), "{", *indented(whole), "}"]

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
            self.enter.append(f"const {real} *{name} = sd_block({self.left}, {where}, {rest});")
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
                [f"for (int {self.k} = {repeat}; {self.k} < {BLOCK}; ++{self.k})"],
                [f"{name}[{self.k}] = {name}[{self.k} - {repeat}];"],
            ),
        ]

    def _gathered(self) -> list[str]:
        """Operands that are not packed: walked through with a counter for each axis, run after run along the last."""
        if not self.gather:
            return []
        text, space = self.text, self.loop.space
        kept = collapsed(space, [leaf for _, leaf in self.gather])
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
            if old and self.step != BLOCK:  # the elements behind the block are not to be added to twice
                self.enter.append(f"{real} *{to} = {rest};")
                self.enter.append(f"(void)sd_block((size_t){self.count}, {where}, {rest});")
                self.leave.append(f"sd_copy({self.count}, {rest}, {where});")
            else:
                self.enter.append(f"{real} *{to} = {left} < {BLOCK} ? {rest} : {where};")
                if old:
                    self.enter += [f"if ({left} < {BLOCK})", f"    (void)sd_block({left}, {where}, {rest});"]
                self.leave += [f"if ({left} < {BLOCK})", f"    sd_copy({self.count}, {rest}, {where});"]
        return f"{to}[{self.k}]"
