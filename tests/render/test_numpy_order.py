"""In NumPy code, products that read the same matrix follow each other; everything is made before it is read."""

from __future__ import annotations

import pytest

import symdiff
from symdiff.expr import names
from symdiff.render.numpy_order import products_together
from symdiff.tape import PRIMAL, Tape

HEAD = "X: const(n, d); Wq: (d, k); Wk: (d, k); Wv: (d, k); sum((softmax((X @ Wq) @ (X @ Wk).T, axis=1) @ (X @ Wv))**2)"


def ordered(text: str) -> tuple[Tape, Tape]:
    tape = symdiff.formula(text).gradient().code_tape
    return tape, products_together(tape)


def labels(tape: Tape) -> list[str]:
    return [step.label for step in tape.steps]


def test_products_of_an_input_stand_together() -> None:
    tape, made = ordered(HEAD)
    assert labels(made) != labels(tape) and sorted(labels(made)) == sorted(labels(tape))
    forward = [step.label for step in made.steps if step.role == PRIMAL]
    assert forward[:3] == ["1", "2", "6"]
    assert [step.name for step in made.steps][-3:] == ["Wv_bar", "Wk_bar", "Wq_bar"]


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        "X: (n, d); A: (d, d); Y = X @ A; Z = sin(Y) @ A; W = exp(Z); sum(W @ A) + sum((X @ A.T)*Y)",
        "X: (n, n); Y: (n, n); sum((X @ Y) * (Y @ X)) + sum(sin(X) @ Y) + sum(X @ X @ Y) + sum(X @ exp(Y))",
        "A: (n, n); x: n; y = A @ x; z = A.T @ y; sum(z*z) + sum(sin(A @ x)) + sum(cos(x @ A))",
    ],
)
def test_nothing_is_read_before_it_is_made(text: str) -> None:
    tape, made = ordered(text)
    assert sorted(labels(made)) == sorted(labels(tape))
    known = {given.name for given in made.inputs} | set(made.dims)
    whole = {step.target: sum(each.target == step.target for each in made.steps) for step in made.steps}
    for step in made.steps:
        assert known.issuperset(step.operands), step
        whole[step.target] -= 1
        if not whole[step.target]:  # an accumulator counts when nothing is added any more
            known.add(step.target)
    assert known.issuperset(name for _, expr in made.outputs for name in names(expr))


def test_a_product_that_is_read_later_or_added_to_stays() -> None:
    tape, made = ordered("X: (n, n); Y: (n, n); Z = exp(Y); sum((X @ Y)**2) + sum((X @ Z)**2) + sum(X)")
    assert labels(made) == labels(tape)
