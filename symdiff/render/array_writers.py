r"""How each array operation is written in LaTeX: `W \, x`, `\sum_{i=1}^{n} r_{i}`, `A^{-\top} \, b`, `x[1{:}n]`.

One writer for each op of the tape and for each familiar contraction; a writer gets the printer, the call and its
printed operands, and gives a text and how strongly it binds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from symdiff.einstein import UNIT, Form, Spec, familiar
from symdiff.expr import Call, Expr, Name
from symdiff.ops.array_core import normal_axes
from symdiff.ops.core import ATOM, MUL, POWER
from symdiff.ops.structure import items_text
from symdiff.render.array_signs import JUXT, TOP, Piece, element_indices
from symdiff.render.mathematics import bracketed, is_tall
from symdiff.shapes import NEW_AXIS, Shape, Slice

if TYPE_CHECKING:
    from symdiff.render.array_notation import MatrixPrinter

Written = tuple[str, int]

# -- contractions ------------------------------------------------------------------------------------------------------


def _contract(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    spec: Spec = call.options[0]
    form = familiar(spec)
    if len(args) == 1 and len(spec.output) == 2 and spec.operands[0].replace(UNIT, "") * 2 == spec.output:
        form = Form("diag")  # of a column or a row as well
    writer = _FORMS.get(form.kind)
    made = writer(p, spec, form, args) if writer is not None else None
    return made or _by_elements(p, spec, call.args, args)


def _letters(p: MatrixPrinter, spec: Spec) -> dict[int, str]:
    """The letters of a spec as letters that are free in the document."""
    found = dict.fromkeys(i for part in (*spec.operands, spec.output) for i in part if i != UNIT)
    return {ord(old): new for old, new in zip(found, p.letters, strict=False)}


def _by_elements(p: MatrixPrinter, spec: Spec, exprs: Sequence[Expr], args: list[Piece]) -> Written:
    table = _letters(p, spec)
    sizes = spec.index_sizes([arg.shape for arg in args])
    pairs = zip(exprs, args, spec.operands, strict=True)
    body = r" \, ".join(p.element(expr, arg, part.translate(table)) for expr, arg, part in pairs)
    text = p.total(r"\sum", spec.summed.translate(table), {i.translate(table): n for i, n in sizes.items()}, body)
    return _indexed(text, spec.output.translate(table))


def _indexed(text: str, output: str) -> Written:
    """Something said of each element, as an array."""
    return (rf"\left[{text}\right]_{{{output}}}", POWER) if output else (text, MUL)


def _product(p: MatrixPrinter, spec: Spec, form: Form, args: list[Piece]) -> Written:
    first, second = (args[k] for k in form.order)
    ranks = len(first.shape), len(second.shape)
    pairs = zip((first, second), form.transposed, strict=True)
    turned = [p.transposed(piece) if flag else piece for piece, flag in pairs]
    if ranks == (1, 1):
        return f"{p.at(p.transposed(first), JUXT)} {p.at(second, JUXT)}", MUL
    if ranks[0] == 1:  # a row times a matrix, which as a column is the transposed matrix times a column
        other = p.transposed(second) if not form.transposed[1] else second
        turned = [other, first]
    return r" \, ".join(p.at(piece, JUXT) for piece in turned), JUXT


def _outer(p: MatrixPrinter, spec: Spec, form: Form, args: list[Piece]) -> Written:
    first, second = (args[k] for k in form.order)
    return rf"{p.at(first, JUXT)} \, {p.at(p.transposed(second), JUXT)}", JUXT


def _sum(p: MatrixPrinter, spec: Spec, form: Form, args: list[Piece]) -> Written | None:
    (arg,) = args
    if not spec.output:
        return None
    if len(arg.shape) == 1:
        return rf"{p.at(p.transposed(arg), JUXT)} \, {p.ones(arg.shape[0])}", JUXT
    if len(arg.shape) != 2 or len(form.axes) != 1:
        return None
    ones = p.ones(arg.shape[form.axes[0]])
    if form.axes == (1,):
        return rf"{p.at(arg, JUXT)} \, {ones}", JUXT
    if form.keepdims:
        return rf"{ones}{TOP} \, {p.at(arg, JUXT)}", JUXT
    return rf"{p.at(p.transposed(arg), JUXT)} \, {ones}", JUXT


def _transpose(p: MatrixPrinter, spec: Spec, form: Form, args: list[Piece]) -> Written:
    rank = len(form.axes)
    if form.axes == (*range(rank - 2), rank - 1, rank - 2):
        made = p.transposed(args[0])
        return made.text, made.strength
    axes = ", ".join(map(str, form.axes))
    return rf"\operatorname{{transpose}}_{{({axes})}}({args[0].text})", ATOM


def _broadcast(p: MatrixPrinter, spec: Spec, form: Form, args: list[Piece]) -> Written | None:
    (arg,), shape = args, spec.shape([args[0].shape])
    if len(shape) > 2 and arg.text == "1":
        return rf"\mathbf{{1}}_{{{p.shape(shape)}}}", ATOM
    if len(shape) > 2:
        return rf"\operatorname{{broadcast}}_{{{p.shape(shape)}}}({arg.text})", ATOM
    if len(arg.shape) == 1 and len(shape) == 2 and form.axes == (0,):  # a column
        if shape[1] == 1:
            return arg.text, arg.strength
        return rf"{p.at(arg, JUXT)} \, {p.ones(shape[1])}{TOP}", JUXT
    if len(arg.shape) == 1 and shape[0] == 1 and len(shape) == 2:
        made = p.transposed(arg)
        return made.text, made.strength
    if all(size == 1 for size in shape):
        return arg.text, arg.strength
    return p.repeated(arg, shape), JUXT


def _named(name: str) -> Any:
    def write(p: MatrixPrinter, spec: Spec, form: Form, args: list[Piece]) -> Written:
        return rf"\operatorname{{{name}}}{bracketed(args[0].text)}", ATOM

    return write


_FORMS: dict[str, Any] = {
    "identity": lambda p, spec, form, args: (args[0].text, args[0].strength),
    "product": _product,
    "outer": _outer,
    "sum": _sum,
    "transpose": _transpose,
    "broadcast": _broadcast,
    "trace": _named("tr"),
    "diagonal": _named("diag"),
    "diag": _named("diag"),
}

# -- reductions --------------------------------------------------------------------------------------------------------


def _reduction(sign: str, element: str, outside: str = "{0}") -> Any:
    """A reduction by its elements; `element` and `outside` are format texts."""

    def write(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
        (arg,), (axes, keepdims) = args, call.options
        axes = normal_axes(axes, arg.shape)
        full = element_indices(arg.shape, p.letters)
        gone = range(len(full)) if axes is None else axes
        sizes = dict(zip(full, arg.shape, strict=True))
        taken = "".join(full[axis] for axis in gone)
        kept = "".join(UNIT * keepdims if axis in gone else full[axis] for axis in range(len(full)))
        inside = element.format(p.element(call.args[0], arg, full, POWER + 1 if "^" in element else MUL))
        if sign == r"\frac":
            count = r" \, ".join(p.size(sizes[i]) for i in taken if i != UNIT) or "1"
            text = rf"\frac{{1}}{{{count}}} " + p.total(r"\sum", taken, sizes, inside)
        elif sign in (r"\max", r"\min"):
            text = rf"{sign}_{{{','.join(i for i in taken if i != UNIT)}}} {inside}"
        else:
            text = p.total(sign, taken, sizes, inside)
        return _indexed(outside.format(text), kept)

    return write


def _norm(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    (arg,), (axes, _) = args, call.options
    square = "^{2}" if call.op == "sumsq" else ""
    if normal_axes(axes, arg.shape) is not None or len(arg.shape) > 2 or call.options[1]:
        outside = r"\sqrt{{{0}}}" if call.op == "norm" else "{0}"
        made: Written = _reduction(r"\sum", "{0}^{{2}}", outside)(p, call, args)
        return made
    frobenius = r"_{\mathrm{F}}" if len(arg.shape) == 2 and 1 not in arg.shape else ""
    left, right = (r"\left\lVert ", r" \right\rVert") if is_tall(arg.text) else (r"\lVert ", r" \rVert")
    return f"{left}{arg.text}{right}{frobenius}{square}", POWER if square else ATOM


def _axis_words(shape: Shape, axis: int | None) -> str:
    """`rows`: the axis along which something runs."""
    if axis is None or len(shape) < 2:
        return ""
    axis %= len(shape)
    return (
        rf"_{{\mathrm{{{'columns' if axis == 0 else 'rows'}}}}}"
        if len(shape) == 2
        else rf"_{{\mathrm{{axis}}\,{axis}}}"
    )


def _along(name: str) -> Any:
    def write(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
        axis = call.options[0] if call.op != "softmax" or call.options[0] is not None else len(args[0].shape) - 1
        reverse = TOP if call.op == "cumsum" and len(call.options) > 1 and call.options[1] else ""
        axis = axis if isinstance(axis, int) else None
        return rf"\operatorname{{{name}}}{_axis_words(args[0].shape, axis)}{reverse}{bracketed(args[0].text)}", ATOM

    return write


# -- structure and linear algebra --------------------------------------------------------------------------------------


def _brackets(items: tuple[Any, ...], p: MatrixPrinter, shape: Shape) -> str:
    return items_text(items, dict(p.sizes), shape).replace(":", "{:}").replace("*", r" \, ").replace("None", r"\cdot")


def _index(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    (arg,), (items,) = args, call.options
    whole = [item == NEW_AXIS or (isinstance(item, Slice) and item.start in (0, None)) for item in items]
    if all(whole) and len(arg.shape) == 1 and len(items) == 2 and NEW_AXIS in items:
        column = items[1] == NEW_AXIS
        made = arg if column else p.transposed(arg)
        return made.text, made.strength
    return f"{p.at(arg, ATOM)}[{_brackets(items, p, arg.shape)}]", ATOM


def _put(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    items, shape = call.options
    return rf"\operatorname{{put}}_{{[{_brackets(items, p, shape)}]}}{bracketed(args[0].text)}", ATOM


def _joined(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    (axis,), rank = call.options, len(args[0].shape)
    stack = call.op == "stack"
    axis %= rank + stack
    shown = [arg.text for arg in args]
    if p.flat or rank + stack > 2 or rank > 2 or len(args) > 6:
        name = rf"\operatorname{{{call.op}}}{_axis_words((1,) * (rank + stack), axis)}"
        return rf"{name}({', '.join(shown)})", ATOM
    if stack and rank == 1 and axis == 0:
        shown = [p.transposed(arg).text for arg in args]
    between = r" \\ " if axis == 0 else " & "
    return rf"\begin{{pmatrix}} {between.join(shown)} \end{{pmatrix}}", ATOM


def _filled(sign: str) -> Any:
    def write(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
        return rf"{sign}_{{{p.shape(call.options[0])}}}", ATOM

    return write


def _eye(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    sizes = dict.fromkeys(call.options)
    return f"I_{{{p.shape(tuple(sizes))}}}", ATOM


def _inv(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    made = p.inverted(args[0])
    return made.text, made.strength


def _solve(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    return rf"{p.inverted(args[0]).text} \, {p.at(args[1], JUXT)}", JUXT


def _call(name: str) -> Any:
    return lambda p, call, args: (name + bracketed(", ".join(arg.text for arg in args)), ATOM)


def _apply(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    name = p.functions[call.options[0]]
    return name + bracketed(", ".join(arg.text for arg in args)), ATOM


def _apply_partial(p: MatrixPrinter, call: Call, args: list[Piece]) -> Written:
    """The derivative of an abstract function: a prime where it is elementwise and has one operand."""
    function, shape, k = call.options
    name = p.functions[function]
    if shape is None and len(args) == 1:
        return f"{name}'" + bracketed(args[0].text), ATOM
    if isinstance(call.args[k], Name) and sum(arg == call.args[k] for arg in call.args) == 1:
        return rf"\frac{{\partial {name}}}{{\partial {args[k].text}}}", POWER - 1
    return rf"\partial_{{{k + 1}}} {name}" + bracketed(", ".join(arg.text for arg in args)), POWER - 1


WRITERS: dict[str, Any] = {
    "contract": _contract,
    "mean": _reduction(r"\frac", "{0}"),
    "prod": _reduction(r"\prod", "{0}"),
    "amax": _reduction(r"\max", "{0}"),
    "amin": _reduction(r"\min", "{0}"),
    "norm": _norm,
    "sumsq": _norm,
    "norm1": _reduction(r"\sum", r"\lvert {0} \rvert"),
    "logsumexp": _reduction(r"\sum", "e^{{{0}}}", r"\log {0}"),
    "softmax": _along("softmax"),
    "cumsum": _along("cumsum"),
    "prod_others": _along("others"),
    "index": _index,
    "put": _put,
    "concat": _joined,
    "stack": _joined,
    "reshape": lambda p, call, args: (
        rf"\operatorname{{reshape}}_{{{p.shape(call.options[0])}}}{bracketed(args[0].text)}",
        ATOM,
    ),
    "zeros": _filled(r"\mathbf{0}"),
    "ones": _filled(r"\mathbf{1}"),
    "eye": _eye,
    "inv": _inv,
    "solve": _solve,
    "det": _call(r"\det"),
    "cofactor": _call(r"\operatorname{cof}"),
    "logdet": lambda p, call, args: (rf"\log \lvert \det {p.at(args[0], POWER + 1)} \rvert", POWER - 1),
    "cholesky": _call(r"\operatorname{chol}"),
    "cholesky_adjoint": _call(r"\operatorname{chol}^{\ast}"),
    "cholesky_tangent": _call(r"\operatorname{chol}'"),
    "apply": _apply,
    "apply_partial": _apply_partial,
}

__all__ = ["WRITERS"]
