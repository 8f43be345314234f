"""Formula -> Tape: one step per elementary operation, in the order in which a person draws the graph.

Input: a `FormulaData`. Output: a tape of primal steps with shapes. A subexpression without variables (`1/2`,
`sqrt(2*pi)`) is a constant and not a step: it stays as it was typed inside the step that uses it. Ways to write a
contraction (`@`, `.T`, `sum`, ...) become the one op `contract`.
"""

from __future__ import annotations

import math
from dataclasses import replace

from symdiff.collector import at_rest
from symdiff.errors import DomainError, ShapeError, UnsupportedError
from symdiff.expr import Call, Expr, Name, Number, Span, bottom_up, is_constant, substitute, walk
from symdiff.formula_data import FormulaData, inline
from symdiff.ops import ARRAYS, COMPARE_OPS, TABLE
from symdiff.ops.evaluate import constant_value
from symdiff.ops.infer import call_shape, shape_of
from symdiff.shapes import Shape, ShapeFault
from symdiff.tape import Namer, Step, Tape

_RANK = 16  # axes of an array; contractions name each by a letter
_CONSTANT_SHOWN = 16  # nodes; a longer constant is shown as its value


@at_rest
def linearize(formula: FormulaData) -> Tape:
    """The tape of `formula`; raises DomainError for `log(-1)` and the like, ShapeError where shapes do not fit (with
    the line, both shapes and the axis), UnsupportedError beyond the step limit.
    """
    return _Linearizer(formula).tape()


class _Linearizer:
    def __init__(self, formula: FormulaData) -> None:
        self.formula = formula
        own = {statement.name for statement in formula.statements if statement.name is not None}
        self.namer = Namer(own | set(formula.inputs) | set(formula.dimensions))
        self.shapes: dict[str, Shape] = dict(formula.inputs)
        self._named = set(formula.inputs)  # names that the user gave: such a step is copied, not renamed
        self.steps: list[Step] = []
        self.constants: dict[str, Expr] = {}  # variables without inputs behind them: `c = 2*pi` and what is made of it

    def tape(self) -> Tape:
        for statement in self.formula.statements:
            operand = inline(statement.expr, self.formula.helpers, Name, self._number, self._step)
            self._finish(operand, statement.name or self.namer.fresh("value"), statement.span)
        last = self.steps[-1]
        steps, outputs = tuple(self.steps), (("value", Name(last.name)),)
        return Tape(self.formula.declared, steps, outputs, dims=self.formula.dimensions)

    def _number(self, number: Number) -> Expr:
        return number

    def _step(self, typed: Call, args: list[Expr]) -> Expr:
        """One operation over operands that are names or constants; a comparison stays inside its `where`."""
        call = _normal(typed.over(args))
        if call.op in COMPARE_OPS:
            self._shape(call)
            return call
        if call.op in TABLE:
            if all(is_constant(arg) for arg in args):
                return self._constant(call)
            if call.op == "pow" and is_constant(call.args[1]):
                self._check_power(call)
            return self._squared_norm(call) or self._append(call)
        abstract = self.formula.functions.get(call.op)
        if abstract is not None:
            return self._append(Call("apply", call.args, call.span, (abstract.name, abstract.shape)))
        return self._array(call)

    def _array(self, typed: Call) -> Expr:
        """An operation on arrays, in the ops that it is a way to write."""
        lower = ARRAYS[typed.op].lower
        if lower is None:
            return self._append(typed)
        try:
            lowered = lower(typed, [shape_of(arg, self.shapes) for arg in typed.args])
        except ShapeFault as fault:
            raise self._fault(fault, typed) from None
        return bottom_up(lowered, lambda leaf: leaf, lambda part, args: self._append(part.over(args), typed.span))

    def _append(self, call: Call, span: Span | None = None) -> Expr:
        """A new step."""
        span = call.span or span
        shape = self._shape(call, span)
        if len(shape) > _RANK:
            raise UnsupportedError(
                f"an array of {len(shape)} axes; up to {_RANK} are supported",
                text=self.formula.source,
                at=span[0] if span else 0,
            )
        if len(self.steps) >= self.formula.limits.steps:
            raise UnsupportedError(
                f"the formula has more than {self.formula.limits.steps} steps; raise the limit `steps` to accept it",
                text=self.formula.source,
                at=span[0] if span else 0,
            )
        name = self.namer.fresh(f"v{len(self.steps) + 1}")
        self.steps.append(Step(n=len(self.steps) + 1, name=name, expr=call, shape=shape, span=span))
        self.shapes[name] = shape
        scalar = call.op in TABLE and not shape
        if (
            scalar
            and self.constants
            and all(part.id in self.constants for part in walk(call) if isinstance(part, Name))
        ):
            self.constants[name] = self._checked(substitute(call, self.constants), span)
        return Name(name)

    def _shape(self, call: Call, span: Span | None = None) -> Shape:
        try:
            return call_shape(call, [shape_of(arg, self.shapes) for arg in call.args])
        except ShapeFault as fault:
            raise self._fault(fault, call, span) from None

    def _fault(self, fault: ShapeFault, call: Call, span: Span | None = None) -> ShapeError:
        place = call.span or span
        return ShapeError(str(fault), text=self.formula.source, at=place[0] if place else None)

    def _squared_norm(self, call: Call) -> Expr | None:
        """`norm(x)**2` is one step, whose derivative 2x is finite at x = 0."""
        last = self.steps[-1] if self.steps else None
        if last is None or call.op != "square" or call.args[0] != Name(last.name) or last.op != "norm":
            return None
        if last.name in self._named or not isinstance(last.expr, Call):
            return None
        norm = last.expr
        self.steps[-1] = replace(last, expr=Call("sumsq", norm.args, call.span, norm.options), span=call.span)
        return Name(last.name)

    def _check_power(self, call: Call) -> None:
        exponent = constant_value(call.args[1])
        if abs(exponent) > self.formula.limits.power:
            raise UnsupportedError(
                f"the exponent {exponent:g} is beyond {self.formula.limits.power}; raise the limit `power`",
                text=self.formula.source,
                at=call.span[0] if call.span else 0,
            )

    def _constant(self, call: Call) -> Expr:
        value = self._checked(call, call.span)
        small = sum(1 for _ in walk(call)) <= _CONSTANT_SHOWN
        return call if small else value

    def _checked(self, constant: Expr, span: Span | None) -> Number:
        """Value of an expression without variables."""
        value = constant_value(constant)
        if not math.isfinite(value):
            what = "is not a real number" if math.isnan(value) else "is too large for float64, or infinite"
            op = constant.op if isinstance(constant, Call) else "it"
            at = span[0] if span else None
            raise DomainError(f"the constant here {what}: {op} gives {value}", text=self.formula.source, at=at)
        return Number(value, span=span)

    def _finish(self, operand: Expr, name: str, span: Span) -> None:
        """Give the statement's own name to its last step, or add a step that copies where there is none to name."""
        last = self.steps[-1] if self.steps else None
        fresh = (
            isinstance(operand, Name) and last is not None and last.name == operand.id and operand.id not in self._named
        )
        if fresh and last is not None:
            self.steps[-1] = Step(last.n, name, last.expr, last.role, last.shape, span=span)
        else:
            copy = Call("identity", (operand,), span)
            shape = shape_of(operand, self.shapes)
            self.steps.append(Step(n=len(self.steps) + 1, name=name, expr=copy, shape=shape, span=span))
        self.shapes[name] = self.steps[-1].shape
        self._named.add(name)
        if is_constant(operand):
            self.constants[name] = self._checked(operand, span)
        elif isinstance(operand, Name) and operand.id in self.constants:
            self.constants[name] = self.constants[operand.id]


def _normal(call: Call) -> Call:
    """The op that a person means: `x**2` is a square, `1/x` and `x**(-1)` are one inverse."""
    if call.op == "pow" and is_constant(call.args[1]):
        op = {2.0: "square", -1.0: "inverse"}.get(constant_value(call.args[1]))
        return Call(op, call.args[:1], call.span) if op else call
    if call.op == "div" and call.args[0] == Number(1.0):
        return Call("inverse", call.args[1:], call.span)
    return call
