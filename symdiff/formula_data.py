"""A formula: its inputs with shapes, its helpers, its statements.

Formula   ::= inputs, helpers, statements          # the output is the last statement
Input     ::= name, shape, constant?, default?
Abstract  ::= name, shape                          # a function that nothing is known of
Helper    ::= def name(parameters): return body    # inlined when the tape is made
Statement ::= name = expression                    # `name` is None for a bare last expression
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, SymdiffError, UnsupportedError, nearest, quoted
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

    def numbers(self, value: Any) -> Mapping[str, Any]:
        """Element -> number of an array of the group's shape; raises ShapeError for any other."""
        if not self.shape:
            return {self.name: value}
        try:
            array = np.array(value)
        except ValueError:
            raise ShapeError(f"at: {self.name} is ragged; it must be an array of shape {self.shape}") from None
        if array.dtype.kind not in "iuf":
            raise ShapeError(f"at: {self.name} must hold real numbers, not {array.dtype}")
        if array.shape != self.shape:
            raise ShapeError(f"at: {self.name} has shape {array.shape}, and the function was traced with {self.shape}")
        return dict(zip(self.elements, array.astype(np.float64).ravel().tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class FormulaData:
    """What the front end makes out of a text. `declared` holds the inputs in the order of a call.

    `groups`, where there are any, hold every input once and in order: a call then takes one array for each group.
    `traced` says how a call of a traced Python function reads, `loss(W, x)`; its statements may be made on demand.
    """

    source: str
    declared: tuple[Input, ...]
    helpers: Mapping[str, Helper]
    statements: Sequence[Statement]
    limits: Limits = field(default_factory=Limits)
    functions: Mapping[str, Abstract] = field(default_factory=lambda: MappingProxyType({}))
    groups: tuple[Group, ...] = ()
    traced: str = ""

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
    def arguments(self) -> Mapping[str, Shape]:
        """Shape of everything that a call takes, in order: the groups where there are any, else the inputs."""
        return MappingProxyType({group.name: group.shape for group in self.groups}) if self.groups else self.inputs

    def scalars(self, names: Iterable[str]) -> tuple[str, ...]:
        """Inputs that the arguments `names` are made of: of groups their elements, else the names themselves."""
        found = {group.name: group.elements for group in self.groups}
        return tuple(scalar for name in names for scalar in found.get(name, (name,)))

    def scalar_point(self, at: Mapping[str, Any]) -> Mapping[str, Any]:
        """`at` with a number for every input in place of an array for every group; without groups `at` itself.

        Raises SymdiffError for names that are no arguments and for missing ones, ShapeError for arrays of other shapes.
        """
        if not self.groups:
            return at
        for name in at:
            if name not in self.arguments:
                known = nearest(str(name), self.arguments) or f"; arguments are {', '.join(self.arguments)}"
                raise SymdiffError(f"at: {quoted(str(name))} is not an argument{known}")
        missing = [name for name in self.arguments if name not in at]
        if missing:
            raise SymdiffError(f"at: no value for {', '.join(missing)}")
        return {name: number for group in self.groups for name, number in group.numbers(at[group.name]).items()}

    def gathered(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of inputs put together again, in their order: an array for every group with axes."""
        if not self.groups:
            return dict(values)
        first = {group.elements[0]: group for group in self.groups}
        return {
            group.name: np.array([values[name] for name in group.elements]).reshape(group.shape)
            if group.shape
            else values[group.name]
            for group in (first[name] for name in values if name in first)
        }

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
