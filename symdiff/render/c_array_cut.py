"""A long body cut into functions, because compilers take more than linear time for one of many thousand lines.

Each function finds the arrays that it uses itself; numbers that several functions use go through an array.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from symdiff.render.c_array_elem import Variable

_LENGTH = 250  # lines of a function
_WORD = re.compile(r"[A-Za-z_]\w*")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """Lines of one part of the program, with the numbers that they declare, and all that they write."""

    lines: list[str]
    declared: set[Variable]
    written: set[Variable]


def code_of(lines: Iterable[str]) -> str:
    """Lines without comments."""
    return _COMMENT.sub("", "\n".join(lines))


def words(code: str) -> set[str]:
    """Identifiers in a text."""
    return set(_WORD.findall(code))


def cut(pieces: Iterable[Piece], array: str, real: str) -> tuple[list[list[str]], int]:
    """Lines of each function, which load and store shared numbers in `array`; how many of these there are."""
    chunks = _chunks(pieces)
    homes = {variable: k for k, chunk in enumerate(chunks) for piece in chunk for variable in piece.declared}
    numbers = {variable.identifier: variable for variable in homes}
    used = []
    for chunk in chunks:
        found = words(code_of(line for piece in chunk for line in piece.lines))
        used.append([numbers[word] for word in sorted(found & set(numbers))])
    places: dict[Variable, int] = {}
    for k, variables in enumerate(used):
        for variable in variables:
            if homes[variable] != k:
                places.setdefault(variable, len(places))
    made = []
    for k, (chunk, variables) in enumerate(zip(chunks, used, strict=True)):
        changed = {variable for piece in chunk for variable in piece.written}
        shared = [variable for variable in variables if variable in places]
        loads, stores = [], []
        for variable in shared:
            at, name = f"{array}[{places[variable]}]", variable.identifier
            if homes[variable] != k:
                loads.append(f"{'' if variable in changed else 'const '}{real} {name} = {at};")
            if homes[variable] == k or variable in changed:
                stores.append(f"{at} = {name};")
        made.append([*loads, *(line for piece in chunk for line in piece.lines), *stores])
    return made, len(places)


def _chunks(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Pieces in a row, as many as fit into a function."""
    chunks: list[list[Piece]] = [[]]
    length = 0
    for piece in pieces:
        if chunks[-1] and length + len(piece.lines) > _LENGTH:
            chunks.append([])
            length = 0
        chunks[-1].append(piece)
        length += len(piece.lines)
    return chunks
