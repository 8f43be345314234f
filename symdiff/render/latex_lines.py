r"""Long mathematics on several lines: how wide a piece of LaTeX is, and where it may be broken.

An expression that does not fit is broken at its weakest operators, and where that is not enough inside its brackets,
which then are of one size (`\bigl(`, because `\left(` cannot be closed on another line) and fractions become a/b.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from symdiff.expr import Call, Expr, Number
from symdiff.ops import TABLE
from symdiff.ops.core import LOOSE, MUL
from symdiff.render.mathematics import MathPrinter

TEXT_WIDTH = 455.0  # pt; what templates/latex/derivation.tex.j2 sets
TAG_WIDTH = 40.0
_TOKEN = re.compile(r"\\[A-Za-z]+|\\\\\*?(?:\[[0-9.]+pt\])?|\\.|[{}_^]|.", re.DOTALL)
_WIDE = {
    r"\quad": 11.0,
    r"\qquad": 22.0,
    r"\approx": 14.0,
    r"\leftarrow": 16.0,
    r"\times": 13.0,
    r"\cdot": 8.0,
    r"\,": 2.0,
}
_WIDE |= {
    r"\sum": 16.0,
    r"\infty": 11.0,
    r"\ldots": 14.0,
    r"\cdots": 16.0,
    r"\partial": 6.5,
    r"\_": 5.5,
    r"\le": 14.0,
    r"\ge": 14.0,
}
_WIDE |= {
    "+": 13.5,
    "-": 11.0,
    "=": 14.5,
    "<": 14.0,
    ">": 14.0,
    ",": 5.0,
    "(": 4.5,
    ")": 4.5,
    " ": 0.0,
    "&": 0.0,
    "m": 9.0,
    "w": 8.0,
    "M": 11.0,
    "W": 11.0,
}
_NAMES = frozenset(
    "sin cos tan arcsin arccos arctan sinh cosh tanh log exp max min".split()
)  # \sin is as wide as its letters
_NOTHING = frozenset(
    r"\left \right \bigl \bigr \mathit \mathrm \operatorname \bar \overline \text \begin \end \tag \notag \not".split()
)


@lru_cache(maxsize=8192)
def width(text: str) -> float:
    """Width of a formula in pt at 11 pt, on the high side; a fraction counts as its wider half."""
    tokens = _TOKEN.findall(text)
    total, _ = _measure(tokens, 0, False)
    return total


def _measure(tokens: list[str], at: int, group: bool) -> tuple[float, int]:
    """Width up to the end of a group or of the text; without recursion deeper than the braces, which are few."""
    total = row = 0.0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token == "}":
            if group:
                break
        elif token == "{":
            inner, at = _measure(tokens, at, True)
            row += inner
        elif token in "_^":
            inner, at = _argument(tokens, at)
            row += 0.72 * inner + 1.0
        elif token in (r"\frac", r"\tfrac"):
            above, at = _argument(tokens, at)
            below, at = _argument(tokens, at)
            row += max(above, below) * (1.0 if token == r"\frac" else 0.72) + 4.0
        elif token == r"\sqrt":
            row += 10.0
        elif token == r"\begin":
            _, at = _argument(tokens, at)
            inner, at = _measure(tokens, at, True)
            row += inner + 16.0
        elif token == r"\end":
            _, at = _argument(tokens, at)
            break
        elif token.startswith(r"\\"):
            total, row = max(total, row), 0.0
        else:
            row += _letter(token)
    return max(total, row), at


def _argument(tokens: list[str], at: int) -> tuple[float, int]:
    while at < len(tokens) and tokens[at] == " ":
        at += 1
    if at < len(tokens) and tokens[at] == "{":
        return _measure(tokens, at + 1, True)
    return (_letter(tokens[at]) if at < len(tokens) else 0.0), at + 1


def _letter(token: str) -> float:
    if token in _NOTHING:
        return 0.0
    if token in _WIDE:
        return _WIDE[token]
    if token.startswith("\\"):
        name = token[1:]
        return 6.0 * len(name) + 2.0 if name in _NAMES else 8.0
    return 5.6 if token.isdigit() else 6.6


def broken(printer: MathPrinter, expr: Expr, room: float, nested: bool = False) -> list[str]:
    """`expr` as lines of at most `room` pt, if that can be done; one line where it fits."""
    text = printer(expr)
    if width(text) <= room or not isinstance(expr, Call) or room < 60:
        return [text]
    if expr.op in ("add", "sub"):
        return _packed([_signed_term(printer, sign, term, room) for sign, term in _terms(expr)], room)
    if expr.op == "mul":
        factors = list(_factors(expr))
        parts = [_in_brackets(printer, factor, room, MUL + (k > 0)) for k, factor in enumerate(factors)]
        return _packed([part if k == 0 else [r"\cdot " + part[0], *part[1:]] for k, part in enumerate(parts)], room)
    if expr.op in ("div", "inverse"):
        above = [printer(Number(1.0))] if expr.op == "inverse" else _in_brackets(printer, expr.args[0], room, MUL)
        below = _in_brackets(printer, expr.args[-1], room, MUL + 1)
        return _packed([[*above[:-1], above[-1] + r" \big/"], below], room)
    return _inside(printer, expr, text, room)


def _inside(printer: MathPrinter, expr: Call, text: str, room: float) -> list[str]:
    """A function, a power or a sign in front of something that is broken."""
    if expr.op == "neg":
        inner = _in_brackets(printer, expr.args[0], room - 12, MUL)
        return ["-" + inner[0], *inner[1:]]
    if expr.op in ("square", "pow"):
        inner = _wrapped(printer, expr.args[0], room - 20)
        exponent = printer(expr.args[1]) if expr.op == "pow" else "2"
        return [*inner[:-1], f"{inner[-1]}^{{{exponent}}}"]
    if expr.op == "where":
        return [text]
    head = r"\exp" if expr.op == "exp" else r"\operatorname{" + printer.functions.get(expr.op, expr.op) + "}"
    spelled = TABLE[expr.op].latex.text.split(r"\left(")[0] if expr.op in TABLE else ""
    if spelled.startswith("\\") and "{{" not in spelled:
        head = spelled
    lists = [broken(printer, arg, room - 40, True) for arg in expr.args]
    for k, lines in enumerate(lists):
        lines[-1] += "," if k + 1 < len(lists) else r"\bigr)"
    lists[0][0] = head + r"\bigl(" + lists[0][0]
    return _packed(lists, room)


def _wrapped(printer: MathPrinter, expr: Expr, room: float) -> list[str]:
    lines = broken(printer, expr, room - 10, True)
    return (
        [r"\bigl(" + lines[0], *lines[1:-1], lines[-1] + r"\bigr)"] if len(lines) > 1 else [rf"\bigl({lines[0]}\bigr)"]
    )


def _in_brackets(printer: MathPrinter, expr: Expr, room: float, place: int) -> list[str]:
    """An operand, in brackets if it binds more weakly than its place asks for."""
    text, strength = printer.piece(expr)
    if strength >= place or place == LOOSE:
        return broken(printer, expr, room)
    if width(text) + 10 <= room:
        return [rf"\left({text}\right)"]
    return _wrapped(printer, expr, room)


def _signed_term(printer: MathPrinter, sign: str, term: Expr, room: float) -> list[str]:
    lines = _in_brackets(printer, term, room - 14, MUL if sign else LOOSE)
    return [f"{sign} {lines[0]}" if sign else lines[0], *lines[1:]]


def _terms(expr: Expr) -> Iterator[tuple[str, Expr]]:
    """Terms of a left-leaning sum, with their signs."""
    found: list[tuple[str, Expr]] = []
    while isinstance(expr, Call) and expr.op in ("add", "sub"):
        found.append(("+" if expr.op == "add" else "-", expr.args[1]))
        expr = expr.args[0]
    yield "", expr
    yield from reversed(found)


def _factors(expr: Expr) -> Iterator[Expr]:
    found: list[Expr] = []
    while isinstance(expr, Call) and expr.op == "mul":
        found.append(expr.args[1])
        expr = expr.args[0]
    yield expr
    yield from reversed(found)


def _packed(parts: list[list[str]], room: float) -> list[str]:
    """Parts, themselves of one or more lines, set side by side as long as they fit."""
    lines: list[str] = []
    used = 0.0
    for part in parts:
        first = width(part[0])
        if lines and used + first <= room:
            lines[-1] += " " + part[0]
            used += first
        else:
            lines.append(part[0])
            used = first
        if len(part) > 1:
            lines.extend(part[1:])
            used = width(part[-1])
    return lines
