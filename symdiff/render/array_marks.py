r"""The two ways in which index notation is written: LaTeX (`\sum_{p} \bar{z}_{p} \, \delta_{pi}`) and plain text.

Rules and local derivatives are made once, of these marks; LaTeX, Markdown and text differ in nothing else.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from symdiff.einstein import UNIT, Spec
from symdiff.expr import ONE_NUMBER, Call, Expr, Name, bottom_up, call, walk
from symdiff.ops.core import ADD, MUL
from symdiff.render.array_notation import MatrixPrinter
from symdiff.render.array_signs import entry, shape_latex
from symdiff.render.mathematics import bracketed
from symdiff.render.printer import Printer
from symdiff.shapes import Shape, size_text


@dataclass(frozen=True)
class LatexMarks:
    """LaTeX."""

    printer: MatrixPrinter
    kronecker: bool = True

    @property
    def letters(self) -> str:
        """Letters for indices."""
        return self.printer.letters

    @property
    def _names(self) -> dict[str, str]:
        names = self.printer.names
        return names if isinstance(names, dict) else dict(names)

    def name(self, name: str) -> str:
        """A whole array."""
        return self.printer.names.get(name) or self.printer.sizes[name]

    def entry(self, name: str, indices: str) -> str:
        """An element."""
        return entry(self.name(name), indices)

    def element(self, expr: Expr, indices: Mapping[str, str]) -> str:
        """An elementwise expression of elements."""
        names = {name: entry(self.name(name), at) for name, at in indices.items()}
        return replace(self.printer, names=ChainMap(names, self._names), shapes={})(expr)

    def factor(self, expr: Expr, indices: Mapping[str, str]) -> str:
        """The same as one factor among others."""
        names = {name: entry(self.name(name), at) for name, at in indices.items()}
        text, strength = replace(self.printer, names=ChainMap(names, self._names), shapes={}).piece(expr)
        return bracketed(text) if strength < MUL or (strength == ADD) else text

    def partial(self, of: str, by: str) -> str:
        """Of two pieces of text."""
        return rf"\frac{{\partial {of}}}{{\partial {by}}}"

    def total(self, indices: str, body: str, sign: str = "sum") -> str:
        """A sum over indices."""
        return rf"\{sign}_{{{', '.join(indices)}}} {body}" if indices else body

    def delta(self, a: str, b: str) -> str:
        """1 where two indices are the same."""
        return rf"\delta_{{{a}{b}}}" if self.kronecker else f"[{a} = {b}]"

    def times(self, parts: Sequence[str]) -> str:
        """A product."""
        sign, shown = _ordered(parts)
        text = shown[0] if shown else "1"
        for part in shown[1:]:
            text += (r" \cdot " if part[:1].isdigit() else r" \, ") + part
        return sign + text

    def minus(self, text: str) -> str:
        """With a minus sign."""
        return f"-{text}"

    def bracket(self, text: str) -> str:
        """In brackets."""
        return bracketed(text)

    def over(self, above: str, below: str) -> str:
        """A quotient."""
        return rf"\frac{{{above}}}{{{below}}}"

    def holds(self, condition: str) -> str:
        """1 where a condition holds."""
        return f"[{condition}]"

    def power(self, text: str, exponent: str) -> str:
        """A power of an atom."""
        return f"{text}^{{{exponent}}}"

    def call(self, name: str, inside: str) -> str:
        """A function."""
        heads = {"exp": r"\exp", "cof": r"\operatorname{cof}", "sign": r"\operatorname{sign}"}
        return heads[name] + bracketed(inside)

    def sign(self, word: str) -> str:
        """Relations."""
        return {"<=": r"\le", "!=": r"\ne", ">=": r"\ge"}[word]

    def matrix(self, expr: Expr) -> str:
        """Matrix notation."""
        return self.printer(expr)

    def shape(self, shape: Shape) -> str:
        r"""`3 \times 2`."""
        return shape_latex(shape, self.printer.sizes)

    def math(self, text: str) -> str:
        """Mathematics in prose."""
        return f"${text}$"


@dataclass(frozen=True)
class TextMarks:
    """Plain text, close to the formula language."""

    printer: Printer
    letters: str
    kronecker: bool = True

    def name(self, name: str) -> str:
        """A whole array."""
        return self.printer.names.get(name, name)

    def entry(self, name: str, indices: str) -> str:
        """An element."""
        return f"{self.name(name)}[{','.join(indices.replace(UNIT, '0'))}]" if indices else self.name(name)

    def _local(self, expr: Expr, indices: Mapping[str, str]) -> Printer:
        names = {part.id: self.name(part.id) for part in walk(expr) if isinstance(part, Name)}
        return replace(self.printer, names=names | {name: self.entry(name, at) for name, at in indices.items()})

    def element(self, expr: Expr, indices: Mapping[str, str]) -> str:
        """An elementwise expression of elements."""
        return self._local(expr, indices)(expr)

    def factor(self, expr: Expr, indices: Mapping[str, str]) -> str:
        """The same as one factor among others."""
        printer = self._local(expr, indices)
        loose = isinstance(expr, Call) and printer.spelling(expr).strength <= MUL
        return f"({printer(expr)})" if loose else printer(expr)

    def partial(self, of: str, by: str) -> str:
        """Of two pieces of text."""
        return f"d{of}/d{by}"

    def total(self, indices: str, body: str, sign: str = "sum") -> str:
        """A sum over indices."""
        return f"{sign}_{','.join(indices)} {body}" if indices else body

    def delta(self, a: str, b: str) -> str:
        """1 where two indices are the same."""
        return f"[{a}={b}]"

    def times(self, parts: Sequence[str]) -> str:
        """A product."""
        sign, shown = _ordered(parts)
        return sign + (" * ".join(shown) or "1")

    def minus(self, text: str) -> str:
        """With a minus sign."""
        return f"-{text}"

    def bracket(self, text: str) -> str:
        """In brackets."""
        return f"({text})"

    def over(self, above: str, below: str) -> str:
        """A quotient."""
        return f"{above}/{below}"

    def holds(self, condition: str) -> str:
        """1 where a condition holds."""
        return f"[{condition}]"

    def power(self, text: str, exponent: str) -> str:
        """A power of an atom."""
        return f"{text}**{exponent}"

    def call(self, name: str, inside: str) -> str:
        """A function."""
        return f"{name}({inside})"

    def sign(self, word: str) -> str:
        """Relations."""
        return word

    def matrix(self, expr: Expr) -> str:
        """The formula language, with `ones` for what is repeated out of nothing."""
        return self.printer(bottom_up(expr, lambda leaf: leaf, _with_ones))

    def shape(self, shape: Shape) -> str:
        """`3 x 2`."""
        return " x ".join(f"({size_text(s)})" if " " in size_text(s) else size_text(s) for s in shape) or "1"

    def math(self, text: str) -> str:
        """Mathematics in prose."""
        return text


Marks = LatexMarks | TextMarks


def _ordered(parts: Sequence[str]) -> tuple[str, list[str]]:
    """Sign, and the factors with the numbers first."""
    plain = [part.removeprefix("-") for part in parts]
    negative = sum(part.startswith("-") for part in parts) % 2 == 1
    shown = sorted((part for part in plain if part != "1"), key=lambda part: not part.replace(".", "").isdigit())
    return "-" if negative else "", shown


def _with_ones(old: Call, args: list[Expr]) -> Expr:
    if old.op == "contract" and args == [ONE_NUMBER]:
        sizes = dict(old.options[0].sizes) | {UNIT: 1}
        return call("ones", options=(tuple(sizes[index] for index in old.options[0].output),))
    spec = old.options[0] if old.op == "contract" and len(args) == 1 else Spec(("",), "")
    index = spec.operands[0].replace(UNIT, "")
    if index and spec.output == index * 2:  # the diagonal of a column or a row as well
        return Call("contract", tuple(args), None, (Spec(("i",), "ii"),))
    return old.over(args)


__all__ = ["LatexMarks", "Marks", "TextMarks"]
