"""Where every array of a program lives: in a number inside one loop, in a local array, or in the workspace.

What nobody reads any more gives its place in the workspace to the next array of its size: also to one that the same
loop makes of it, element by element.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from symdiff.expr import Name
from symdiff.render.c_array_elem import Elem, Variable, row_major
from symdiff.render.c_array_fuse import Loop, Part, items_of, scheduled
from symdiff.render.c_array_ir import Helper, Map, Statement, is_small
from symdiff.render.c_array_tiles import Tile, row_length, tiled, used_by
from symdiff.shapes import Size, plus, product, size_value, times
from symdiff.tape import Tape

_LOCAL = 2048  # numbers in local arrays
_IN_PLACE = frozenset({"softmax"})  # C functions whose result may lie where their operand does


class MemoryUse(NamedTuple):
    """Numbers (of 8 bytes, or 4 in float32) that a compiled function holds beside inputs and outputs.

    peak           workspace and local arrays
    intermediates  all arrays between inputs and outputs together: what it would be if each had memory of its own
    """

    peak: int
    intermediates: int


@dataclass(frozen=True)
class Memory:
    """Numbers of one function, as sizes: `workspace` and `local` arrays at their peak, and `intermediates`, all arrays
    between inputs and outputs of the steps together, as they would be if each had memory of its own.
    """

    workspace: Size
    local: int
    intermediates: Size

    def at(self, sizes: Mapping[str, int]) -> MemoryUse:
        """The numbers for these run-time sizes."""
        return MemoryUse(size_value(self.workspace, sizes) + self.local, size_value(self.intermediates, sizes))


@dataclass
class Program:
    """Blocks and numbers in order, and where every array lives.

    registers  arrays that are a number inside one loop
    local      small arrays of literal size: arrays of the C function itself; `padded` of them have whole vectors
    offsets    of the others in the workspace
    several    numbers that more than one statement writes
    held       arrays that hold as many rows as a pass over rows has, see `c_array_tiles.py`
    """

    parts: list[Part | Tile]
    registers: set[Variable]
    offsets: dict[Variable, Size]
    workspace: Size
    variables: list[Variable]
    several: set[Variable]
    local: set[Variable]
    padded: set[Variable]
    held: dict[Variable, int]
    lanes: int
    lives: dict[Variable, _Life]
    heirs: dict[Variable, list[Variable]]

    def width(self, size: Size) -> int:
        """Numbers in whole vectors that hold so many."""
        assert isinstance(size, int)
        return -(-size // self.lanes) * self.lanes

    def memory(self, tape: Tape) -> Memory:
        """What the program needs, beside what the steps of its tape have."""
        outputs = {expr.id for _, expr in tape.outputs if isinstance(expr, Name)}
        shapes = {step.into or step.name: step.shape for step in tape.steps}
        intermediates: Size = 0
        for name, shape in shapes.items():
            if shape and name not in outputs:
                intermediates = plus(intermediates, product(shape))
        numbers = {each: product(each.shape) for each in self.local}
        local = sum(self.width(size) if each in self.padded else int(str(size)) for each, size in numbers.items())
        return Memory(self.workspace, local, intermediates)

    def without_local(self) -> Program:
        """The same with all arrays in the workspace, for a body that is cut into functions."""
        offsets, workspace = _memory(self.lives, self.registers, set(), self.held, self.heirs)
        return replace(self, offsets=offsets, workspace=workspace, local=set(), padded=set())


def fused(
    statements: Iterable[Statement], results: Iterable[Elem], dims: Iterable[str] = (), lanes: int = 8
) -> Program:
    """The program of a list of statements, whose outputs are `results`.

    `dims` are the run-time sizes; a vector has at most `lanes` numbers.
    """
    results = list(results)
    needed = {leaf.variable for elem in results for leaf in elem.leaves.values() if leaf.variable is not None}
    scheduled_parts, several = scheduled(statements)
    parts, more = tiled(scheduled_parts, dims, needed)
    flat: list[Part] = [each for part in parts for each in (part.parts if isinstance(part, Tile) else [part])]
    lives = _lives(flat, results)
    registers = _registers(flat, lives)
    local = _local(lives, registers)
    padded = _padded(flat, lives, local)
    _stretch(parts, lives)
    held = {each: part.rows for part in parts if isinstance(part, Tile) for each in part.held}
    heirs = _heirs(flat, lives)
    offsets, workspace = _memory(lives, registers, local, held, heirs)
    return Program(
        parts, registers, offsets, workspace, list(lives), several | more, local, padded, held, lanes, lives, heirs
    )


def _stretch(parts: Sequence[Part | Tile], lives: dict[Variable, _Life]) -> None:
    """What has all rows is in use during the whole pass over rows in which anything uses it."""
    first = 0
    for part in parts:
        last = first + (len(part.parts) if isinstance(part, Tile) else 1) - 1
        if isinstance(part, Tile):
            for variable in used_by(part) - part.held:
                lives[variable].readers += [first, last]
        first = last + 1


@dataclass
class _Life:
    """Parts that write and read a variable."""

    writers: list[int] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    scratch: bool = False

    @property
    def start(self) -> int:
        """The first part in which it is in use."""
        return min(self.writers + self.readers)

    @property
    def end(self) -> int:
        """The last part in which it is in use."""
        return max(self.writers + self.readers)


def numbers_of(variable: Variable, held: Mapping[Variable, int]) -> Size:
    """How many numbers an array has."""
    return times(held[variable], row_length(variable)) if variable in held else product(variable.shape)


def _lives(parts: list[Part], results: list[Elem]) -> dict[Variable, _Life]:
    lives: dict[Variable, _Life] = defaultdict(_Life)
    for place, part in enumerate(parts):
        for item in items_of(part):
            lives[item.variable].writers.append(place)
            for leaf in item.reads():
                if leaf.variable is not None:
                    lives[leaf.variable].readers.append(place)
            if isinstance(item, Helper) and item.work is not None:
                lives[item.work] = _Life([place], [place], scratch=True)
    for elem in results:
        for leaf in elem.leaves.values():
            if leaf.variable is not None:
                lives[leaf.variable].readers.append(len(parts))
    return dict(lives)


def _registers(parts: list[Part], lives: dict[Variable, _Life]) -> set[Variable]:
    """Arrays that live in one loop, as one number."""
    found = set()
    for variable, life in lives.items():
        home = set(life.writers)
        if not variable.shape or len(home) != 1 or variable.output is not None or life.scratch:
            continue
        loop = parts[life.writers[0]]
        if not isinstance(loop, Loop) or not set(life.readers) <= home:
            continue
        if all(isinstance(item, Map) and item.whole for item in loop.items if item.variable is variable):
            found.add(variable)
    return found


def _is_array(variable: Variable, registers: set[Variable]) -> bool:
    """Whether it needs memory of its own."""
    given = variable.source is not None or variable.output is not None
    return bool(variable.shape) and not given and variable not in registers


def _local(lives: dict[Variable, _Life], registers: set[Variable]) -> set[Variable]:
    """Small arrays of literal size. Nothing else points to them, so that compilers keep their numbers in registers."""
    found: set[Variable] = set()
    room = _LOCAL
    for variable in lives:
        size = product(variable.shape)
        if _is_array(variable, registers) and is_small(variable.shape) and isinstance(size, int) and 0 < size <= room:
            found.add(variable)
            room -= size
    return found


def _padded(parts: list[Part], lives: dict[Variable, _Life], local: set[Variable]) -> set[Variable]:
    """Local arrays that only small inexact loops write, as a whole."""
    found = set()
    for variable in local:
        homes = [parts[place] for place in lives[variable].writers]
        if lives[variable].scratch or not all(
            isinstance(home, Loop) and home.is_small and not home.is_exact for home in homes
        ):
            continue
        items = [item for home in homes for item in items_of(home) if item.variable is variable]
        if all(isinstance(item, Map) and item.whole for item in items):
            found.add(variable)
    return found


def _heirs(parts: Sequence[Part], lives: Mapping[Variable, _Life]) -> dict[Variable, list[Variable]]:
    """For every array that a part makes element by element of others: those others that nothing reads from then on."""
    found: dict[Variable, list[Variable]] = {}
    for place, part in enumerate(parts):
        made: dict[Variable, list[Variable]] = {}
        if isinstance(part, Loop):
            for number, item in enumerate(part.items):
                if isinstance(item, Map) and item.whole and not item.add:
                    later = {leaf.variable for each in part.items[number + 1 :] for leaf in each.reads()}
                    made[item.variable] = [each for each in _elementwise(part) if each not in later]
        elif isinstance(part, Helper) and part.function in _IN_PLACE and not part.add:
            count = product(part.sizes)
            packed = (leaf.variable for leaf in part.operands if leaf.offset == 0)
            made[part.variable] = [each for each in packed if each is not None and product(each.shape) == count]
        for variable, operands in made.items():
            if lives[variable].start == place:
                ended = [each for each in operands if lives[each].end == place and place not in lives[each].writers]
                found[variable] = ended
    return found


def _elementwise(loop: Loop) -> list[Variable]:
    """Arrays of which a loop reads at element i nothing but element i."""
    packed = {True: dict[Variable, None](), False: dict[Variable, None]()}
    for item in loop.items:
        for leaf in item.reads():
            if leaf.variable is not None:
                whole = leaf.offset == 0 and leaf.strides == row_major(loop.space)
                packed[whole and product(leaf.variable.shape) == product(loop.space)][leaf.variable] = None
    return [each for each in packed[True] if each not in packed[False]]


def _memory(
    lives: dict[Variable, _Life],
    registers: set[Variable],
    local: set[Variable],
    held: dict[Variable, int],
    heirs: Mapping[Variable, list[Variable]],
) -> tuple[dict[Variable, Size], Size]:
    """Offsets in the workspace, and its size. What nobody reads any more gives its place to the next of its size."""
    sizes = {each: numbers_of(each, held) for each in lives}
    arrays = [each for each in lives if _is_array(each, registers) and each not in local]
    ends: dict[int, list[Variable]] = defaultdict(list)
    offsets: dict[Variable, Size] = {}
    free: dict[Size, list[Size]] = defaultdict(list)
    inherited: set[Variable] = set()  # their places are taken already
    total: Size = 0
    for variable in arrays:
        ends[lives[variable].end].append(variable)
    done = -1
    for variable in sorted(arrays, key=lambda each: lives[each].start):
        start = lives[variable].start
        for place in range(done + 1, start):
            for gone in ends.get(place, ()):
                if gone not in inherited:
                    free[sizes[gone]].append(offsets[gone])
        done = max(done, start - 1)
        size = sizes[variable]
        left = [each for each in heirs.get(variable, ()) if each in offsets and each not in inherited]
        if same := [each for each in left if sizes[each] == size]:
            inherited.add(same[0])
            offsets[variable] = offsets[same[0]]
        elif free[size]:
            offsets[variable] = free[size].pop()
        else:
            offsets[variable] = total
            total = plus(total, size)
    return offsets, total
