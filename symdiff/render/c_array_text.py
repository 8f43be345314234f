"""C text of sizes, places and elements, and blocks of lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from symdiff.expr import Number
from symdiff.render.c_array_elem import Elem, Leaf, Variable, is_diagonal
from symdiff.render.printer import Printer
from symdiff.shapes import Polynomial, Shape, Size, plus, size_text, times
from symdiff.tape import Namer

_WIDTH = 118
INDENT = "    "


class Text:
    """Identifiers of one function, and how its values are written."""

    def __init__(
        self, names: Mapping[str, str], namer: Namer, real: str, suffix: str, words: Mapping[str, Any]
    ) -> None:
        self.names, self.namer, self.real, self.suffix = dict(names), namer, real, suffix
        self.words = words
        self.dims = dict(names)  # a size as a number, also where `names` has some rows of it
        self.zero = f"0.0{suffix}"
        self._indices: list[str] = []
        self._locals: dict[str, list[str]] = {}
        self._scope: set[str] = set()

    def index(self, k: int) -> str:
        """Loop counter number k: i, j, ...; as a symbol in sizes it is `@k`."""
        while len(self._indices) <= k:
            depth = len(self._indices)
            name = self.namer.fresh("ijklpqrstuvw"[depth] if depth < 12 else f"i{depth}")
            self._indices.append(name)
            self.names[f"@{depth}"] = name
        return self._indices[k]

    def local(self, wish: str) -> str:
        """An identifier for this part of the program; other parts may have the same one. It can stand in sizes, as `@`
        and its name.
        """
        names = self._locals.setdefault(wish, [])
        name = next((each for each in names if each not in self._scope), None)
        if name is None:
            name = self.namer.fresh(wish)
            names.append(name)
            self.names[f"@{name}"] = name
        self._scope.add(name)
        return name

    def leave(self) -> None:
        """The next part of the program begins."""
        self._scope.clear()

    def size(self, size: Size) -> str:
        """A number of elements, as an argument or a bound."""
        return size_text(size, self.names)

    def factor(self, size: Size) -> str:
        """The same in brackets where it has several terms."""
        text = self.size(size)
        return f"({text})" if isinstance(size, Polynomial) and len(size.terms) > 1 else text

    def printer(self, at: Mapping[str, str]) -> Printer:
        return Printer("c", at, self.literal, self.words)

    def literal(self, number: Number, alone: bool = True) -> str:
        if math.isfinite(number.value):
            return f"{number.value!r}{self.suffix}"
        return "NAN" if math.isnan(number.value) else "INFINITY" if number.value > 0 else "-INFINITY"

    def elem(self, elem: Elem, at: Callable[[Leaf], str]) -> str:
        """The expression, with each operand as `at` says."""
        return self.printer({key: at(leaf) for key, leaf in elem.leaves.items()})(elem.expr)

    def number(self, leaf: Leaf) -> str:
        """An operand that is not in memory."""
        if leaf.dimension is not None:
            return f"({self.real}){self.dims[leaf.dimension]}"
        assert leaf.variable is not None
        return leaf.variable.identifier

    def place(self, leaf: Leaf, index: Sequence[Size]) -> str:
        """An operand at an index: `X[i*n + j]`, a condition `i == j`, or a number."""
        if leaf.is_number:
            return self.number(leaf)
        where = position(leaf, index)
        if is_diagonal(leaf):
            return self._condition(where)
        assert leaf.variable is not None
        return f"{leaf.variable.identifier}[{self.size(where)}]"

    def _condition(self, zero: Size) -> str:
        left: Size = 0
        right: Size = 0
        for names, factor in _terms(zero):
            term: Size = abs(factor)
            for name in names:
                term = times(term, name)
            if factor > 0:
                left = plus(left, term)
            else:
                right = plus(right, term)
        return f"{self.size(left)} == {self.size(right)}"

    def rounded(self, value: str) -> str:
        """A double, such as a sum, as an element."""
        return f"({self.real}){value}" if self.suffix else value

    def pointer(self, leaf: Leaf, index: Sequence[Size] = ()) -> str:
        """The address of an operand, as an argument."""
        assert leaf.variable is not None
        name = leaf.variable.identifier
        if not leaf.variable.shape:
            return f"&{name}"
        where = position(leaf, index) if index else leaf.offset
        return name if where == 0 else f"{name} + {self.size(where)}"

    def declared(self, variable: Variable, several: bool) -> str:
        """`const double v8`, where a number is written for the first time."""
        return f"{'' if several else 'const '}{self.real} {variable.identifier}"


def _terms(size: Size) -> Iterable[tuple[tuple[str, ...], int]]:
    if isinstance(size, Polynomial):
        return size.terms
    return [((size,), 1)] if isinstance(size, str) else [((), size)]


def position(leaf: Leaf, index: Sequence[Size]) -> Size:
    """Offset of an element; `index` has an entry for each stride."""
    where = leaf.offset
    for stride, place in zip(leaf.strides, index, strict=True):
        where = plus(where, times(stride, place))
    return where


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    """Lines one level further in; directives stay at the margin."""
    return [INDENT * depth + line if line else line for line in lines]


def loop(headers: Sequence[str], body: Sequence[str], simd: bool = False) -> list[str]:
    """Nested loops around a body; the innermost one is marked for SIMD."""
    lines = list(body)
    for k, header in enumerate(reversed(headers)):
        marked = simd and k == 0
        single = len(lines) == 1 and not lines[0].startswith("/*")
        lines = [header, *indented(lines)] if single else [header + " {", *indented(lines), "}"]
        if marked:
            lines = ["SD_LOOP", *lines]
    return lines


def counting(name: str, end: str, kind: str = "size_t") -> str:
    """The head of a loop from 0."""
    return f"for ({kind} {name} = 0; {name} < {end}; ++{name})"


def commented(line: str, notes: Sequence[str]) -> list[str]:
    """A line with the comments of its steps: at its end where there is room, else before it."""
    if not notes:
        return [line]
    text = f"/* {'; '.join(notes)} */"
    if len(line) + len(text) + 14 <= _WIDTH:
        return [f"{line.ljust(44)} {text}"]
    return [*remarks(notes), line]


def remarks(notes: Sequence[str]) -> list[str]:
    """Comments on lines of their own."""
    found = []
    for note in notes:
        words = f"/* {note} */".split(" ")
        line = ""
        for word in words:
            if line and len(line) + len(word) + 1 > _WIDTH - 12:
                found.append(line)
                line = "  "
            line = f"{line} {word}" if line else word
        found.append(line)
    return found


def call(name: str, arguments: Sequence[str], end: str = ";") -> list[str]:
    """`name(a, b);`, broken where it is too long."""
    lines, line = [], f"{name}("
    for k, argument in enumerate(arguments):
        piece = argument + (", " if k < len(arguments) - 1 else f"){end}")
        if len(line) + len(piece) > _WIDTH - 8 and line.strip():
            lines.append(line.rstrip())
            line = INDENT
        line += piece
    return [*lines, line]


def collapsed(shape: Shape, leaves: Iterable[Leaf]) -> list[int]:
    """Axes that need a loop of their own, the others being merged into the next one behind."""
    leaves = [leaf for leaf in leaves if any(leaf.strides)]
    axes = [axis for axis, size in enumerate(shape) if size != 1]
    kept: list[int] = []
    for axis, following in zip_longest(axes, axes[1:]):
        merges = following is not None and all(
            leaf.strides[axis] == times(leaf.strides[following], shape[following]) for leaf in leaves
        )
        if not merges:
            kept.append(axis)
    return kept


def extents(shape: Shape, kept: Sequence[int]) -> list[Size]:
    """Sizes of the loops over collapsed axes."""
    sizes: list[Size] = []
    start = 0
    for axis in kept:
        size: Size = 1
        for each in shape[start : axis + 1]:
            size = times(size, each)
        sizes.append(size)
        start = axis + 1
    return sizes


def spread_index(rank: int, kept: Sequence[int], places: Sequence[Size]) -> list[Size]:
    """An index for all axes from the counters of the collapsed ones."""
    index: list[Size] = [0] * rank
    for axis, place in zip(kept, places, strict=True):
        index[axis] = place
    return index
