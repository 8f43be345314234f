"""Tape -> Tape: the forward sweep of derivatives beside the values.

Input: any tape, with or without a reverse sweep. Output: the same tape with, behind every step
that depends on the variables, a tangent step `v3_dot` (Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM
2008, table 3.3). The directions are new inputs `x_dot`. Because adjoint steps are steps like others, the tangent of
an adjoint tape is the sweep of a Hessian-vector product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from symdiff.errors import UnsupportedError
from symdiff.expr import ZERO_NUMBER, Call, Expr, Name, bottom_up, call, substitute
from symdiff.formula_data import Input
from symdiff.ops import ARRAYS, TABLE
from symdiff.ops.array_core import Rule, fitted
from symdiff.ops.core import OPERAND_NAMES
from symdiff.ops.evaluate import fold, is_zero
from symdiff.ops.infer import call_shape, shape_of
from symdiff.shapes import Shape
from symdiff.tape import TANGENT, Namer, Step, Tape

_SCALARS: Mapping[str, Shape] = MappingProxyType({})


def tangent(tape: Tape, wrt: Iterable[str]) -> Tape:
    """`tape` with its tangent sweep; each output gets one more, labelled `label_dot`, in the direction `x_dot` of the
    inputs.
    """
    wrt = tuple(wrt)
    namer = Namer(tape.bound_names())
    dots = {name: namer.fresh(f"{name}_dot") for name in wrt}
    directions = tuple(Input(dots[given.name], given.shape) for given in tape.inputs if given.name in dots)
    steps: list[Step] = []
    shapes = dict(tape.shapes) | {dots[given.name]: given.shape for given in tape.inputs if given.name in dots}
    for step in tape.steps:
        steps.append(step)
        derivative = directional(step.expr, dots, Name(step.name) if step.into is None else None, shapes)
        if is_zero(derivative):
            continue
        dot = namer.fresh(f"{step.target}_dot") if step.into is None else dots.get(step.into)
        dot = dot or namer.fresh(f"{step.into}_dot")
        dots[step.target], shapes[dot] = dot, step.shape
        own = f"{dot}[{step.label}]" if step.into else dot
        made = replace(step, name=own, into=dot if step.into else None, expr=derivative, role=TANGENT, of=step.name)
        steps.append(replace(made, local=None, receiver=None))
    extra = tuple((f"{label}_dot", directional(expr, dots, None, shapes)) for label, expr in tape.outputs)
    return replace(
        tape,
        inputs=tape.inputs + directions,
        steps=tuple(steps),
        outputs=tape.outputs + extra,
        wrt=(),
        dots=tuple(dots.items()),
    )


def directional(
    expr: Expr, dots: Mapping[str, str], value: Name | None, shapes: Mapping[str, Shape] = _SCALARS
) -> Expr:
    """Derivative of `expr` in the direction `dots` (variable -> name of its tangent), as one expression of the same
    shape; 0 where it is constant.

    `shapes` are those of the names; names left out are scalars. `value` is the name that holds the value of the whole
    expression, so that rules over the output need not repeat it.
    """

    def leaf(part: Expr) -> tuple[Expr, Expr, Shape]:
        dot = dots.get(part.id) if isinstance(part, Name) else None
        shape = shapes.get(part.id, ()) if isinstance(part, Name) else ()
        return part, ZERO_NUMBER if dot is None else Name(dot), shape

    def node(typed: Call, args: list[tuple[Expr, Expr, Shape]]) -> tuple[Expr, Expr, Shape]:
        rebuilt = typed.over(arg for arg, _, _ in args)
        derivatives = [derivative for _, derivative, _ in args]
        inside = tuple(shape for _, _, shape in args)
        shape = call_shape(rebuilt, inside)
        own: Expr = value if value is not None and typed is expr else rebuilt
        if typed.op in ARRAYS:
            return rebuilt, _array_chain(Rule(rebuilt, inside, shape, own), derivatives), shape
        made = _chain(rebuilt, derivatives, own)
        return rebuilt, made if is_zero(made) else fitted(made, shape_of(made, shapes), shape), shape

    return bottom_up(expr, leaf, node)[1]


def _array_chain(rule: Rule, derivatives: list[Expr]) -> Expr:
    """The tangent of an operation on arrays, by its own rule."""
    dots = [None if is_zero(derivative) else derivative for derivative in derivatives]
    if all(dot is None for dot in dots):
        return ZERO_NUMBER
    try:
        return fold(ARRAYS[rule.call.op].tangent(rule, dots))
    except NotImplementedError:
        raise UnsupportedError(f"the derivative of {rule.call.op}, itself a derivative, is not available") from None


def _chain(made: Call, derivatives: list[Expr], value: Expr) -> Expr:
    """Sum over the operands of partial times tangent; for `where`, the tangent of the branch taken."""
    if all(is_zero(derivative) for derivative in derivatives):
        return ZERO_NUMBER
    if made.op == "where":
        return call("where", made.args[0], derivatives[1], derivatives[2])
    operands: dict[str, Expr] = dict(zip(OPERAND_NAMES, made.args, strict=False))
    operands["v"] = value
    total: Expr | None = None
    for partial, derivative in zip(TABLE[made.op].partials, derivatives, strict=True):
        if partial is None or is_zero(derivative):
            continue
        local = fold(substitute(partial, operands))
        if is_zero(local):
            continue
        term = fold(call("mul", local, derivative))
        total = term if total is None else fold(call("add", total, term))
    return ZERO_NUMBER if total is None else total
