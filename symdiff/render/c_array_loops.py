"""Loops over the elements of a space.

Three forms. *Direct*: a nest of loops over the collapsed axes, in which every statement is exact, so that SIMD code
gives the same bits as one element at a time. *Blocked*: all elements in a row, in blocks of 64 that go through one and
the same SIMD loop; what does not fill a block, and what is not packed, is copied into local arrays first. So the bits
of an element depend neither on its place nor on the number of elements, also where functions of a vector library are
used. *Tiny*: the same for at most 64 elements whose number is in the formula; see `c_array_tiny.py`.

A sum over all elements is taken in 64 lanes, which are added in pairs at the end. Lanes are double also where elements
are float.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.expr import Call, Name
from symdiff.render.c_array_blocks import Blocked
from symdiff.render.c_array_elem import Elem, Leaf, Variable, row_major
from symdiff.render.c_array_fuse import Loop, goal_of, period, same_place
from symdiff.render.c_array_ir import BLOCK, Map, Total
from symdiff.render.c_array_memory import Program
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
from symdiff.render.c_array_tiny import Tiny
from symdiff.shapes import Size, plus, product


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
        if self.plain:
            return self._direct() if self.loop.is_exact else Tiny(self).lines()
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

    def behind(self, lanes: dict[Total, str], width: int | str = BLOCK) -> list[str]:
        """The lanes added up; there are `width`."""
        lines: list[str] = []
        for total, name in lanes.items():
            target = total.variable.identifier
            sign = "+=" if total.add else "="
            if not total.variable.shape:
                lines.append(f"{target} {sign} {self.text.rounded(f'sd_lanes({width}, {name})')};")
                continue
            count = period(total)
            i, j = self.text.index(0), self.text.index(1)
            if count == 1:
                lines.append(f"{target}[0] {sign} {self.text.rounded(f'sd_lanes({width}, {name})')};")
                continue
            adding = loop(
                [f"for (int {j} = {i} + {count}; {j} < {width}; {j} += {count})"], [f"{name}[{i}] += {name}[{j}];"]
            )
            result = f"{target}[{i}] {sign} {self.text.rounded(f'{name}[{i}]')};"
            lines += loop([counting(i, str(count), "int")], [*adding, result])
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
        goals = [goal_of(total) for total in self.loop.totals if total.variable.shape and self.loop.period > 1]
        kept = collapsed(space, [*places, *goals])
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
        apart = bool(lanes) or (len(goals) == len(self.loop.totals) and all(goal.strides[kept[-1]] for goal in goals))
        simd = apart and bool(sizes) and not (isinstance(sizes[-1], int) and sizes[-1] < 8)
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
            return [*self.zeros(), *lines]
        width = sizes[-1] if sizes and isinstance(sizes[-1], int) and sizes[-1] < BLOCK else BLOCK
        declared = [f"double {name}[{width}] = {{0.0}};" for name in lanes.values()]
        return [*self.before(), "{", *indented([*declared, *lines, *self.behind(lanes, width)]), "}"]

    @property
    def plain(self) -> bool:
        """Whether elements are so few that a sum is one number."""
        return self.loop.is_small

    def zeros(self) -> list[str]:
        """Numbers that sums are added to, one element after the other."""
        lines = []
        for total in self.loop.totals:
            variable, zero = total.variable, self.text.zero
            if total.add:
                continue
            if variable.shape and period(total) > 1:
                i = self.text.index(0)
                lines += loop([counting(i, str(period(total)))], [f"{variable.identifier}[{i}] = {zero};"])
            elif variable.shape:
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
                goal = goal_of(item)
                where = f"{lanes[item]}[{lane}]" if lanes else self.text.place(goal, index[: len(goal.strides)])
                lines += commented(f"{where} += {value};", item.notes)
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
