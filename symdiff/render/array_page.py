r"""The derivation of an array formula in LaTeX mathematics, section by section; Markdown takes the same pieces.

Equations are broken so that they fit the page: at plus signs, at elementwise products, between factors of a chain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symdiff.expr import Call, Expr, Name
from symdiff.ops.core import ADD, MUL, NEG
from symdiff.render.array_figures import flat_array, latex_array, latex_number
from symdiff.render.array_local import Locals
from symdiff.render.array_marks import LatexMarks
from symdiff.render.array_model import ArrayModel, Line, is_array_sheet
from symdiff.render.array_notation import MatrixPrinter
from symdiff.render.array_rules import RuleItem, Rules
from symdiff.render.array_signs import JUXT, WIDE, free_letters, packed, shape_latex, wide
from symdiff.render.latex_lines import TAG_WIDTH, TEXT_WIDTH, width
from symdiff.render.latex_names import LONGEST, Symbol, symbols
from symdiff.render.latex_notation import INDENT, tagged
from symdiff.render.mathematics import MathPrinter, bracketed, clashing_spellings
from symdiff.shapes import Shape
from symdiff.tape import SEED

ROOM = TEXT_WIDTH - TAG_WIDTH - INDENT
_MOST_LINES = 120  # of one alignment
_SHORT_NUMBER = 6
_OPERATORS = frozenset({"tr", "cof", "chol", "put", "others", "sign", "transpose", "broadcast"})
_GREEK = re.compile(r"lam(?=$|[0-9_])")  # what people call lambda, which is a word of Python


class ArrayPage:
    """Spells one derivation; `flat` is for the cells of a Markdown table."""

    def __init__(self, model: ArrayModel, flat: bool = False) -> None:
        self.model, self.flat = model, flat
        self.has_arrays = is_array_sheet(model.sheet)
        formula, tape = model.sheet.formula, model.tape
        helpers = list(formula.helpers.values())
        wanted = [given.name for given in tape.inputs] + [step.name for step in tape.primal]
        wanted += [name for helper in helpers for name in helper.parameters] + [helper.name for helper in helpers]
        wanted += [*tape.dims, *formula.functions]
        shared = [line.left for line in model.reverse if line.role == "shared"]
        shown = {name: _GREEK.sub("lambda", name) for name in [*wanted, *shared]}
        if formula.statements[-1].name is None:
            shown[model.output] = next((letter for letter in "fghFGH" if letter not in shown), model.output)
        self.long_names = [name for name in shown if len(name) > LONGEST]
        table = symbols(shown.values())
        for k, name in enumerate(self.long_names):  # a product of them must fit on a line
            start = shown[name][:5].replace("_", r"\_")
            table[shown[name]] = Symbol(rf"\mathit{{{start}}}{{\ldots}}", f"({k + 1})", False)
        self.symbols: dict[str, Symbol] = {name: _upright(table[spelling]) for name, spelling in shown.items()}
        self.names = {name: symbol.text for name, symbol in self.symbols.items()}
        functions = {helper.name: self.names[helper.name] for helper in helpers}
        functions |= {name: self.names[name] for name in formula.functions}
        sizes = {name: self.names[name] for name in tape.dims}
        self.names |= {bar: self.symbols[name].bar for name, bar in model.bars.items()}
        letters = free_letters([*shown.values(), *(self.names[name] for name in shown)])
        self.printer = MatrixPrinter(
            "latex", self.names, lambda number, alone: "", {}, functions=functions,
            instead=clashing_spellings([*wanted, shown[model.output]]), flat=flat,
            shapes=model.shapes, sizes=sizes, letters=letters,
        )  # fmt: skip
        self.typed = replace(self.printer, constants=False)
        self.marks = LatexMarks(self.printer, kronecker="delta" not in shown.values())
        self.locals = Locals(tape, self.marks)
        self.output = self.names[model.output]

    # -- pieces -------------------------------------------------------------------------------------------------------

    def shape(self, shape: Shape) -> str:
        r"""`(3 \times 2)`."""
        if not shape:
            return r"\text{scalar}" if self.has_arrays else ""
        return f"({shape_latex(shape, self.printer.sizes)})"

    def partial(self, of: str, by: str) -> str:
        r"""`\frac{\partial J}{\partial W}` of two names."""
        return rf"\frac{{\partial {self.names[of]}}}{{\partial {self.names[by]}}}"

    def adjoint_names(self) -> dict[str, str]:
        r"""Adjoints written `\frac{\partial J}{\partial o}`."""
        return self.names | {bar: self.partial(self.model.output, name) for name, bar in self.model.bars.items()}

    def value(self, expr: Expr | None, room: float, small: bool = False) -> str:
        """`= 6`, `\approx (...)`: the numbers of an expression, where there are numbers."""
        figures = self.model.figures
        if figures is None or expr is None:
            return ""
        if self.flat:
            return self.flat_value(expr)
        exact = figures.exact(expr) and not (small and _is_long(figures.value(expr)))
        sign = "=" if exact else r"\approx"
        return f"{sign} {latex_array(figures.value(expr), exact, room, small, figures.digits)}"

    def flat_value(self, expr: Expr) -> str:
        """The same on one line, for the cells of a table."""
        figures = self.model.figures
        if figures is None:
            return ""
        exact = figures.exact(expr)
        return ("= " if exact else r"\approx ") + flat_array(figures.value(expr), latex_number(exact), figures.digits)

    # -- breaking -----------------------------------------------------------------------------------------------------

    def broken(self, printer: MatrixPrinter, expr: Expr, room: float) -> list[str]:
        """`expr` on as many lines as it needs: broken at plus signs and at elementwise products."""
        text = printer(expr)
        if width(text) <= room or not isinstance(expr, Call):
            return [text]
        if expr.op in ("add", "sub"):
            return packed(list(_terms(printer, expr)), room)
        if expr.op == "neg" and printer.piece(expr.args[0])[1] >= MUL:
            inside = self.broken(printer, expr.args[0], room - 15)
            return [f"-{inside[0]}", *inside[1:]]
        if expr.op == "mul":
            return self._broken_product(printer, expr, room)
        return [text]

    def _broken_product(self, printer: MatrixPrinter, expr: Call, room: float) -> list[str]:
        front, behind = expr.args
        if not printer.shaped(front).shape:  # a number in front
            shown = printer.at(printer.shaped(front), JUXT)
            inside = self.broken(printer, behind, room - width(shown))
            return [rf"{shown} \, {inside[0]}", *inside[1:]] if printer.piece(behind)[1] >= MUL else [printer(expr)]
        shape, factors = printer.shaped(expr).shape, [behind]
        while isinstance(front, Call) and front.op == "mul" and all(printer.shaped(arg).shape for arg in front.args):
            factors.append(front.args[1])
            front = front.args[0]
        parts = [printer.stretched(printer.shaped(factor), shape, NEG) for factor in (front, *reversed(factors))]
        return packed([parts[0], *(rf"\odot {part}" for part in parts[1:])], room)

    def joined(self, printer: MatrixPrinter, terms: Sequence[Expr], room: float) -> list[str]:
        """A sum of terms on as many lines as it needs."""
        if len(terms) == 1:
            return self.broken(printer, terms[0], room)
        parts = []
        for k, term in enumerate(terms):
            text = printer(term)
            if text.startswith("-"):
                parts.append(f"- {text[1:]}" if k else text)
            else:
                parts.append(f"+ {text}" if k else text)
        return packed(parts, room)

    def block(self, lines: Iterable[Line]) -> list[list[str]]:
        """Lines of alignments with tags, shapes and numbers, each list one `alignat*{2}`."""
        every = list(lines)
        return [self._aligned(every[k : k + _MOST_LINES]) for k in range(0, len(every), _MOST_LINES)]

    def _aligned(self, lines: list[Line]) -> list[str]:
        lefts = [self.names[line.left] for line in lines]
        room = ROOM - max(map(width, lefts), default=0) - 20
        shapes = [self.shape(self.model.shapes.get(line.left, ())) for line in lines]
        beside = max(map(width, shapes), default=0) + 25
        rights = [self.right(line, room) for line in lines]
        fitting = [width(right[0]) for right in rights if len(right) == 1 and width(right[0]) + beside <= room]
        limit = _column(fitting)
        found = []
        for line, left, right, shape in zip(lines, lefts, rights, shapes, strict=True):
            tag = rf" \tag{{{tagged(line.tag)}}}" if line.tag else ""
            sign = r"\leftarrow" if line.sign == "<-" else "="
            start = f"{left} &{sign} "
            number = self.value(line.value, room - 30)
            narrow = len(right) == 1 and width(right[0]) <= limit
            if narrow and number and limit + beside + wide(number) + 20 <= room:
                shape, number = rf"{shape} &\quad& {number}", ""
            rows = self._rows(start, right, shape, tag, narrow, room - beside)
            if number:
                rows.append(rf"&\rlap{{$\displaystyle {number}$}}")
            found.append((r" \\*" + "\n").join(rows))
        return found

    def _rows(self, start: str, right: list[str], shape: str, tag: str, narrow: bool, room: float) -> list[str]:
        """A line with its shape beside it, or below where it is long."""
        if narrow:
            return [f"{start}{right[0]} &\\qquad& {shape}{tag}"]
        shown = [right[0], *(rf"\qquad {{}} {row}" for row in right[1:])]
        if width(shown[-1]) <= room:
            shown[-1] += rf" \qquad {shape}"
        else:
            shown.append(rf"\qquad {shape}")
        shown = [rf"\rlap{{$\displaystyle {row}$}}" for row in shown]
        return [start + shown[0] + tag, *(f"& {row}" for row in shown[1:])]

    def right(self, line: Line, room: float) -> list[str]:
        """The right side of a line."""
        return self.joined(self.typed if line.role == "primal" else self.printer, line.terms, room)

    # -- sections -----------------------------------------------------------------------------------------------------

    def statement(self) -> list[list[str]]:
        """Helpers and the user's lines."""
        lines = []
        plain = MathPrinter(
            "latex", self.names, lambda number, alone: "", {}, functions=self.printer.functions,
            instead=self.printer.instead, constants=False,
        )  # fmt: skip
        for helper in self.model.helpers:
            arguments = ", ".join(self.names[name] for name in helper.parameters)
            lines.append(f"{self.names[helper.name]}({arguments}) &= {plain(helper.body)}")
        for name, expr in self.model.statement:
            left = self.names[name]
            rows = self.broken(self.typed, expr, WIDE - width(left) - 20)
            lines.append(f"{left} &= " + (r" \\" + "\n& \\qquad {} ").join(rows))
        return [lines] if lines else []

    def symbol_rows(self) -> list[tuple[str, str, str]]:
        """Symbol, shape, and what it is, for every input."""
        rows = []
        defaults = self.model.sheet.formula.defaults if self.model.trace is None else {}
        for given in self.model.tape.inputs:
            what = "variable" if given.name in self.model.wanted else "held fixed"
            if not self.model.is_gradient:
                what = "input"
            note = f"{kind_of(given.shape)}, {what}"
            value = ""
            if self.model.trace is not None and self.model.figures is not None:
                value = self.value(Name(given.name), 240)
            elif given.name in defaults and not given.shape:
                value = "= " + latex_array(defaults[given.name], True, 200)
            rows.append((f"{self.names[given.name]} {value}".strip(), self.shape(given.shape), note))
        return rows

    def rules(self) -> list[dict[str, Any]]:
        """The rules, each with its rows."""
        found = []
        for item in Rules(self.locals, self.model.output).items():
            example = " and ".join(f"${each}$" for each in item.examples)
            tags = ", ".join(f"({tag})" for tag in item.tags)
            found.append({
                "title": item.title, "example": example, "tags": tags, "several": len(item.tags) > 1,
                "words": item.words, "rows": self._rule_rows(item), "flat": self._flat_rules(item),
            })  # fmt: skip
        return found

    def _rule_rows(self, item: RuleItem) -> list[str]:
        rows: list[str] = []
        for line in item.lines:
            sign = "=" if line.whole else r"\leftarrow"
            matrix = f"{line.left} {sign} {line.right}"
            hence = rf"\text{{hence}} \quad {matrix}"
            if not line.chain:
                rows.append(f"{line.left} &{sign} {line.right}")
                continue
            left = line.chain[0]
            room = WIDE - width(left) - 20
            parts = [f"{sign} {line.chain[1]}", *(f"= {part}" for part in line.chain[2:])]
            lines = packed([*parts, rf"\qquad {hence}"], room)
            rows.append((r" \\*" + "\n").join([f"{left} & {lines[0]}", *(f"& {row}" for row in lines[1:])]))
        return rows

    def _flat_rules(self, item: RuleItem) -> list[str]:
        found = []
        for line in item.lines:
            sign = "=" if line.whole else r"\leftarrow"
            matrix = f"{line.left} {sign} {line.right}"
            chain = f"{line.chain[0]} {sign} {' = '.join(line.chain[1:])}" if line.chain else ""
            found.append(rf"{chain}, \quad \text{{hence }} {matrix}" if chain else matrix)
        return found

    def local_rows(self) -> list[tuple[str, str, str, str]]:
        """Tag, kind, local derivative, its shape."""
        rows = []
        for of, send in self.sends():
            rows.append(self.local_row(of, send))
        return rows

    def sends(self) -> list[tuple[Any, Any]]:
        """Every step with each of its adjoint steps, in forward order."""
        by: dict[str, list[Any]] = {}
        for step in self.model.backward:
            if step.of is not None and step.receiver is not None:
                by.setdefault(step.of, []).append(step)
        return [(primal, send) for primal in self.model.primal for send in by.get(primal.name, [])]

    def local_row(self, primal: Any, send: Any) -> tuple[str, str, str, str]:
        """Tag, kind, local derivative of one step by one operand, its shape."""
        k = self.locals.operand(send)
        local = self.locals.partial(send)
        inside, out = self.model.shapes[send.receiver], primal.shape
        shape = self.jacobian_shape(out, inside)
        matrix = self.locals.matrix(primal, k, local)
        if matrix is not None:
            own = self.printer.shaped(matrix).shape
            left = self.partial(primal.name, send.receiver)
            return primal.label, "", f"{left} = {self.printer(matrix)}", self.shape(own) if own else shape
        element = self.locals.element(primal, k, local)
        if element is None:
            return primal.label, "", self.partial(primal.name, send.receiver) + r" \text{: see the rule}", shape
        marks = self.marks
        left = marks.partial(marks.entry(primal.name, element.out), marks.entry(send.receiver, element.inside))
        deltas = [marks.delta(a, b) for a, b in element.deltas]
        right = marks.total(element.summed, marks.times([*deltas, *element.body({})]))
        return primal.label, "", f"{left} = {right}", shape

    def jacobian_shape(self, out: Shape, inside: Shape) -> str:
        if not out and not inside:
            return self.shape(())
        if not out or not inside:
            return self.shape(out or inside)
        if len(out) == 1 and len(inside) == 1:
            return self.shape((*out, *inside))
        return rf"{self.shape(out)} \times {self.shape(inside)}"

    def collected(self) -> list[str]:
        r"""`\frac{\partial J}{\partial W_2} &= ... &\qquad& (q \times h)`, with what is trivial put in."""
        printer = replace(self.printer, names=self.adjoint_names())
        entries = [
            (self.partial(self.model.output, name), terms, self.shape(self.model.shapes[name]))
            for name, terms in self.model.collected.items()
            if name != self.model.output
        ]
        room = WIDE - max((width(left) for left, *_ in entries), default=0) - 20
        beside = max((width(shape) for *_, shape in entries), default=0) + 25
        rights = [self.joined(printer, terms, room) for _, terms, _ in entries]
        limit = _column([width(rows[0]) for rows in rights if len(rows) == 1 and width(rows[0]) + beside <= room])
        lines = []
        for (left, _, shape), rows in zip(entries, rights, strict=True):
            if len(rows) == 1 and width(rows[0]) <= limit:
                lines.append(rf"{left} &= {rows[0]} &\qquad& {shape}")
                continue
            rows = [rows[0], *(rf"\qquad {{}} {row}" for row in rows[1:])]
            if width(rows[-1]) + beside <= room:
                rows[-1] += rf" \qquad {shape}"
            else:
                rows.append(rf"\qquad {shape}")
            shown = [rf"\rlap{{$\displaystyle {row}$}}" for row in rows]
            lines.append((r" \\*" + "\n").join([f"{left} &= {shown[0]}", *(f"& {row}" for row in shown[1:])]))
        return lines

    def boxes(self) -> list[str]:
        """Lines of the boxed result."""
        printer = replace(self.printer, names=self.adjoint_names())
        lines = []
        for name in self.model.tape.wrt:
            left = self.partial(self.model.output, name)
            shape = self.shape(self.model.shapes[name])
            bar = self.model.bars.get(name)
            room = WIDE - 20 - width(left) - width(shape) - 50
            if bar is None:
                zero = (
                    rf"\mathbf{{0}}_{{{self.printer.shape(self.model.shapes[name])}}}"
                    if self.model.shapes[name]
                    else "0"
                )
                lines.append(rf"{left} &= {zero} && {shape}")
                continue
            rows = self.joined(printer, self.model.collected.get(name, [Name(bar)]), room - 40)
            text = (
                f"{self.names[bar]} = {rows[0]}" if len(rows) == 1 and width(rows[0]) <= room - 40 else self.names[bar]
            )
            number = self.value(Name(bar), WIDE - width(left) - 40)
            gap = r"\qquad" if number else "&&"  # a column of shapes would take room from the numbers
            rows = [rf"{left} &= {text} {gap} {shape}", *([rf"&{number}"] if number else [])]
            lines.append((r" \\" + "\n").join(rows))
        return lines

    # -- what stands beside --------------------------------------------------------------------------------------------

    def reverse_lines(self) -> list[list[str]]:
        """The reverse sweep."""
        return self.block(line for line in self.model.reverse if line.role != SEED)


def _upright(symbol: Symbol) -> Symbol:
    """A word in upright letters, which no product of variables is; in italics where an operator has that word."""
    words = re.findall(r"\\mathit\{(.*?)\}", symbol.base)
    return symbol if _OPERATORS & set(words) else replace(symbol, base=symbol.base.replace(r"\mathit", r"\mathrm"))


def _is_long(value: Any) -> bool:
    """Whether an exact number has more digits than fit under a brace."""
    return any(len(repr(float(x)).removesuffix(".0")) > _SHORT_NUMBER for x in np.ravel(value))


def _column(widths: list[float]) -> float:
    """Width of a column: as wide as most need; a few long lines do not push the rest out."""
    if not widths:
        return 0.0
    most = sorted(widths)[(len(widths) - 1) * 17 // 20]
    return max(widths) if max(widths) <= 1.4 * most + 30 else most


def kind_of(shape: Shape) -> str:
    """What people call a thing of this shape."""
    if not shape:
        return "scalar"
    if len(shape) == 1:
        return "column vector"
    if len(shape) == 2:
        return "column" if shape[1] == 1 and shape[0] != 1 else "row" if shape[0] == 1 and shape[1] != 1 else "matrix"
    return "array"


def _terms(printer: MatrixPrinter, expr: Call) -> list[str]:
    """Terms of a sum with their signs, operands stretched as in one piece."""
    shape = printer.shaped(expr).shape
    found: list[str] = []
    current: Expr = expr
    while isinstance(current, Call) and current.op in ("add", "sub"):
        piece = printer.shaped(current.args[1])
        text = printer.stretched(piece, shape, ADD + 1) if shape else printer.at(piece, ADD + 1)
        found.append(("+ " if current.op == "add" else "- ") + (bracketed(text) if text.startswith("-") else text))
        current = current.args[0]
    piece = printer.shaped(current)
    found.append(printer.stretched(piece, shape, ADD) if shape else piece.text)
    return found[::-1]


__all__ = ["ArrayPage", "kind_of"]
