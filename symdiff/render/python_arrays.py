"""Tape of an array formula -> a Python module over NumPy, as a person would write it.

Values are arrays of the declared shapes. The first contribution to an accumulator is written with `=`, later ones are
added in place; so what stands first is always a new array, which nothing else can see. Inputs are never written to, and
results are new arrays in C order.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from symdiff.expr import Call, Expr, Name, names
from symdiff.formula_data import Input
from symdiff.render.context import (
    Sheet,
    first_contributions,
    identifiers,
    index_requirements,
    line_comment,
    without_number,
)
from symdiff.render.environment import render
from symdiff.render.names import PYTHON_RESERVED, mangled
from symdiff.render.numpy_memory import NEW, Memory, fresh, memory
from symdiff.render.numpy_spelling import NumpyPrinter, bracketed, stretchable
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
from symdiff.shapes import Size, described, dimensions, shape_text
from symdiff.tape import Step

_WIDTH = LINE - 4  # of a line inside a function
_WORD = re.compile(r"[A-Za-z_]\w*")


def array_module(sheet: Sheet) -> str:
    """The module's text."""
    tape = sheet.code
    body = _Body(sheet)
    value, *gradients = body.results()
    shapes = tape.shapes
    forward, reverse = body.lines(tape.primal), body.lines(tape.reverse)
    used = _words([value, *gradients, *forward, *reverse])
    lone = _words([value, *forward])
    parameters = signature(tape.inputs, body.names)
    return render(
        "python",
        "arrays.py.j2",
        sheet=sheet,
        described=[described_input(given) for given in tape.inputs],
        outputs=[f"value: {described(body.printer.shape_of(tape.value))}"]
        + [f"derivative by {label}: {described(shapes[label])}" for label, _ in tape.outputs[1:]],
        signature=parameters,
        shapes=_shapes(tape.inputs),
        helpers=helper_source([*helpers_called([value, *gradients, *forward, *reverse]), *update_ops(sheet.update)]),
        update=update_context(sheet),
        value_arguments=body.arguments(lone),
        arguments=body.arguments(used),
        value_lines=forward,
        value=value,
        forward=forward,
        reverse=reverse,
        result=returned(value, gradients, _WIDTH - len("return ")),
        fields=fields(tape.wrt),
        notes=remarks(tape),
    )


def _shapes(inputs: Iterable[Input]) -> list[str]:
    """`X: (n, 3), w: (3,)`, on as many lines as it takes."""
    parts = [f"{given.name}: {shape_text(given.shape)}".replace(" ", "~") for given in inputs]
    return [line.replace("~", " ") for line in textwrap.wrap(", ".join(parts), _WIDTH, break_long_words=False)]


def _words(lines: Iterable[str]) -> set[str]:
    """Identifiers in code; comments do not count."""
    return {word for line in lines for word in _WORD.findall(f" {line}".partition(" # ")[0])}


class _Body:
    """The code of one tape, step by step."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.tape = sheet, sheet.code
        tape, single = self.tape, sheet.dtype == "float32"
        every = dict.fromkeys([*tape.dims, *identifiers(tape)])
        self.names = mangled(every, (PYTHON_RESERVED | ARRAY_FUNCTIONS) - {"value"})
        self.printer = NumpyPrinter(
            "python", self.names, python_number, {}, shapes=tape.shapes, dims=frozenset(tape.dims), single=single
        )
        self.first = first_contributions(tape)
        self.primal = {step.name: step for step in tape.primal}
        self.known: dict[str, Memory] = {given.name: NEW for given in tape.inputs}
        self.several = self._accumulators()
        for step in tape.steps:
            if step.into is None or step.name in self.first:
                self.known[step.target] = self._memory(step)

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

    # -- arguments -----------------------------------------------------------------------------------------------------

    def arguments(self, used: set[str]) -> list[str]:
        """Lines that check the inputs and read the sizes off them; `used` are the identifiers of the code below."""
        inputs, lines, bound = self.tape.inputs, [], set[str]()
        needs = index_requirements(self.sheet.people)
        required = {size for need, _ in needs for size in dimensions(need)}
        for k, given in enumerate(inputs):
            name = self.names[given.name]
            sizes = [self._expected(size, size in bound) for size in given.shape]
            lines.append(f'{name} = _array("{given.name}", {name}, ({", ".join(sizes)}{"," * (len(sizes) == 1)}))')
            later = {size for other in inputs[k + 1 :] for size in other.shape if isinstance(size, str)} | required
            new = dict.fromkeys(size for size in given.shape if isinstance(size, str) and size not in bound)
            wish = [size for size in new if size in later or self.names[size] in used]
            bound.update(new)
            if len(wish) > 1 and len(wish) == len(given.shape):
                lines.append(f"{', '.join(self.names[size] for size in wish)} = {name}.shape")
            else:
                lines += [f"{self.names[size]} = {name}.shape[{given.shape.index(size)}]" for size in wish]
        return lines + [line for need, text in needs for line in self._required(need, text)]

    def _expected(self, size: Size, known: bool) -> str:
        """A size that is known, else its name in quotes."""
        return f'"{size}"' if isinstance(size, str) and not known else self.printer.size(size)

    def _required(self, need: Size, text: str) -> list[str]:
        """Lines that refuse sizes for which `need` is negative."""
        rest, number = without_number(need)
        test = f"{self.printer.size(rest)} < {-number}" if number <= 0 else f"{self.printer.size(need)} < 0"
        said = f'f"{text}: {", ".join(f"{size} = {{{self.names[size]}}}" for size in dimensions(need))}"'
        if len(said) <= _WIDTH - len("    raise ValueError()"):
            return [f"if {test}:", f"    raise ValueError({said})"]
        return [f"if {test}:", "    raise ValueError(", f"        {said}", "    )"]

    # -- steps ---------------------------------------------------------------------------------------------------------

    def lines(self, steps: Iterable[Step]) -> list[str]:
        """The code of steps, each with its equation number."""
        made: list[str] = []
        for step in steps:
            *before, last = self._statement(step)
            comment = line_comment(step, self.primal)
            made += before
            line = f"{last.ljust(COMMENT_COLUMN)}  # {comment}"
            if len(line) <= _WIDTH:
                made.append(line)
            else:
                made += [f"# {comment}", *broken(last, _WIDTH)]
        return made

    def _statement(self, step: Step) -> list[str]:
        target = self.names[step.target]
        later = step.into is not None and step.name not in self.first
        expr, sign = step.expr, "+"
        if later and isinstance(expr, Call) and expr.op == "neg":
            expr, sign = expr.args[0], "-"
        if _is_put(expr):
            return self._put(expr, target, f"{sign}=" if later else "=", later)
        if later:
            return [f"{target} {sign}= {self.printer(stretchable(self.printer, expr))}"]
        text = self.printer(expr)
        return [f"{target} = {self._first(step, text) if step.target in self.several else text}"]

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
        constant = {step.target for step in self.tape.steps if not step.shape and not names(step.expr)}
        taken: set[str] = set()
        made = []
        for _, expr in self.tape.outputs:
            shape, text = self.printer.shape_of(expr), self.printer(expr)
            root = self._root(expr.id) if isinstance(expr, Name) else None
            own = root is not None and root not in given and root not in taken and root not in constant
            if root is not None:
                taken.add(root)
            made.append(self._result(expr, text, own, bool(shape)))
        return made

    def _result(self, expr: Expr, text: str, own: bool, array: bool) -> str:
        single = self.sheet.dtype == "float32"
        if not array:
            kind = "np.float32" if single else "np.float64"
            return text if own and not single else f"{kind}({text})"
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


__all__ = ["array_module"]
