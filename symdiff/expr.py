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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import Any, TypeVar

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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """An op applied to arguments. `options` are what the op needs beside operands: axes, a shape, index ranges."""

    op: str
    args: tuple[Expr, ...]
    span: Span | None = field(default=None, compare=False)
    options: tuple[Any, ...] = ()

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
    if type(expr) is Call and not _nested(expr):
        return list(dict.fromkeys([arg.id for arg in expr.args if type(arg) is Name]))
    return list(dict.fromkeys(part.id for part in walk(expr) if isinstance(part, Name)))


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """`expr` with names replaced; nothing else is touched or re-sorted."""
    return bottom_up(
        expr,
        lambda leaf: values.get(leaf.id, leaf) if isinstance(leaf, Name) else leaf,
        lambda old, args: old.over(args),
    )


def is_constant(expr: Expr) -> bool:
    """True where no name occurs."""
    if type(expr) is not Call:
        return type(expr) is not Name
    return not any(isinstance(part, Name) for part in walk(expr))
