"""An update rule: a formula over one number of a parameter, and the same written out for every parameter of a program.

    Rule    ::= theta, theta_bar, states, settings, statements, theta_new
    Update  ::= settings, common lines, one ParameterUpdate for every parameter
    line    ::= name = expression

A rule is a formula of the language over scalars. `theta` is a parameter, `theta_bar` its adjoint, `t` (where it occurs)
the number of the update, counted from 1. An input `X` for which the rule assigns `X_new` is a *state*: it starts at 0,
and an update leaves `X_new` in its place. Every other input is a *setting* with a default (the learning rate `eta`).
The last statement is `theta_new`. A rule is elementwise: what it says of a number holds for every element of an
array.

`instance` writes a rule out: `theta` becomes `W1`, `theta_bar` the adjoint of W1, `velocity` becomes `W1_velocity`.
What depends on no parameter (`1 - beta1**t`) is worked out once and stands in the `common` lines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from symdiff.errors import SymdiffError, UnsupportedError, nearest, quoted
from symdiff.expr import Call, Expr, Name, names, substitute, walk
from symdiff.formula_data import FormulaData, inline
from symdiff.ops import ARRAYS
from symdiff.shapes import Shape
from symdiff.tape import Namer

PARAMETER, ADJOINT, COUNT, NEW = "theta", "theta_bar", "t", "_new"
_USUAL = {  # what settings are called elsewhere
    "alpha": "eta",
    "betas": "beta1",
    "eps": "epsilon",
    "learning_rate": "eta",
    "lr": "eta",
    "momentum": "mu",
    "rate": "eta",
    "step_size": "eta",
}
_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;()&+/-]*")  # cannot end a docstring or a comment of generated code


@dataclass(frozen=True, slots=True)
class Line:
    """`name = expr`, one statement of a rule."""

    name: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers that a setting takes: from `least` on (above it where it is `open`), and less than `bound`."""

    least: float = 0.0
    bound: float = math.inf
    open: bool = False

    def __contains__(self, number: float) -> bool:
        return (self.least < number or (self.least == number and not self.open)) and number < self.bound

    def of(self, name: str) -> str:
        """`0 <= beta1 < 1`."""
        above = f"{self.least:g} {'<' if self.open else '<='} {name}"
        return above if self.bound == math.inf else f"{above} < {self.bound:g}"


@dataclass(frozen=True, eq=False, repr=False)
class Rule:
    """A rule as it was read, and the values of its settings.

    name      `gradient descent`, as people call it
    source    where the rule comes from (book or paper, equation); may be empty
    formula   its text, read
    settings  setting -> value, in the order of declaration
    states    names of the numbers kept from update to update, in the order of declaration
    counts    whether it uses `t`
    lines     its statements, helpers inlined; the last one is `theta_new`
    key       what a command calls it (`symdiff generate --update adam`); empty for a rule of the user's own
    ranges    setting -> numbers that it takes; one that is not in it takes every finite number
    """

    name: str
    source: str
    formula: FormulaData
    settings: Mapping[str, float]
    states: tuple[str, ...]
    counts: bool
    lines: tuple[Line, ...]
    key: str = ""
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{', '.join([self.name, *(f'{name}={number!r}' for name, number in self.settings.items())])}>"

    @property
    def common(self) -> tuple[Line, ...]:
        """Lines that depend on settings and `t` alone."""
        return self._split[0]

    @property
    def each(self) -> tuple[Line, ...]:
        """Lines that are worked out for every element."""
        return self._split[1]

    @property
    def _split(self) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
        elementwise = {PARAMETER, ADJOINT, *self.states}
        kept = {name + NEW for name in (PARAMETER, *self.states)}  # every element has one, whatever it is made of
        common, each = [], []
        for line in self.lines:
            if elementwise.isdisjoint(names(line.expr)) and line.name not in kept:
                common.append(line)
            else:
                elementwise.add(line.name)
                each.append(line)
        return tuple(common), tuple(each)

    def set(self, values: Mapping[str, float]) -> Rule:
        """The rule with other values of settings.

        Raises SymdiffError for a name it does not have, and for a value that is no finite number or out of its range.
        """
        for name, value in values.items():
            if name not in self.settings:
                raise SymdiffError(f"{self.name} has no setting {quoted(name)}{self._instead_of(name)}")
            if not _is_finite(value):
                got = "an integer beyond float64" if isinstance(value, int) else quoted(str(value))
                raise SymdiffError(f"{self.name}: the setting '{name}' needs a finite number, and got {got}")
            if name in self.ranges and float(value) not in self.ranges[name]:
                raise SymdiffError(f"{self.name} needs {self.ranges[name].of(name)}, and got {float(value):.6g}")
        return replace(self, settings={name: float(values.get(name, old)) for name, old in self.settings.items()})

    def _instead_of(self, name: str) -> str:
        """What a message says of the settings that there are."""
        if not self.settings:
            return "; it has none"
        usual = _USUAL.get(name)
        hint = f"; did you mean '{usual}'?" if usual in self.settings else nearest(name, self.settings)
        return f"{hint or ';'} it has {', '.join(self.settings)}"

    @property
    def defaults(self) -> Mapping[str, float]:
        """Values of the settings as the rule's text gives them."""
        return {name: _number(value) for name, value in self.formula.defaults.items() if name in self.settings}


def _is_finite(value: object) -> bool:
    try:
        return math.isfinite(value)  # type: ignore[arg-type]  # what is no number raises TypeError
    except (TypeError, OverflowError):
        return False


def _number(default: object) -> float:
    assert isinstance(default, float | int)
    return float(default)


def rule_of(formula: FormulaData, name: str, source: str = "") -> Rule:
    """The rule in a formula that was read; raises UnsupportedError where it is none, with what is missing.

    `name` and `source` stand in generated files: SymdiffError for anything but plain ASCII text in them.
    """
    _check_plain(name, source)

    def refuse(why: str) -> UnsupportedError:
        return UnsupportedError(f"the update rule {quoted(name)} {why}")

    inputs = {given.name: given for given in formula.declared}
    for needed in (PARAMETER, ADJOINT):
        if needed not in inputs:
            raise refuse(f"has no input {needed}: declare it (`{needed}: ()`)")
    for known in (PARAMETER, ADJOINT, COUNT):
        if known in inputs and inputs[known].default is not None:
            raise refuse(f"gives '{known}' a value, which every update gives it anew; a setting needs another name")
    if formula.functions or any(given.shape for given in inputs.values()):
        raise refuse("is not elementwise: its inputs are scalars, and it applies to every element of a parameter")
    lines = tuple(Line(statement.name or "", _inlined(statement.expr, formula)) for statement in formula.statements)
    for call in (part for line in lines for part in walk(line.expr) if isinstance(part, Call)):
        if call.op in ARRAYS:
            raise refuse(f"is not elementwise: {call.op} takes whole arrays, and a rule is about one number")
    if not lines or lines[-1].name != PARAMETER + NEW:
        raise refuse(f"does not end in `{PARAMETER}{NEW} = ...`")
    assigned = {line.name for line in lines}
    states = tuple(n for n in inputs if n + NEW in assigned and n not in (PARAMETER, ADJOINT, COUNT))
    for name_ in states:
        if inputs[name_].default is not None:
            raise refuse(f"gives the state '{name_}' a value, and states start at 0")
    settings: dict[str, float] = {}
    for given in inputs.values():
        if given.name in (PARAMETER, ADJOINT, COUNT, *states):
            continue
        if not isinstance(given.default, float | int):
            raise refuse(
                f"gives '{given.name}' no value: a setting needs one (`{given.name}: const() = 0.1`), a state an "
                f"assignment (`{given.name}{NEW} = ...`)"
            )
        settings[given.name] = float(given.default)
    return Rule(name, source, formula, settings, states, COUNT in inputs, lines)


def _check_plain(*texts: str) -> None:
    for text in texts:
        if not isinstance(text, str) or not _PLAIN.fullmatch(text):
            raise SymdiffError(
                f"cannot write {quoted(str(text))} into generated files: names and sources of update rules are of "
                "ASCII letters, digits, spaces and _.,:;()&+/-"
            )


def _inlined(expr: Expr, formula: FormulaData) -> Expr:
    found: Expr = inline(expr, formula.helpers, Name, lambda number: number, lambda call, args: call.over(args))
    return found


@dataclass(frozen=True, slots=True)
class ParameterUpdate:
    """The rule written out for one parameter.

    name    the parameter; a group of a traced program counts as one
    shape   of the parameter, its adjoint and its states
    bar     name of its adjoint
    states  pairs of names: the state, and what an update leaves in its place
    new     name of the parameter after the update
    lines   in order; the last one binds `new`
    """

    name: str
    shape: Shape
    bar: str
    states: tuple[tuple[str, str], ...]
    new: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """A rule written out for all parameters of a program; no name in it is one of the program's steps.

    settings  (name here, name in the rule, value)
    count     name of the number of the update, None where the rule does not use it
    common    lines that no parameter occurs in
    """

    rule: Rule
    settings: tuple[tuple[str, str, float], ...]
    count: str | None
    common: tuple[Line, ...]
    parameters: tuple[ParameterUpdate, ...]


def instance(rule: Rule, parameters: Iterable[tuple[str, Shape, str | None]], taken: Iterable[str]) -> Update:
    """`rule` for `parameters` (name, shape, name of the adjoint), with names that are not in `taken`.

    A parameter that the value does not depend on has no adjoint on the tape (None) and gets a name for it here.
    """
    namer = Namer(taken)
    shared = {name: namer.fresh(name) for name in rule.settings}
    count = namer.fresh(COUNT) if rule.counts else None
    names_ = {**shared, **({COUNT: count} if count else {})}
    common = []
    for line in rule.common:
        expr = _renamed(line.expr, names_)
        names_[line.name] = namer.fresh(line.name)
        common.append(Line(names_[line.name], expr))
    found = []
    for name, shape, known in parameters:
        bar = namer.fresh(f"{name}_bar") if known is None else known
        own = {**names_, PARAMETER: name, ADJOINT: bar}
        for state in rule.states:
            own[state] = namer.fresh(f"{name}_{state}")
        lines = []
        for line in rule.each:
            expr = _renamed(line.expr, own)
            wish = name + NEW if line.name == PARAMETER + NEW else f"{name}_{line.name}"
            own[line.name] = namer.fresh(wish)
            lines.append(Line(own[line.name], expr))
        states = tuple((own[state], own[state + NEW]) for state in rule.states)
        found.append(ParameterUpdate(name, shape, bar, states, lines[-1].name, tuple(lines)))
    settings = tuple((shared[name], name, value) for name, value in rule.settings.items())
    return Update(rule, settings, count, tuple(common), tuple(found))


def _renamed(expr: Expr, table: Mapping[str, str]) -> Expr:
    return substitute(expr, {old: Name(new) for old, new in table.items()})
