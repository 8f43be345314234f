"""What modules for scalars and for arrays have in common: numbers, parameters, what is returned, the header."""

from __future__ import annotations

import io
import math
import re
import textwrap
import tokenize
from collections.abc import Iterable, Mapping

from symdiff.expr import Number
from symdiff.formula_data import Input
from symdiff.render.context import left_out
from symdiff.render.names import PYTHON_RESERVED, mangled
from symdiff.render.printer import plain_number
from symdiff.shapes import described
from symdiff.tape import Tape

COMMENT_COLUMN = 44
LINE = 100  # characters of a statement before it is broken


def python_number(number: Number, alone: bool) -> str:
    """Whole numbers are written short inside arithmetic; alone, as an argument, with a point, so that no array of
    integers arises.
    """
    if not math.isfinite(number.value):
        return "-np.inf" if number.value == -math.inf else f"np.{number.value}"
    if number.symbol is not None or alone:
        return repr(number.value)
    return plain_number(number)


def returned(value: str, gradients: list[str], width: int = LINE) -> str:
    """What `gradient` returns; one derivative a line where one line cannot hold them."""
    line = f"{value}, Gradient({', '.join(gradients)})"
    if len(line) <= width:
        return line
    return f"{value}, Gradient(\n" + "".join(f"        {gradient},\n" for gradient in gradients) + "    )"


def described_input(given: Input) -> str:
    """A line of the header: `X: n x 3 matrix, variable`."""
    kind = "constant" if given.constant else "variable"
    default = "" if given.default is None else f", {given.default!r} unless given"
    return f"{given.name}: {described(given.shape)}, {kind}{default}"


def remarks(tape: Tape) -> list[str]:
    """Lines of the header on the steps that the code does without."""
    return textwrap.wrap(f"{text}.", 110) if (text := left_out(tape.notes)) else []


def signature(inputs: Iterable[Input], names: Mapping[str, str]) -> str:
    """Parameters with the defaults that Python allows, which are those at the end."""
    parts: list[str] = []
    for given in reversed(list(inputs)):
        optional = given.default is not None and all("=" in part for part in parts)
        parts.append(f"{names[given.name]}={given.default!r}" if optional else names[given.name])
    return ", ".join(reversed(parts))


def fields(wrt: Iterable[str]) -> list[str]:
    """Fields of the named tuple of derivatives."""
    return list(mangled(wrt, PYTHON_RESERVED - {"value", "gradient"}).values())


_ASSIGN = re.compile(r"(?<= [+-]=) |(?<= =) ")
_BEFORE = frozenset({"+", "-", "*", "/", "@"})


def broken(code: str, width: int) -> list[str]:
    """A statement on several lines of at most `width` columns, its right side in brackets; one line where that fits."""
    if len(code) <= width:
        return [code]
    head, text = _ASSIGN.split(code, maxsplit=1)
    lines, start = [f"{head} ("], 0
    points = _break_points(text)
    while len(text) - start > width - 4:
        near = [(depth, -place) for place, depth in points if start < place <= start + width - 4]
        if not near:
            break
        place = -min(near)[1]
        lines.append("    " + text[start:place].rstrip())
        start = place
    return [*lines, "    " + text[start:], ")"]


def _break_points(text: str) -> list[tuple[int, int]]:
    """(column, depth of brackets) where a line may end: after a comma, before an operator between two operands."""
    points, depth, operand = [], 0, False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.string in ("(", "["):
            depth += 1
        elif token.string in (")", "]"):
            depth -= 1
        elif token.string == ",":
            points.append((token.end[1] + 1, depth))
        elif token.string in _BEFORE and operand:
            points.append((token.start[1], depth))
        operand = token.type in (tokenize.NAME, tokenize.NUMBER) or token.string in (")", "]")
    return points


__all__ = ["COMMENT_COLUMN", "LINE", "broken", "described_input", "fields", "python_number", "returned", "signature"]
