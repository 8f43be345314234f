"""What every renderer gets: the tape, and the facts that stand in the header of a generated file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from symdiff.expr import Call, Expr, Name, Number, walk
from symdiff.formula import FormulaData, Input
from symdiff.ops import COMPARE_OPS
from symdiff.render.printer import TEXT, plain_number, size
from symdiff.tape import PRIMAL, SEED, Step, Tape

_LONGEST_COMMAND = 100  # characters of a formula inside a command
_LONGEST = 400  # operations; a longer formula is not repeated in headers
_LONGEST_FILE = 20_000  # and one longer than this is not printed at all


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
    """

    name: str
    formula: FormulaData
    people: Tape
    code: Tape
    kind: str = "gradient"
    dtype: str = "float64"
    at: Mapping[str, Any] | None = None

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
        return [f"a formula of {len(self.people.primal)} steps"] if self.is_long else self.formula_file

    @cached_property
    def formula_file(self) -> list[str]:
        """The formula printed again from its tree, one statement a line."""
        formula = self.formula
        lines = [f"{given.name}: {_declaration(given.constant, given.default)}" for given in self._declared]
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
        plain = all(not given.constant and given.default is None for given in declared)
        return [] if plain and list(used) == [given.name for given in declared] else list(declared)

    @cached_property
    def command(self) -> str:
        """The command that makes the file again, from the formula itself if it is short, else from its file."""
        text = "; ".join(self.formula_lines)
        in_file = self.is_long or self.formula.helpers or len(text) > _LONGEST_COMMAND
        source = f"{self.name}.sd" if in_file else shlex.quote(text)
        wrt = (
            ""
            if self.code.wrt == default_wrt(self.formula) or self.kind == "value"
            else f" --wrt {','.join(self.code.wrt)}"
        )
        dtype = "" if self.dtype == "float64" else f" --dtype {self.dtype}"
        numbers = [f"{name}={plain_number(Number(float(value)))}" for name, value in (self.at or {}).items()]
        at = f" --at {','.join(numbers)}" if numbers else ""
        return f"symdiff generate {source} --name {self.name}{wrt}{at}{dtype}"

    @cached_property
    def operation_counts(self) -> tuple[int, int]:
        """Arithmetic operations and function calls of the code, forward and reverse."""
        forward = sum(_operations(step) for step in self.code.steps if step.role == PRIMAL)
        reverse = sum(_operations(step) for step in self.code.steps if step.role != PRIMAL)
        into = [step.into for step in self.code.steps if step.into is not None]
        reverse += len(into) - len(set(into))  # each further contribution is an addition
        return forward, reverse


def _declaration(constant: bool, default: float | None) -> str:
    shape = "const()" if constant else "()"
    return shape if default is None else f"{shape} = {default!r}"


def default_wrt(formula: FormulaData) -> tuple[str, ...]:
    """Variables that a gradient is taken by when none are named: every input that is not constant."""
    return tuple(given.name for given in formula.declared if not given.constant)


def formula_text(expr: Expr, formula: FormulaData) -> str:
    """`expr` in the formula language, from its tree."""
    return TEXT(expr) if not formula.helpers else TEXT.with_helpers(formula.helpers)(expr)


def _operations(step: Step) -> int:
    if step.role == SEED:
        return 0
    free = COMPARE_OPS | {"identity"}
    return sum(1 for part in walk(step.expr) if isinstance(part, Call) and part.op not in free)


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


def line_comment(step: Step, primal: dict[str, Step]) -> str:
    """`(4') from v4 = cos(v3)` for an adjoint step, `(4)` for a primal one."""
    if step.role == PRIMAL or step.of is None:
        return f"({step.label})"
    source = primal.get(step.of)
    if source is None:
        return f"({step.label}) from {step.of}"
    shown = TEXT(source.expr)
    return f"({step.label}) from {source.name} = {shown}" if len(shown) <= 60 else f"({step.label}) from {source.name}"
