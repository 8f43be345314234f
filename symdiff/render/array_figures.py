"""Arrays of numbers for people: small ones in full, of large ones the first and the last rows and columns.

As for scalars, as many significant digits as are asked for, and `=` only where every number shown is exact: the steps
are worked out once more in fractions, as far as they are rational ones.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from symdiff.expr import Call, Expr, Name, Number, bottom_up
from symdiff.ops import ARRAYS
from symdiff.render.array_signs import wide
from symdiff.render.figures import DIGITS, decimal, is_exact, rational_rule
from symdiff.render.mathematics import signed
from symdiff.shapes import size_value
from symdiff.trace import Trace

MOST = 6  # rows or columns of an array that is shown in full
_UNDER_BRACE = 4  # digits of a number under a brace
_FIRST = 3  # of a larger one, in front of the dots
_MOST_EXACT = 600  # elements of all arrays together that are worked out in fractions
_MOVING = frozenset({"contract", "index", "concat", "stack", "reshape"})
_FILLED = frozenset({"zeros", "ones", "eye"})


class ArrayFigures:
    """The numbers of one trace."""

    def __init__(self, trace: Trace, digits: int = DIGITS) -> None:
        self.trace, self.digits = trace, digits
        self._known: dict[str, Any] = {}
        sizes = [np.size(value) for value in trace.at.values()]
        sizes += [int(np.prod([_number(size, trace) for size in step.shape])) for step in trace.tape.steps]
        if sum(sizes) <= _MOST_EXACT:
            self._work_out()

    def _work_out(self) -> None:
        typed = np.frompyfunc(lambda x: Fraction(repr(float(x))) if np.isfinite(x) else None, 1, 1)
        self._known |= {name: typed(np.asarray(value, float)) for name, value in self.trace.at.items()}
        self._known |= {name: Fraction(size) for name, size in self.trace.sizes.items()}
        for step in self.trace.tape.steps:
            found = self._known[step.name] = self.fractions(step.expr)
            if step.into is not None:
                before = self._known.get(step.into, 0)
                self._known[step.into] = None if before is None or found is None else _added(before, found)

    def fractions(self, expr: Expr) -> Any:
        """The exact value, elements that are not rational are None; None where the op is no rational one at all."""

        def leaf(part: Name | Number) -> Any:
            if isinstance(part, Name):
                return self._known.get(part.id)
            return None if part.symbol or not np.isfinite(part.value) else Fraction(repr(part.value))

        def node(call: Call, args: list[Any]) -> Any:
            return self._node(call, args)

        return bottom_up(expr, leaf, node) if self._known else None

    def _node(self, call: Call, args: list[Any]) -> Any:
        if call.op == "where":
            if args[1] is None or args[2] is None:
                return None
            condition = np.asarray(self.trace.value_of(call.args[0]), bool)
            return np.where(condition, np.asarray(args[1], object), np.asarray(args[2], object))
        if any(arg is None for arg in args) or any(_has_holes(arg) for arg in args):
            return None
        if call.op in _MOVING:
            entry = ARRAYS[call.op]
            assert entry.numpy is not None
            options = entry.resolve(call.options, self.trace.sizes)
            return entry.numpy(options, *[np.asarray(arg, object) for arg in args])
        if call.op in _FILLED:
            entry = ARRAYS[call.op]
            assert entry.numpy is not None
            made = np.asarray(entry.numpy(entry.resolve(call.options, self.trace.sizes)))
            return np.frompyfunc(lambda x: Fraction(int(x)), 1, 1)(made)
        if call.op == "put":
            return self._put(call, np.asarray(args[0], object))
        if call.op in ("sumsq", "mean") and call.options[0] is None and not call.options[1]:
            array = np.asarray(args[0], object)
            if array.size == 0:
                return None
            total = (array * array if call.op == "sumsq" else array).sum()
            return total / (array.size if call.op == "mean" else 1)
        rule = rational_rule(call.op)
        return None if rule is None else np.frompyfunc(rule, len(args), 1)(*args)

    def _put(self, call: Call, array: Any) -> Any:
        """Elements in their places, which a second array of their numbers shows, among zeros."""
        entry = ARRAYS[call.op]
        assert entry.numpy is not None
        numbers = np.arange(1.0, array.size + 1).reshape(array.shape)
        places = np.asarray(entry.numpy(entry.resolve(call.options, self.trace.sizes), numbers)).astype(int)
        return np.array([Fraction(0), *array.ravel()], object)[places]

    def value(self, expr: Expr) -> Any:
        """A float or an array."""
        return self.trace.value_of(expr)

    def exact(self, expr: Expr) -> bool:
        """Whether every number of `expr` is the decimal that is shown."""
        found, value = self.fractions(expr), np.asarray(self.value(expr))
        if found is None:
            return False
        pairs = zip(np.asarray(found, object).ravel(), value.ravel(), strict=False)
        return np.shape(found) == value.shape and all(
            is_exact(float(x), fraction, self.digits) for fraction, x in pairs
        )


def _number(size: Any, trace: Trace) -> int:
    return size_value(size, trace.sizes)


def _added(a: Any, b: Any) -> Any:
    if _has_holes(a) or _has_holes(b):
        return None
    return np.asarray(a, object) + np.asarray(b, object)


def _has_holes(array: Any) -> bool:
    return any(part is None for part in np.asarray(array, object).ravel())


Spell = Callable[[float, int], str]


def latex_number(exact: bool) -> Spell:
    """A number with so many digits."""
    return lambda value, digits: signed(*decimal(value, exact, digits))[0]


def text_number(exact: bool) -> Spell:
    """A number in plain text."""

    def spell(value: float, digits: int) -> str:
        shown, power = decimal(value, exact, digits)
        return shown if power == 0 else f"{shown}e{power}"

    return spell


def latex_array(value: Any, exact: bool, room: float, small: bool = False, digits: int = DIGITS) -> str:
    r"""`(6, 6, 6)^{\top}` for a column, a `pmatrix` for a matrix, in at most `room` pt if that can be done.

    `small` is for numbers under a brace; a matrix that is too wide is shown with fewer digits, then with fewer columns.
    """
    array = np.asarray(value)
    spell = latex_number(exact)
    if array.ndim == 0:
        return spell(float(array), min(digits, _UNDER_BRACE) if small else digits)
    if array.size == 0:
        return r"\text{(no elements)}"
    for slices, most in ((2, MOST), (2, 4), (2, 3), (1, 4), (1, 3), (1, 2)):
        for fewer in _ladder(digits, small):
            text = _latex_shown(array, spell, fewer, most, small, slices)
            if wide(text) <= room:
                return text
    return text


def _ladder(digits: int, small: bool) -> list[int]:
    """Digits to try, from those asked for downwards."""
    if small:
        return [min(digits, _UNDER_BRACE)]
    return [digits, *(fewer for fewer in (12, DIGITS, 6, 5, 4) if fewer < digits)]


def _latex_shown(array: np.ndarray, spell: Spell, digits: int, most: int, small: bool, slices: int) -> str:
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1 != array.shape[0]):
        cells = _cut([spell(float(x), digits) for x in array.ravel()], r"\ldots", most)
        return f"({', '.join(cells)})" + r"^{\top}"
    if array.ndim > 2:
        inside = [_latex_shown(part, spell, digits, most, small, slices) for part in array[:slices]]
        dots = [r"\ldots"] if len(array) > len(inside) else []
        return r"\left[" + r", \; ".join([*inside, *dots]) + r"\right]"
    rows = [_cut([spell(float(x), digits) for x in row], r"\cdots", most) for row in array]
    if len(rows) > most:
        keep = min(_FIRST, most - 1)
        rows = [*rows[:keep], [r"\vdots"] * len(rows[0]), rows[-1]]
    body = r" \\ ".join(" & ".join(row) for row in rows)
    if small:
        body = body.replace(r"\\", r"\\[2pt]")
        return rf"\left(\begin{{smallmatrix}} {body} \end{{smallmatrix}}\right)"
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


def _cut(cells: list[str], dots: str, most: int) -> list[str]:
    return cells if len(cells) <= most else [*cells[: min(_FIRST, most - 1)], dots, cells[-1]]


def flat_array(value: Any, spell: Spell, digits: int = DIGITS, most: int = MOST) -> str:
    """`[[1, 2], [3, 4]]`, on one line, for plain text and the cells of a table."""
    array = np.asarray(value)
    if array.ndim == 0:
        return spell(float(array), digits)
    inside = [flat_array(part, spell, digits, most) for part in array]
    return "[" + ", ".join(_cut(inside, "...", most)) + "]"


__all__ = ["ArrayFigures", "flat_array", "latex_array", "latex_number", "text_number"]
