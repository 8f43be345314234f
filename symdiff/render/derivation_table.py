r"""The style `steps`: one table with a row a step, of cells that are ready-made mathematics.

    Node ::= tag, step, value, local derivatives, adjoint          # each a list of lines

Inputs come first, because they have values and adjoints, too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from symdiff.expr import Name
from symdiff.render.array_signs import wide
from symdiff.render.derivation_model import Derivation, Equation
from symdiff.render.latex_lines import TEXT_WIDTH, width
from symdiff.render.latex_notation import LatexNotation
from symdiff.tape import ADJOINT, Step

Layout = tuple[tuple[int, ...], ...]
_TAG, _GAP = 24.0, 14.0  # the column of tags; between two columns
_AIR = re.compile(r"\\odot|\\oslash|\\begin|\\operatorname|\\sum")  # wider than their letters
_TALLEST = 420.0  # pt of a table that cannot be broken over pages
_LAYOUTS: dict[int, tuple[Layout, ...]] = {
    1: (((0,),),),
    2: (((0,), (1,)), ((0, 1),)),
    3: (((0,), (1,), (2,)), ((0,), (1, 2)), ((0, 1, 2),)),
    4: (((0,), (1,), (2,), (3,)), ((0, 1), (2,), (3,)), ((0, 1), (2, 3)), ((0, 1, 2, 3),)),
}
"""Which columns are set below one another, in the order in which that is tried: cells that are too wide share one."""


@dataclass(frozen=True)
class TableNode:
    """The lines of one node's cells."""

    tag: str
    cells: tuple[list[str], ...]


class StepTable:
    """Spells the table of a formula of scalars."""

    def __init__(self, derivation: Derivation, notation: LatexNotation, layout: Layout | None = None) -> None:
        self.derivation, self.notation = derivation, notation
        self.numbers = derivation.trace is not None
        self.has_locals = not derivation.options.by_statement
        parts = {"Step": 1.0, "Value": 0.7, "Local derivative": 1.2, "Adjoint": 1.3}
        shares = rooms([parts[head] for head in self.header], layout)
        self.rooms = dict(zip(self.header, shares, strict=True))
        self.sends: dict[str, list[Step]] = {}
        for step in derivation.backward:
            if step.role == ADJOINT:
                self.sends.setdefault(step.target, []).append(step)

    @property
    def header(self) -> list[str]:
        """Heads of the columns behind that of the tags."""
        shown = ["Step", *(["Value"] if self.numbers else []), *(["Local derivative"] if self.has_locals else [])]
        return [*shown, *(["Adjoint"] if self.derivation.reverse else [])]

    def nodes(self) -> list[TableNode]:
        """Every input and every step."""
        derivation = self.derivation
        found = [self._node("", name, [self.notation.names[name]], []) for name in derivation.sheet.formula.inputs]
        for step in derivation.primal:
            equation = Equation(step.label, step.name, ())
            lines = self._behind(f"{self.notation.names[step.name]} = ", step, equation)
            found.append(self._node(step.label, step.name, lines, self._locals(step)))
        for step in derivation.backward:
            if step.role == "shared":
                term = self.notation.term_lines(derivation.term(step), self.rooms["Step"])
                lines = [f"{self.notation.names[step.name]} = {term[0]}", *term[1:]]
                found.append(self._node("", step.name, lines, []))
        return found

    def _behind(self, left: str, step: Step, equation: Equation) -> list[str]:
        terms = next(e.terms for e in self.derivation.forward if e.left == step.name)
        lines = self.notation.term_lines(terms[0], self.rooms["Step"] - width(left), primal=True)
        return [left + lines[0], *(rf"\quad {{}} {line}" for line in lines[1:])]

    def _node(self, tag: str, name: str, step: list[str], local: list[str]) -> TableNode:
        cells = [step]
        if self.numbers:
            cells.append([self._value(name)])
        if self.has_locals:
            cells.append(local)
        if self.derivation.reverse:
            cells.append(self._adjoint(name))
        return TableNode(tag, tuple(cells))

    def _value(self, name: str) -> str:
        links = self.derivation.value(Name(name))
        return self.notation.links(Equation("", name, (), links))[0] if links else ""

    def _locals(self, step: Step) -> list[str]:
        found: list[str] = []
        for row in self.derivation.local_rows:
            if row.of != step.name or not self.has_locals:
                continue
            left = f"{self.notation.partial(row.of, row.operand, True)} = "
            lines = self.notation.term_lines(row.term, self.rooms["Local derivative"] - width(left))
            number = self.notation.valued(row.figure) if row.figure is not None and lines != ["1"] else ""
            found += self._with_number(
                [left + lines[0], *(rf"\quad {{}} {line}" for line in lines[1:])], number, "Local derivative"
            )
        return found

    def _adjoint(self, name: str) -> list[str]:
        bar = self.derivation.bars.get(name)
        if bar is None:
            held = name in self.derivation.held or name in self.derivation.sheet.formula.constants
            return [r"\text{held fixed}"] if held else ["0"] if name in self.derivation.wanted else [""]
        equation = self.derivation.adjoint_of(bar)
        left = f"{self.notation.names[bar]} = "
        lines = self.notation.right_lines(equation, self.rooms["Adjoint"] - width(left))
        shown = [left + lines[0], *(rf"\quad {{}} {line}" for line in lines[1:])]
        links = self.derivation.value(Name(bar)) if equation.role != "seed" else ()
        return self._with_number(
            shown, self.notation.links(Equation("", bar, (), links))[0] if links else "", "Adjoint"
        )

    def _with_number(self, lines: list[str], number: str, column: str) -> list[str]:
        """The number behind the last line, or below it."""
        if not number:
            return lines
        if width(lines[-1]) + width(number) + 6 <= self.rooms[column]:
            return [*lines[:-1], f"{lines[-1]} {number}"]
        return [*lines, rf"\quad {{}} {number}"]


class Table(Protocol):
    """A table of nodes."""

    has_locals: bool

    @property
    def header(self) -> list[str]:
        """Heads of the columns behind that of the tags."""

    def nodes(self) -> list[TableNode]:
        """The nodes."""


def rooms(parts: Sequence[float], layout: Layout | None) -> list[float]:
    """Widths of the columns in pt; without a layout nothing is broken."""
    if layout is None:
        return [1e9] * len(parts)
    weights = [max(parts[k] for k in group) for group in layout]
    room = (TEXT_WIDTH - _TAG - _GAP * len(layout)) / sum(weights)
    return [room * weights[k] for column in range(len(parts)) for k, group in enumerate(layout) if column in group]


def latex_table(build: Callable[[Layout | None], Table]) -> dict[str, Any]:
    """What the LaTeX template needs, in the first layout that fits; no page ends inside a node."""
    count = len(build(None).header)
    for layout in _LAYOUTS[count]:
        table = build(layout)
        nodes = [_merged(node, layout) for node in table.nodes()]
        if _width(nodes, len(layout)) <= TEXT_WIDTH:
            break
    chunks: list[list[str]] = [[]]
    used = 0.0
    for node in nodes:
        rows = _rows(node)
        height = sum(map(_height, rows))
        if chunks[-1] and used + height > _TALLEST:
            chunks.append([])
            used = 0.0
        used += height
        chunks[-1] += [row + (r" \\" if k + 1 == len(rows) else r" \\*") for k, row in enumerate(rows)]
    heads = [", ".join(table.header[k] if n == 0 else table.header[k].lower() for n, k in enumerate(group))
             for group in layout]  # fmt: skip
    return {
        "locals": table.has_locals,
        "chunks": chunks,
        "columns": "@{}r" + "l" * len(layout) + "@{}",
        "header": " & ".join(["", *heads]),
    }


def _merged(node: TableNode, layout: Layout) -> TableNode:
    """The node with the cells of a group below one another."""
    return TableNode(node.tag, tuple([line for k in group for line in node.cells[k] if line] for group in layout))


def chunked(rows: Sequence[str]) -> list[list[str]]:
    r"""Rows of a table in portions that fit a page; none ends with a row (`\\*`) that the next one belongs to."""
    found: list[list[str]] = [[]]
    used = 0.0
    for row in rows:
        if found[-1] and used + _height(row) > _TALLEST and not found[-1][-1].endswith("*"):
            found.append([])
            used = 0.0
        found[-1].append(row)
        used += _height(row)
    return found


def _height(row: str) -> float:
    """Height of a row in pt, on the high side."""
    matrices = re.findall(r"\\begin\{pmatrix\}(.*?)\\end", row, re.DOTALL)
    lines = max((rows.count(r"\\") + 1 for rows in matrices), default=1)
    return 14.0 * lines + 8.0 if matrices else 34.0 if r"\raisebox" in row else 15.0


def _width(nodes: Sequence[TableNode], columns: int) -> float:
    """Width of the table in pt, on the high side."""
    lines = [[line for node in nodes for line in node.cells[k]] for k in range(columns)]
    return _TAG + sum(_GAP + max((estimate(line) for line in column), default=0.0) for column in lines)


def estimate(text: str) -> float:
    """Width of a cell in pt, on the high side."""
    return 1.05 * wide(text) + 7.0 * len(_AIR.findall(text))


def _rows(node: TableNode) -> list[str]:
    tags: Sequence[str] = [f"({node.tag})"] if node.tag else [""]
    lines = itertools.zip_longest(tags, *node.cells, fillvalue="")
    return [" & ".join([tag, *map(tall, cells)]) for tag, *cells in lines]


def markdown_table(build: Callable[[Layout | None], Table]) -> dict[str, Any]:
    """What the Markdown template needs: every cell on one line."""
    table = build(None)
    rows = []
    for node in table.nodes():
        cells = [" ".join(cell).replace(r"\quad {}", "").replace(r"\quad", r"\;") for cell in node.cells]
        if table.has_locals and len(node.cells) > 1:
            k = table.header.index("Local derivative")
            cells[k] = r", \quad ".join(node.cells[k])
        rows.append(
            ([f"({node.tag})"] if node.tag else [""])
            + [f"${' '.join(cell.split())}$" if cell else "" for cell in cells]
        )
    return {"locals": table.has_locals, "header": ["", *table.header], "rows": rows}


def tall(cell: str) -> str:
    """A cell of a table, with air above and below where it is higher than a line."""
    if not cell:
        return ""
    shown = rf"$\displaystyle {cell}$"
    if not any(mark in cell for mark in (r"\frac", r"\begin", r"\sqrt", r"\sum")):
        return shown
    return rf"\raisebox{{0pt}}[\dimexpr\height+3pt\relax][\dimexpr\depth+3pt\relax]{{{shown}}}"


__all__ = ["Layout", "StepTable", "Table", "TableNode", "chunked", "latex_table", "markdown_table", "rooms", "tall"]
