"""A formula: its inputs with shapes, its helpers, its statements.

Formula   ::= inputs, helpers, statements          # the output is the last statement
Input     ::= name, shape, constant?, default?
Abstract  ::= name, shape                          # a function that nothing is known of
Helper    ::= def name(parameters): return body    # inlined when the tape is made
Statement ::= name = expression                    # `name` is None for a bare last expression
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from symdiff.errors import UnsupportedError
from symdiff.expr import Call, Expr, Name, Number, Span, bottom_up, walk
from symdiff.ops import ARRAYS, TABLE
from symdiff.shapes import Shape, dimensions

Default = float | tuple["Default", ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a formula may cost before it is refused; raise a field to accept more."""

    length: int = 4_000_000  # characters
    depth: int = 400  # nested brackets, powers, signs
    steps: int = 200_000  # elementary steps after helpers are inlined
    name: int = 200  # characters of one name
    power: int = 1_000_000  # size of a constant exponent

    def raised(self, **fields: int) -> Limits:
        """A copy with some fields changed."""
        return Limits(**{name: fields.get(name, getattr(self, name)) for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class Input:
    """A variable that a caller gives. A constant is not differentiated; a default may be left out in a call.

    The default of an array is a tuple of tuples of numbers, of the declared shape.
    """

    name: str
    shape: Shape = ()
    constant: bool = False
    default: Default | None = None


@dataclass(frozen=True, slots=True)
class Abstract:
    """`phi: function`, elementwise (`shape` is None), or `l: function(n, 3)`, which gives an array of that shape.

    It stays a name in derivations; code needs it bound (`Formula.bind`).
    """

    name: str
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Helper:
    """`def name(parameters): return body`, an abbreviation."""

    name: str
    parameters: tuple[str, ...]
    body: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Statement:
    """`name = expr`, or the bare last expression (`name` is None)."""

    name: str | None
    expr: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Group:
    """Scalars that callers give and receive as one array: an argument of a traced Python function.

    `elements` are the names of the inputs that are its elements, in C order (one for the shape ()).
    """

    name: str
    shape: tuple[int, ...]
    elements: tuple[str, ...]
    constant: bool = False


@dataclass(frozen=True, eq=False)
class FormulaData:
    """What the front end makes out of a text. `declared` holds the inputs in the order of a call.

    `groups`, where there are any, hold every input once and in order: a call then takes one array for each group.
    """

    source: str
    declared: tuple[Input, ...]
    helpers: Mapping[str, Helper]
    statements: tuple[Statement, ...]
    limits: Limits = field(default_factory=Limits)
    functions: Mapping[str, Abstract] = field(default_factory=lambda: MappingProxyType({}))
    groups: tuple[Group, ...] = ()

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the run-time sizes, in the order in which the inputs' shapes mention them."""
        return tuple(
            dict.fromkeys(name for given in self.declared for size in given.shape for name in dimensions(size))
        )

    @cached_property
    def inputs(self) -> Mapping[str, Shape]:
        """Shape of every input, in the order of a call."""
        return MappingProxyType({given.name: given.shape for given in self.declared})

    @cached_property
    def constants(self) -> tuple[str, ...]:
        """Names of the inputs that are not differentiated."""
        return tuple(given.name for given in self.declared if given.constant)

    @cached_property
    def defaults(self) -> Mapping[str, Default]:
        """Values of the inputs that a call may leave out."""
        return MappingProxyType({given.name: given.default for given in self.declared if given.default is not None})

    @cached_property
    def sympy(self) -> Any:
        """The output as a SymPy expression in the inputs: helpers and statements inlined, order as typed.

        Raises UnsupportedError for a formula of arrays or abstract functions, for which SymPy has no such form.

        Statements are shared objects, not copies, so memory stays linear. Printing it is SymPy's business.
        """
        if self.functions or any(given.shape for given in self.declared) or self._calls_arrays:
            raise UnsupportedError("a formula of arrays or abstract functions has no SymPy form; one of scalars has")
        return to_sympy(self)

    @property
    def _calls_arrays(self) -> bool:
        bodies = [statement.expr for statement in self.statements] + [helper.body for helper in self.helpers.values()]
        return any(isinstance(part, Call) and part.op in ARRAYS for body in bodies for part in walk(body))


def to_sympy(formula: FormulaData) -> Any:
    """SymPy form of the output of `formula`; see `FormulaData.sympy`."""
    import sympy

    values: dict[str, Any] = {given.name: sympy.Symbol(given.name) for given in formula.declared}
    result: Any = None
    for statement in formula.statements:
        result = inline(
            statement.expr,
            formula.helpers,
            values.__getitem__,
            _sympy_number,
            lambda call, args: sympy_call(call.op, args),
        )
        if statement.name is not None:
            values[statement.name] = result
    return result


def _sympy_number(number: Number) -> Any:
    import sympy

    if number.symbol == "pi":
        return sympy.pi
    whole = number.value.is_integer() and abs(number.value) < 2**53
    return sympy.Integer(int(number.value)) if whole else sympy.Float(number.value, 17)


def sympy_call(op: str, args: list[Any]) -> Any:
    """SymPy form of one op; heads are built unevaluated, so that the order typed stays."""
    import sympy

    head = TABLE[op].sympy
    if callable(head):
        return head(sympy, *args)
    return getattr(sympy, head)(*args, evaluate=False)


def inline(
    expr: Expr,
    helpers: Mapping[str, Helper],
    name: Callable[[str], Any],
    number: Callable[[Number], Any],
    build: Callable[[Call, list[Any]], Any],
) -> Any:
    """Value of `expr`, helpers called by value: each argument is worked out once, however often the body uses it."""

    def leaf(part: Name | Number) -> Any:
        return name(part.id) if isinstance(part, Name) else number(part)

    def node(call: Call, args: list[Any]) -> Any:
        helper = helpers.get(call.op)
        if helper is None:
            return build(call, args)
        bound = dict(zip(helper.parameters, args, strict=True))
        return inline(helper.body, helpers, bound.__getitem__, number, build)

    return bottom_up(expr, leaf, node)
