"""Functions that nothing is known of: `phi: function` and `l: function()`; their derivatives stay symbols.

apply          options (name, shape): shape None for an elementwise function, else the shape of what it gives
apply_partial  options (name, shape, k): its derivative by argument k, with the axes of the result before those of
               the argument; elementwise: of the broadcast shape
declared       options (name, shape): what a function was bound to, and behind it its arguments where it is declared
               elementwise; it holds the value to the declared shape and is no step
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from symdiff.einstein import LETTERS, Spec, indices
from symdiff.expr import Call, Expr, call
from symdiff.ops.array_core import ArrayOp, Names, Rule, contraction, fitted, words
from symdiff.ops.core import ATOM, LOOSE, POWER, Spelling
from symdiff.shapes import Shape, ShapeFault, broadcast, shape_text


def _shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    shape: Shape | None = call.options[1]
    return reduce(broadcast, shapes) if shape is None else shape


def _partial_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    _, shape, k = call.options
    return reduce(broadcast, shapes) if shape is None else (*shape, *shapes[k])


def _partial(rule: Rule, k: int) -> Expr:
    name, shape = rule.options
    return Call("apply_partial", rule.args, None, (name, shape, k))


def _adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    if rule.options[1] is None:
        return fitted(call("mul", bar, _partial(rule, k)), rule.shape, rule.shapes[k])
    out, inside = _letters(rule, k)
    return contraction(Spec((out, out + inside), inside), (bar, _partial(rule, k)))


def _letters(rule: Rule, k: int) -> tuple[str, str]:
    """Indices of the result and of argument k."""
    out = indices(rule.shape, LETTERS)
    return out, indices(rule.shapes[k], [index for index in LETTERS if index not in out])


def _tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    total: Expr | None = None
    for k, dot in enumerate(dots):
        if dot is None:
            continue
        if rule.options[1] is None:
            term: Expr = call("mul", _partial(rule, k), dot)
        else:
            out, inside = _letters(rule, k)
            term = contraction(Spec((out + inside, inside), out), (_partial(rule, k), dot))
        total = term if total is None else call("add", total, term)
    assert total is not None
    return total


def _words(call: Call, names: Names) -> Spelling:
    return words(call.options[0], operands=len(call.args))


def _partial_words(call: Call, names: Names) -> Spelling:
    name, _, k = call.options
    marked = f"{name}'" if len(call.args) == 1 else f"d{name}_{k + 1}"
    return words(marked, operands=len(call.args))


# -- what is bound -----------------------------------------------------------------------------------------------------


def _declared_lower(call: Call, shapes: Sequence[Shape]) -> Expr:
    name, declared = call.options
    wanted: Shape = reduce(broadcast, shapes[1:]) if declared is None else declared
    if shapes[0] != wanted:
        found = f"what it is bound to gives shape {shape_text(shapes[0])}"
        if declared is None:
            given = f"arguments of shape {shape_text(wanted)}"
            raise ShapeFault(f"'{name}' is declared elementwise, and {found} for {given}: it leaves an argument out")
        raise ShapeFault(f"'{name}' is declared function{_function_shape(wanted)}, and {found}")
    return call.args[0]


def _function_shape(shape: Shape) -> str:
    """As it is declared: `(4)`, where Python writes a comma."""
    return f"({shape[0]})" if len(shape) == 1 else shape_text(shape)


def _declared_shape(call: Call, shapes: Sequence[Shape]) -> Shape:
    raise AssertionError("declared is lowered before shapes are asked for")


def _declared_words(call: Call, names: Names) -> Spelling:
    """What is bound, alone; it stands at the top of a helper, or is a function of the language, or a power."""
    power = isinstance(call.args[0], Call) and call.args[0].op == "pow"
    return Spelling("{0}", POWER if power else ATOM, (LOOSE,))


OPS = (
    ArrayOp(
        name="apply",
        operands=-1,
        public=False,
        gate="abstract function",
        shape=_shape,
        adjoint=_adjoint,
        tangent=_tangent,
        text=_words,
        source="chain rule",
    ),
    ArrayOp(
        name="apply_partial",
        operands=-1,
        public=False,
        gate="derivative of an abstract function",
        shape=_partial_shape,
        text=_partial_words,
        source="definition",
    ),
    ArrayOp(
        name="declared",
        operands=-1,
        public=False,
        shape=_declared_shape,
        lower=_declared_lower,
        text=_declared_words,
        source="definition",
    ),
)
