"""Calls: which functions there are, how many arguments each takes, and what is given by name or as a shape.

Operands are expressions and belong to the machine in `expressions.py`. What follows them is read here, up to the
closing bracket: a shape (`reshape`, `zeros`, `ones`, `eye`) and the literals `axis=` and `keepdims=`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from symdiff.errors import ParseError, nearest, quoted
from symdiff.expr import Call, Expr, Number
from symdiff.formula_data import Abstract, Helper, Limits
from symdiff.frontend.sizes import FLATTEN, Sizes
from symdiff.frontend.stream import shown, start_of
from symdiff.frontend.tokens import NAME, NUMBER, Token
from symdiff.frontend.words import (
    ABSENT,
    ADVICE,
    CONSTANTS,
    FUNCTIONS,
    KEYWORDS,
    MAX_POLYGAMMA_ORDER,
    REDUCTIONS,
    SHAPED,
    absent_message,
    keyword_message,
)
from symdiff.ops import ARRAYS, COMPARE_OPS, TABLE
from symdiff.shapes import Shape

_A_COMPARISON = "a comparison stands only as the condition of where(condition, a, b)"


class Operand(NamedTuple):
    """An expression with its place in the text, brackets around it included."""

    expr: Expr
    start: int
    end: int


@dataclass(slots=True)
class Bracket:
    """An open bracket: of a group, of a list of arrays, or of a call."""

    token: Token
    below: int  # operands on the stack below it
    listing: bool = False  # the first thing in concat( or stack(: commas make it a list
    commas: bool = False
    # of a call:
    function: str = ""  # as typed
    op: str = ""
    start: int = 0
    method: bool = False
    listed: bool = False  # its operands came as a list
    shape: Shape | None = None
    keywords: dict[str, Any] = field(default_factory=dict)


class Calls(Sizes):
    """Knows the functions, and makes calls out of their arguments."""

    functions: Mapping[str, str] = FUNCTIONS

    def __init__(self, text: str, limits: Limits, tokens: Iterator[Token]) -> None:
        super().__init__(text, limits, tokens)
        self.helpers: dict[str, Helper] = {}  # by the name that the text gives; the Helper's own is that of its calls
        self.abstract: dict[str, Abstract] = {}
        self.arities: dict[str, int] = {}  # parameters of a helper; arguments of an abstract function's first call
        self.cost: dict[str, int] = {}  # elementary steps of a helper, the helpers that it calls inlined
        self.steps = 0  # elementary steps so far, helpers inlined

    # -- names of functions ------------------------------------------------------------------------------------------

    def function_name(self, token: Token) -> str:
        name = token.text
        if name in self.helpers or name in self.abstract:
            return name
        if name in KEYWORDS:
            raise self.fail(keyword_message(name), token)
        if name in self.functions:
            return name
        if name in CONSTANTS:
            raise self.fail(f"'{name}' is a constant, not a function; write {name}*(...) for a product", token)
        if self.known(name) or name in self.dimensions:
            kind = "variable" if self.known(name) else "dimension"
            raise self.fail(f"'{name}' is a {kind}, not a function; write {name}*(...) for a product", token)
        raise self.fail(self.no_function(name), token)

    def no_function(self, name: str) -> str:
        if name in ABSENT:
            return absent_message(name, f"{name}()")
        return f"unknown function {quoted(name)}{advice(name, {**self.functions, **self.helpers, **self.abstract})}"

    def op_of(self, name: str) -> str:
        if name in self.helpers:
            return self.helpers[name].name
        return name if name in self.abstract else self.functions[name]

    def operands_of(self, bracket: Bracket) -> int:
        """How many operands the function takes, -1 for any number."""
        if bracket.op in TABLE:
            return TABLE[bracket.op].operands
        return ARRAYS[bracket.op].operands if bracket.op in ARRAYS else self.arities.get(bracket.op, -1)

    def keyword_names(self, bracket: Bracket, given: int) -> tuple[str, ...]:
        """Keywords of the function, for so many operands."""
        reduces = bracket.function in REDUCTIONS and given <= 1
        op = REDUCTIONS[bracket.function] if reduces else bracket.op
        return ARRAYS[op].keywords if op in ARRAYS else ()

    # -- arguments ---------------------------------------------------------------------------------------------------

    def sees_keyword(self, distance: int = 0) -> bool:
        return self.peek(distance).kind == NAME and self.sees("=", distance + 1)

    def wants_operand(self, bracket: Bracket, given: int) -> bool:
        """Whether the next argument of a call is an operand; otherwise it is a shape or a keyword."""
        wanted = self.operands_of(bracket)
        if self.sees_keyword() or (bracket.op in SHAPED and given == wanted):
            return False
        if bracket.listed:
            raise self.fail(f"after a list {bracket.function}() takes only axis=", self.peek())
        if 0 <= wanted <= given:
            raise self.too_many(bracket, given)
        return True

    def too_many(self, bracket: Bracket, given: int) -> ParseError:
        token, name = self.peek(), bracket.function
        if "axis" not in self.keyword_names(bracket, given):
            return self.wrong_count(bracket, f"more than {given - bracket.method}")
        value = token.text if token.kind == NUMBER else "0"
        example = f"x.{name}(axis={value})" if bracket.method else f"{name}(x, axis={value})"
        both = f"; of two arrays it is {name}imum(a, b)" if name in REDUCTIONS else ""
        return self.fail(f"{name}() takes one array; an axis is given by name, {example}{both}", token)

    def rest(self, bracket: Bracket, given: int) -> Token:
        """Read what follows the operands of a call, and give its closing bracket."""
        if bracket.op in SHAPED and given == self.operands_of(bracket):
            bracket.shape = self.shape_of_call(bracket)
        else:
            self.keyword(bracket, given)
        while not self.sees(")"):
            found = self.take()
            if found.text != ",":
                raise self.fail(f"expected ',' or ')' in {bracket.function}(), found {shown(found)}", found)
            if self.sees(")"):
                raise self.fail("an argument is missing after the comma", self.peek())
            self.keyword(bracket, given)
        return self.take()

    def shape_of_call(self, bracket: Bracket) -> Shape:
        name, place = bracket.function, self.peek()
        if self.sees(")"):
            raise self.fail(f"the shape is missing; {_write(bracket)}", place)
        if self.sees_keyword():
            raise self.fail(f"{name}() takes no keyword arguments; {_write(bracket)}", place)
        several = (bracket.method or bracket.op == "eye") and not (self.sees("(") or self.sees("["))
        shape = self.shape_argument()
        while self.sees(",") and not self.sees_keyword(1) and not self.sees(")", 1):
            comma = self.take()
            if not several:
                raise self.fail(f"the shape of {name}() is one argument; {_write(bracket)}", comma)
            shape = self.checked_shape((*shape, self.size("a shape")), place)
        least, most = SHAPED[bracket.op]
        if len(shape) < least or len(shape) > (most or len(shape)):
            raise self.fail(f"{name}() takes {least} or {most} sizes; {_write(bracket)}", place)
        if shape == FLATTEN and bracket.op != "reshape":
            raise self.fail("a size is not negative", place)
        return shape

    def keyword(self, bracket: Bracket, given: int) -> None:
        """One `NAME=literal`."""
        token, name = self.peek(), bracket.function
        if not self.sees_keyword():
            raise self.fail(f"after a keyword come only keywords, such as axis=0; found {shown(token)}", token)
        known = self.keyword_names(bracket, given)
        if not known:
            raise self.fail(f"{name}() takes no keyword arguments{self.instead_of_keyword(bracket, given)}", token)
        if token.text not in known:
            listed = " and ".join(f"{each}=" for each in known)
            raise self.fail(f"{name}() has no keyword {quoted(token.text)}; it takes {listed}", token)
        if token.text in bracket.keywords:
            raise self.fail(f"{token.text}= is given twice", token)
        self.take()
        self.take()
        many = "keepdims" in known
        bracket.keywords[token.text] = self.axes(many) if token.text == "axis" else self.truth()

    def instead_of_keyword(self, bracket: Bracket, given: int) -> str:
        if bracket.function in REDUCTIONS:
            return f" with {given} operands; of one array it is {bracket.function}(x, axis=0)"
        if bracket.op in SHAPED:
            return f"; {_write(bracket)}"
        return "; a comparison is ==" if bracket.op == "where" else ""

    def truth(self) -> bool:
        token = self.take()
        if token.kind != NAME or token.text not in ("True", "False"):
            raise self.fail(f"keepdims= is True or False, found {shown(token)}", token)
        return token.text == "True"

    # -- the call ----------------------------------------------------------------------------------------------------

    def call(self, bracket: Bracket, args: list[Expr], closing: Token) -> Call:
        if bracket.function in REDUCTIONS and len(args) == 1:
            bracket.op = REDUCTIONS[bracket.function]
        op, wanted = bracket.op, self.operands_of(bracket)
        if len(args) != wanted and (wanted >= 0 or not args):
            raise self.wrong_count(bracket, str(len(args) - bracket.method))
        if op in ARRAYS and wanted < 0 and len(args) == 1 and not bracket.listed:  # NumPy would take it apart
            name = bracket.function
            raise self.fail(f"{name}() joins several arrays: {name}(a, b) or {name}([a, b])", bracket.token)
        if op == "where" and not compares(args[0]):
            raise self.fail(
                "the condition of where() is one comparison, such as x < 0", start_of(args[0], bracket.start)
            )
        for arg in args[op == "where" :]:
            self.refuse_comparison(arg)
        if op == "polygamma":
            self.check_order(args[0], bracket.start)
        if op in self.abstract:
            self.arities.setdefault(op, len(args))
        self.count(self.cost.get(op, 1), bracket.token)
        return Call(op, tuple(args), (bracket.start, closing.end), self.options(bracket, closing))

    def options(self, bracket: Bracket, closing: Token) -> tuple[Any, ...]:
        if bracket.op not in SHAPED:
            return default_options(bracket.op, bracket.keywords)
        if bracket.shape is None:
            raise self.fail(f"the shape is missing; {_write(bracket)}", closing)
        return bracket.shape if bracket.op == "eye" else (bracket.shape,)

    def wrong_count(self, bracket: Bracket, found: str) -> ParseError:
        name, start, wanted = bracket.function, bracket.token, self.operands_of(bracket)
        plural = "s" * (wanted != 1)
        if bracket.op in self.abstract and wanted >= 0:
            first = f"{name}() has {wanted} argument{plural} where it is called first, and {found} here"
            return self.fail(f"{first}; a function takes the same number everywhere", start)
        if wanted < 0:
            return self.fail(f"{name}() takes at least one argument", start)
        advice = "; write log(x)/log(base)" if name == "log" else ""
        if bracket.op in ("hypot", "maximum", "minimum") and found.startswith("more"):
            advice = f"; nest them: {name}({name}(a, b), c)"
        wanted -= bracket.method
        return self.fail(f"{name}() takes {wanted} argument{'s' * (wanted != 1)}, not {found}{advice}", start)

    def check_order(self, order: Expr, start: int) -> None:
        whole = isinstance(order, Number) and order.value.is_integer() and 0 <= order.value <= MAX_POLYGAMMA_ORDER
        if not whole:
            range_ = f"a whole number from 0 to {MAX_POLYGAMMA_ORDER}, written as a literal"
            raise self.fail(f"the order of polygamma(order, x) is {range_}", start_of(order, start))

    def refuse_comparison(self, expr: Expr) -> None:
        if compares(expr):
            raise self.fail(_A_COMPARISON, start_of(expr))

    def count(self, steps: int, place: Token) -> None:
        """Add to the elementary steps of the text; a tower of helpers can need more than there is memory."""
        self.steps += steps
        if self.steps > self.limits.steps:
            raise self.fail(f"more than {self.limits.steps} elementary steps; raise the limit `steps`", place)


def default_options(op: str, keywords: Mapping[str, Any] = MappingProxyType({})) -> tuple[Any, ...]:
    """Options of a function, what is not given by name left at its default."""
    if op not in ARRAYS:
        return ()
    defaults = {"axis": 0 if ARRAYS[op].operands < 0 else None, "keepdims": False}
    return tuple(keywords.get(name, defaults[name]) for name in ARRAYS[op].keywords)


def _write(bracket: Bracket) -> str:
    """How a function with a shape is written."""
    if bracket.method:
        return f"write x.{bracket.function}(2, 3)"
    inside = {"eye": "3", "reshape": "x, (2, 3)"}.get(bracket.op, "(2, 3)")
    return f"write {bracket.function}({inside})"


def compares(expr: Expr) -> bool:
    """A comparison, which is no number."""
    return isinstance(expr, Call) and expr.op in COMPARE_OPS


def advice(name: str, known: Mapping[str, object]) -> str:
    """What to write instead of an unknown function."""
    if name in ABSENT:
        return f"; {ABSENT[name]}" if ABSENT[name] else ""
    return f"; did you mean '{ADVICE[name]}'?" if name in ADVICE else nearest(name, known)


__all__ = ["Bracket", "Calls", "Operand", "advice", "compares", "default_options"]
