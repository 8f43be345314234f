"""Sheet, Trace -> the computation graph: what a drawing shows, before anything has a place.

    Graph ::= nodes, edges
    Node  ::= an input, or a step            # a constant is written into the step that uses it
    Edge  ::= operand -> step                # one for every time the operand occurs

An edge carries the value of its operand, and the adjoint that the step sends back along it. An operand of one step has
that as its adjoint; one of several shows their sum at the node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symdiff.errors import UnsupportedError
from symdiff.expr import Name, names
from symdiff.render.array_signs import shape_latex
from symdiff.render.context import Sheet
from symdiff.render.graph_labels import Labels, operands, typed
from symdiff.render.graph_words import Words, bar_words, joined, number_words, symbol_words, text
from symdiff.render.latex_names import Symbol, symbols
from symdiff.render.printer import TEXT
from symdiff.shapes import Polynomial, Shape, Size, size_text
from symdiff.tape import SEED, Step, Tape
from symdiff.trace import Send, Trace

MOST_NODES = 300
_GREEK = {"lam": "lambda"}  # what people call lambda, which is a word of Python
_MOST_ROWS, _MOST_COLUMNS, _ARRAY_DIGITS = 3, 3, 4
_SHORT = 24  # letters of a statement that stands in a box
_LONG = 200  # letters of the expression in a tooltip

Rows = tuple[tuple[Words, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A number, the numbers of a small array in rows, or the shape of a larger one."""

    rows: Rows
    is_array: bool = False
    prefix: Words | None = None


@dataclass(frozen=True)
class Node:
    """A box.

    key     name on the tape
    kind    input, constant (an input that is not differentiated), step, output
    label   equation number as people read it; empty for an input
    words   what stands in the box: the symbol of an input, what a step does
    symbol  the name that the step gives to its value; None for an input
    hint    the line of the tape, for a tooltip
    value, adjoint  shown at the box: of the output, of what no step uses, and the sum where several steps send back
    """

    key: str
    kind: str
    label: str
    words: Words
    symbol: Words | None
    hint: str
    value: Figure | None = None
    adjoint: Figure | None = None


@dataclass(frozen=True)
class Edge:
    """`source` is operand number `slot` of `target`; `label` is the adjoint step that sends along it, 3'a."""

    source: str
    target: str
    slot: int
    label: str | None = None
    value: Figure | None = None
    adjoint: Figure | None = None


@dataclass(frozen=True)
class Graph:
    """Nodes with the inputs first and the steps in the order of the tape."""

    title: str
    description: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    output: str

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        """Edges by target, in the order of the operands."""
        found: dict[str, list[Edge]] = {node.key: [] for node in self.nodes}
        for edge in self.edges:
            found[edge.target].append(edge)
        return {key: tuple(edges) for key, edges in found.items()}

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        """Edges by source."""
        found: dict[str, list[Edge]] = {node.key: [] for node in self.nodes}
        for edge in self.edges:
            found[edge.source].append(edge)
        return {key: tuple(edges) for key, edges in found.items()}


class Symbols:
    """The names of a formula as the derivation writes them."""

    def __init__(self, sheet: Sheet) -> None:
        tape, formula = sheet.people, sheet.formula
        wanted = [given.name for given in tape.inputs] + [step.name for step in tape.primal]
        wanted += [*tape.dims, *formula.functions]
        shown = {name: name for name in wanted}
        if tape.is_array:
            shown |= {name: _GREEK[name] for name in wanted if name in _GREEK and _GREEK[name] not in shown}
        output = output_name(tape)
        if formula.statements[-1].name is None:
            shown[output] = next((letter for letter in "fghFGH" if letter not in shown), output)
        table = symbols(shown.values())
        self.symbols: dict[str, Symbol] = {name: table[spelling] for name, spelling in shown.items()}
        self.words = {name: symbol_words(symbol) for name, symbol in self.symbols.items()}
        self.sizes = {name: self.symbols[name].text for name in tape.dims}

    def bar(self, name: str) -> Words:
        """The adjoint of a variable."""
        return bar_words(self.symbols[name])

    def shape(self, shape: Shape) -> Words:
        """`(3 x 2)`, as in the derivation: without brackets `(4)` would look like a value; nothing for a scalar."""
        times = text(" \u00d7 ", r" \times ")
        parts = [part for size in shape for part in (times, self.size(size))][1:]
        return joined([text("(", "("), *parts, text(")", ")")]) if parts else joined([])

    def size(self, size: Size) -> Words:
        """`3`, or the symbol of a size that a run decides."""
        if isinstance(size, Polynomial):
            return text(size_text(size), shape_latex((size,), self.sizes))
        return text(str(size), str(size)) if isinstance(size, int) else self.words[size]


def output_name(tape: Tape) -> str:
    """The variable that is the formula's value."""
    return tape.value.id if isinstance(tape.value, Name) else tape.primal[-1].name


def graph(sheet: Sheet, trace: Trace | None, level: str = "step") -> Graph:
    """The computation graph, with numbers where there is a trace; `level` is `step`, or `statement`
    for one node per statement.

    Raises UnsupportedError for more nodes than anybody can read, and for statements of a traced function, which has
    none.
    """
    return _Builder(sheet, trace, _groups(sheet, level), level).graph()


def _groups(sheet: Sheet, level: str) -> list[list[Step]]:
    """The steps of every node, the last of which gives its value. Raises UnsupportedError."""
    tape = sheet.people
    if level == "step":
        found = [[step] for step in tape.primal]
    else:
        if sheet.formula.traced:
            raise UnsupportedError(
                f"{sheet.formula.traced} is a traced function, which has steps and no statements: level 'step' draws it"
            )
        ends = {statement.name for statement in sheet.formula.statements}
        found = [[]]
        for step in tape.primal:
            found[-1].append(step)
            if step.name in ends:
                found.append([])
        found = [group for group in found if group]
    count = len(found) + len(tape.inputs)
    if count > MOST_NODES:
        instead = (
            "" if level != "step" or sheet.formula.traced else ", or draw a node for each statement: level 'statement'"
        )
        raise UnsupportedError(
            f"the graph has {count} nodes, and with more than {MOST_NODES} nobody can read it; draw a part of the "
            f"formula, or the same formula with smaller sizes{instead}"
        )
    return found


class _Builder:
    """Makes one graph."""

    def __init__(self, sheet: Sheet, trace: Trace | None, groups: Sequence[Sequence[Step]], level: str) -> None:
        self.sheet, self.trace, self.tape, self.groups, self.level = sheet, trace, sheet.people, groups, level
        self.symbols, self.output = Symbols(sheet), output_name(sheet.people)
        self.keys = frozenset([g.name for g in self.tape.inputs] + [steps[-1].name for steps in groups])
        self.labels = Labels(self.symbols.words, self.tape.shapes, self.keys)
        self.bars = dict(self.tape.bars)
        self.sends = {(send.step.of, send.step.label): send for send in trace.sends} if trace else {}
        self.values = {node.name: node.value for node in (*trace.inputs, *trace.nodes)} if trace else {}
        self.adjoints = {node.name: node.adjoint for node in (*trace.inputs, *trace.nodes)} if trace else {}

    def graph(self) -> Graph:
        edges = [edge for steps in self.groups for edge in self._edges(steps)]
        uses = Counter(edge.source for edge in edges)
        paid = Counter(edge.source for edge in edges if edge.label is not None)
        nodes = [self._input(given.name, given.name in self._held, uses, paid) for given in self.tape.inputs]
        nodes += [self._step(steps, uses, paid) for steps in self.groups]
        at = " with values and adjoints at a point" if self.trace else ""
        what = "Computation graph" if self.sheet.kind == "gradient" else "Computation graph of the value"
        description = (
            f"{what}{at}: {len(self.tape.inputs)} inputs at the left, {len(self.groups)} "
            f"{'steps' if self.level == 'step' else 'statements'}, the output {self.symbols.words[self.output].plain} "
            "at the right."
        )
        return Graph(f"{self.sheet.name}: computation graph", description, tuple(nodes), tuple(edges), self.output)

    @cached_property
    def _held(self) -> frozenset[str]:
        """Inputs that are not differentiated."""
        wanted = (
            self.tape.wrt if self.sheet.kind == "gradient" else [g.name for g in self.tape.inputs if not g.constant]
        )
        return frozenset(given.name for given in self.tape.inputs) - set(wanted)

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _input(self, name: str, held: bool, uses: Counter[str], paid: Counter[str]) -> Node:
        hint = f"{name}: input" + (", held constant" if held else "") + self._shape_hint(name)
        alone = self._figure(name) if uses[name] == 0 else None
        kind = "constant" if held else "input"
        return Node(name, kind, "", self.symbols.words[name], None, hint, alone, self._total(name, paid))

    def _step(self, steps: Sequence[Step], uses: Counter[str], paid: Counter[str]) -> Node:
        last, number = steps[-1], steps[-1].label
        label = number if len(steps) == 1 else f"{steps[0].label}-{number}"
        kind = "output" if last.name == self.output else "step"
        words = self.labels(last) if len(steps) == 1 else self._typed(last.name, len(steps))
        hint = (
            f"({number}) {last.name} = {TEXT(last.expr)}"
            if len(steps) == 1
            else f"({label}) {self._statement(last.name)}"
        )
        hint = (hint if len(hint) <= _LONG else hint[: _LONG - 3] + "...") + self._shape_hint(last.name)
        shown = uses[last.name] == 0
        total = self._adjoint(last.name) if shown else self._total(last.name, paid)
        value = self._figure(last.name) if shown else None
        return Node(last.name, kind, label, words, self.symbols.words[last.name], hint, value, total)

    def _typed(self, name: str, steps: int) -> Words:
        """The right side of a statement where it is short, else what it has of steps."""
        right = self._statement(name).partition(" = ")[2]
        return typed(right) if 0 < len(right) <= _SHORT else text(f"{steps} steps")

    def _statement(self, name: str) -> str:
        lines = (
            [line for line in self.sheet.formula_file if line.startswith(f"{name} = ")] if self.sheet.has_file else []
        )
        return lines[0] if lines else name

    def _shape_hint(self, name: str) -> str:
        shape = self.tape.shapes[name]
        return f", shape ({', '.join(size_text(size) for size in shape)})" if shape else ""

    # -- edges --------------------------------------------------------------------------------------------------------

    def _edges(self, steps: Sequence[Step]) -> Iterable[Edge]:
        if len(steps) > 1:
            yield from self._joined_edges(steps)
            return
        (step,) = steps
        waiting: dict[str, list[Step]] = {}
        for sent in self._sent_by.get(step.name, ()):
            waiting.setdefault(str(sent.receiver), []).append(sent)
        for slot, (name, compared) in enumerate(operands(step.expr, self.keys)):
            left = waiting.get(name, [])
            sent_here = left.pop(0) if left and not compared else None
            label = None if sent_here is None else sent_here.label
            send = self.sends.get((step.name, label or ""))
            yield Edge(name, step.name, slot, label, self._figure(name), self._sent(name, [send]))

    def _joined_edges(self, steps: Sequence[Step]) -> Iterable[Edge]:
        """One edge from every operand to a statement; what its steps send back is added up."""
        found = dict.fromkeys(name for step in steps for name in names(step.expr) if name in self.keys)
        for slot, name in enumerate(found):
            sent = [made for step in steps for made in self._sent_by.get(step.name, ()) if made.receiver == name]
            sends = [self.sends.get((made.of, made.label)) for made in sent]
            label = ", ".join(made.label for made in reversed(sent)) or None
            yield Edge(name, steps[-1].name, slot, label, self._figure(name), self._sent(name, sends))

    @cached_property
    def _sent_by(self) -> dict[str, list[Step]]:
        found: dict[str, list[Step]] = {}
        for step in self.tape.reverse:
            if step.receiver is not None and step.role != SEED:
                found.setdefault(str(step.of), []).append(step)
        return found

    # -- figures ------------------------------------------------------------------------------------------------------

    def _figure(self, name: str) -> Figure | None:
        """The value of a variable; without numbers the shape of an array."""
        if self.trace is not None:
            return self._shown(self.values[name])
        shape = self.tape.shapes[name]
        return Figure(((self.symbols.shape(shape),),)) if shape else None

    def _shown(self, value: Any) -> Figure:
        array = np.asarray(value)
        if array.ndim == 0:
            return Figure(((number_words(float(array)),),))
        table = array.reshape(len(array), -1) if array.ndim == 1 else array
        small = table.ndim == 2 and 0 < table.shape[0] <= _MOST_ROWS and 0 < table.shape[1] <= _MOST_COLUMNS
        if not small:
            return Figure(((self.symbols.shape(array.shape),),))
        rows = tuple(tuple(number_words(float(x), _ARRAY_DIGITS) for x in row) for row in table)
        return Figure(rows, True)

    def _sent(self, name: str, sends: Sequence[Send | None]) -> Figure | None:
        made = [send.value for send in sends if send is not None]
        return self._shown(sum(made[1:], made[0])) if made else None

    def _adjoint(self, name: str) -> Figure | None:
        adjoint = self.adjoints.get(name)
        return None if adjoint is None else self._shown(adjoint)

    def _total(self, name: str, paid: Counter[str]) -> Figure | None:
        """The sum at the node, where several edges bring a part."""
        adjoint = self.adjoints.get(name)
        if adjoint is None or paid[name] == 1:
            return None
        bar = self.symbols.bar(name)
        shown = self._shown(adjoint)
        is_shape = bool(np.ndim(adjoint)) and not shown.is_array
        sign = text(": ", r"{:}\;") if is_shape else text(" = ", "=")
        return Figure(shown.rows, shown.is_array, bar + sign)


__all__ = ["MOST_NODES", "Edge", "Figure", "Graph", "Node", "Symbols", "graph", "output_name"]
