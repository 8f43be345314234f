"""Passes over tapes of arrays: what changes is how code computes, never what."""

from __future__ import annotations

from symdiff import frontend
from symdiff.adjoint import adjoint
from symdiff.linearize import linearize
from symdiff.passes import for_code, for_values
from symdiff.render.printer import TEXT
from symdiff.tape import Tape, check_tape


def _values(text: str) -> Tape:
    tape = for_values(linearize(frontend.read(text)))
    check_tape(tape)
    return tape


def _code(text: str) -> dict[str, str]:
    """Left and right sides of the code's steps; contributions of one adjoint are joined by ` ; `."""
    values = _values(text)
    tape = for_code(adjoint(values, [given.name for given in values.inputs if not given.constant]))
    check_tape(tape)
    lines: dict[str, str] = {}
    for step in tape.steps:
        known = lines.get(step.target)
        lines[step.target] = TEXT(step.expr) if known is None else f"{known} ; {TEXT(step.expr)}"
    return lines


def test_transposes_go_into_products() -> None:
    lines = _code("H: (n, 2); W: (3, 2); y: const(n, 3); sum((H @ W.T - y)**2)")
    assert lines["v2"] == "H @ W.T"
    assert (lines["H_bar"], lines["W_bar"]) == ("v3_bar @ W", "v3_bar.T @ H")
    assert "v1" not in lines


def test_broadcasts_vanish_before_elementwise_steps_and_products() -> None:
    lines = _code("X: const(n, 3); w: 3; b: (); mean(X @ w + b)")
    assert lines["v2_bar"] == "1/n"
    assert lines["b_bar"] == "n*v2_bar"
    assert lines["w_bar"] == "v2_bar*sum(X, axis=0)"


def test_a_product_of_two_repeated_arrays_is_that_of_what_they_repeat() -> None:
    lines = _code("A: (n, n); x: (n, 1); y: (1, 1); sum((A @ (ones((n, n)) @ x))*y)")
    assert lines["A_bar"].startswith("broadcast(")


def test_numbers_come_first() -> None:
    lines = _code("W: (3, 2); lam: const(); lam*sum(W**2)")
    assert lines["W_bar"] == "2*lam*W"


def test_a_factor_one_of_two_numbers_vanishes() -> None:
    lines = _code("x: n; t: const(n); sum((x - t)**2)/2")
    assert lines["x_bar"] == "v1"


def test_the_cheapest_order_of_products() -> None:
    tape = _values("A: (n, n); B: (n, n); x: n; c: const(n); dot(c, A @ B @ x)")
    shapes = [step.shape for step in tape.primal]
    assert ("n", "n") not in shapes, "A @ B is not formed"
    assert [step.n for step in tape.primal] == [2, 2, 3]
    trace = _values("A: (n, m); B: (m, n); trace(A @ B)")
    assert len(trace.primal) == 1


def test_the_order_typed_stays_where_another_gains_little() -> None:
    tape = _values("A: (2, 2); B: (2, 2); C: (2, 2); sum((A @ B @ C)**2)")
    assert [TEXT(step.expr) for step in tape.primal][:2] == ["A @ B", "v1 @ C"]
    named = _values("A: (n, n); x: n; y = A @ x; sum(y) + sum(A @ y)")
    assert TEXT(named.primal[0].expr) == "A @ x", "a value that is used twice is kept"


def test_people_see_what_was_typed() -> None:
    tape = linearize(frontend.read("A: (n, n); B: (n, n); x: n; sum(A.T @ B @ x)"))
    assert [TEXT(step.expr) for step in tape.primal] == ["A.T", "v1 @ B", "v2 @ x", "sum(v3)"]
