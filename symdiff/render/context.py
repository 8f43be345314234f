"""What every renderer gets: the tape, and the facts that stand in the header of a generated file."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symdiff.expr import Name, Number, walk
from symdiff.formula_data import Default, FormulaData, Group, Input
from symdiff.ops.infer import shape_of
from symdiff.render.counts import operations
from symdiff.render.formula_text import formula_text as formula_text
from symdiff.render.printer import TEXT, plain_number, size
from symdiff.rule import Update
from symdiff.shapes import Polynomial, Size, minus, plain_terms, plus, product, shape_text
from symdiff.tape import PRIMAL, Note, Step, Tape

_LONGEST_COMMAND = 100  # characters of a formula inside a command
_LONGEST = 400  # operations; a longer formula is not repeated in headers
_LONGEST_FILE = 20_000  # and one longer than this is not printed at all
_WIDTH = 110  # characters of a line in a header
_MOST_LEFT_OUT = 20  # steps that headers name as left out of the code


@dataclass(frozen=True)
class Sheet:
    """One formula on its way to text.

    name     identifier, the prefix of everything in C
    formula  what was differentiated
    people   the tape as linearized, with its reverse sweep: trace, derivation, graph
    code     the same tape after the passes
    kind     `gradient`, or `value` for a tape without reverse sweep
    dtype    `float64` or `float32`
    at       numbers that the derivation was asked for at, for the command that makes the files again
    update   the update rule written out for the variables, where one was asked for
    """

    name: str
    formula: FormulaData
    people: Tape
    code: Tape
    kind: str = "gradient"
    dtype: str = "float64"
    at: Mapping[str, Any] | None = None
    update: Update | None = None

    @cached_property
    def is_long(self) -> bool:
        """Whether the formula is too long to be repeated in headers."""
        return self._size > _LONGEST

    @cached_property
    def has_file(self) -> bool:
        """Whether the formula is printed to a file of its own; printing takes more than linear time in its depth."""
        return self._size <= _LONGEST_FILE

    @cached_property
    def _size(self) -> int:
        return sum(size(statement.expr) for statement in self.formula.statements)

    @cached_property
    def formula_lines(self) -> list[str]:
        """The formula for headers; long ones are only counted."""
        if not self.is_long:
            return self.formula_file
        what = f"the Python function {self.formula.traced}" if self.formula.traced else "a formula"
        return textwrap.wrap(f"{what} of {len(self.people.primal)} steps", _WIDTH)

    @cached_property
    def formula_file(self) -> list[str]:
        """The formula printed again from its tree, one statement a line."""
        formula = self.formula
        lines = [f"# traced from {formula.traced}"] if formula.traced else []
        lines += [f"{given.name}: {_declaration(given)}" for given in self._declared]
        for function in formula.functions.values():
            lines.append(f"{function.name}: function{'' if function.shape is None else shape_text(function.shape)}")
        for helper in formula.helpers.values():
            lines.append(
                f"def {helper.name}({', '.join(helper.parameters)}): return {formula_text(helper.body, formula)}"
            )
        for statement in formula.statements:
            text = formula_text(statement.expr, formula)
            lines.append(text if statement.name is None else f"{statement.name} = {text}")
        return lines

    @cached_property
    def _declared(self) -> list[Input]:
        """What must be declared, so that the printed text gives the same inputs in the same order: all or nothing."""
        declared = self.formula.declared
        named = {statement.name for statement in self.formula.statements}
        used = dict.fromkeys(
            part.id
            for statement in self.formula.statements
            for part in walk(statement.expr)
            if isinstance(part, Name) and part.id not in named
        )
        plain = all(not given.constant and given.default is None and not given.shape for given in declared)
        return [] if plain and list(used) == [given.name for given in declared] else list(declared)

    @cached_property
    def command(self) -> str:
        """The command that makes the file again, from the formula itself if it is short, else from its file; the calls
        in Python for a traced function.
        """
        if self.formula.traced:
            return self._calls
        text = "; ".join(self.formula_lines)
        in_file = self.is_long or self.formula.helpers or len(text) > _LONGEST_COMMAND
        source = f"{self.name}.sd" if in_file else shlex.quote(text)
        wrt = " --value" if self.kind == "value" else ""
        if self.kind != "value" and self.code.wrt != default_wrt(self.formula):
            wrt = f" --wrt {','.join(self.code.wrt)}"
        dtype = "" if self.dtype == "float64" else f" --dtype {self.dtype}"
        numbers = [f"{name}={plain_number(Number(float(value)))}" for name, value in self._scalars_at.items()]
        at = f" --at {self.name}.toml" if self.point_file else f" --at {','.join(numbers)}" if numbers else ""
        return f"symdiff generate {source} --name {self.name}{wrt}{self._update_option}{at}{dtype}"

    @cached_property
    def command_lines(self) -> list[str]:
        """The command for headers. Calls in Python are broken, between brackets; a command for a shell never is."""
        if not self.formula.traced or len(self.command) <= _WIDTH:
            return [self.command]
        return textwrap.wrap(
            self.command, _WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )

    @property
    def _calls(self) -> str:
        """`symdiff.trace_function(loss, (3,)).gradient().write("loss")`."""
        function = self.formula.traced.partition("(")[0]
        constants = [group.name for group in self.formula.groups if group.constant]
        options = f", constants={constants}" if constants else ""
        shapes = "".join(f", {group.shape}" for group in self.formula.groups)
        made = f"symdiff.trace_function({function}{shapes}{options})"
        wrt = [group.name for group in self.variables]
        every = wrt == [group.name for group in self.formula.groups if not group.constant]
        made += ".value()" if self.kind == "value" else f".gradient({'' if every else wrt})"
        if self.update is not None:
            settings = f".set({self._changed_settings})" if self._changed_settings else ""
            rule = f"symdiff.optim.named({self.update.rule.key!r})" if self.update.rule.key else "rule"
            made += f".update({rule}{settings})"
        given = ["at=..."] if self.at else []
        given += [f"dtype={self.dtype!r}"] if self.dtype != "float64" else []
        return f"{made}.write({', '.join([repr(self.name), *given])})"

    @cached_property
    def variables(self) -> list[Group]:
        """Arguments of a traced function that it is differentiated by, in the order of the gradient."""
        first = {group.elements[0]: group for group in self.formula.groups}
        return [first[name] for name in self.code.wrt if name in first]

    @property
    def _update_option(self) -> str:
        """` --update adam --set eta=0.01`, with the settings that are not the rule's own."""
        if self.update is None:
            return ""
        rule = self.update.rule
        changed = self._changed_settings.items()
        settings = "".join(f" --set {name}={plain_number(Number(value))}" for name, value in changed)
        return f" --update {rule.key or shlex.quote(f'{rule.name}.sd')}{settings}"

    @property
    def _changed_settings(self) -> dict[str, float]:
        """Settings of the update rule that are not the rule's own."""
        if self.update is None:
            return {}
        rule = self.update.rule
        return {name: value for name, value in rule.settings.items() if value != rule.defaults[name]}

    @cached_property
    def _scalars_at(self) -> dict[str, Any]:
        return {} if self.point_file else dict(self.at or {})

    @cached_property
    def point_file(self) -> list[str]:
        """The numbers that the derivation was asked for at as TOML, where they are too many for a command."""
        at = self.at or {}
        if not any(np.ndim(value) for value in at.values()):
            return []
        return [f"{name} = {_toml(np.asarray(value, np.float64).tolist())}" for name, value in at.items()]

    @cached_property
    def operation_counts(self) -> tuple[Size, Size]:
        """Arithmetic operations and function calls of the code, forward and reverse: numbers, for arrays polynomials in
        the sizes.
        """
        shapes = self.code.shapes if self.code.is_array else {}
        counts: list[Size] = [0, 0]
        seen: set[str] = set()
        for step in self.code.steps:
            counts[step.role != PRIMAL] = plus(counts[step.role != PRIMAL], operations(step, shapes))
            if step.into is None:
                continue
            if step.into in seen:  # each further contribution is an addition
                counts[1] = plus(counts[1], product(step.shape))
            seen.add(step.into)
        return counts[0], counts[1]

    @cached_property
    def kernel_shapes(self) -> dict[str, Any]:
        """What a KernelSpec of arrays has beside names: shapes, value_shape, array, requirements; of a traced function
        shapes and grouped; empty for scalars.
        """
        if self.formula.groups:
            return {"shapes": {group.name: group.shape for group in self.formula.groups}, "grouped": True}
        if not self.people.is_array:
            return {}
        shapes = self.people.shapes
        return {
            "shapes": {given.name: given.shape for given in self.people.inputs},
            "value_shape": tuple(_kernel_size(size) for size in shape_of(self.people.value, shapes)),
            "array": True,
            "requirements": tuple((plain_terms(need), text) for need, text in index_requirements(self.people)),
        }


def _kernel_size(size: Size) -> Any:
    return plain_terms(size) if isinstance(size, Polynomial) else size


def index_requirements(tape: Tape) -> list[tuple[Size, str]]:
    """What must not be negative for every index with a run-time size to lie inside its array, and what is said then.

    Of `n - 1` and `n - 3` only the second counts.
    """
    found: dict[Size, tuple[int, str]] = {}
    for need, text in tape.requirements:
        rest, number = without_number(need)
        if rest not in found or number < found[rest][0]:
            found[rest] = number, f"{text} is out of range"
    return [(plus(rest, number), text) for rest, (number, text) in found.items()]


def without_number(size: Size) -> tuple[Size, int]:
    """A size as a sum of products of dimensions, and a number."""
    if isinstance(size, int):
        return 0, size
    number = dict(size.terms).get((), 0) if isinstance(size, Polynomial) else 0
    return minus(size, number), number


def _declaration(given: Input) -> str:
    shape = given.shape[0] if len(given.shape) == 1 else shape_text(given.shape)
    text = str(shape) if not given.constant else f"const{shape_text(given.shape)}"
    return text if given.default is None else f"{text} = {_default(given.default)}"


def _default(default: Default) -> str:
    """`0.01`, `[[1.0, 2.0], [3.0, 4.0]]`."""
    if isinstance(default, tuple):
        return f"[{', '.join(map(_default, default))}]"
    return repr(default)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)


def default_wrt(formula: FormulaData) -> tuple[str, ...]:
    """Variables that a gradient is taken by when none are named: every input that is not constant."""
    return tuple(given.name for given in formula.declared if not given.constant)


def first_contributions(tape: Tape) -> set[str]:
    """Names of the steps that are printed with `=`: the first one into each accumulator."""
    seen: set[str] = set()
    first = set()
    for step in tape.steps:
        if step.into is not None and step.into not in seen:
            seen.add(step.into)
            first.add(step.name)
    return first


def identifiers(tape: Tape) -> list[str]:
    """Every name that code binds, in order: inputs, steps, accumulators."""
    found = [given.name for given in tape.inputs]
    found.extend(step.target for step in tape.steps)
    return list(dict.fromkeys(found))


def left_out(notes: Sequence[Note]) -> str:
    """`Steps left out of the code: (3) v3 = v1; (5) v5 is not used; and 7 more`, for headers; empty without any."""
    if not notes:
        return ""
    shown = [note.text for note in notes[:_MOST_LEFT_OUT]]
    if len(notes) > len(shown):
        shown.append(f"and {len(notes) - len(shown)} more")
    return f"Steps left out of the code: {'; '.join(shown)}"


def line_comment(step: Step, primal: dict[str, Step]) -> str:
    """`(4') from v4 = cos(v3)` for an adjoint step, `(4)` for a primal one."""
    if step.role == PRIMAL or step.of is None:
        return f"({step.label})"
    source = primal.get(step.of)
    if source is None:
        return f"({step.label}) from {step.of}"
    shown = TEXT.step(source.expr)
    return f"({step.label}) from {source.name} = {shown}" if len(shown) <= 60 else f"({step.label}) from {source.name}"
