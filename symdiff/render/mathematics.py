r"""Expressions as LaTeX mathematics: the op table's spellings, brackets no taller than they must be, cases, indicators.

What is added to the table's spellings is what depends on the operands: `\sin^{2}(x)` for a power of a function, a dot
between two numbers, `[c]` for `where(c, 1, 0)`, one list of cases for nested `where`s, named constants (2/\sqrt{\pi})
for their digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from symdiff.expr import Call, Expr, Name, Number, bottom_up, is_constant
from symdiff.ops import COMPARE_OPS, TABLE, Spelling
from symdiff.ops.core import ADD, ATOM, COMPARE, LOOSE, MUL, POWER, infix, latex_function
from symdiff.ops.evaluate import constant_value
from symdiff.render.figures import literal
from symdiff.render.printer import Printer

_TALL = (r"\frac", r"\begin", r"\sqrt", r"\left", r"\big", r"\sum", r"\prod")
_POWERS = frozenset({"sin", "cos", "tan", "sinh", "cosh", "tanh"})  # \sin^{2}(x) is how people write it
SYMBOLS = {
    "pi": (r"\pi", ATOM),
    "(2/sqrt(pi))": (r"\frac{2}{\sqrt{\pi}}", POWER - 1),
    "sqrt(0.5)": (r"\frac{1}{\sqrt{2}}", POWER - 1),
    "(1/sqrt(2*pi))": (r"\frac{1}{\sqrt{2 \pi}}", POWER - 1),
    "log(2)": (r"\log(2)", POWER - 1),
    "log(10)": (r"\log(10)", POWER - 1),
}
"""Symbols of numbers: `pi`, and what the rules of the op table say for theirs. A formula's own literals have none, and
stay digits even where they are the same float64."""

_RIVALS = {"sigmoid": "sigma", "gamma": "Gamma", "lgamma": "Gamma", "digamma": "psi", "polygamma": "psi"}
_HALF_OF = Spelling(r"\frac{{1}}{{2 \, {1}}}", POWER - 1, (LOOSE, MUL + 1))
_NOT = {"lt": r"\not<", "le": r"\not\le", "gt": r"\not>", "ge": r"\not\ge", "eq": r"\ne", "ne": "="}


def clashing_spellings(names: Iterable[str]) -> dict[str, Spelling]:
    r"""Other spellings for ops whose letter is a variable of the formula: \sigma, \Gamma, \psi and Euler's e."""
    used = set(names)
    found = {
        op: latex_function(rf"\operatorname{{{op}}}", TABLE[op].operands)
        for op, name in _RIVALS.items()
        if name in used
    }
    if "e" in used:
        found["exp"] = latex_function(r"\exp")
        found["expm1"] = latex_function(r"\operatorname{expm1}")
    return found


def ten(digits: str, power: int) -> str:
    r"""`1.5 \times 10^{-5}`."""
    return digits if power == 0 else rf"{digits} \times 10^{{{power}}}"


@dataclass(frozen=True)
class MathPrinter(Printer):
    r"""LaTeX of an expression.

    functions  names of the formula's own helpers
    instead    spellings that differ from the op table's in this document
    flat       no line breaks inside (`cases`), for the cells of a Markdown table
    constants  a local derivative, not the user's text: written as people write one
    """

    functions: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, Spelling] = field(default_factory=dict)
    flat: bool = False
    constants: bool = True

    def __call__(self, expr: Expr) -> str:
        text, _ = self.piece(expr)
        return text

    def piece(self, expr: Expr) -> tuple[str, int]:
        """The text of `expr` and how strongly it binds."""
        text, strength = bottom_up(expr, self._leaf, self._node)
        return text, strength

    def number_piece(self, leaf: Number) -> tuple[str, int]:
        """A literal in full."""
        if leaf.symbol is not None:
            return SYMBOLS[leaf.symbol]
        return signed(*literal(leaf.value))

    def _leaf(self, leaf: Name | Number) -> tuple[Any, int]:
        if isinstance(leaf, Name):
            text = self.names[leaf.id]
            return text, POWER if "^" in text else ATOM  # x^{new} to a power needs brackets
        return self.number_piece(leaf)

    def _node(self, call: Call, args: list[tuple[Any, int]]) -> tuple[str, int]:
        if call.op in self.functions:
            return self._spelled(latex_function(self.functions[call.op], len(args)), args)
        if call.op == "where":
            return self._where(call, args)
        if call.op in ("square", "pow") and isinstance(call.args[0], Call):
            power = self._function_power(call, args)
            if power is not None:
                return power
        if call.op == "mul":
            return self._product(call, args)
        if call.op == "div" and self.constants and call.args[0] == Number(0.5):
            return self._spelled(_HALF_OF, args)
        return self._spelled(self.instead.get(call.op, TABLE[call.op].latex), args)

    def _spelled(self, spelling: Spelling, args: list[tuple[Any, int]]) -> tuple[str, int]:
        pieces = [self._bracket(arg, place) for arg, place in zip(args, spelling.places, strict=True)]
        text = spelling.text.format(*pieces)
        return text if is_tall(" ".join(pieces)) else text.replace(r"\left(", "(").replace(
            r"\right)", ")"
        ), spelling.strength

    def _function_power(self, call: Call, args: list[tuple[Any, int]]) -> tuple[str, int] | None:
        inner = call.args[0]
        if not isinstance(inner, Call) or inner.op not in _POWERS or inner.op in self.functions:
            return None
        exponent = 2.0
        if call.op == "pow":
            if not is_constant(call.args[1]):
                return None
            exponent = constant_value(call.args[1])
        if not exponent.is_integer() or not 2 <= exponent <= 9:
            return None
        head = f"\\{inner.op}"
        return f"{head}^{{{int(exponent)}}}{args[0][0][len(head) :]}", POWER - 1

    def _product(self, call: Call, args: list[tuple[Any, int]]) -> tuple[str, int]:
        """Factors side by side. In local derivatives a(bc) is written abc, a negative number leads without brackets."""
        spelling = infix(_between(args), MUL)
        if self.constants:
            if isinstance(call.args[0], Number) and args[0][0].startswith("-"):
                return args[0][0] + _between(args) + self._bracket(args[1], MUL), ADD
            spelling = Spelling(spelling.text, MUL, (MUL, MUL))
        return self._spelled(spelling, args)

    def _bracket(self, piece: tuple[Any, int], place: int) -> str:
        return bracketed(piece[0]) if piece[1] < place else piece[0]

    def _where(self, call: Call, args: list[tuple[Any, int]]) -> tuple[str, int]:
        condition, taken, other = (text for text, _ in args)
        if self.constants and call.args[1] == Number(0.5):  # a tie, shared equally
            taken = r"\tfrac{1}{2}"
        if self.constants and call.args[1:] == (Number(1.0), Number(0.0)):
            return f"[{condition}]", ATOM
        if self.flat:
            start, end = r"\left\lbrace ", r" \right\rbrace"
            nested = isinstance(call.args[2], Call) and call.args[2].op == "where" and other.startswith(start)
            rest = other[len(start) : -len(end)] if nested else rf"{other} \text{{ otherwise}}"
            return rf"{start}{taken} \text{{ if }} {condition}; \ {rest}{end}", ATOM
        end = r" \end{cases}"
        start = r"\begin{cases} "
        nested = isinstance(call.args[2], Call) and call.args[2].op == "where" and other.startswith(start)
        rest = other[len(start) : -len(end)] if nested else rf"{other} & \text{{otherwise}}"
        return rf"{start}{taken} & \text{{if }} {condition} \\ {rest}{end}", COMPARE

    def for_people(self, expr: Expr) -> Expr:
        """A local derivative without what only rounding asks for: a/(bc) for (a/b)/c, a sum for a squared hypot."""
        return bottom_up(expr, lambda leaf: leaf, _plainer)

    def condition(self, expr: Expr, holds: bool) -> str:
        """`[x > 0]`, or with the relation struck out: `not x > 0` is also true of a NaN, `x <= 0` is not."""
        if holds:
            return f"[{self(expr)}]"
        assert isinstance(expr, Call) and expr.op in COMPARE_OPS
        sides = [bottom_up(side, self._leaf, self._node) for side in expr.args]
        return "[" + self._spelled(infix(f" {_NOT[expr.op]} ", LOOSE), sides)[0] + "]"


def _plainer(call: Call, args: list[Expr]) -> Expr:
    head = args[0]
    if call.op == "div" and isinstance(head, Call) and head.op == "div":
        above, below = head.args
        if below != args[1]:
            return Call("div", (above, Call("mul", (below, args[1]))))
        return Call("div", (above, _plainer(Call("square", (below,)), [below])))
    if call.op == "square" and isinstance(head, Call) and head.op == "hypot":
        return Call("add", (Call("square", head.args[:1]), Call("square", head.args[1:])))
    return call.over(args)


def signed(digits: str, power: int) -> tuple[str, int]:
    """A decimal with the strength of what it is: a product with a power of ten, a negation with a minus sign."""
    names = {"inf": r"\infty", "-inf": r"-\infty", "nan": r"\mathrm{NaN}"}
    text = names.get(digits) or ten(digits, power)
    return text, ADD if text.startswith("-") else MUL if power else ATOM


def bracketed(text: str) -> str:
    """Brackets as tall as what they hold."""
    return rf"\left({text}\right)" if is_tall(text) else f"({text})"


def is_tall(text: str) -> bool:
    """True where plain brackets would be too small."""
    return any(mark in text for mark in _TALL)


def _between(args: list[tuple[Any, int]]) -> str:
    """A thin space between factors; a dot where a number follows, which a space would glue to what stands before."""
    right: str = args[1][0]
    return r" \cdot " if right[:1].isdigit() or right.startswith((r"\begin", "[")) else r" \, "
