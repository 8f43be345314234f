r"""The style `steps` for arrays: step, shape and value; local derivatives and their shapes; adjoint and its value."""

from __future__ import annotations

from symdiff.expr import Expr, Name
from symdiff.render.array_page import ArrayPage
from symdiff.render.array_people import nicer, tidy
from symdiff.render.array_signs import wide
from symdiff.render.derivation_table import Layout, TableNode, rooms
from symdiff.render.latex_lines import width
from symdiff.tape import ADJOINT, SEED, Step


class ArrayTable:
    """Spells the table of one page."""

    def __init__(self, page: ArrayPage, layout: Layout | None = None) -> None:
        self.page, self.model = page, page.model
        self.has_locals = not self.model.options.by_statement
        columns = [1.0, *([1.0] if self.has_locals else []), *([1.0] if self.model.active else [])]
        shares = rooms(columns, layout)
        self.rooms = {0: shares[0], 1: shares[1] if self.has_locals else 0.0, 2: shares[-1]}
        self.made: dict[str, list[Step]] = {}
        for step in self.model.backward:
            self.made.setdefault(step.target, []).append(step)
        self.locals: dict[str, list[tuple[str, str]]] = {}
        for of, send in page.sends() if self.has_locals else []:
            _, _, body, shape = page.local_row(of, send)
            entries = self.locals.setdefault(of.name, [])
            if (body, shape) not in entries:
                entries.append((body, shape))

    @property
    def header(self) -> list[str]:
        """Heads of the columns behind that of the tags."""
        step = "Step, shape, value" if self.page.model.trace is not None else "Step, shape"
        return [step, *(["Local derivative"] if self.has_locals else []), *(["Adjoint"] if self.model.active else [])]

    def nodes(self) -> list[TableNode]:
        """Every input and every step."""
        found = [
            self._node("", given.name, [self.page.names[given.name]], given.name) for given in self.model.tape.inputs
        ]
        for step in self.model.primal:
            left = self.page.names[step.name]
            rows = self.page.broken(self.page.typed, step.expr, self.rooms[0] - width(left) - 15)
            shown = [f"{left} = {rows[0]}", *(rf"\quad {{}} {row}" for row in rows[1:])]
            found.append(self._node(step.label, step.name, shown, step.name))
        return found

    def _node(self, tag: str, name: str, step: list[str], of: str) -> TableNode:
        shape = self.page.shape(self.model.shapes.get(name, ()))
        cells = [self._valued(self._behind(step, shape, 0), Name(name), 0)]
        if self.has_locals:
            cells.append([line for body, own in self.locals.get(of, ()) for line in self._local(body, own)])
        if self.model.active:
            cells.append(self._adjoint(name))
        return TableNode(tag, tuple(cells))

    def _local(self, body: str, shape: str) -> list[str]:
        """A local derivative, on two lines where it is wide."""
        left, equals, right = body.partition(" = ")
        lines = [left, rf"\quad = {right}"] if equals and wide(body) > self.rooms[1] else [body]
        return self._behind(lines, shape, 1)

    def _adjoint(self, name: str) -> list[str]:
        bar = self.model.bars.get(name)
        if bar is None:
            return [r"\text{held fixed}"] if name in self.model.held else [""]
        made = self.made.get(bar, [])
        left = self.page.names[bar]
        if [step.role for step in made] == [SEED]:
            return [f"{left} = 1"]
        terms: list[Expr] = [
            tidy(nicer(step.expr, self.model.steps), self.model.shapes) for step in made if step.role == ADJOINT
        ]
        rows = self.page.joined(self.page.printer, terms, self.rooms[2] - width(left) - 15) if terms else ["0"]
        shown = [f"{left} = {rows[0]}", *(rf"\quad {{}} {row}" for row in rows[1:])]
        return self._valued(shown, Name(bar), 2) if terms else shown

    def _behind(self, lines: list[str], more: str, column: int) -> list[str]:
        """Something short behind the last line, or below it."""
        if not more:
            return lines
        if wide(lines[-1]) + width(more) + 12 <= self.rooms[column]:
            return [*lines[:-1], rf"{lines[-1]} \quad {more}"]
        return [*lines, rf"\quad {more}"]

    def _valued(self, lines: list[str], expr: Expr, column: int) -> list[str]:
        number = self.page.value(expr, self.rooms[column] - 55)
        return [*lines, rf"\quad {{}} {number}"] if number else lines


__all__ = ["ArrayTable"]
