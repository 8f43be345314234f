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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from symdiff.errors import SymdiffError, UnsupportedError, nearest, quoted
from symdiff.expr import Expr, Name, names, substitute
from symdiff.formula import FormulaData, inline
from symdiff.shapes import Shape
from symdiff.tape import Namer

PARAMETER, ADJOINT, COUNT, NEW = "theta", "theta_bar", "t", "_new"


@dataclass(frozen=True, slots=True)
class Line:
    """`name = expr`, one statement of a rule."""

    name: str
    expr: Expr


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule as it was read, and the values of its settings.

    name      `gradient descent`, as people call it
    source    where the rule comes from (book or paper, equation); may be empty
    formula   its text, read
    settings  setting -> value, in the order of declaration
    states    names of the numbers kept from update to update, in the order of declaration
    counts    whether it uses `t`
    lines     its statements, helpers inlined; the last one is `theta_new`
    """

    name: str
    source: str
    formula: FormulaData
    settings: Mapping[str, float]
    states: tuple[str, ...]
    counts: bool
    lines: tuple[Line, ...]

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
        common, each = [], []
        for line in self.lines:
            if elementwise.isdisjoint(names(line.expr)) and line.name != PARAMETER + NEW:
                common.append(line)
            else:
                elementwise.add(line.name)
                each.append(line)
        return tuple(common), tuple(each)

    def set(self, values: Mapping[str, float]) -> Rule:
        """The rule with other values of settings. Raises SymdiffError for a name it does not have."""
        for name in values:
            if name not in self.settings:
                raise SymdiffError(f"{self.name} has no setting {quoted(name)}{nearest(name, self.settings)}")
        settings = {name: float(values.get(name, old)) for name, old in self.settings.items()}
        return Rule(self.name, self.source, self.formula, settings, self.states, self.counts, self.lines)


def rule_of(formula: FormulaData, name: str, source: str = "") -> Rule:
    """The rule in a formula that was read; raises UnsupportedError where it is none, with what is missing."""

    def refuse(why: str) -> UnsupportedError:
        return UnsupportedError(f"the update rule {quoted(name)} {why}")

    inputs = {given.name: given for given in formula.declared}
    for needed in (PARAMETER, ADJOINT):
        if needed not in inputs:
            raise refuse(f"has no input {needed}: declare it (`{needed}: ()`)")
    if formula.functions or any(given.shape for given in inputs.values()):
        raise refuse("is not elementwise: its inputs are scalars, and it applies to every element of a parameter")
    lines = tuple(Line(statement.name or "", _inlined(statement.expr, formula)) for statement in formula.statements)
    if not lines or lines[-1].name != PARAMETER + NEW:
        raise refuse(f"does not end in `{PARAMETER}{NEW} = ...`")
    assigned = {line.name for line in lines}
    states = tuple(n for n in inputs if n + NEW in assigned and n != PARAMETER)
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


def instance(rule: Rule, parameters: Iterable[tuple[str, Shape, str]], taken: Iterable[str]) -> Update:
    """`rule` for `parameters` (name, shape, name of the adjoint), with names that are not in `taken`."""
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
    for name, shape, bar in parameters:
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
