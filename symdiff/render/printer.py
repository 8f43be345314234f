"""Expressions as text in one language, brackets from the table of binding strengths (`ops/core.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from symdiff.expr import Call, Expr, Form, Name, Number, bottom_up, form_of, is_constant, walk
from symdiff.ops import ARRAYS, TABLE, Spelling
from symdiff.ops.core import ATOM, LOOSE, MUL, NEG, function
from symdiff.ops.evaluate import constant_value

_MARK = "\0"  # in no spelling, number or name
_MARKS = {str(place): f"{_MARK}{place}{_MARK}" for place in range(32)}
_MOST_TEXTS = 10_000  # kept by a printer


@dataclass(frozen=True)
class Printer:
    """Prints expressions of one language.

    language  field of the op entries: `python`, `c`, `latex` or `text`
    names     user's name -> identifier of the language
    number    a float64 as a literal of the language; the flag says that it stands alone, as an argument
    words     values for `{m.sin}` and `{one}` in the spellings
    brackets  what goes around an operand that binds too weakly
    replaced  whole calls that have a name already, by expression
    """

    language: str
    names: Mapping[str, str]
    number: Callable[[Number, bool], str]
    words: Mapping[str, Any]
    brackets: tuple[str, str] = ("(", ")")
    replaced: Mapping[Expr, str] | None = None
    helpers: frozenset[str] = frozenset()
    texts: dict[Form, str] = field(default_factory=dict, compare=False, repr=False)

    def with_helpers(self, helpers: Iterable[str]) -> Printer:
        """The same, for expressions that still call a formula's own helpers."""
        return replace(self, helpers=frozenset(helpers), texts={})

    def __call__(self, expr: Expr) -> str:
        """`expr` as text."""
        return self._bracketed(bottom_up(expr, self._leaf, self._node), LOOSE)

    def step(self, expr: Expr) -> str:
        """The same for the expression of a step: steps of one form are spelled once, and then filled in."""
        if not isinstance(expr, Call) or expr.op in ARRAYS or self.replaced:
            return self(expr)
        form, found = form_of(expr)
        if len(found) > len(_MARKS):
            return self(expr)
        text = self.texts.get(form)
        if text is None:
            if len(self.texts) >= _MOST_TEXTS:
                self.texts.clear()
            text = self.texts[form] = self._format(form)
        names = self.names
        return text.format(*[names.get(name, name) for name in found])

    def _format(self, form: Form) -> str:
        """A format text over the names of a form."""
        parts = self._marked(form.expr).split(_MARK)  # between two marks stands a place
        return "".join(
            f"{{{part}}}" if place % 2 else part.replace("{", "{{").replace("}", "}}")
            for place, part in enumerate(parts)
        )

    @cached_property
    def _marked(self) -> Printer:
        return replace(self, names=_MARKS)

    def _leaf(self, leaf: Name | Number) -> tuple[Any, int]:
        if isinstance(leaf, Name):
            return self.names.get(leaf.id, leaf.id), ATOM
        return leaf, NEG if leaf.negative else ATOM

    def _node(self, call: Call, args: list[tuple[Any, int]]) -> tuple[str, int]:
        if self.replaced is not None and call in self.replaced:
            return self.replaced[call], ATOM
        if call.op == "neg" and self.language != "text" and args[0][1] == MUL and not str(args[0][0]).startswith("-"):
            return f"-{args[0][0]}", MUL  # -a*b is (-a)*b: the same bits as -(a*b), and how people write it
        spelling = self.spelling(call)
        pieces = [self._bracketed(arg, place) for arg, place in zip(args, spelling.places, strict=False)]
        return spelling.text.format(*pieces, **self.words), spelling.strength

    def spelling(self, call: Call) -> Spelling:
        """The op's spelling; a power with a small whole exponent may have one of its own."""
        if call.op in self.helpers:
            return function(call.op, len(call.args))
        if call.op in ARRAYS:
            words = getattr(ARRAYS[call.op], self.language)
            assert words is not None, (call.op, self.language)
            made: Spelling = words(call, self.names)
            return made
        entry = TABLE[call.op]
        special = entry.literal_exponents.get(self.language)
        if special is not None and is_constant(call.args[-1]):
            spelling = special(constant_value(call.args[-1]))
            if spelling is not None:
                return spelling
        found: Spelling = getattr(entry, self.language)
        return found

    def _bracketed(self, piece: tuple[Any, int], place: int) -> str:
        text, strength = piece
        shown = self.number(text, place == LOOSE) if isinstance(text, Number) else text
        return f"{self.brackets[0]}{shown}{self.brackets[1]}" if strength < place else shown


def without_minus(expr: Expr) -> Expr | None:
    """x for what is printed as -x, so that y += -x can be y -= x, which gives the same bits; None for anything else."""
    if not isinstance(expr, Call):
        return None
    if expr.op == "neg":
        return expr.args[0]
    if expr.op not in ("mul", "div"):
        return None
    first = without_minus(expr.args[0])
    return None if first is None else expr.over((first, *expr.args[1:]))


def plain_number(number: Number, alone: bool = False) -> str:
    """Shortest decimal that gives the float64 back; whole numbers without a point."""
    if number.symbol is not None:
        return number.symbol
    value = number.value
    whole = value.is_integer() and abs(value) < 1e15 and not (value == 0.0 and number.negative)
    return str(int(value)) if whole else repr(value)


def size(expr: Expr) -> int:
    """Number of nodes."""
    return sum(1 for _ in walk(expr))


TEXT = Printer("text", {}, plain_number, {})
"""Formula language, as headers and messages show it."""
