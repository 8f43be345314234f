"""Tape of an array formula -> a Python module over NumPy, as a person would write it.

Values are arrays of the declared shapes. The first contribution to an accumulator is written with `=`, later ones are
added in place; so what stands first is always a new array, which nothing else can see. What `numpy_reuse` finds is
computed once, and `numpy_inplace` says which steps are written over an array that is not needed any more. Inputs are
never written to, and results are new arrays in C order.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import replace

from symdiff.expr import Call, Expr, Name, names
from symdiff.formula_data import Input
from symdiff.ops import COMPARE_OPS
from symdiff.render.context import Sheet, first_contributions, identifiers, line_comment
from symdiff.render.environment import render
from symdiff.render.names import PYTHON_RESERVED, mangled
from symdiff.render.numpy_inplace import Place, last_reads, lines_in_place, owner, place_for, with_second
from symdiff.render.numpy_memory import NEW, Memory, fresh, memory
from symdiff.render.numpy_numbers import plain_quotients, sizes_below
from symdiff.render.numpy_quotients import with_inverses
from symdiff.render.numpy_reuse import reused
from symdiff.render.numpy_spelling import NumpyPrinter, bracketed, stretchable
from symdiff.render.printer import without_minus
from symdiff.render.python_arguments import argument_lines, size_lines
from symdiff.render.python_helpers import ARRAY_FUNCTIONS, helper_source, helpers_called
from symdiff.render.python_parts import (
    COMMENT_COLUMN,
    LINE,
    broken,
    described_input,
    fields,
    python_number,
    remarks,
    returned,
    signature,
)
from symdiff.render.update_python import update_context, update_ops
from symdiff.shapes import Shape, described, shape_text
from symdiff.tape import PRIMAL, Step, Tape

_WIDTH = LINE - 4  # of a line inside a function
_WORD = re.compile(r"[A-Za-z_]\w*")


def array_module(sheet: Sheet) -> str:
    """The module's text."""
    tape = sheet.code
    code = with_inverses(tape)  # for both functions, so that they give the same value
    body, alone = _Body(sheet, code), _Body(sheet, _value_alone(code))
    value, *gradients = body.results()
    (value_of_value,) = alone.results()
    shapes = tape.shapes
    forward, reverse, value_lines = body.lines(forward=True), body.lines(forward=False), alone.lines(forward=True)
    result = returned(value, gradients, _WIDTH - len("return "))
    lines, lines_of_value = [result, *forward, *reverse], [value_of_value, *value_lines]
    helpers = helpers_called([*lines_of_value, *(lines if sheet.kind == "gradient" else [])])
    return render(
        "python",
        "arrays.py.j2",
        sheet=sheet,
        described=[described_input(given) for given in tape.inputs],
        outputs=[f"value: {described(body.printer.shape_of(tape.value))}"]
        + [f"derivative by {label}: {described(shapes[label])}" for label, _ in tape.outputs[1:]],
        signature=signature(tape.inputs, body.names),
        inputs=", ".join(body.names[given.name] for given in tape.inputs),
        shapes=_shapes(tape.inputs),
        helpers=helper_source([*helpers, *update_ops(sheet.update)]),
        update=update_context(sheet),
        checks=argument_lines(sheet, body.printer, body.names),
        value_sizes=size_lines(tape.inputs, alone.names, _words(lines_of_value)),
        sizes=size_lines(tape.inputs, body.names, _words(lines)),
        value_lines=value_lines,
        value=value_of_value,
        forward=forward,
        reverse=reverse,
        result=result,
        fields=fields(tape.wrt),
        notes=remarks(tape) + _spelled(lines if sheet.kind == "gradient" else lines_of_value),
    )


def _value_alone(tape: Tape) -> Tape:
    """The forward sweep, which keeps nothing for a reverse sweep."""
    return tape.with_steps(tape.primal, outputs=tape.outputs[:1], wrt=(), bars=())


def _spelled(code: Iterable[str]) -> list[str]:
    """Lines of the header on what a reader may not know."""
    text = "\n".join(code)
    said = ["A.dot(B) is A @ B"] if ".dot(" in text else []
    said += ["out= writes over an array that is not needed any more"] if ", out=" in text else []
    return [f"In the code {', and '.join(said)}."] if said else []


def _shapes(inputs: Iterable[Input]) -> list[str]:
    """`X: (n, 3), w: (3,)`, on as many lines as it takes."""
    parts = [f"{given.name}: {shape_text(given.shape)}".replace(" ", "~") for given in inputs]
    return [line.replace("~", " ") for line in textwrap.wrap(", ".join(parts), _WIDTH, break_long_words=False)]


def _words(lines: Iterable[str]) -> set[str]:
    """Identifiers in code; comments do not count."""
    return {word for line in lines for word in _WORD.findall(f" {line}".partition(" # ")[0])}


class _Body:
    """The code of one tape, step by step."""

    def __init__(self, sheet: Sheet, tape: Tape) -> None:
        single = sheet.dtype == "float32"
        reuse = reused(tape, dot_products=not single)
        self.sheet, self.reuse = sheet, reuse
        seconds = [name for _, name in reuse.joint.values()]
        every = dict.fromkeys([*tape.dims, *identifiers(tape), *seconds])
        self.tape = tape = reuse.tape
        shapes = reuse.shapes()
        self.names = mangled(every, (PYTHON_RESERVED | ARRAY_FUNCTIONS) - {"value"})
        self.printer = NumpyPrinter(
            "python", self.names, python_number, {}, shapes=shapes, dims=frozenset(tape.dims), single=single
        )
        self.plain = frozenset() if single else plain_quotients(tape)
        self.first = first_contributions(tape)
        self.primal = {step.name: step for step in sheet.code.primal}
        self.known: dict[str, Memory] = {given.name: NEW for given in tape.inputs} | dict.fromkeys(seconds, NEW)
        self.several = self._accumulators()
        self.places: dict[str, Place] = {}
        for step in tape.steps:
            if step.into is None or step.name in self.first:
                self.known[step.target] = self._memory(step)
        self._find_places(set(seconds), shapes)

    def _accumulators(self) -> set[str]:
        seen = [step.into for step in self.tape.steps if step.into is not None]
        return {name for name in seen if seen.count(name) > 1}

    def _memory(self, step: Step) -> Memory:
        if _is_put(step.expr):
            return NEW  # made so by `_put`
        found = memory(self.printer, step.expr, self.known)
        if fresh(found) or (step.target not in self.several and (step.shape or found.whole)):
            return found
        return NEW  # a copy made by `_first`, or a number

    def _find_places(self, made: set[str], shapes: Mapping[str, Shape]) -> None:
        """Where steps may write over an array; `made` are the names of arrays of the code's own so far."""
        last = last_reads(self.tape, self.known)

        def own(name: str) -> str:
            return owner(name, self.known)

        for number, step in enumerate(self.tape.steps):

            def is_free(name: str, number: int = number) -> bool:
                return name in made and last.get(name) == number and fresh(self.known[name])

            place = place_for(step.expr, step.shape, shapes, is_free, own) if step.shape else None
            joint = self.reuse.joint.get(step.name)
            if joint is not None and is_free(step.operands[0]):
                self.places[step.name] = Place(step.operands[0], ())
            elif joint is None and place is not None:
                self.places[step.name] = place
                if step.into is None or step.name in self.first:
                    self.known[step.target] = replace(self.known[place.name], base=None)
            if step.shape and not _is_boolean(step.expr):
                made.add(step.target)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def lines(self, *, forward: bool) -> list[str]:
        """The code of one sweep, each line with the equation number of its step."""
        made: list[str] = []
        for step in self.tape.steps:
            if (step.role == PRIMAL) != forward:
                continue
            *before, last = self._statement(step)
            comment = line_comment(step, self.primal)
            absorbed = "".join(f"({each.label}); " for each in self.reuse.absorbed.get(step.name, ()))
            comment = absorbed + comment
            for code, said in [*((each, f"({step.label})") for each in before), (last, comment)]:
                line = f"{code.ljust(COMMENT_COLUMN)}  # {said}"
                made += [line] if len(line) <= _WIDTH else [f"# {said}", *broken(code, _WIDTH)]
        return made

    def _statement(self, step: Step) -> list[str]:
        target = self.names[step.target]
        later = step.into is not None and step.name not in self.first
        place = self.places.get(step.name)
        if step.name in self.reuse.joint:
            return [self._joint(step, target, place)]
        if place is not None:
            made = lines_in_place(self.printer, place, None if later else target)
            return [*made, f"{target} += {self.names[place.name]}"] if later else made
        expr, sign = step.expr, "+"
        if later and (subtracted := without_minus(expr)) is not None:
            expr, sign = subtracted, "-"
        if _is_put(expr):
            return self._put(expr, target, f"{sign}=" if later else "=", later)
        if later:
            return [f"{target} {sign}= {self.printer(stretchable(self.printer, expr))}"]
        if step.name in self.plain and (sizes := sizes_below(expr)) is not None:
            return [f"{target} = {self.printer.guarded_quotient(expr, sizes)}"]
        text = self.printer(expr)
        return [f"{target} = {self._first(step, text) if step.target in self.several else text}"]

    def _joint(self, step: Step, target: str, place: Place | None) -> str:
        """`H, H_slope = sigmoid_and_slope(v2, out=v2)`"""
        joint, second = self.reuse.joint[step.name]
        text = with_second(self.printer(step.expr), joint.helper, self.names[place.name] if place is not None else None)
        return f"{target}, {self.names[second]} = {text}"

    def _put(self, expr: Expr, target: str, sign: str, later: bool) -> list[str]:
        """Into a slice of an accumulator, which is made first."""
        assert isinstance(expr, Call)
        items, shape = expr.options
        inside = self.printer.items(items, shape)
        made = [] if later else [f"{target} = {self.printer.new('zeros', self.printer.shape(shape))}"]
        return [*made, f"{target}[{inside}] {sign} {self.printer(stretchable(self.printer, expr.args[0]))}"]

    def _first(self, step: Step, text: str) -> str:
        """The first contribution to an accumulator: an array that nothing else can see."""
        found = memory(self.printer, step.expr, self.known)
        if not step.shape:
            return f"+{text}" if isinstance(step.expr, Name) else text
        return text if fresh(found) else f"{bracketed(text)}.copy()"

    # -- results -------------------------------------------------------------------------------------------------------

    def results(self) -> list[str]:
        """The outputs as new arrays in C order; scalars as NumPy's."""
        given = {each.name for each in self.tape.inputs}
        other = {step.target for step in self.tape.steps if not step.shape and not _is_numpys_number(step.expr)}
        taken: set[str] = set()
        made = []
        for _, expr in self.tape.outputs:
            shape, text = self.printer.shape_of(expr), self.printer(expr)
            root = self._root(expr.id) if isinstance(expr, Name) else None
            own = root is not None and root not in given and root not in taken and root not in other
            if root is not None:
                taken.add(root)
            made.append(self._result(expr, text, own, bool(shape)))
        return made

    def _result(self, expr: Expr, text: str, own: bool, array: bool) -> str:
        single = self.sheet.dtype == "float32"
        if not array:
            return text if own and not single else f"{self.printer.float_type}({text})"
        if single:
            return f'{bracketed(text)}.astype(np.float32, order="C")'
        if isinstance(expr, Name):
            own = own and self.known[self._root(expr.id) or expr.id].ordered
        else:
            found = memory(self.printer, expr, self.known)
            own = fresh(found) and found.ordered
        return text if own else f"{bracketed(text)}.copy()"

    def _root(self, name: str) -> str | None:
        """The array that a name is another name for; None for a view of one."""
        while True:
            found = self.known[name]
            if found.base is None:
                return name
            if not found.whole:
                return None
            name = found.base


def _is_put(expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.op == "put"


def _is_numpys_number(expr: Expr) -> bool:
    """Whether code gives one of NumPy's numbers: not one of Python's, nor the array without axes of a choice."""
    return bool(names(expr)) and not (isinstance(expr, Call) and expr.op == "where")


def _is_boolean(expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.op in COMPARE_OPS


__all__ = ["array_module"]
