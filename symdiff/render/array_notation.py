r"""Matrices in LaTeX: `W_{1}^{\top} \bar{z}`, `\bar{h} \odot \phi'(z)`, `\mathbf{1}_{n} b^{\top}`, sums written out.

A vector (n,) is a column. What has no name in matrix algebra is written element by element,
`\left[\sum_{j} A_{ij} B_{jk}\right]_{ik}`; every letter of a sum is one that no name of the formula is.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from symdiff.einstein import UNIT
from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Name, Number, bottom_up
from symdiff.ops import ARRAYS
from symdiff.ops.core import ADD, ATOM, MUL, NEG, POWER, latex_function
from symdiff.ops.infer import call_shape
from symdiff.render.array_signs import (
    ELEMENTWISE_SIGN,
    INVERSE,
    INVERSE_TOP,
    JUXT,
    TOP,
    Piece,
    broadcast_indices,
    entry,
    shape_latex,
    size_latex,
)
from symdiff.render.array_writers import WRITERS
from symdiff.render.latex_lines import width
from symdiff.render.mathematics import MathPrinter, bracketed, is_tall
from symdiff.shapes import Shape, Size, broadcast

_SHORT = 70.0  # pt of what may stand above a scalar denominator


@dataclass(frozen=True)
class MatrixPrinter(MathPrinter):
    """LaTeX of an expression over arrays.

    shapes   of the names
    sizes    LaTeX of the dimensions
    letters  for indices
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    letters: str = "ijklpqrstuvabc"

    def piece(self, expr: Expr) -> tuple[str, int]:
        """The text of `expr` and how strongly it binds."""
        found = self.shaped(expr)
        return found.text, found.strength

    def shaped(self, expr: Expr) -> Piece:
        """The same with its shape."""
        return bottom_up(expr, self._shaped_leaf, self._shaped_node)

    def shape(self, shape: Shape) -> str:
        """`3 \times 2`."""
        return shape_latex(shape, self.sizes)

    def size(self, size: Size) -> str:
        """A size."""
        return size_latex(size, self.sizes)

    def ones(self, size: Size) -> str:
        r"""`\mathbf{1}_{n}`."""
        return rf"\mathbf{{1}}_{{{self.size(size)}}}"

    def total(self, sign: str, indices: str, sizes: Mapping[str, Size], body: str) -> str:
        r"""`\sum_{i=1}^{n} \sum_{j=1}^{3} body`."""
        heads = [rf"{sign}_{{{i}=1}}^{{{self.size(sizes[i])}}}" for i in indices if i != UNIT]
        return " ".join([*heads, body])

    # -- leaves and elementwise ops -----------------------------------------------------------------------------------

    def _shaped_leaf(self, leaf: Name | Number) -> Piece:
        if isinstance(leaf, Name):
            text = self.names.get(leaf.id) or self.sizes[leaf.id]
            return Piece(text, POWER - 1 if r"\frac" in text else ATOM, self.shapes.get(leaf.id, ()))
        return Piece(*self.number_piece(leaf), ())

    def _shaped_node(self, call: Call, args: list[Piece]) -> Piece:
        if call.op in ARRAYS:
            shape = call_shape(call, [arg.shape for arg in args])
            text, strength = WRITERS[call.op](self, call, args)
            return Piece(text, strength, shape)
        shape = reduce(broadcast, (arg.shape for arg in args), ())
        if call.op == "where" and self.constants and call.args[1:] == (ZERO_NUMBER, ONE_NUMBER):
            return Piece(self.condition(call.args[0], False), ATOM, shape)
        writer = _ELEMENTWISE.get(call.op)
        found = writer(self, call, args, shape) if writer is not None else None
        if found is None:
            found = self._node(call, [(arg.text, arg.strength) for arg in args])
            if call.op == "mul" and found[1] == MUL:
                found = (found[0], JUXT)
        return Piece(found[0], found[1], shape)

    def element(self, expr: Expr, piece: Piece, indices: str, place: int = MUL) -> str:
        """An element of an operand; of an elementwise expression with the indices at its names."""
        if not isinstance(expr, Call) or expr.op in ARRAYS or expr.op in self.functions:
            return self._entry_of(piece, indices)
        names: dict[str, str] = {}
        inside = self._indexed(expr, indices, names)
        text, strength = replace(self, names=ChainMap(names, dict(self.names)), shapes={}).piece(inside)
        return bracketed(text) if strength < place else text

    def _indexed(self, expr: Expr, indices: str, names: dict[str, str]) -> Expr:
        """An elementwise expression over elements, whose texts are put into `names`."""
        if isinstance(expr, Name) and expr.id in self.names:
            names[expr.id] = entry(self.names[expr.id], broadcast_indices(indices, self.shapes.get(expr.id, ())))
        if not isinstance(expr, Call):
            return expr
        if expr.op not in ARRAYS and expr.op not in self.functions:
            return expr.over([self._indexed(arg, indices, names) for arg in expr.args])
        inner = self.shaped(expr)
        name = f"[{len(names)}]"  # no user's name has brackets
        names[name] = self._entry_of(inner, broadcast_indices(indices, inner.shape))
        return Name(name)

    def _entry_of(self, piece: Piece, indices: str) -> str:
        """An element of something; what is said element by element already needs no second pair of brackets."""
        end = rf"\right]_{{{indices}}}"
        if indices and piece.text.startswith(r"\left[") and piece.text.endswith(end) and piece.text.count(end) == 1:
            return rf"\left({piece.text.removeprefix(chr(92) + 'left[').removesuffix(end)}\right)"
        return entry(piece.text, indices)

    def at(self, piece: Piece, place: int) -> str:
        """An operand, in brackets where it binds too weakly."""
        return bracketed(piece.text) if piece.strength < place else piece.text

    def stretched(self, piece: Piece, shape: Shape, place: int) -> str:
        r"""An operand that broadcasts, with the ones that repeat it: `\mathbf{1}_{n} b^{\top}`."""
        if piece.shape == shape or len(shape) > 2 or not shape:
            return self.at(piece, place)
        text = self.repeated(piece, shape)
        return bracketed(text) if place > JUXT else text

    def repeated(self, piece: Piece, shape: Shape) -> str:
        inside = (1,) * (len(shape) - len(piece.shape)) + piece.shape
        rows = [self.ones(shape[0])] if inside[0] != shape[0] else []
        text = "" if piece.text == "1" else self.at(piece, JUXT)
        if len(shape) == 1:
            return r" \, ".join([*([text] if text else []), *rows])
        columns = [self.ones(shape[1]) + TOP] if inside[1] != shape[1] else []
        if len(piece.shape) == 1 and piece.shape != (1,):
            text = self.at(self.transposed(piece), JUXT)
        parts = [text, *rows, *columns] if rows and inside[1] == 1 and columns else [*rows, text, *columns]
        return r" \, ".join(part for part in parts if part)

    def transposed(self, piece: Piece) -> Piece:
        """The transpose; of a transpose the matrix itself."""
        shape = (1, *piece.shape) if len(piece.shape) == 1 else (*piece.shape[:-2], *reversed(piece.shape[-2:]))
        if piece.strength == POWER:
            for old, new in ((INVERSE_TOP, INVERSE), (TOP, ""), (INVERSE, INVERSE_TOP)):
                if piece.text.endswith(old):
                    return Piece(piece.text.removesuffix(old) + new, POWER if new else ATOM, shape)
        return Piece(self.at(piece, POWER + 1) + TOP, POWER, shape)

    def inverted(self, piece: Piece) -> Piece:
        """The inverse of a matrix."""
        if piece.strength == POWER and piece.text.endswith(TOP):
            return Piece(piece.text.removesuffix(TOP) + INVERSE_TOP, POWER, piece.shape)
        return Piece(self.at(piece, POWER + 1) + INVERSE, POWER, piece.shape)


Written = tuple[str, int]


def _sum_of(sign: str) -> Any:
    def write(p: MatrixPrinter, call: Call, args: list[Piece], shape: Shape) -> Written | None:
        if not shape:
            return None
        numbers = [isinstance(arg, Number) for arg in call.args]
        shown = [arg.text if number and arg.strength > ADD else p.stretched(arg, shape, ADD + k)
                 for k, (arg, number) in enumerate(zip(args, numbers, strict=True))]  # fmt: skip
        if shown[1].startswith("-"):
            shown[1] = bracketed(shown[1])
        return f"{shown[0]} {sign} {shown[1]}", ADD

    return write


def _times(p: MatrixPrinter, call: Call, args: list[Piece], shape: Shape) -> Written | None:
    if not shape:
        return None
    a, b = args
    if a.shape and not b.shape:
        a, b = b, a
    if not a.shape:
        if a.strength == ADD and a.text.startswith("-") and isinstance(call.args[0], Number | Call):
            head, sign = a.text[1:], "-"
        else:
            head, sign = p.at(a, JUXT), ""
        between = r" \cdot " if b.text[:1].isdigit() else r" \, "
        return f"{sign}{head}{between}{p.at(b, MUL)}", ADD if sign else min(b.strength, JUXT)
    places = [MUL if k == 0 and arg.strength == MUL and ELEMENTWISE_SIGN in arg.text else NEG
              for k, arg in enumerate((a, b))]  # fmt: skip
    shown = [p.stretched(arg, shape, place) for arg, place in zip((a, b), places, strict=True)]
    return ELEMENTWISE_SIGN.join(shown), MUL


def _divide(p: MatrixPrinter, call: Call, args: list[Piece], shape: Shape) -> Written | None:
    if not shape:
        return None
    a, b = args
    if not b.shape:
        if width(a.text) <= _SHORT and not is_tall(a.text):
            return rf"\frac{{{a.text}}}{{{b.text}}}", POWER - 1
        return rf"\frac{{1}}{{{b.text}}} \, {p.at(a, MUL)}", min(a.strength, JUXT)
    above = p.at(a, NEG) if not a.shape else p.stretched(a, shape, NEG)
    return rf"{above} \oslash {p.stretched(b, shape, NEG)}", MUL


def _inverse(p: MatrixPrinter, call: Call, args: list[Piece], shape: Shape) -> Written | None:
    return (rf"1 \oslash {p.at(args[0], NEG)}", MUL) if shape else None


def _power(p: MatrixPrinter, call: Call, args: list[Piece], shape: Shape) -> Written | None:
    if not shape:
        return None
    exponent = args[1].text if len(args) > 1 else "2"
    return rf"{p.at(args[0], POWER + 1)}^{{\odot {exponent}}}", POWER


def _negative(p: MatrixPrinter, call: Call, args: list[Piece], shape: Shape) -> Written | None:
    return f"-{p.at(args[0], MUL)}", ADD


def _exponential(p: MatrixPrinter, call: Call, args: list[Piece], shape: Shape) -> Written | None:
    if not shape:
        return None
    text = rf"\exp{bracketed(args[0].text)}"
    return (text, POWER - 1) if call.op == "exp" else (f"{text} - 1", ADD)


def _function(p: MatrixPrinter, call: Call, args: list[Piece], shape: Shape) -> Written | None:
    """A table spelling that is a root or a power is written with the function's name over an array."""
    names = {"sqrt": r"\operatorname{sqrt}", "cbrt": r"\operatorname{cbrt}", "hypot": r"\operatorname{hypot}"}
    if not shape:
        return None
    return p._spelled(latex_function(names[call.op], len(args)), [(arg.text, arg.strength) for arg in args])


_ELEMENTWISE: dict[str, Any] = {
    "add": _sum_of("+"),
    "sub": _sum_of("-"),
    "mul": _times,
    "div": _divide,
    "inverse": _inverse,
    "square": _power,
    "pow": _power,
    "neg": _negative,
    "exp": _exponential,
    "expm1": _exponential,
    "hypot": _function,
}

__all__ = ["MatrixPrinter"]
