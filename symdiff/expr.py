"""Expressions: names, numbers and calls of ops, as the user typed them.

    Expr   ::= Name | Number | Call
    Name   ::= an input, a statement, a step of a tape, a parameter of a helper
    Number ::= a float64, with a symbol where it has one (`pi`)
    Call   ::= op, arguments, options   # op: a key of the op tables, or the name of a helper `def`

A parsed formula can be thousands of calls deep (a flat sum of 5,000 names is), so nothing here recurses: every function
over an expression of unknown depth goes through `bottom_up`.

Why not SymPy objects: SymPy re-sorts operands (`x + 2` becomes `2 + x`), turns `a - b` into `a + (-1)*b` and `sin(-a)`
into `-sin(a)`, cannot carry a position in the text, and costs about 40 us a node. `formula.Formula.sympy` gives the
SymPy form of a formula, and the op table is proved against SymPy's derivatives in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import Any, TypeVar

from symdiff.record import record

Span = tuple[int, int]
T = TypeVar("T")


class Expr:
    """Parent of the three kinds. The operators build calls, so that the rules of the op table read as mathematics."""

    __slots__ = ()

    def __add__(self, other: Operand) -> Call:
        return call("add", self, other)

    def __radd__(self, other: Operand) -> Call:
        return call("add", other, self)

    def __sub__(self, other: Operand) -> Call:
        return call("sub", self, other)

    def __rsub__(self, other: Operand) -> Call:
        return call("sub", other, self)

    def __mul__(self, other: Operand) -> Call:
        return call("mul", self, other)

    def __rmul__(self, other: Operand) -> Call:
        return call("mul", other, self)

    def __truediv__(self, other: Operand) -> Call:
        return call("div", self, other)

    def __rtruediv__(self, other: Operand) -> Call:
        return call("div", other, self)

    def __pow__(self, other: Operand) -> Call:
        return call("pow", self, other)

    def __neg__(self) -> Call:
        return call("neg", self)


Operand = Expr | float | int


@record(frozen=True, slots=True)
class Name(Expr):
    """A variable, by the user's own spelling."""

    id: str
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """A float64 constant; `symbol` is set for a constant with a name (`pi`), which people see instead of the digits."""

    value: float
    symbol: str | None = None
    span: Span | None = field(default=None, compare=False)
    # 0.0 == -0.0, and 1/0.0 is not 1/-0.0: two numbers are the same expression only with the same sign
    negative: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "negative", math.copysign(1.0, self.value) < 0)


@record(frozen=True, slots=True)
class Call(Expr):
    """An op applied to arguments. `options` are what the op needs beside operands: axes, a shape, index ranges."""

    op: str
    args: tuple[Expr, ...]
    span: Span | None = field(default=None, compare=False)
    options: tuple[Any, ...] = ()
    # what `form_of` found, so that every stage after the first has it for nothing
    seen: Formed | None = field(default=None, init=False, repr=False, compare=False)

    def over(self, args: Iterable[Expr]) -> Call:
        """The same op, with the same options, applied to other arguments; the same object for the same ones."""
        made = tuple(args)
        if len(made) == len(self.args) and all(map(is_, made, self.args)):
            return self
        return Call(self.op, made, self.span, self.options)


ZERO_NUMBER, ONE_NUMBER = Number(0.0), Number(1.0)


def as_expr(value: Operand) -> Expr:
    """A number becomes a Number; an expression stays."""
    return value if isinstance(value, Expr) else Number(float(value))


def call(op: str, *args: Operand, options: tuple[Any, ...] = ()) -> Call:
    """`op` applied to operands."""
    return Call(op, tuple(as_expr(arg) for arg in args), None, options)


def bottom_up(expr: Expr, leaf: Callable[[Name | Number], T], node: Callable[[Call, list[T]], T]) -> T:
    """Value of `expr` computed from the leaves up, left to right, without recursion."""
    if not isinstance(expr, Call):
        assert isinstance(expr, Name | Number)
        return leaf(expr)
    if not _nested(expr):  # one op, as most steps of a tape are
        return node(expr, [leaf(arg) for arg in expr.args])  # type: ignore[arg-type]  # an argument is one of three kinds
    work: list[tuple[Expr, bool]] = [(expr, False)]
    done: list[T] = []
    while work:
        current, ready = work.pop()
        if not isinstance(current, Call):
            assert isinstance(current, Name | Number)
            done.append(leaf(current))
        elif ready:
            split = len(done) - len(current.args)
            args = done[split:]
            del done[split:]
            done.append(node(current, args))
        else:
            work.append((current, True))
            work.extend((arg, False) for arg in reversed(current.args))
    return done[0]


def _nested(call: Call) -> bool:
    """Whether an argument is a call."""
    return Call in map(type, call.args)  # a generator inside any() takes three times as long


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node of `expr`, parents before children, left to right."""
    work = [expr]
    while work:
        current = work.pop()
        yield current
        if isinstance(current, Call):
            work.extend(reversed(current.args))


def names(expr: Expr) -> list[str]:
    """Names in `expr`, each once, in order of appearance."""
    if type(expr) is Call:
        if expr.seen is not None:
            return list(expr.seen[1])
        if not _nested(expr):
            return list(dict.fromkeys([arg.id for arg in expr.args if type(arg) is Name]))
    return list(dict.fromkeys(part.id for part in walk(expr) if isinstance(part, Name)))


# -- forms -------------------------------------------------------------------------------------------------------------


class Form:
    """A call up to the names in it: `sin(v3)*v7` and `sin(v9)*v2` have one form, `sin(0)*1`.

    A long tape has few forms. What does not depend on the names (how an expression folds, how its derivatives look, how
    it is spelled) is worked out once for a form, over its `expr`, and not again in every step.

    Forms are compared by identity, which is quick, and serve as keys of caches; to tell whether two calls are the same
    expression there is `identity`.
    """

    __slots__ = ("expr", "key")

    def __init__(self, key: tuple[Any, ...], expr: Call) -> None:
        self.key, self.expr = key, expr


Formed = tuple[Form, tuple[str, ...]]
_MOST_FORMS = 10_000  # kept; a program with a number of its own in every step has a form for every step
_forms: dict[tuple[Any, ...], Form] = {}


def form_of(call: Call) -> Formed:
    """The form of a call, and its names in order of appearance, the k-th of which stands where the form has `k`."""
    if call.seen is None:
        key, found = _key(call)
        form = _forms.get(key)
        if form is None:
            if len(_forms) >= _MOST_FORMS:
                _forms.clear()
            slots = {name: Name(str(k)) for k, name in enumerate(found)}
            copy = bottom_up(call, lambda leaf: _slot(leaf, slots), _over)
            assert isinstance(copy, Call)
            form = _forms[key] = Form(key, copy)
            object.__setattr__(copy, "seen", (form, tuple(slot.id for slot in slots.values())))
        object.__setattr__(call, "seen", (form, found))
    assert call.seen is not None
    return call.seen


def identity(call: Call) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """A key that two calls share if they are the same expression: the quicker form of the call itself as a key."""
    form, found = form_of(call)
    return form.key, found


def _key(call: Call) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The call as a row of words, operators before operands and names as numbers; and the names."""
    slots: dict[str, int] = {}
    key: list[Any] = []
    work: list[Expr] = [call]
    while work:
        part = work.pop()
        if type(part) is Name:
            key.append(slots.setdefault(part.id, len(slots)))
        elif type(part) is Call:
            key += (part.op, len(part.args), part.options)
            work += part.args[::-1]
        else:
            assert type(part) is Number
            key += (Number, part.value, part.symbol, part.negative)
    return tuple(key), tuple(slots)


def _slot(leaf: Name | Number, slots: Mapping[str, Name]) -> Expr:
    return slots[leaf.id] if isinstance(leaf, Name) else leaf


def _over(call: Call, args: list[Expr]) -> Expr:
    return Call(call.op, tuple(args), None, call.options)


class Pattern:
    """An expression over the names of something else, to be written for one after the other: `over` does it.

    It is made from an expression whose names are the numbers of places: with `over(("a", "b"))`, `1` becomes `b`.
    """

    __slots__ = ("_build", "_form", "_places", "expr")

    def __init__(self, expr: Expr) -> None:
        self.expr = expr
        self._build = _builder(expr)
        self._form: Form | None = None
        self._places: tuple[int, ...] = ()
        if isinstance(expr, Call):
            self._form, places = form_of(expr)
            self._places = tuple(map(int, places))

    def over(self, found: Sequence[str]) -> Expr:
        """The expression with these names, which are different from one another."""
        made = self._build(found)
        if self._form is not None:
            object.__setattr__(made, "seen", (self._form, tuple([found[place] for place in self._places])))
        return made


def _builder(expr: Expr) -> Callable[[Sequence[str]], Expr]:
    """A function that writes the expression for a row of names."""

    def leaf(part: Name | Number) -> Callable[[Sequence[str]], Expr]:
        if isinstance(part, Number):
            return lambda found: part
        place = int(part.id)
        return lambda found: Name(found[place])

    def node(call: Call, args: list[Callable[[Sequence[str]], Expr]]) -> Callable[[Sequence[str]], Expr]:
        op, options = call.op, call.options
        if len(args) == 1:
            only = args[0]
            return lambda found: Call(op, (only(found),), None, options)
        if len(args) == 2:
            first, second = args
            return lambda found: Call(op, (first(found), second(found)), None, options)
        return lambda found: Call(op, tuple([arg(found) for arg in args]), None, options)

    return bottom_up(expr, leaf, node)


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """`expr` with names replaced; nothing else is touched or re-sorted."""
    if type(expr) is Call and expr.seen is not None and values.keys().isdisjoint(expr.seen[1]):
        return expr
    return bottom_up(
        expr,
        lambda leaf: values.get(leaf.id, leaf) if isinstance(leaf, Name) else leaf,
        lambda old, args: old.over(args),
    )


def is_constant(expr: Expr) -> bool:
    """True where no name occurs."""
    if type(expr) is not Call:
        return type(expr) is not Name
    if expr.seen is not None:
        return not expr.seen[1]
    return not any(isinstance(part, Name) for part in walk(expr))
