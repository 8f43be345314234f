r"""A derivation in LaTeX mathematics: names, terms, numbers, and equations broken so that they fit the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symdiff.expr import Call, Expr, Name
from symdiff.ops.core import MUL
from symdiff.render.derivation_model import Derivation, Equation, LocalRow, Term
from symdiff.render.figures import Figure, literal
from symdiff.render.latex_lines import TAG_WIDTH, TEXT_WIDTH, broken, width
from symdiff.render.latex_names import LONGEST, Symbol, symbols
from symdiff.render.mathematics import MathPrinter, bracketed, clashing_spellings, signed

INDENT = 22.0  # of displayed equations, which stand at the left
ROOM = TEXT_WIDTH - TAG_WIDTH - INDENT
CHUNK = 200  # lines of one alignment


class LatexNotation:
    """Spells one derivation; `flat` is for the cells of a Markdown table."""

    def __init__(self, derivation: Derivation, flat: bool = False) -> None:
        self.derivation = derivation
        formula, tape = derivation.sheet.formula, derivation.tape
        helpers = list(formula.helpers.values())
        parameters = [name for helper in helpers for name in helper.parameters]
        wanted = [given.name for given in tape.inputs] + [step.name for step in tape.primal] + parameters
        wanted += [helper.name for helper in helpers]
        shared = [equation.left for equation in derivation.reverse if equation.role == "shared"]
        shown = {name: name for name in [*wanted, *shared]}
        if formula.statements[-1].name is None:  # a bare expression is called f on paper, if nothing else is
            shown[derivation.output] = next((letter for letter in "fghFGH" if letter not in shown), derivation.output)
        table = symbols(shown.values())
        self.symbols: dict[str, Symbol] = {name: table[spelling] for name, spelling in shown.items()}
        self.names = {name: symbol.text for name, symbol in self.symbols.items()}
        self.names |= {bar: self.symbols[name].bar for name, bar in derivation.bars.items()}
        self.long_names = [name for name in shown if len(name) > LONGEST]
        functions = {helper.name: self.names[helper.name] for helper in helpers}
        instead = clashing_spellings([*wanted, shown[derivation.output]])
        self.printer = MathPrinter(
            "latex",
            self.names,
            lambda number, alone: "",
            {},
            functions=functions,
            instead=instead,
            flat=flat,
            constants=False,
        )
        self.local = MathPrinter(
            "latex", self.names, lambda number, alone: "", {}, functions=functions, instead=instead, flat=flat
        )

    # -- pieces -------------------------------------------------------------------------------------------------------

    def partial(self, of: str, by: str, small: bool = False) -> str:
        r"""`\frac{\partial f}{\partial x}`, or with a slash."""
        above, below = rf"\partial {self.names[of]}", rf"\partial {self.names[by]}"
        return f"{above} / {below}" if small else rf"\frac{{{above}}}{{{below}}}"

    def point(self, name: str, value: float) -> str:
        """`x = 0.1`, with every digit that was given."""
        return f"{self.names[name]} = {signed(*literal(value))[0]}"

    def figure(self, figure: Figure) -> tuple[str, int]:
        """A number and how strongly it binds."""
        return signed(*figure.parts)

    def number(self, figure: Figure) -> str:
        """A number."""
        return self.figure(figure)[0]

    def links(self, equation: Equation) -> list[str]:
        r"""`= 6`, `\approx (-3)(2)`: the numbers beside an equation."""
        found = []
        for link in equation.links:
            pieces = [self.figure(figure) for figure in link.figures]
            if link.op == "mul" and len(pieces) > 1:
                text = r" \cdot ".join(_factor(*piece) for piece in pieces)
            else:
                text = " + ".join(bracketed(t) if t.startswith("-") and k else t for k, (t, _) in enumerate(pieces))
            exact = link.exact or any(figure.value != figure.value for figure in link.figures)
            found.append(("= " if exact else r"\approx ") + text)
        return found

    def valued(self, figure: Figure) -> str:
        r"""`= 6`, `\approx 0.28366219`."""
        exact = figure.exact or figure.value != figure.value
        return ("= " if exact else r"\approx ") + self.number(figure)

    def masks(self, term: Term) -> str:
        """Indicators in front of a product."""
        shown = [
            self.names[cond.id] if isinstance(cond, Name) else self.local.condition(cond, holds)
            for cond, holds in term.masks
        ]
        return r" \, ".join(shown)

    def term_lines(self, term: Term, room: float, primal: bool = False) -> list[str]:
        """A term, on as many lines as it needs."""
        front = self.masks(term)
        if term.expr is None:
            return [front or "1"]
        if primal:
            return broken(self.printer, term.expr, room)
        expr = self.local.for_people(term.expr)
        if term.upstream is not None:
            return self._behind(front + (r" \, " if front else "") + self.names[term.upstream] + r" \cdot ", expr, room)
        if not front:
            return broken(self.local, expr, room)
        if isinstance(expr, Call) and expr.op == "neg":  # the sign goes to the front
            return self._behind(f"-{front} \\, ", expr.args[0], room)
        return self._behind(f"{front} \\, ", expr, room)

    def _behind(self, front: str, expr: Expr, room: float) -> list[str]:
        """`expr` as the last factor of a product."""
        text, strength = self.local.piece(expr)
        weak = strength < MUL
        whole = bracketed(text) if weak else text
        if width(front + whole) <= room:
            return [front + whole]
        lines = broken(self.local, expr, room - width(front) - 10)
        if len(lines) == 1:
            return [front + whole]
        return (
            [front + r"\bigl(" + lines[0], *lines[1:-1], lines[-1] + r"\bigr)"]
            if weak
            else [front + lines[0], *lines[1:]]
        )

    def right_lines(self, equation: Equation, room: float) -> list[str]:
        """The right side of an equation, on as many lines as it needs."""
        primal = equation.role == ""
        parts = [self.term_lines(term, room - 15, primal) for term in equation.terms]
        if len(parts) == 1:
            return parts[0]
        lines: list[str] = []
        used = 0.0  # of the last line; its pieces add up
        for k, part in enumerate(parts):
            joined = part[0] if k == 0 else f"- {part[0][1:]}" if part[0].startswith("-") else f"+ {part[0]}"
            if equation.more and k == len(parts) - 1:
                joined = r"+ \cdots " + joined
            if lines and used + width(joined) <= room:
                lines[-1] += " " + joined
                used += width(joined)
            else:
                lines.append(joined)
                used = width(joined)
            if len(part) > 1:
                lines.extend(part[1:])
                used = width(part[-1])
        return lines

    def sign(self, equation: Equation) -> str:
        """`=` or the arrow of a contribution."""
        return r"\leftarrow" if equation.sign == "<-" else "="

    def right(self, equation: Equation) -> str:
        """The right side on one line."""
        return " ".join(self.right_lines(equation, 1e9))

    def local_text(self, row: LocalRow) -> str:
        """A local derivative."""
        return " ".join(self.term_lines(row.term, 1e9))

    # -- alignments ---------------------------------------------------------------------------------------------------

    def block(self, equations: Iterable[Equation], lefts: Sequence[str] | None = None) -> list[list[str]]:
        """Lines of alignments, each list one `alignat*{2}`."""
        found: list[list[str]] = []
        every = list(equations)
        for start in range(0, len(every), CHUNK):
            part = every[start : start + CHUNK]
            left = [self.names[e.left] for e in part] if lefts is None else list(lefts[start : start + CHUNK])
            found.append(self._aligned(part, left))
        return found

    def _aligned(self, equations: list[Equation], lefts: list[str]) -> list[str]:
        room = ROOM - max(map(width, lefts)) - 20
        rights = [self.right_lines(equation, room) for equation in equations]
        links = [self.links(equation) for equation in equations]
        beside = [width(" ".join(link)) + 15 for link in links]
        limit = self._limit(rights, beside, room)
        lines = []
        for equation, left, right, link, space in zip(equations, lefts, rights, links, beside, strict=True):
            tag = rf" \tag{{{tagged(equation.tag)}}}" if equation.tag else ""
            start = f"{left} &{self.sign(equation)} "
            if len(right) == 1 and width(right[0]) <= limit and (not link or limit + space <= room):
                lines.append(f"{start}{right[0]}" + (rf" &\quad&{' '.join(link)}" if link else "") + tag)
                continue
            rows = [right[0], *(rf"\qquad {{}} {line}" for line in right[1:])]
            if link and width(rows[-1]) + space <= room:
                rows[-1] += r" \quad " + " ".join(link)
            elif link:
                rows += [" ".join(link)] if space <= room else link
            shown = [rf"\rlap{{$\displaystyle {row}$}}" for row in rows]
            lines.append((r" \\" + "\n&").join([start + shown[0], *shown[1:]]) + tag)
        return lines

    def _limit(self, rights: list[list[str]], beside: list[float], room: float) -> float:
        """Width of the column of right sides: as wide as most need; a few long ones do not push the numbers out."""
        single = sorted(
            width(right[0])
            for right, space in zip(rights, beside, strict=True)
            if len(right) == 1 and width(right[0]) + space <= room
        )
        typical = sorted(beside)[len(beside) * 9 // 10] if beside else 0.0
        fitting = [w for w in single if w + typical <= room]
        return fitting[-1] if fitting else (single[0] if single else 0.0)


def _factor(text: str, strength: int) -> str:
    return bracketed(text) if strength <= MUL else text


def tagged(label: str) -> str:
    """`4'a` with a prime that is a prime."""
    number, prime, slot = label.partition("'")
    return f"{number}$'${slot}" if prime else number


__all__ = ["LatexNotation", "tagged"]
