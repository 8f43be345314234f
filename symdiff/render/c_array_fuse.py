"""Statements -> a program: loops over one space that can be one loop become one, and memory is given out.

A statement joins an earlier loop over the same space if all that it reads is there before that loop, or is made by it
at the very element. A variable that only its own loop reads is a number inside that loop and takes no memory. Numbers
move forward as far as a loop that joins needs them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from symdiff.render.c_array_elem import Leaf, Variable, row_major
from symdiff.render.c_array_ir import (
    BLOCK,
    Helper,
    Map,
    Product,
    Remark,
    Scalar,
    Statement,
    Total,
    is_exact,
    is_small,
)
from symdiff.render.c_array_lower import joins
from symdiff.shapes import Shape, Size, product, times

_LONGEST = 40  # statements of one loop
_SEARCHED = 4  # loops over the same space that are tried, from the last one


@dataclass(eq=False)
class Loop:
    """Statements over one space, done element by element."""

    space: Shape
    items: list[Map | Total] = field(default_factory=list)

    @property
    def totals(self) -> list[Total]:
        return [item for item in self.items if isinstance(item, Total)]

    @property
    def period(self) -> int:
        """Number of elements after which the kept axes of all sums repeat."""
        return math.lcm(*(period(total) for total in self.totals))

    @property
    def is_exact(self) -> bool:
        return all(is_exact(item.elem) for item in self.items)

    @property
    def is_small(self) -> bool:
        """Whether elements are so few that sums are taken one by one."""
        return is_small(self.space)

    def takes(self, item: Map | Total) -> bool:
        """Whether the loop can grow by this item."""
        if len(self.items) >= _LONGEST or not all(self._mixes(each) for each in (*self.items, item)):
            return False
        return not isinstance(item, Total) or math.lcm(self.period, period(item)) <= BLOCK

    def _mixes(self, item: Map | Total) -> bool:
        return isinstance(item, Total) or item.whole


def period(total: Total) -> int:
    """The number of elements of the kept last axes."""
    found = product(total.space[axis] for axis in total.kept)
    assert isinstance(found, int)
    return found


def goal_of(total: Total) -> Leaf:
    """Where a term of the sum goes."""
    strides: list[Size] = [0] * len(total.space)
    step: Size = 1
    for axis in reversed(total.kept):
        strides[axis] = step
        step = times(step, total.space[axis])
    return Leaf(total.variable, 0, tuple(strides) if total.variable.shape else ())


Block = Loop | Total | Product | Helper
Part = Block | Scalar | Remark


@dataclass(eq=False)
class _Number:
    """A number, or a remark, that stands behind block `place`; it could stand behind block `earliest`."""

    statement: Scalar | Remark
    place: int
    earliest: int
    order: int
    needs: list[_Number] = field(default_factory=list)


def items_of(part: Part) -> Iterator[Map | Total | Scalar | Product | Helper]:
    """The statements of a part."""
    if isinstance(part, Loop):
        yield from part.items
    elif not isinstance(part, Remark):
        yield part


def scheduled(statements: Iterable[Statement]) -> tuple[list[Part], set[Variable]]:
    """The parts of the program in order, and the numbers that more than one statement writes."""
    schedule = _Schedule(list(statements))
    return schedule.parts(), schedule.several


class _Schedule:
    """Puts statements into blocks."""

    def __init__(self, statements: list[Statement]) -> None:
        counts: dict[Variable, int] = defaultdict(int)
        for statement in statements:
            if not isinstance(statement, Remark):
                counts[statement.variable] += 1
        self.several = {variable for variable, number in counts.items() if number > 1 and not variable.shape}
        self.blocks: list[Block] = []
        self.loops: dict[Shape, list[int]] = defaultdict(list)
        self.last: dict[Variable, int] = {}  # block that wrote last
        self.numbers: list[_Number] = []
        self.movable: dict[Variable, _Number] = {}
        for statement in statements:
            self._add(statement)

    def _add(self, statement: Statement) -> None:
        if isinstance(statement, Scalar | Remark):
            self._number(statement)
            return
        if isinstance(statement, Map) or (isinstance(statement, Total) and joins(statement.space, statement.kept)):
            place = self._loop_for(statement)
            loop = self.blocks[place]
            assert isinstance(loop, Loop)
            loop.items.append(statement)
        else:
            place = len(self.blocks)
            self.blocks.append(statement)
        self.last[statement.variable] = place

    def _number(self, statement: Scalar | Remark) -> None:
        here = len(self.blocks) - 1
        made = _Number(statement, here, here, len(self.numbers))
        self.numbers.append(made)
        if isinstance(statement, Remark):
            return
        if statement.variable in self.several:
            self.last[statement.variable] = here
            return
        made.earliest = -1
        for leaf in statement.reads():
            if leaf.variable in self.movable:
                needed = self.movable[leaf.variable]
                made.needs.append(needed)
                made.earliest = max(made.earliest, needed.earliest)
            elif leaf.variable is not None:
                made.earliest = max(made.earliest, self.last.get(leaf.variable, -1))
        self.movable[statement.variable] = made

    def _loop_for(self, item: Map | Total) -> int:
        """The block of the loop that the item joins, or of a new one."""
        first = self._earliest(item)
        for place in reversed(self.loops[item.space][-_SEARCHED:]):
            loop = self.blocks[place]
            assert isinstance(loop, Loop)
            if place >= first and loop.takes(item) and self._fits(item, place):
                for leaf in item.reads():
                    if leaf.variable in self.movable:
                        self._pull(self.movable[leaf.variable], place - 1)
                return place
        self.blocks.append(Loop(item.space))
        self.loops[item.space].append(len(self.blocks) - 1)
        return len(self.blocks) - 1

    def _earliest(self, item: Map | Total) -> int:
        """The first block that could hold the item, if what that block makes itself can be used in it."""
        first = self.last.get(item.variable, 0)
        for leaf in item.reads():
            if leaf.variable in self.movable:
                first = max(first, self.movable[leaf.variable].earliest + 1)
            elif leaf.variable is not None:
                first = max(first, self.last.get(leaf.variable, 0))
        return first

    def _fits(self, item: Map | Total, place: int) -> bool:
        """Whether what block `place` makes and the item reads or adds to is there at the very element."""
        loop = self.blocks[place]
        assert isinstance(loop, Loop)
        for leaf in item.reads():
            if leaf.variable is None or self.last.get(leaf.variable) != place:
                continue
            if (
                leaf.variable in self.several
                or not self._whole(loop, leaf.variable)
                or not same_place(leaf, loop.space)
            ):
                return False
        if self.last.get(item.variable) == place:
            writers = [each for each in loop.items if each.variable is item.variable]
            if not writers:  # a number behind the loop
                return False
            kinds = {type(each) for each in writers}
            return kinds == {type(item)} and (
                isinstance(item, Total) or (item.whole and self._whole(loop, item.variable))
            )
        return True

    @staticmethod
    def _whole(loop: Loop, variable: Variable) -> bool:
        return all(isinstance(item, Map) and item.whole for item in loop.items if item.variable is variable)

    def _pull(self, number: _Number, place: int) -> None:
        work = [number]
        while work:
            current = work.pop()
            if current.place > place:
                current.place = place
                work.extend(current.needs)

    def parts(self) -> list[Part]:
        """Everything in order."""
        behind: dict[int, list[_Number]] = defaultdict(list)
        for number in self.numbers:
            behind[number.place].append(number)
        found: list[Part] = [number.statement for number in behind[-1]]
        for place, block in enumerate(self.blocks):
            found.append(block)
            found.extend(number.statement for number in behind[place])
        return found


def same_place(leaf: Leaf, space: Shape) -> bool:
    """Whether a leaf reads element i of its variable for element i of the space."""
    assert leaf.variable is not None
    same = leaf.offset == 0 and leaf.strides == row_major(space)
    return same and product(leaf.variable.shape) == product(space)
