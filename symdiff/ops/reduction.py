"""Reductions that are not plain sums, and what runs along an axis: mean, norms, products, extremes, softmax, cumsum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.expr import Call, Expr, call
from symdiff.ops import array_helpers
from symdiff.ops.array_core import (
    ArrayOp,
    Axes,
    Names,
    Rule,
    axis_text,
    count,
    normal_axes,
    normal_axis,
    reduced,
    reduction_words,
    spread,
    stretched,
    summed,
    words,
)
from symdiff.ops.core import ATOM, LOOSE, POWER, ZERO, Spelling
from symdiff.shapes import Shape, ShapeFault, product, shape_text

_AXES = ("axis", "keepdims")
_PARTIALS = "partial derivatives of the defining sum or product, component by component"


def _reduction(call: Call, shapes: Sequence[Shape]) -> Shape:
    axes, keepdims = call.options
    return reduced(shapes[0], normal_axes(axes, shapes[0]), keepdims)


def normal_options(call: Call, shapes: Sequence[Shape]) -> Call:
    """The call with its axes in order and counted from the front."""
    axes, keepdims = call.options
    return Call(call.op, call.args, call.span, (normal_axes(axes, shapes[0]), keepdims))


def _back(rule: Rule, expr: Expr) -> Expr:
    """Something of the value's shape, so that it broadcasts against the operand."""
    axes, keepdims = rule.options
    return spread(expr, rule.shapes[0], axes, keepdims)


def _total(rule: Rule, expr: Expr) -> Expr:
    """The sum of something of the operand's shape over the axes of the reduction."""
    axes, keepdims = rule.options
    return summed(expr, rule.shapes[0], axes, keepdims)


def _local(local: Callable[[Rule, Callable[[Expr], Expr]], Expr]) -> dict[str, Any]:
    """Adjoint and tangent of a reduction with the partials `local`: bar times them, and their sum with the dots."""

    def adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
        return call("mul", _back(rule, bar), partials(rule))

    def tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
        assert dots[0] is not None
        return _total(rule, call("mul", partials(rule), dots[0]))

    def partials(rule: Rule) -> Expr:
        return local(rule, lambda expr: _back(rule, expr))

    return {"adjoint": adjoint, "tangent": tangent, "local": partials}


# -- mean --------------------------------------------------------------------------------------------------------------


def _mean_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    axes, keepdims = rule.options
    return stretched(call("div", bar, count(rule.shapes[0], axes)), rule.shapes[0], axes, keepdims)


def _mean_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    axes, keepdims = rule.options
    assert dots[0] is not None
    return call("mean", dots[0], options=(axes, keepdims))


def _mean_numpy(options: tuple[Any, ...], x: Any) -> Any:
    return _sum_numpy(options, x) / np.float64(_number(np.shape(x), options[0]))


def _sum_numpy(options: tuple[Any, ...], x: Any) -> Any:
    axes, keepdims = options
    return np.sum(x, axis=axes, keepdims=keepdims)


def _number(shape: tuple[int, ...], axes: Axes) -> int:
    return int(np.prod([size for axis, size in enumerate(shape) if axes is None or axis in axes], dtype=int))


# -- norms -------------------------------------------------------------------------------------------------------------


def _inverse_norm(rule: Rule) -> Expr:
    return call("where", call("eq", rule.value, ZERO), ZERO, call("inverse", rule.value))


def _norm_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    """bar * x/|x|, and 0 at x = 0, where the norm has a kink."""
    scale = call("where", call("eq", rule.value, ZERO), ZERO, call("div", bar, rule.value))
    return call("mul", _back(rule, scale), rule.args[0])


def _norm_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    assert dots[0] is not None
    along = _total(rule, call("mul", rule.args[0], dots[0]))
    return call("where", call("eq", rule.value, ZERO), ZERO, call("div", along, rule.value))


def _norm_words(prefix: str, place: int = ATOM) -> Callable[[Call, Names], Spelling]:
    def spelling(call: Call, names: Names) -> Spelling:
        axes, keepdims = call.options
        inside = ", ".join(part for part in ("", axis_text(axes), "keepdims=True" if keepdims else "") if part)
        inside = f", {inside}" if inside else ""
        return Spelling(prefix.replace("@", inside), ATOM, (place,))

    return spelling


def _sumsq_text(call: Call, names: Names) -> Spelling:
    inner = reduction_words("norm")(call, names)
    return Spelling(f"{inner.text}**2", POWER, inner.places)


def _ties(rule: Rule, back: Callable[[Expr], Expr]) -> Expr:
    """1 shared among the elements that are the extreme one; NaN where that is NaN."""
    axes, _ = rule.options
    mask = call("where", call("eq", rule.args[0], back(rule.value)), 1.0, 0.0)
    return call("div", mask, back(summed(mask, rule.shapes[0], axes, bool(rule.options[1]))))


# -- along an axis -----------------------------------------------------------------------------------------------------


def _same(call: Call, shapes: Sequence[Shape]) -> Shape:
    return shapes[0]


def _softmax_lower(call: Call, shapes: Sequence[Shape]) -> Expr:
    """The last axis where none is named, as for rows of a batch."""
    if not shapes[0]:
        raise ShapeFault("softmax of a scalar: it takes a vector or an array of more axes")
    axis = call.options[0]
    axis = len(shapes[0]) - 1 if axis is None else normal_axis(axis, len(shapes[0]), shapes[0])
    return Call("softmax", call.args, call.span, (axis,))


def _softmax_adjoint(rule: Rule, k: int, bar: Expr) -> Expr:
    inner = summed(call("mul", rule.value, bar), rule.shape, (rule.options[0],), True)
    return call("mul", rule.value, call("sub", bar, inner))


def _softmax_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    assert dots[0] is not None
    return _softmax_adjoint(rule, 0, dots[0])  # the Jacobian diag(v) - v v^T is symmetric


def _cumsum_lower(call: Call, shapes: Sequence[Shape]) -> Expr:
    """Without an axis all elements in a row, as in NumPy."""
    axis, x = call.options[0], call.args[0]
    if axis is None:
        if len(shapes[0]) != 1:
            x = Call("reshape", (x,), call.span, ((product(shapes[0]),),))
        return Call("cumsum", (x,), call.span, (0, False))
    return Call("cumsum", (x,), call.span, (normal_axis(axis, len(shapes[0]), shapes[0]), False))


def _cumsum_words(numpy: bool) -> Callable[[Call, Names], Spelling]:
    def spelling(call: Call, names: Names) -> Spelling:
        axis, *reverse = call.options
        name = "np.cumsum" if numpy else "cumsum"
        name = "cumsum_reverse" if reverse and reverse[0] else name
        return words(name, "" if axis is None else f"axis={axis}")

    return spelling


def _cumsum(expr: Expr, axis: int, reverse: bool) -> Expr:
    return call("cumsum", expr, options=(axis, reverse))


def _cumsum_numpy(options: tuple[Any, ...], x: Any) -> Any:
    axis, reverse = options
    return array_helpers.cumsum_reverse(x, axis) if reverse else np.cumsum(x, axis=axis)


def _cumsum_tangent(rule: Rule, dots: Sequence[Expr | None]) -> Expr:
    assert dots[0] is not None
    return _cumsum(dots[0], *rule.options)


def _same_norm(call: Call, shapes: Sequence[Shape]) -> Expr:
    return normal_options(Call("norm", call.args, call.span, call.options), shapes)


def _axis_words(name: str) -> Callable[[Call, Names], Spelling]:
    def spelling(call: Call, names: Names) -> Spelling:
        axis = call.options[0]
        return words(name, axis_text(axis if axis is None or isinstance(axis, tuple) else (axis,)))

    return spelling


def _helper_words(name: str) -> Callable[[Call, Names], Spelling]:
    """A function of `array_helpers`, which is always told the axes."""

    def spelling(call: Call, names: Names) -> Spelling:
        axis, *keepdims = call.options
        axes = (axis,) if isinstance(axis, int) else axis
        return words(name, axis_text(axes) or "axis=None", *["keepdims=True"] * any(keepdims))

    return spelling


def _prod_others(rule: Rule, back: Callable[[Expr], Expr]) -> Expr:
    return call("prod_others", rule.args[0], options=(rule.options[0],))


def _nonempty(what: str) -> Callable[[Call, Sequence[Shape]], Shape]:
    def shape(call: Call, shapes: Sequence[Shape]) -> Shape:
        if not shapes[0]:
            raise ShapeFault(f"{what} of a scalar: shape {shape_text(shapes[0])} has no axis")
        return shapes[0]

    return shape


OPS = (
    ArrayOp(
        name="mean",
        keywords=_AXES,
        gate="mean",
        shape=_reduction,
        lower=normal_options,
        adjoint=_mean_adjoint,
        local=lambda rule: call("inverse", count(rule.shapes[0], rule.options[0])),
        tangent=_mean_tangent,
        numpy=_mean_numpy,
        exact="mean",
        text=reduction_words("mean"),
        python=reduction_words("np.mean"),
        latex=r"\operatorname{mean}",
        edges="the mean of nothing is NaN",
        source=_PARTIALS,
    ),
    ArrayOp(
        name="prod",
        keywords=_AXES,
        gate="product of all",
        shape=_reduction,
        lower=normal_options,
        **_local(_prod_others),
        numpy=lambda options, x: np.prod(x, axis=options[0], keepdims=options[1]),
        text=reduction_words("prod"),
        python=reduction_words("np.prod"),
        latex=r"\operatorname{prod}",
        edges="the partial by one factor is the product of all others, without a division, so zeros are exact; the "
        "product of nothing is 1",
        source=_PARTIALS,
    ),
    ArrayOp(
        name="prod_others",
        public=False,
        gate="products of the others",
        shape=_same,
        numpy=lambda options, x: array_helpers.prod_others(x, options[0]),
        exact="prod_others",
        text=_axis_words("prod_others"),
        python=_helper_words("prod_others"),
        latex=r"\operatorname{prod\_others}",
        source="prefix product times suffix product",
    ),
    *(
        ArrayOp(
            name=name,
            keywords=_AXES,
            gate=gate,
            shape=_reduction,
            lower=normal_options,
            **_local(_ties),
            numpy=lambda options, x, function=function: function(x, *options),
            exact=name,
            text=reduction_words(name),
            python=_helper_words(name),
            latex=rf"\{gate[:3]}",
            edges=f"elements that tie share the derivative equally; NaN wins; of nothing it is {empty}",
            source="the mean of the one-sided partials at a tie, which is a subgradient (for amin a supergradient)",
        )
        for name, gate, function, empty in (
            ("amax", "maximum", array_helpers.amax, "-inf"),
            ("amin", "minimum", array_helpers.amin, "+inf"),
        )
    ),
    ArrayOp(
        name="norm",
        keywords=_AXES,
        gate="norm",
        shape=_reduction,
        lower=normal_options,
        adjoint=_norm_adjoint,
        local=lambda rule: call("mul", _back(rule, _inverse_norm(rule)), rule.args[0]),
        tangent=_norm_tangent,
        numpy=lambda options, x: np.sqrt(_sum_numpy(options, np.square(x))),
        exact="norm",
        text=reduction_words("norm"),
        python=_norm_words("np.sqrt(np.sum({0}**2@))"),
        latex=r"\norm",
        edges="the derivative at x = 0, a kink, is 0",
        source=_PARTIALS,
    ),
    ArrayOp(
        name="sumsq",
        keywords=_AXES,
        public=False,
        gate="squared norm",
        shape=_reduction,
        lower=normal_options,
        **_local(lambda rule, back: call("mul", 2.0, rule.args[0])),
        numpy=lambda options, x: _sum_numpy(options, np.square(x)),
        text=_sumsq_text,
        python=_norm_words("np.sum({0}**2@)"),
        latex=r"\normsquared",
        edges="one step, whose derivative 2x is finite at x = 0, where the norm's own is not defined",
        source=_PARTIALS,
    ),
    ArrayOp(
        name="norm2",
        keywords=_AXES,
        shape=_reduction,
        lower=_same_norm,
        text=reduction_words("norm2"),
    ),
    ArrayOp(
        name="norm1",
        keywords=_AXES,
        gate="sum of absolute values",
        shape=_reduction,
        lower=normal_options,
        **_local(lambda rule, back: call("sign", rule.args[0])),
        numpy=lambda options, x: _sum_numpy(options, np.abs(x)),
        text=reduction_words("norm1"),
        python=_norm_words("np.sum(np.abs({0})@)", LOOSE),
        latex=r"\normone",
        edges="the derivative of |x| at 0 is 0",
        source=_PARTIALS,
    ),
    ArrayOp(
        name="logsumexp",
        keywords=_AXES,
        gate="log-sum-exp",
        shape=_reduction,
        lower=normal_options,
        **_local(lambda rule, back: call("exp", call("sub", rule.args[0], back(rule.value)))),
        numpy=lambda options, x: array_helpers.logsumexp(x, *options),
        exact="logsumexp",
        text=reduction_words("logsumexp"),
        python=_helper_words("logsumexp"),
        latex=r"\operatorname{logsumexp}",
        edges="the largest element is taken out first, so nothing overflows; of nothing it is -inf",
        source="Blanchard, Higham, Higham, Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. "
        "Anal. 41 (2021), algorithm 3.1",
    ),
    ArrayOp(
        name="softmax",
        keywords=("axis",),
        gate="softmax",
        shape=_same,
        lower=_softmax_lower,
        adjoint=_softmax_adjoint,
        tangent=_softmax_tangent,
        numpy=lambda options, x: array_helpers.softmax(x, options[0]),
        exact="softmax",
        text=_axis_words("softmax"),
        python=_helper_words("softmax"),
        latex=r"\operatorname{softmax}",
        edges="along the last axis where none is named; the largest element is taken out first",
        source="Blanchard, Higham, Higham 2021 (see logsumexp), equation 1.3 and algorithm 3.1",
    ),
    ArrayOp(
        name="cumsum",
        keywords=("axis",),
        gate="running sum",
        shape=_nonempty("cumsum"),
        lower=_cumsum_lower,
        adjoint=lambda rule, k, bar: _cumsum(bar, rule.options[0], not rule.options[1]),
        tangent=_cumsum_tangent,
        numpy=_cumsum_numpy,
        exact="cumsum",
        text=_cumsum_words(numpy=False),
        python=_cumsum_words(numpy=True),
        latex=r"\operatorname{cumsum}",
        edges="without an axis, over all elements in a row",
        source="a lower triangular matrix of ones; its transpose sums from the end",
    ),
)
