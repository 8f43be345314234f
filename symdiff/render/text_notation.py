"""A derivation in plain text: the formula language for expressions, lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from symdiff.expr import Call, Expr, Name
from symdiff.ops.core import ADD, MUL
from symdiff.render.context import formula_text
from symdiff.render.derivation_model import CHECK_DIGITS, CHECK_NOISE, Derivation, Equation, Term
from symdiff.render.figures import Figure
from symdiff.render.printer import Printer, plain_number

WIDTH = 79
_TAG = 9


class _Printer(Printer):
    """The formula language, with brackets around a minus sign behind an operator: `x*(-2)`."""

    def _bracketed(self, piece: tuple[Any, int], place: int) -> str:
        shown = super()._bracketed(piece, place)
        return f"({shown})" if place in (ADD + 1, MUL + 1) and shown.startswith("-") else shown


_TEXT = _Printer("text", {}, plain_number, {})


class TextNotation:
    """Spells one derivation; `~` stands for "approximately"."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation

    def context(self) -> dict[str, Any]:
        """Ready-made lines for the template."""
        derivation = self.derivation
        formula = derivation.sheet.formula
        title = f"{derivation.sheet.name}: value and gradient, step by step"
        if derivation.sheet.kind != "gradient":
            title = f"{derivation.sheet.name}: value, step by step"
        point = formula.defaults if derivation.trace is None else derivation.trace.at

        def given(name: str) -> str:
            return f"{name} = {point[name]!r}".removesuffix(".0") if name in point else name

        return {
            "title": filled(title),
            "underline": "=" * min(len(title), WIDTH),
            "statement": self.statement(),
            "variables": filled(", ".join(map(given, derivation.wanted)) or "none", 2),
            "held": filled(", ".join(map(given, derivation.held)), 2) if derivation.held else [],
            "output": derivation.output,
            "conventions": [line for op, edges in derivation.conventions for line in filled(f"{op}: {edges}", 4, 2)],
            "forward": self.equations(derivation.forward),
            "locals": self.locals(),
            "reverse": self.equations(derivation.reverse),
            "gradient": self.gradient(),
            "check_rows": self.check(),
        }

    def statement(self) -> list[str]:
        """The formula as typed."""
        derivation, lines = self.derivation, []
        formula = derivation.sheet.formula
        if not derivation.shows_formula:
            return []
        for helper in formula.helpers.values():
            body = formula_text(helper.body, formula)
            lines += filled(f"{helper.name}({', '.join(helper.parameters)}) = {body}", 6, 4)
        for statement in formula.statements:
            lines += filled(f"{statement.name or derivation.output} = {formula_text(statement.expr, formula)}", 6, 4)
        return lines

    def equations(self, equations: Iterable[Equation]) -> list[str]:
        """Lines `(8'a) left = right  = numbers`, the numbers in one column where they fit."""
        every = list(equations)
        bodies = [f"{e.left} {e.sign} {self.right(e)}" for e in every]
        links = [" ".join(self.links(e)) for e in every]
        fitting = [len(b) for b, link in zip(bodies, links, strict=True) if _TAG + len(b) + 2 + len(link) <= WIDTH]
        column = max((length for length in fitting if length <= 44), default=0)
        lines: list[str] = []
        for equation, body, link in zip(every, bodies, links, strict=True):
            tag = f"({equation.tag})" if equation.tag else ""
            start = f"{tag:<{_TAG - 1}} " if len(tag) < _TAG else f"{tag} "
            one = f"{start}{body:<{column}}  {link}".rstrip()
            if len(one) > WIDTH:
                one = f"{start}{body}  {link}".rstrip()
            if len(one) <= WIDTH:
                lines.append(one)
                continue
            lines += filled(start + body, _TAG + 4, 0)
            lines += filled(link, _TAG + 4, _TAG + 2) if link else []
        return lines

    def right(self, equation: Equation) -> str:
        """The right side."""
        parts = [self.term(term) for term in equation.terms]
        if equation.more:
            parts[-1:] = ["...", parts[-1]]
        return parts[0] + "".join(f" - {p[1:]}" if p.startswith("-") else f" + {p}" for p in parts[1:])

    def term(self, term: Term) -> str:
        """`[x > 0] * v3_bar * cos(v2)`."""
        parts = [self.mask(condition, holds) for condition, holds in term.masks]
        if term.upstream is not None:
            parts.append(term.upstream)
        if term.expr is not None:
            loose = bool(parts) and isinstance(term.expr, Call) and _TEXT.spelling(term.expr).strength < MUL
            shown = _TEXT(term.expr)
            parts.append(f"({shown})" if loose or (parts and shown.startswith("-")) else shown)
        return " * ".join(parts) or "1"

    def mask(self, condition: Expr, holds: bool) -> str:
        """An indicator."""
        if isinstance(condition, Name):
            return condition.id
        return f"[{_TEXT(condition)}]" if holds else f"[not {_TEXT(condition)}]"

    def figure(self, figure: Figure) -> str:
        """`-0.27941550`, `1.2e-05`."""
        digits, power = figure.parts
        return digits if power == 0 else f"{digits}e{power}"

    def valued(self, figure: Figure) -> str:
        """`= 6`, `~ 0.28366219`."""
        return ("= " if figure.exact else "~ ") + self.figure(figure)

    def links(self, equation: Equation) -> list[str]:
        """The numbers beside an equation."""
        found = []
        for link in equation.links:
            shown = [self.figure(figure) for figure in link.figures]
            joiner = " * " if link.op == "mul" else " + "
            text = joiner.join(f"({s})" if s.startswith("-") and k else s for k, s in enumerate(shown))
            exact = link.exact or any(figure.value != figure.value for figure in link.figures)
            found.append(("= " if exact else "~ ") + text)
        return found

    def locals(self) -> list[str]:
        """The table of local derivatives."""
        rows = [
            (
                f"({row.tag})",
                row.gate,
                f"d {row.of} / d {row.operand} = {self.term(row.term)}",
                "" if row.figure is None else self.valued(row.figure),
            )
            for row in self.derivation.local_rows
        ]
        gates = max((len(row[1]) for row in rows), default=0)
        gates = min(gates, 20)
        fitting = [len(row[2]) for row in rows if _TAG + gates + 2 + len(row[2]) + 2 + len(row[3]) <= WIDTH]
        column = max(fitting, default=0)
        lines: list[str] = []
        for tag, gate, body, number in rows:
            one = f"{tag:<{_TAG - 1}} {gate:<{gates}}  {body:<{column}}  {number}".rstrip()
            if len(one) > WIDTH:
                one = f"{tag:<{_TAG - 1}} {gate:<{gates}}  {body}  {number}".rstrip()
            if len(one) <= WIDTH:
                lines.append(one)
                continue
            lines += filled(f"{tag:<{_TAG - 1}} {gate}", _TAG, 0)
            lines += filled(f"{body}  {number}".rstrip(), _TAG + 4, _TAG + 2)
        return lines

    def gradient(self) -> list[str]:
        """One line a variable."""
        derivation, lines = self.derivation, []
        for equation in derivation.gradient:
            bar = derivation.bars.get(equation.left)
            middle = f" = {bar}" if bar else ""
            link = " ".join(self.links(equation))
            start = f"d {derivation.output} / d {equation.left}{middle}"
            full = f"  {start} = {self.right(equation)}  {link}".rstrip()
            lines += [full] if len(full) <= WIDTH else filled(f"{start} = {self.right(equation)} {link}", 6, 2)
        return lines

    def check(self) -> list[str]:
        """The finite-difference table; long names stand on a line of their own."""
        lines = []
        for row in self.derivation.check:
            numbers = [
                self.figure(Figure(value, False, min(CHECK_DIGITS, self.derivation.options.digits)))
                for value in (row.reverse, row.difference)
            ]
            start = f"{row.name:<16}" if len(row.name) <= 16 else ""
            if not start:
                lines += filled(row.name, 2, 2)
            relative = "< 1e-6" if row.relative < CHECK_NOISE else f"{row.relative:.1e}"
            lines.append(f"  {start:<16}  {numbers[0]:>18}  {numbers[1]:>18}  {relative:>10}")
        return lines


def filled(text: str, indent: int = 0, first: int | None = None) -> list[str]:
    """Lines of at most WIDTH columns; a word that is longer is cut."""
    start = " " * (indent if first is None else first)
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=" " * indent, break_on_hyphens=False, drop_whitespace=True,
        replace_whitespace=True, expand_tabs=False,
    )  # fmt: skip


__all__ = ["TextNotation", "filled"]
