"""The derivation of an array formula in plain text: the formula language, lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symdiff.expr import Call, Expr, Name, Number, substitute
from symdiff.ops.core import ADD
from symdiff.ops.infer import shape_of
from symdiff.render.array_elements import Elements, Written, element_name, is_small
from symdiff.render.array_figures import flat_array, text_number
from symdiff.render.array_local import Locals
from symdiff.render.array_marks import TextMarks
from symdiff.render.array_model import ArrayModel, Line, is_array_sheet
from symdiff.render.array_page import kind_of
from symdiff.render.array_paths import Edge, Paths, Sum
from symdiff.render.array_rules import Rules
from symdiff.render.array_signs import free_letters
from symdiff.render.array_words import text_definitions
from symdiff.render.context import formula_text
from symdiff.render.derivation_model import CHECK_DIGITS, CHECK_NOISE
from symdiff.render.derivation_sections import TextHeadings, sections
from symdiff.render.figures import Figure, decimal
from symdiff.render.printer import TEXT, Printer
from symdiff.render.text_notation import WIDTH, filled
from symdiff.render.update_model import UpdateModel
from symdiff.render.update_text import update_text
from symdiff.shapes import Shape, shape_text
from symdiff.tape import Step

_TAG = 9
_COLUMN = 52  # where shapes stand, if a line is not longer


class ArrayText:
    """Spells one derivation."""

    def __init__(self, model: ArrayModel) -> None:
        self.model = model
        self.has_arrays = is_array_sheet(model.sheet)
        used = [*model.shapes, *model.tape.dims, *model.sheet.formula.functions]
        self.marks = TextMarks(TEXT, free_letters(used))
        self.locals = Locals(model.tape, self.marks)
        self.turned: Mapping[str, Expr] = {}  # transposes that stand as such in the list of factors

    def context(self) -> dict[str, Any]:
        """Ready-made lines for the template."""
        model = self.model
        title = f"{model.sheet.name}: {'value and gradient' if model.is_gradient else 'value'}, step by step"
        forward, reverse = self.lines(model.forward), self.lines(model.reverse)
        shows = sections(model.options)
        rules = self.rules() if model.active and "rules" in shows else []
        local_lines = self.local_lines() if model.active and "locals" in shows else []
        collected = self.collected()
        elements = self.elements() if "elements" in shows else []
        said = "\n".join([*forward, *rules, *local_lines, *reverse, *collected])
        return {
            "title": filled(title),
            "underline": "=" * min(len(title), WIDTH),
            "statement": self.statement(),
            "steps": len(forward),
            "inputs": self.inputs(),
            "functions": self.functions(),
            "gradient_kind": model.is_gradient,
            "active": model.active,
            "numbers": model.trace is not None,
            "output": model.output,
            "definitions": [
                line
                for sentence in (text_definitions(said) if self.has_arrays else [])
                for line in filled(sentence, 4, 2)
            ],
            "has_slots": any(line.tag.endswith("a") for line in model.reverse),
            "conventions": [line for op, edges in model.conventions for line in filled(f"{op}: {edges}", 4, 2)],
            "forward": forward,
            "rules": rules,
            "locals": local_lines,
            "reverse": reverse,
            "collected": collected,
            "chains": self.chains() if model.active and "chains" in shows else [],
            "result": self.result(),
            "elements": elements,
            "update": self.update(),
            "heading": TextHeadings(),
            "shows": shows,
            "by_statement": model.options.by_statement,
            "digits": model.options.digits_said,
            "has_arrays": self.has_arrays,
            "check_rows": self.check(),
        }

    # -- pieces -------------------------------------------------------------------------------------------------------

    def statement(self) -> list[str]:
        """The formula as typed."""
        formula, lines = self.model.sheet.formula, []
        if not self.model.statement:
            return []
        for helper in formula.helpers.values():
            lines += filled(f"{helper.name}({', '.join(helper.parameters)}) = {_typed(helper.body, self.model)}", 6, 4)
        for statement in formula.statements:
            lines += filled(f"{statement.name or self.model.output} = {_typed(statement.expr, self.model)}", 6, 4)
        return lines

    def inputs(self) -> list[str]:
        """Every input with its shape."""
        lines = []
        for given in self.model.tape.inputs:
            what = "variable" if given.name in self.model.wanted else "held fixed"
            kind = f"{kind_of(given.shape)}, {what}" if self.model.is_gradient else kind_of(given.shape)
            lines += filled(f"{given.name:<12} {_shape(given.shape):<14} {kind}", 4, 2)
            if self.model.trace is not None:
                lines += filled(self.value(Name(given.name)), 8, 6)
            elif given.default is not None and not given.shape:
                lines += filled(f"= {given.default!r}", 8, 6)
        return lines

    def _shape(self, shape: Shape) -> str:
        """A shape; nothing for a number where there are only numbers."""
        return _shape(shape) if shape or self.has_arrays else ""

    def functions(self) -> list[str]:
        """Abstract functions."""
        lines = []
        for name, function in self.model.sheet.formula.functions.items():
            if function.shape is None:
                text = f"{name} is any differentiable function, applied to each element; {name}' is its derivative"
            else:
                gives = f"an array {_shape(function.shape)}" if function.shape else "a number"
                text = f"{name} is any differentiable function that gives {gives}; d{name}_k is its derivative by "
                text += "its k-th argument"
            lines += filled(text + ".", 2)
        return lines

    def value(self, expr: Expr | None) -> str:
        """`= [1, 2]`, where there are numbers."""
        figures = self.model.figures
        if figures is None or expr is None:
            return ""
        exact = figures.exact(expr)
        return ("= " if exact else "~ ") + flat_array(figures.value(expr), text_number(exact), figures.digits)

    def lines(self, lines: Iterable[Line]) -> list[str]:
        """`(3'a) W2_bar <- outer(o_bar, h)   (q, h)`, numbers below."""
        found: list[str] = []
        for line in lines:
            body = f"{line.left} {line.sign} {self.right(line.terms, line.role == 'primal')}"
            shape = self._shape(self.model.shapes.get(line.left, ()))
            tag = f"({line.tag})" if line.tag else ""
            start = f"{tag:<{_TAG - 1}} {body}" if len(tag) < _TAG else f"{tag} {body}"
            found += _with_shape(start, shape, _TAG + 4)
            number = self.value(line.value)
            found += filled(number, _TAG + 4, _TAG + 2) if number else []
        return found

    def right(self, terms: Sequence[Expr], typed: bool = False) -> str:
        """A sum of terms."""
        return _added([TEXT(term) if typed else self.marks.matrix(term) for term in terms])

    # -- sections -----------------------------------------------------------------------------------------------------

    def rules(self) -> list[str]:
        """Every kind of step once."""
        found: list[str] = []
        for item in Rules(self.locals, self.model.output).items():
            tags = ", ".join(f"({tag})" for tag in item.tags)
            found += ["", *filled(f"{item.title}, for {' and '.join(item.examples)}; {tags}", 4, 2)]
            if item.words:
                found += filled(item.words, 4)
            for line in item.lines:
                sign = "=" if line.whole else "<-"
                if line.chain:
                    found += _chain([f"{line.chain[0]} {sign} {line.chain[1]}", *(f"= {p}" for p in line.chain[2:])])
                found += filled(f"hence {line.left} {sign} {line.right}", 12, 8)
        return found[1:]

    def local_lines(self) -> list[str]:
        """Local derivatives with their shapes."""
        found: dict[str, None] = {}
        for primal, send in self._sends():
            for line in self._local(primal, send):
                found.setdefault(line)
        return list(found)

    def _sends(self) -> list[tuple[Step, Step]]:
        by: dict[str, list[Step]] = {}
        for step in self.model.backward:
            if step.of is not None and step.receiver is not None:
                by.setdefault(step.of, []).append(step)
        return [(primal, send) for primal in self.model.primal for send in by.get(primal.name, [])]

    def _local(self, primal: Step, send: Step) -> list[str]:
        assert send.receiver is not None
        k, local = self.locals.operand(send), self.locals.partial(send)
        inside = self.model.shapes[send.receiver]
        matrix = self.locals.matrix(primal, k, local)
        own = () if matrix is None else shape_of(matrix, self.model.shapes)
        shape = (
            self._shape(own or primal.shape or inside)
            if own or not primal.shape or not inside
            else f"{self._shape(primal.shape)} x {self._shape(inside)}"
        )
        marks = self.marks
        element = None if matrix is not None else self.locals.element(primal, k, local)
        if matrix is not None:
            body = f"{marks.partial(primal.name, send.receiver)} = {marks.matrix(matrix)}"
        elif element is not None:
            left = marks.partial(marks.entry(primal.name, element.out), marks.entry(send.receiver, element.inside))
            deltas = [marks.delta(a, b) for a, b in element.deltas]
            body = f"{left} = {marks.total(element.summed, marks.times([*deltas, *element.body({})]))}"
        else:
            body = f"{marks.partial(primal.name, send.receiver)}: see the rule"
        tag = f"({primal.label})"
        return _with_shape(f"{tag:<{_TAG - 1}} {body}", shape, _TAG + 4)

    def _by(self) -> Any:
        bars = {bar: self.marks.partial(self.model.output, name) for name, bar in self.model.bars.items()}
        printer = _QuotientPrinter("text", bars, TEXT.number, TEXT.words, quotients=frozenset(bars.values()))
        return replace(self.marks, printer=printer)

    def collected(self) -> list[str]:
        """The reverse sweep with what is trivial put in."""
        marks, found = self._by(), []
        for name, terms in self.model.collected.items():
            if name == self.model.output:
                continue
            text = f"{marks.partial(self.model.output, name)} = {_added([marks.matrix(term) for term in terms])}"
            shape = self._shape(self.model.shapes[name])
            found += _with_shape(f"  {text}", shape, 6)
        return found

    def result(self) -> list[str]:
        """The gradient, variable by variable, with its shape and numbers."""
        marks, found = self._by(), []
        for name in self.model.tape.wrt:
            bar = self.model.bars.get(name)
            shape = self.model.shapes[name]
            right = bar or (f"zeros({shape_text(shape)})" if shape else "0")
            terms = self.model.collected.get(name, [])
            if bar and terms and name != self.model.output:
                right += f" = {_added([marks.matrix(term) for term in terms])}"
            found += _with_shape(f"  {marks.partial(self.model.output, name)} = {right}", self._shape(shape), 6)
            number = self.value(Name(bar)) if bar else ""
            found += filled(number, 8, 6) if number else []
        return found

    def update(self) -> dict[str, Any] | None:
        """The section on the update rule."""
        sheet = self.model.sheet
        if sheet.update is None:
            return None
        marks = self._by()

        def put_in(name: str) -> str | None:
            terms = self.model.collected.get(name)
            return _added([marks.matrix(term) for term in terms]) if terms else None

        return update_text(UpdateModel(sheet, sheet.update, self.model.trace, self.model.options.digits), put_in)

    def chains(self) -> list[str]:
        """Products of partial derivatives, then what each factor is."""
        paths = Paths(
            self.locals, self.model.output, self.model.tape.wrt, self.model.named, self.model.options.style == "chain"
        )
        self.turned = paths.turned
        found: list[str] = []
        factors: dict[str, None] = {}
        if paths.is_long:
            return filled(f"There are {len(paths.edges)} factors, too many to be written out here.", 2)
        for name in paths.named:
            total = paths.sum_of(name)
            found += filled(f"delta_{name} = {self._whole(total)} = {self._sum(total, factors)}", 6, 2)
        for name in paths.wanted:
            if name == self.model.output:
                continue
            total, full = paths.sum_of(name), paths.full(name)
            left = self._whole(total)
            if full is None:
                found += filled(f"There are {paths.counts[name]} paths to {name}; what they share is named.", 2)
            elif any(chain.start is not None for chain in total.chains):
                shown = " + ".join(" * ".join(self.marks.partial(e.of, e.by) for e in edges) for edges in full)
                found += filled(f"{left} = {shown}", 6, 2)
            found += filled(f"{left} = {self._sum(total, factors)}", 6, 2)
        return [*found, "", "  where", *factors]

    def _whole(self, total: Sum) -> str:
        """The derivative along all paths, as adjoint where the same stands for a factor."""
        return self.model.bars[total.left] if total.parts else self.marks.partial(self.model.output, total.left)

    def _sum(self, total: Sum, factors: dict[str, None]) -> str:
        shown = []
        for chain in total.chains:
            parts = [] if chain.start is None else [f"delta_{chain.start}"]
            parts += [self.marks.partial(edge.of, edge.by) for edge in chain.edges]
            shown.append(" * ".join(parts))
            for edge in chain.edges:
                for line in self._factor(edge):
                    factors.setdefault(line)
        return " + ".join(shown) + (" + ..." if total.more else "")

    def _factor(self, edge: Edge) -> list[str]:
        primal = self.locals.primal[edge.of]
        compound = self.model.is_compound(edge.of)
        if compound:
            found = [self.model.compound_factor(send) for send in edge.sends]
        else:
            found = [self.locals.factor(primal, self.locals.operand(send), send.local) for send in edge.sends]
        left = self.marks.partial(edge.of, edge.by)
        if compound and any(each is None for each in found):
            return _with_shape(f"    {left}: see {', '.join(f'({send.label})' for send in edge.sends)}", "", 8)
        if any(each is None for each in found):
            word = self.locals.word(primal, self.locals.operand(edge.sends[0]))
            said = f"{word}, rule ({primal.label})" if word else f"rule ({primal.label})"
            inside = self.model.shapes[edge.by]
            both = f"{self._shape(primal.shape)} x {self._shape(inside)}" if primal.shape and inside else ""
            return _with_shape(f"    {left}: {said}", both, 8)
        kept = [substitute(each, self.turned) for each in found if each is not None]
        shape = shape_of(kept[0], self.model.shapes) or primal.shape or self.model.shapes[edge.by]
        text = " + ".join(self.marks.matrix(each) for each in kept)
        lines = _with_shape(f"    {left}: {text}", self._shape(shape), 8)
        number = self.value(kept[0]) if len(kept) == 1 and text != "1" else ""
        return lines + (filled(number, 10, 8) if number else [])

    def elements(self) -> list[str]:
        """Small arrays element by element: the steps, their adjoints, the gradient."""
        tape = self.model.tape
        if not self.model.active or not is_small(tape):
            return []
        elements = Elements(tape)
        found: list[str] = []
        for each in elements.forward():
            found += self._written(each.step.name, "=", each)
        found.append("")
        for each in elements.reverse():
            sign = "=" if each.step.into is None else "<-"
            found += self._written(each.step.target, sign, each)
        found.append("")
        for name in tape.wrt:
            terms = self.model.collected.get(name)
            if terms and self.model.shapes[name]:
                found += self._result_cells(name, elements, terms)
        return found

    def _written(self, name: str, sign: str, each: Written) -> list[str]:
        """By its elements, or as a whole."""
        if each.array is not None:
            return self._cells(name, sign, each.array)
        return filled(f"{name} {sign} {self.marks.matrix(each.expr)}", 6, 2)

    def _cells(self, name: str, sign: str, array: Any) -> list[str]:
        cells = np.ndenumerate(np.asarray(array, dtype=object))
        lines = [f"{element_name(name, place)} {sign} {TEXT(cell)}" for place, cell in cells]
        return [part for line in lines for part in filled(line, 6, 2)]

    def _result_cells(self, name: str, elements: Elements, terms: Sequence[Expr]) -> list[str]:
        total = terms[0]
        for term in terms[1:]:
            total = Call("add", (total, term))
        array = elements.array(total)
        return [] if array is None else self._cells(self.marks.partial(self.model.output, name), "=", array)

    def check(self) -> list[str]:
        """The finite-difference table."""
        lines = []
        for line in self.model.check:
            for k, (place, *pair) in enumerate(line.samples):
                index = f"[{','.join(str(p) for p in place)}]" if place else ""
                numbers = [
                    _figure(Figure(value, False, min(CHECK_DIGITS, self.model.options.digits))) for value in pair
                ]
                start = f"{line.name}{index}"
                if len(start) > 16:
                    lines += filled(start, 2, 2)
                    start = ""
                relative = "< 1e-6" if line.relative < CHECK_NOISE else f"{line.relative:.1e}"
                shown = relative if k == len(line.samples) - 1 else ""
                lines.append(f"  {start:<16}  {numbers[0]:>18}  {numbers[1]:>18}  {shown:>10}".rstrip())
        return lines


@dataclass(frozen=True)
class _QuotientPrinter(Printer):
    """Some names stand for quotients, dJ/do, which take brackets in a product."""

    quotients: frozenset[str] = frozenset()

    def _leaf(self, leaf: Name | Number) -> tuple[Any, int]:
        text, strength = super()._leaf(leaf)
        return text, ADD + 1 if isinstance(text, str) and text in self.quotients else strength


def _added(parts: Sequence[str]) -> str:
    """A sum of terms."""
    return parts[0] + "".join(f" - {part[1:]}" if part.startswith("-") else f" + {part}" for part in parts[1:])


def _with_shape(start: str, shape: str, indent: int) -> list[str]:
    """A line with its shape in a column, or behind it where it is long, or below."""
    one = f"{start:<{_COLUMN}}  {shape}"
    if len(one) <= WIDTH:
        return [one.rstrip()]
    lines = filled(start.lstrip(), indent, len(start) - len(start.lstrip()))
    if len(lines[-1]) + 2 + len(shape) <= WIDTH:
        return [*lines[:-1], f"{lines[-1]}  {shape}"]
    return [*lines, " " * indent + shape]


def _chain(parts: list[str]) -> list[str]:
    """Pieces joined by equals signs, on one line or each on its own."""
    one = " ".join(parts)
    if len(one) + 6 <= WIDTH:
        return ["      " + one]
    return [line for k, part in enumerate(parts) for line in filled(part, 14, 10 if k else 6)]


def _figure(figure: Figure) -> str:
    digits, power = decimal(figure.value, figure.exact, figure.digits)
    return digits if power == 0 else f"{digits}e{power}"


def _shape(shape: Shape) -> str:
    return shape_text(shape) if shape else "scalar"


def _typed(expr: Expr, model: ArrayModel) -> str:
    formula = model.sheet.formula
    helpers = {**formula.helpers, **formula.functions}
    return TEXT.with_helpers(helpers)(expr) if helpers else formula_text(expr, formula)


__all__ = ["ArrayText"]
