"""How much arithmetic a step is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from symdiff.einstein import Spec, familiar
from symdiff.expr import Call, Expr, Form, Name, Number, bottom_up, form_of
from symdiff.ops import ARRAYS, COMPARE_OPS
from symdiff.ops.infer import call_shape
from symdiff.shapes import Shape, Size, plus, product, times
from symdiff.tape import SEED, Step

_FREE = COMPARE_OPS | {"identity", "index", "put", "concat", "stack", "reshape", "zeros", "ones", "eye"}
_MOVES = frozenset({"identity", "transpose", "diagonal", "diag", "broadcast"})
# Multiplications and additions of a factorisation of an n x n matrix, and what is done with it: the power n**3 alone.
_CUBIC = {"inv": 2, "det": 1, "logdet": 1, "cofactor": 2, "cholesky": 1, "cholesky_adjoint": 2, "solve": 1}


def operations(step: Step, shapes: Mapping[str, Shape]) -> Size:
    """Arithmetic operations and function calls of a step: of each element one for every op; a product of an n x k and a
    k x m matrix is 2*n*k*m.
    """
    if step.role == SEED or not isinstance(step.expr, Call):
        return 0
    return _counted(step.expr, shapes) if shapes else _of_scalars(form_of(step.expr)[0])


@lru_cache(maxsize=10_000)
def _of_scalars(form: Form) -> Size:
    """The operations of every step of a form over scalars."""
    return _counted(form.expr, {})


def _counted(expr: Expr, shapes: Mapping[str, Shape]) -> Size:
    total: Size = 0

    def leaf(part: Name | Number) -> Shape:
        return shapes.get(part.id, ()) if isinstance(part, Name) else ()

    def node(call: Call, args: list[Shape]) -> Shape:
        nonlocal total
        shape = call_shape(call, args)
        total = plus(total, _operations(call, args, shape))
        return shape

    bottom_up(expr, leaf, node)
    return total


def _operations(call: Call, args: list[Shape], shape: Shape) -> Size:
    if call.op in _FREE:
        return 0
    if call.op == "contract":
        spec: Spec = call.options[0]
        if familiar(spec).kind in _MOVES:
            return 0
        sizes = spec.index_sizes(args)
        every = dict.fromkeys(index for part in (*spec.operands, spec.output) for index in part)
        factor = len(spec.operands) if spec.summed or len(spec.operands) == 1 else len(spec.operands) - 1
        return times(factor, product(sizes[index] for index in every))
    if call.op in _CUBIC:
        n = args[0][0]
        right = product(shape[1:]) if call.op == "solve" else 0
        return plus(times(_CUBIC[call.op], product((n, n, n))), times(2, product((n, n, right))))
    return product(args[0]) if call.op in ARRAYS else product(shape)


__all__ = ["operations"]
