"""Tape -> Tape: the forward sweep of derivatives beside the values.

Input: any tape of elementwise steps, with or without a reverse sweep. Output: the same tape with, behind every step
that depends on the variables, a tangent step `v3_dot` (Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM
2008, table 3.3). The directions are new inputs `x_dot`. Because adjoint steps are steps like others, the tangent of
an adjoint tape is the sweep of a Hessian-vector product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from symdiff.expr import ZERO_NUMBER, Call, Expr, Name, bottom_up, call, substitute
from symdiff.formula import Input
from symdiff.ops import TABLE
from symdiff.ops.core import OPERAND_NAMES
from symdiff.ops.evaluate import fold, is_zero
from symdiff.tape import TANGENT, Namer, Step, Tape


def tangent(tape: Tape, wrt: Iterable[str]) -> Tape:
    """`tape` with its tangent sweep; each output gets one more, labelled `label_dot`, in the direction `x_dot` of the
    inputs.
    """
    wrt = tuple(wrt)
    namer = Namer(tape.bound_names())
    dots = {name: namer.fresh(f"{name}_dot") for name in wrt}
    directions = tuple(Input(dots[given.name], given.shape) for given in tape.inputs if given.name in dots)
    steps: list[Step] = []
    for step in tape.steps:
        steps.append(step)
        derivative = directional(step.expr, dots, Name(step.name) if step.into is None else None)
        if is_zero(derivative):
            continue
        dot = namer.fresh(f"{step.target}_dot") if step.into is None else dots.get(step.into)
        dot = dot or namer.fresh(f"{step.into}_dot")
        dots[step.target] = dot
        own = f"{dot}[{step.label}]" if step.into else dot
        made = replace(step, name=own, into=dot if step.into else None, expr=derivative, role=TANGENT, of=step.name)
        steps.append(replace(made, local=None, receiver=None))
    extra = tuple((f"{label}_dot", directional(expr, dots, None)) for label, expr in tape.outputs)
    return replace(
        tape,
        inputs=tape.inputs + directions,
        steps=tuple(steps),
        outputs=tape.outputs + extra,
        wrt=(),
        dots=tuple(dots.items()),
    )


def directional(expr: Expr, dots: Mapping[str, str], value: Name | None) -> Expr:
    """Derivative of `expr` in the direction `dots` (variable -> name of its tangent), as one expression; 0 where it
    is constant.

    `value` is the name that holds the value of the whole expression, so that rules over the output need not repeat it.
    """

    def leaf(part: Expr) -> tuple[Expr, Expr]:
        dot = dots.get(part.id) if isinstance(part, Name) else None
        return part, ZERO_NUMBER if dot is None else Name(dot)

    def node(typed: Call, args: list[tuple[Expr, Expr]]) -> tuple[Expr, Expr]:
        rebuilt = Call(typed.op, tuple(arg for arg, _ in args))
        derivatives = [derivative for _, derivative in args]
        own: Expr = value if value is not None and typed is expr else rebuilt
        return rebuilt, _chain(rebuilt, derivatives, own)

    return bottom_up(expr, leaf, node)[1]


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
