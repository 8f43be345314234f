"""What is typed into the field of an input -> a number, or nested lists of numbers. Nothing is evaluated.

scalar    1.5
vector    1 2 3        separated by blanks, commas or line ends
matrix    1 2 3        a row a line
          4 5 6
stack     matrices, with an empty line between them
any       [[1, 2], [3, 4]]
"""

from __future__ import annotations

import json
import re
from typing import Any

from symdiff.errors import SymdiffError, quoted

_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)")
_LEVELS = 32  # nested brackets


def number(text: str) -> float:
    """One number. Raises SymdiffError for anything else."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise SymdiffError(f"expected a number, found {quoted(text)}")
    return float(text)


def value(text: str, rank: int) -> Any:
    """The number, or the array of `rank` axes, that the field says. Raises SymdiffError, with the place, otherwise."""
    if rank == 0:
        return number(text)
    if text.strip().startswith("["):
        return _brackets(text.strip())
    if rank == 1:
        return _row(text)
    if rank == 2:
        return _matrix(text)
    if rank == 3:
        return [_matrix(block) for block in re.split(r"\n\s*\n", text.strip())]
    raise SymdiffError(f"write an array with {rank} axes in brackets: [[[...], ...], ...]")


def text_of(found: Any) -> str:
    """What stands in the field for a number or nested lists: `value` reads it back as it was."""
    if not isinstance(found, list | tuple):
        return repr(float(found)).removesuffix(".0")
    if not any(isinstance(part, list | tuple) for part in found):
        return " ".join(map(text_of, found))
    if not any(isinstance(part, list | tuple) for row in found if isinstance(row, list | tuple) for part in row):
        return "\n".join(map(text_of, found))
    return json.dumps(found)


def _row(text: str) -> list[float]:
    return [number(part) for part in text.replace(",", " ").split()]


def _matrix(text: str) -> list[list[float]]:
    rows = [_row(line) for line in text.strip().splitlines()]
    for place, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise SymdiffError(
                f"row {place + 1} has {_numbers(len(row))}, and row 1 has {len(rows[0])}; write a row on a line"
            )
    return rows


def _numbers(count: int) -> str:
    return f"{count} number{'' if count == 1 else 's'}"


def _brackets(text: str) -> Any:
    try:
        return _floats(json.loads(text, parse_constant=_no_number), _LEVELS)
    except (ValueError, RecursionError, OverflowError):
        raise SymdiffError("expected numbers in brackets, such as [[1, 2], [3, 4]]") from None


def _floats(found: Any, levels: int) -> Any:
    if isinstance(found, list) and levels:
        return [_floats(part, levels - 1) for part in found]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError
    return float(found)


def _no_number(_word: str) -> float:
    raise ValueError


__all__ = ["number", "text_of", "value"]
