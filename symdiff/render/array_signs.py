r"""Small pieces of matrix notation in LaTeX: sizes, shapes, elements `W_{ij}`, letters for indices, lines that fit."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from symdiff.einstein import UNIT
from symdiff.ops.core import MUL
from symdiff.render.latex_lines import TEXT_WIDTH, width
from symdiff.render.mathematics import bracketed, is_tall
from symdiff.shapes import Polynomial, Shape, Size

JUXT = MUL + 2  # factors side by side bind more strongly than the elementwise product
TOP, INVERSE, INVERSE_TOP = r"^{\top}", "^{-1}", r"^{-\top}"
WIDE = TEXT_WIDTH - 27.0  # pt of an equation without a number
_ROW_END = re.compile(r"\\\\(?:\[[0-9.]+pt\])?")
ELEMENTWISE_SIGN = r" \odot "


class Piece(NamedTuple):
    """A piece of mathematics, how strongly it binds, and the shape of what it means."""

    text: str
    strength: int
    shape: Shape


def size_latex(size: Size, names: Mapping[str, str]) -> str:
    """`2 n + 1`."""
    if isinstance(size, int):
        return str(size)
    if isinstance(size, str):
        return names.get(size, size)
    assert isinstance(size, Polynomial)
    text = ""
    for factors, count in size.terms:
        words = []
        for name in dict.fromkeys(factors):
            power = factors.count(name)
            words.append(names.get(name, name) + (f"^{{{power}}}" if power > 1 else ""))
        shown = r" \, ".join([*([] if abs(count) == 1 and words else [str(abs(count))]), *words])
        text += (" - " if count < 0 else " + " if text else "") + shown
    return text.removeprefix(" ")


def shape_latex(shape: Shape, names: Mapping[str, str]) -> str:
    r"""`3 \times 2`, `n` for a vector, `1` for a scalar, as people write the size of a matrix."""
    sizes = [size_latex(size, names) for size in shape]
    shown = [f"({text})" if isinstance(size, Polynomial) and len(shape) > 1 and len(size.terms) > 1 else text
             for text, size in zip(sizes, shape, strict=True)]  # fmt: skip
    return r" \times ".join(shown) or "1"


def entry(text: str, indices: str) -> str:
    """An element: `W_{ij}`, `(W_{1})_{ij}`."""
    if not indices:
        return text
    plain = "_" not in text and not is_tall(text) and "^" not in text and " " not in text and "(" not in text
    inside = f"{{{text}}}" if plain and "'" in text else text if plain else bracketed(text)
    return f"{inside}_{{{indices}}}"


def element_indices(shape: Shape, letters: str, skip: str = "") -> str:
    """A letter for each axis of `shape`, 1 for axes of length 1."""
    fresh = iter(letter for letter in letters if letter not in skip)
    return "".join(UNIT if size == 1 else next(fresh) for size in shape)


def broadcast_indices(indices: str, shape: Shape) -> str:
    """The indices of an operand that broadcasts, from those of the value."""
    inside = indices[len(indices) - len(shape) :] if shape else ""
    return "".join(UNIT if size == 1 else index for size, index in zip(shape, inside, strict=True))


def free_letters(used: Sequence[str]) -> str:
    """Letters for indices that are no name of the formula, i and j first."""
    return "".join(c for c in "ijklpqrstuvabcmnwxyzdefghoABCDEFGHKMNPQRSTUVWXYZ" if c not in used)


def wide(text: str) -> float:
    """Width of mathematics in pt, with the space between the columns of its matrices."""
    matrices: list[str] = re.findall(r"\\begin\{pmatrix\}(.*?)\\end", text, re.DOTALL)
    return width(text) + sum(map(_of_columns, matrices))


def _of_columns(rows: str) -> float:
    """What the columns of a matrix need beyond its widest row: gaps, and room for the widest cell of each."""
    cells = [[width(cell) for cell in row.split("&")] for row in _ROW_END.split(rows)]
    columns = [max(column) for column in itertools.zip_longest(*cells, fillvalue=0.0)]
    spread = sum(columns) - max(map(sum, cells))  # widths are estimated on the high side
    return 0.5 * spread + 10.0 * (len(columns) - 1)


def packed(parts: Sequence[str], room: float, gap: float = 0.0) -> list[str]:
    """Parts side by side as long as they fit."""
    lines: list[str] = []
    used = 0.0
    for part in parts:
        space = wide(part) + gap
        if lines and used + space <= room:
            lines[-1] += " " + part
            used += space
        else:
            lines.append(re.sub(r"^\\qquad ", "", part) if lines else part)
            used = space
    return lines


__all__ = [
    "ELEMENTWISE_SIGN",
    "INVERSE",
    "INVERSE_TOP",
    "JUXT",
    "TOP",
    "WIDE",
    "Piece",
    "broadcast_indices",
    "element_indices",
    "entry",
    "free_letters",
    "packed",
    "shape_latex",
    "size_latex",
    "wide",
]
