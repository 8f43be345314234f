r"""What stands inside a node: `sin`, `+`, `+ 2`, `(.)^2`, `1/.`, `@`.

A constant operand is no node of its own: it is written into the label of the step that uses it, with a dot for the
operand that comes along an edge where the place of the constant matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from symdiff.einstein import Spec, familiar
from symdiff.expr import Call, Expr, Name, Number, walk
from symdiff.ops import COMPARE_OPS
from symdiff.ops.structure import items_text
from symdiff.render.graph_words import DOT, MINUS, Words, joined, literal_words, tex_escaped, text
from symdiff.render.printer import TEXT
from symdiff.shapes import Shape
from symdiff.tape import Step

_LONG = 26  # letters of a constant expression, or of a specification
PLACE = text(DOT, r"\cdot")
_OPEN, _CLOSE, _COMMA = text("(", "("), text(")", ")"), text(", ", ",")
_BRACKETED = joined((_OPEN, PLACE, _CLOSE))
_NORM = text("\u2016\u00b7\u2016", r"\Vert\cdot\Vert")

_FIXED: dict[str, Words] = {
    "identity": text("=", "="),
    "neg": text(MINUS, "-") + _BRACKETED,
    "inverse": text("1/", "1/") + _BRACKETED,
    "square": _BRACKETED + text("2", "2").raised(),
    "abs": text("|\u00b7|", r"\vert\cdot\vert"),
    "sqrt": text("\u221a", r"\sqrt{\cdot}"),
    "cbrt": text("\u221b", r"\sqrt[3]{\cdot}"),
    "maximum": text("max"),
    "minimum": text("min"),
    "asin": text("arcsin"),
    "acos": text("arccos"),
    "atan": text("arctan"),
    "asinh": text("arsinh"),
    "acosh": text("arcosh"),
    "atanh": text("artanh"),
    "inv": _BRACKETED + text(f"{MINUS}1", "-1").raised(),
    "logdet": text("log|det|", r"\log\vert\det\cdot\vert"),
    "cholesky": text("chol"),
    "prod": text("\u220f", r"\prod"),
    "amax": text("max"),
    "amin": text("min"),
    "norm": _NORM,
    "norm2": _NORM,
    "norm1": _NORM + text("1", "1").raised(-1),
    "sumsq": _NORM + text("2", "2").raised(),
    "zeros": text("0", "0"),
    "ones": text("1", "1"),
    "eye": text("I", "I"),
}
_LETTERS = {"sigmoid": ("sigma", "\u03c3"), "gamma": ("Gamma", "\u0393"), "digamma": ("psi", "\u03c8")}
_KINDS: dict[str, Words] = {
    "product": text("@", r"\mathrm{@}"),
    "transpose": _BRACKETED + text("T", r"\top").raised(),
    "identity": text("=", "="),
    "sum": text("\u03a3", r"\Sigma"),
    "trace": text("tr"),
    "outer": text("\u2297", r"\otimes"),
    "hadamard": text("\u27e8\u00b7,\u00b7\u27e9", r"\langle\cdot,\cdot\rangle"),
}
_RELATIONS = {"lt": ("<", "<"), "le": ("\u2264", r"\le"), "gt": (">", ">"), "ge": ("\u2265", r"\ge"),
              "eq": ("=", "="), "ne": ("\u2260", r"\ne")}  # fmt: skip
_WITH_AXES = frozenset("mean prod amax amin norm norm1 norm2 sumsq logsumexp softmax cumsum concat stack".split())


@dataclass(frozen=True)
class Labels:
    """Labels of one formula.

    symbols  of every name: variables, dimensions, abstract functions
    shapes   of the variables
    edges    names that are nodes; every other name is a dimension, which is written into the label
    """

    symbols: Mapping[str, Words]
    shapes: Mapping[str, Shape]
    edges: frozenset[str]

    def __call__(self, step: Step) -> Words:
        """What the step does."""
        expr = step.expr
        if isinstance(expr, Name):
            return _FIXED["identity"] if expr.id in self.edges else self.symbols[expr.id]
        if not isinstance(expr, Call):
            return self._constant(expr)
        writer = _WRITERS.get(expr.op)
        if writer is not None:
            return writer(self, expr)
        return self._applied(self._named(expr), expr)

    def _named(self, call: Call) -> Words:
        """The op alone, with the axes that it works along."""
        word = _FIXED.get(call.op)
        if word is None and call.op in _LETTERS and not set(_LETTERS[call.op]) & set(self.symbols):
            name, letter = _LETTERS[call.op]
            word = text(letter, "\\" + name)
        word = word or text(call.op.replace("_", " "))
        axes = call.options[0] if call.op in _WITH_AXES and call.options else None
        return word + _axes(axes) if axes is not None else word

    def _applied(self, word: Words, call: Call) -> Words:
        """`max(., 0)`: with brackets where an operand is a constant, else the op alone."""
        args = [self.operand(arg) for arg in call.args]
        if all(arg is None for arg in args):
            return word
        places = [PLACE if arg is None else arg for arg in args]
        inside = [part for place in places for part in (_COMMA, place)][1:]
        return joined((word, _OPEN, *inside, _CLOSE))

    def operand(self, arg: Expr) -> Words | None:
        """A constant; None for what comes along an edge."""
        if isinstance(arg, Name) and arg.id in self.edges:
            return None
        return self._constant(arg)

    def _constant(self, expr: Expr) -> Words:
        if isinstance(expr, Name):
            return self.symbols[expr.id]
        if isinstance(expr, Number):
            return text("\u03c0", r"\pi") if expr.symbol == "pi" else literal_words(expr.value)
        if isinstance(expr, Call) and expr.op == "neg" and isinstance(expr.args[0], Number):
            return text(MINUS, "-") + self._constant(expr.args[0])
        shown = TEXT(expr)
        return typed(shown if len(shown) <= _LONG else shown[: _LONG - 3] + "...")

    def condition(self, call: Call) -> Words:
        """`. > 0`, inside a `where`."""
        sign = text(*_RELATIONS[call.op])
        left, right = (self.operand(arg) or PLACE for arg in call.args)
        return joined((left, text(" ", r"\,"), sign, text(" ", r"\,"), right))


def typed(shown: str) -> Words:
    """Something in the formula language."""
    return text(shown, rf"\mathtt{{{tex_escaped(shown)}}}")


def _axes(axes: Any) -> Words:
    """`axis 0` as an index."""
    numbers = [axes] if isinstance(axes, int) else list(axes)
    return text(f"{'axis' if len(numbers) == 1 else 'axes'} {', '.join(map(str, numbers))}").raised(-1)


def _sign(sign: Words, commutes: bool, arrays: Words | None = None) -> Callable[[Labels, Call], Words]:
    """`+`, `+ 2`, `2 - .`"""

    def write(labels: Labels, call: Call) -> Words:
        first, second = (labels.operand(arg) for arg in call.args)
        shapes = [labels.shapes.get(arg.id, ()) for arg in call.args if isinstance(arg, Name)]
        shown = arrays if arrays is not None and len(shapes) == 2 and all(shapes) else sign
        space = text("\u2009", r"\,")
        if first is None and second is None:
            return shown
        if second is None and commutes:
            first, second = second, first
        if first is None and second is not None:
            signed = second.plain.startswith((MINUS, "-"))
            return joined((shown, space, *((_OPEN, second, _CLOSE) if signed else (second,))))
        assert first is not None
        return joined((first, space, shown, space, second or PLACE))

    return write


def _power(labels: Labels, call: Call) -> Words:
    base, exponent = (labels.operand(arg) for arg in call.args)
    head = _BRACKETED if base is None and exponent is not None else base or PLACE
    return head + (exponent or PLACE).raised()


def _where(labels: Labels, call: Call) -> Words:
    condition, *sides = call.args
    if not (isinstance(condition, Call) and condition.op in COMPARE_OPS):
        return text("if")
    shown = [labels.operand(side) for side in sides]
    head = text("if ") + labels.condition(condition)
    if shown == [None, None]:
        return head
    taken, other = (side or PLACE for side in shown)
    return joined((head, text(": ", r"{:}\;"), taken, _COMMA, other))


def _contraction(labels: Labels, call: Call) -> Words:
    spec: Spec = call.options[0]
    form = familiar(spec)
    word = _KINDS.get(form.kind)
    if form.kind == "einsum":
        shown = spec.text if len(spec.text) <= _LONG else "einsum"
        return typed(shown)
    if form.kind == "sum" and spec.output:
        return _KINDS["sum"] + _axes(form.axes)
    if form.kind == "transpose" and len(form.axes) != 2:
        return text("transpose") + _axes(form.axes)
    return word or text(form.kind)


def _index(labels: Labels, call: Call) -> Words:
    arg = call.args[0]
    shape = labels.shapes.get(arg.id) if isinstance(arg, Name) else None
    shown = f"[{items_text(call.options[0], {}, shape)}]"
    return typed(shown if len(shown) <= _LONG else "[...]")


_WRITERS: dict[str, Callable[[Labels, Call], Words]] = {
    "add": _sign(text("+", "+"), True),
    "sub": _sign(text(MINUS, "-"), False),
    "mul": _sign(text("\u00d7", r"\times"), True, text("\u2299", r"\odot")),
    "div": _sign(text("\u00f7", r"\div"), False, text("\u2298", r"\oslash")),
    "pow": _power,
    "where": _where,
    "contract": _contraction,
    "index": _index,
    "apply": lambda labels, call: labels.symbols[call.options[0]],
    "declared": lambda labels, call: labels.symbols.get(call.options[0], text(call.options[0])),
}


def operands(expr: Expr, nodes: frozenset[str]) -> list[tuple[str, bool]]:
    """Names of nodes in an elementary expression, once for each time they occur, in order; True for one that is only
    compared, which receives no adjoint.
    """
    if not isinstance(expr, Call):
        return [(expr.id, False)] if isinstance(expr, Name) and expr.id in nodes else []
    found: list[tuple[str, bool]] = []
    for arg in expr.args:
        compared = isinstance(arg, Call) and arg.op in COMPARE_OPS
        found += [(part.id, compared) for part in walk(arg) if isinstance(part, Name) and part.id in nodes]
    return found


__all__ = ["PLACE", "Labels", "operands", "typed"]
