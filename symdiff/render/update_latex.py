r"""The section on the update rule in LaTeX mathematics, for scalars and for arrays; Markdown takes the same pieces.

    W_{1}^{\mathrm{new}} = W_{1} - \eta \, \bar{W}_{1}          m_{W_{1}}, m_{W_{1}}^{\mathrm{new}} for a state m

A rule is about single numbers, so its lines are written as for numbers, and one sentence says that they hold for each
element of an array.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from symdiff.expr import Call, Name, Number
from symdiff.ops import Spelling
from symdiff.ops.core import MUL
from symdiff.render.array_figures import flat_array, latex_array, latex_number
from symdiff.render.array_signs import WIDE, wide
from symdiff.render.figures import literal
from symdiff.render.latex_lines import broken, width
from symdiff.render.latex_names import Symbol, pretty, spelled
from symdiff.render.mathematics import MathPrinter, signed
from symdiff.render.update_model import UpdateModel
from symdiff.rule import Line, ParameterUpdate

NEW = r"^{\mathrm{new}}"
_MOST_LINES = 100  # of one alignment
_NUMBER = 100.0  # pt of a number that stands beside its line
_GREEK = re.compile(r"lam(?=$|[0-9_])")


class UpdatePage:
    """Spells the section.

    symbols, names, instead  of the rest of the document: its names, and ops that it spells in another way
    put_in                   LaTeX of a variable's derivative and how strongly that binds, where it is short, else None
    flat                     for Markdown
    """

    def __init__(
        self,
        model: UpdateModel,
        symbols: Mapping[str, Symbol],
        names: Mapping[str, str],
        instead: Mapping[str, Spelling],
        put_in: Callable[[str], tuple[str, int] | None],
        flat: bool = False,
    ) -> None:
        self.model, self.put_in, self.flat = model, put_in, flat
        self.names = {**names}
        self._upright = model.sheet.people.is_array
        self._used = set(self.names.values())
        self._name_shared()
        for each in model.update.parameters:
            self._name_parameter(each, symbols)
        self.printer = _RulePrinter(
            "latex", self.names, lambda number, alone: "", {}, instead=instead, flat=flat, constants=False
        )

    # -- names --------------------------------------------------------------------------------------------------------

    def _symbol(self, name: str) -> Symbol:
        found = pretty(_GREEK.sub("lambda", name))
        base = found.base.replace(r"\mathit", r"\mathrm") if self._upright else found.base
        return Symbol(base, found.subscript, found.letter)

    def _take(self, name: str, wishes: Iterable[str]) -> None:
        """The first wish that no other name is written like."""
        every = list(wishes)
        k = 2
        while every[0] in self._used:
            every = every[1:] or [f"{spelled(name).text}_{{({k})}}"]
            k += 1
        self.names[name] = every[0]
        self._used.add(every[0])

    def _name_shared(self) -> None:
        update = self.model.update
        for name, own, _ in update.settings:
            self._take(name, [self._symbol(own).text, self._symbol(name).text, spelled(name).text])
        if update.count is not None:
            self._take(update.count, ["t", self._symbol(update.count).text])
        for line in update.common:
            self._take(line.name, [self._symbol(line.name).text, spelled(line.name).text])

    def _name_parameter(self, each: ParameterUpdate, symbols: Mapping[str, Symbol]) -> None:
        """States and helpers carry the variable as subscript."""
        symbol = symbols.get(each.name) or self._symbol(each.name)
        if each.name not in self.names:  # a group, of which the rest of the document shows the elements
            self._take(each.name, [symbol.text, spelled(each.name).text])
        if each.bar not in self.names:
            self._take(each.bar, [symbol.bar, rf"\overline{{{self.names[each.name]}}}"])
        rule, own = self.model.rule, self.names[each.name]
        for state, (old, new) in zip(rule.states, each.states, strict=True):
            self._take(old, [self._of(state, own), spelled(old).text])
            self._take(new, [self.names[old] + NEW])
        for wish, line in zip(rule.each, each.lines, strict=True):
            if line.name == each.new:
                self._take(line.name, [own + NEW, spelled(line.name).text])
            elif line.name not in self.names:
                self._take(line.name, [self._of(wish.name, own), spelled(line.name).text])

    def _of(self, wish: str, variable: str) -> str:
        symbol = self._symbol(wish)
        below = f"{symbol.subscript},{variable}" if symbol.subscript else variable
        return f"{symbol.base}_{{{below}}}"

    # -- lines --------------------------------------------------------------------------------------------------------

    def context(self, escape: Callable[[str], str]) -> dict[str, Any]:
        """What the template gets."""
        model, update = self.model, self.model.update
        states = [self.names[old] for each in update.parameters[:1] for old, _ in each.states]
        own = [line for each in update.parameters for line in each.lines]
        chunks = [own[k : k + _MOST_LINES] for k in range(0, len(own), _MOST_LINES)]
        return model.context() | {
            "name": escape(model.rule.name),
            "source": escape(model.rule.source),
            "settings": [(self.names[name], signed(*literal(value))[0]) for name, _, value in update.settings],
            "count": "" if update.count is None else self.names[update.count],
            "states": states,
            "common": self._block(update.common),
            "chunks": [self._block(lines) for lines in chunks],
            "put_in": self._with_gradient(),
        }

    def _block(self, lines: Sequence[Line]) -> list[str]:
        r"""Lines of one alignment: `left &= right &\quad& = number`, what is long on rows of its own."""
        if self.flat:
            return [
                f"{self.names[line.name]} = {self.printer(line.expr)} {self._flat_number(line)}".rstrip()
                for line in lines
            ]
        room = WIDE - max((width(self.names[line.name]) for line in lines), default=0) - 25
        numbers = [self._number(line, room) for line in lines]
        short = [wide(number) for number in numbers if wide(number) <= _NUMBER and r"\begin" not in number]
        beside = room - 20 - max(short, default=0)  # for the right side of a line with its number beside it
        return [self._row(line, number, room, beside) for line, number in zip(lines, numbers, strict=True)]

    def _row(self, line: Line, number: str, room: float, beside: float) -> str:
        left, rights = self.names[line.name], broken(self.printer, line.expr, room)
        if len(rights) == 1 and not number:
            return f"{left} &= {rights[0]}"
        if len(rights) == 1 and width(rights[0]) <= beside and wide(number) <= _NUMBER and r"\begin" not in number:
            return rf"{left} &= {rights[0]} &\quad& {number}"
        rows = [rights[0], *(rf"\qquad {{}} {row}" for row in rights[1:]), *([rf"{{}} {number}"] if number else [])]
        shown = [rf"\rlap{{$\displaystyle {row}$}}" for row in rows]
        return (r" \\*" + "\n").join([f"{left} &= {shown[0]}", *(f"& {row}" for row in shown[1:])])

    def _number(self, line: Line, room: float) -> str:
        figures = self.model.figures
        if figures is None:
            return ""
        exact = figures.exact(Name(line.name))
        shown = latex_array(figures.value(Name(line.name)), exact, room - 20, digits=figures.digits)
        return f"= {shown}" if exact else rf"\approx {shown}"

    def _flat_number(self, line: Line) -> str:
        figures = self.model.figures
        if figures is None:
            return ""
        exact = figures.exact(Name(line.name))
        shown = flat_array(figures.value(Name(line.name)), latex_number(exact), figures.digits).replace(
            "...", r"\ldots"
        )
        return (r"\quad = " if exact else r"\quad \approx ") + shown

    def _with_gradient(self) -> list[str]:
        """The line that reads the adjoint, once more with the derivative itself in its place, where that is short."""
        place, found = self.model.bar_line, []
        if place is None:
            return []
        for each in self.model.update.parameters:
            piece = self.put_in(each.name)
            if piece is None:
                continue
            line = each.lines[place]
            row = _PutIn(**vars(self.printer), pieces={each.bar: piece})(line.expr)
            if width(self.names[line.name]) + width(row) + 20 <= WIDE:
                found.append(f"{self.names[line.name]} {'=' if self.flat else '&='} {row}")
        return found


@dataclass(frozen=True)
class _RulePrinter(MathPrinter):
    """Writes a quotient of two names as m/c, which is better to read inside of another quotient."""

    def _node(self, call: Call, args: list[tuple[Any, int]]) -> tuple[str, int]:
        if call.op == "div" and all(isinstance(arg, Name) for arg in call.args):
            return f"{args[0][0]} / {args[1][0]}", MUL
        return super()._node(call, args)


@dataclass(frozen=True)
class _PutIn(_RulePrinter):
    """Prints some names as the expressions that they stand for."""

    pieces: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def _leaf(self, leaf: Name | Number) -> tuple[Any, int]:
        if isinstance(leaf, Name) and leaf.id in self.pieces:
            return self.pieces[leaf.id]
        return super()._leaf(leaf)


__all__ = ["UpdatePage"]
