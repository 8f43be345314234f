"""Linear algebra on matrices: inverse, solve, determinant, log-determinant, Cholesky factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.einstein import UNIT, Spec
from symdiff.expr import Call, Expr, call
from symdiff.ops import array_helpers
from symdiff.ops.array_core import ArrayOp, Rule, array_fault, contraction, plain, summed
from symdiff.ops.contraction import matmul_spec, square_size
from symdiff.shapes import Shape, ShapeFault, shape_text, size_text

_GILES = (
    "Giles, Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic Differentiation, "
    "Advances in Automatic Differentiation, Springer 2008, "
)
_SINGULAR = "NaN for a singular matrix"


def _times(a: Expr, b: Expr, left: Shape, right: Shape) -> Expr:
    return contraction(matmul_spec(left, right), (a, b))


def _transposed(a: Expr, shape: Shape) -> Expr:
    return a if shape == (1, 1) else contraction(Spec(("ij",), "ji"), (a,))


def _square(what: str) -> Any:
    def shape(call: Call, shapes: Sequence[Shape]) -> Shape:
        square_size(what, shapes[0])
        return shapes[0]

    return shape


def _scalar(what: str) -> Any:
    def shape(call: Call, shapes: Sequence[Shape]) -> Shape:
        square_size(what, shapes[0])
        return ()

    return shape


def _inv_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    s = rule.shape
    turned = _transposed(rule.value, s)
    return call("neg", _times(_times(turned, bar, s, s), turned, s, s))


def _inv_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    s = rule.shape
    assert dots[0] is not None
    return call("neg", _times(_times(rule.value, dots[0], s, s), rule.value, s, s))


def _solve_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    a, b = shapes
    size = square_size("solve", a)
    if len(b) not in (1, 2):
        raise ShapeFault(f"solve takes a right side with one or two axes, and this has shape {shape_text(b)}")
    if b[0] != size:
        raise array_fault("solve(a, b)", shapes, f"axis 0 has size {size_text(size)} in a and {size_text(b[0])} in b")
    return b


def _solve_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    """b_bar = A^-T v_bar, A_bar = -b_bar v^T."""
    a, b = rule.shapes
    back = call("solve", _transposed(rule.args[0], a), bar)
    if k == 1:
        return back
    rows = UNIT if b[0] == 1 else "i"
    columns = UNIT if b[0] == 1 else "j"
    rest = "" if len(b) == 1 else (UNIT if b[1] == 1 else "k")
    outer = Spec((rows + rest, columns + rest), rows + columns)
    return call("neg", contraction(outer, (back, rule.value)))


def _solve_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    a, b = rule.shapes
    right = dots[1]
    if dots[0] is not None:
        moved = _times(dots[0], rule.value, a, b)
        right = call("neg", moved) if right is None else call("sub", right, moved)
    assert right is not None
    return call("solve", rule.args[0], right)


def _det_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    return call("mul", bar, call("cofactor", rule.args[0]))


def _det_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    assert dots[0] is not None
    return summed(call("mul", call("cofactor", rule.args[0]), dots[0]), rule.shapes[0], None, False)


def _logdet_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    return call("mul", bar, _transposed(call("inv", rule.args[0]), rule.shapes[0]))


def _logdet_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    assert dots[0] is not None
    turned = _transposed(call("inv", rule.args[0]), rule.shapes[0])
    return summed(call("mul", turned, dots[0]), rule.shapes[0], None, False)


def _cholesky_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    assert dots[0] is not None
    return call("cholesky_tangent", rule.value, dots[0])


def _cholesky_tangent_numpy(low: Any, a_dot: Any) -> Any:
    """L phi(L^-1 A_dot L^-T) with phi the lower triangle and half the diagonal; A_dot read like A."""
    symmetric = np.tril(a_dot) + np.tril(a_dot, -1).T
    inside = array_helpers.solve(low, array_helpers.solve(low, symmetric).T).T
    return low @ (np.tril(inside) - 0.5 * np.diag(np.diag(inside)))


def _pair(call: Call, shapes: Sequence[Shape]) -> Shape:
    return shapes[0]


def _named(name: str, operands: int = 1) -> dict[str, Any]:
    """Text, Python and values of a function of `array_helpers`."""
    function = getattr(array_helpers, name)
    return {
        "operands": operands,
        "text": plain(name, operands),
        "python": plain(name, operands),
        "numpy": lambda options, *arrays: function(*arrays),
        "exact": name,
    }


OPS = (
    ArrayOp(
        name="inv",
        gate="matrix inverse",
        shape=_square("inv"),
        adjoint=_inv_adjoint,
        tangent=_inv_tangent,
        latex=r"\inverse",
        edges=_SINGULAR,
        source=_GILES + "section 2.2.3",
        **_named("inv"),
    ),
    ArrayOp(
        name="solve",
        gate="linear system",
        shape=_solve_shape,
        adjoint=_solve_adjoint,
        tangent=_solve_tangent,
        latex=r"\solve",
        edges=_SINGULAR,
        source=_GILES + "section 2.3.1",
        **_named("solve", 2),
    ),
    ArrayOp(
        name="det",
        gate="determinant",
        shape=_scalar("det"),
        adjoint=_det_adjoint,
        tangent=_det_tangent,
        latex=r"\det",
        edges="the partials are the cofactors, so they are right for a singular matrix as well",
        source=_GILES + "section 2.2.4",
        **_named("det"),
    ),
    ArrayOp(
        name="cofactor",
        public=False,
        gate="cofactors",
        shape=_square("cofactor"),
        latex=r"\operatorname{cof}",
        source="the matrix of signed minors",
        **_named("cofactor"),
    ),
    ArrayOp(
        name="logdet",
        gate="log-determinant",
        shape=_scalar("logdet"),
        adjoint=_logdet_adjoint,
        tangent=_logdet_tangent,
        latex=r"\log\lvert\det",
        edges="log |det A|, whatever the sign",
        source=_GILES + "section 2.2.4",
        **_named("logdet"),
    ),
    ArrayOp(
        name="cholesky",
        gate="Cholesky factor",
        shape=_square("cholesky"),
        adjoint=lambda rule, k, bar: call("cholesky_adjoint", rule.value, bar),
        tangent=_cholesky_tangent,
        latex=r"\operatorname{chol}",
        edges="reads the lower triangle alone, so its adjoint is lower triangular; NaN for an indefinite matrix",
        source=_GILES + "section 2.3.5; Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527",
        **_named("cholesky"),
    ),
    ArrayOp(
        name="cholesky_adjoint",
        public=False,
        gate="adjoint of the Cholesky factor",
        shape=_pair,
        latex=r"\operatorname{chol}^{\ast}",
        source="see cholesky",
        **_named("cholesky_adjoint", 2),
    ),
    ArrayOp(
        name="cholesky_tangent",
        operands=2,
        public=False,
        gate="tangent of the Cholesky factor",
        shape=_pair,
        text=plain("cholesky_tangent", 2),
        numpy=lambda options, low, a_dot: _cholesky_tangent_numpy(low, a_dot),
        exact="cholesky_tangent",
        latex=r"\operatorname{chol}'",
        source="see cholesky",
    ),
)
