"""An ordinary Python function -> FormulaData and Tape: it is run once on symbols, and every operation is a step.

Input: a function and the shapes of its arguments. Output: the tape that `linearize` would make of the same operations
written as text, and the formula as flat scalars, whose statements are made when somebody reads them. Time and memory
are linear in the number of steps, and nothing here recurses over them.
"""

from __future__ import annotations

import inspect
import keyword
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, overload

import numpy as np

from symdiff.errors import DomainError, ParseError, ShapeError, SymdiffError, UnsupportedError, nearest, quoted
from symdiff.expr import Call, Expr, Name, Number
from symdiff.formula_data import FormulaData, Group, Input, Limits, Statement
from symdiff.ops import PUBLIC
from symdiff.programs.lines import explained, located
from symdiff.programs.operand import Condition
from symdiff.programs.operand_arrays import OperandArray, array
from symdiff.programs.symbol import Symbol
from symdiff.tape import Namer, Step, Tape

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def trace_function(
    function: Callable[..., Any],
    shapes: Sequence[Any],
    *,
    names: Iterable[str] | Mapping[str, str] | None = None,
    constants: Iterable[str] | str = (),
    limits: Limits | None = None,
) -> tuple[FormulaData, Tape]:
    """The steps of `function` over arguments of the `shapes`; `names` are all names in order, or new ones by old ones.

    What the function raises passes through, save for the errors by which NumPy says that it cannot take symbols. Raises
    UnsupportedError for what a recorded program cannot do and DomainError for a constant that is nan or infinite (both
    with the line of the program), ShapeError for a shape that is none and where the result is not one number,
    ParseError for names that a formula cannot have, and SymdiffError for arguments that do not fit the function.
    """
    sizes = [_shape(shape) for shape in shapes]
    limits = limits or Limits()
    title = getattr(function, "__name__", type(function).__name__)
    title = title if title.isidentifier() and title.isascii() else "function"  # it stands in comments of generated code
    arguments = _names(function, title, len(sizes), names, limits)
    constants = (constants,) if isinstance(constants, str) else tuple(constants)
    for name in constants:
        if name not in arguments:
            raise SymdiffError(f"constants: {quoted(str(name))} is not an argument{nearest(str(name), arguments)}")
    groups = _groups(arguments, sizes, frozenset(constants))
    recording = Recording(groups, limits)
    try:
        result = function(*recording.arguments())
    except Exception as error:
        if (known := explained(error)) is not None:
            raise known from error
        raise
    tape = recording.finish(result, title)
    origin = f"{title}({', '.join(arguments)})"
    statements = Statements(tape.steps, recording.given)
    data = FormulaData(origin, tape.inputs, {}, statements, limits, groups=groups, traced=origin)
    return data, tape


class Recording:
    """The steps of a program so far."""

    def __init__(self, groups: tuple[Group, ...], limits: Limits) -> None:
        self.groups, self.limits = groups, limits
        self.inputs = tuple(Input(name, (), group.constant) for group in groups for name in group.elements)
        self.steps: list[Step] = []
        self.given = {name for group in groups for name in (group.name, *group.elements)}  # names by the user
        self._taken = set(self.given)
        self._open = True

    def arguments(self) -> list[Any]:
        """What the function is called with: a symbol for a scalar, an array of symbols otherwise."""
        return [self._argument(group) for group in self.groups]

    def _argument(self, group: Group) -> Symbol | OperandArray:
        symbols = [Symbol(self, Name(name)) for name in group.elements]
        whole: OperandArray = array(symbols).reshape(group.shape)  # type: ignore[assignment]  # a view of the same class
        return whole if group.shape else symbols[0]

    def append(self, op: str, args: tuple[Any, ...]) -> Symbol:
        """A new step: the op over symbols, floats and (for `where`) a condition."""
        number = len(self.steps) + 1
        if number > self.limits.steps:
            raise located(
                UnsupportedError,
                f"the program has more than {self.limits.steps} elementary steps; to accept more, give "
                f"limits=symdiff.Limits(steps={10 * self.limits.steps})",
            )
        expr = Call(op, tuple([self._operand(arg) for arg in args]))
        if op == "pow":
            self._check_power(args[1])
        name = Name(f"v{number}")
        if name.id in self._taken:
            name = Name(Namer(self._taken).fresh(name.id))
            self._taken.add(name.id)
        self.steps.append(Step(number, name.id, expr))
        return Symbol(self, name)

    def named(self, symbol: Symbol, wish: str) -> Symbol:
        """The symbol under a name: its step takes it, unless it has one already; then a step that copies it."""
        self._operand(symbol)
        wrong = _unfit(wish, self.limits) or ("has a name that is taken" if wish in self._taken else "")
        if wrong or self._is_step(wish):
            raise located(ParseError, f"the step {quoted(str(wish))} {wrong or 'has a name that is taken'}")
        if not self.steps or self.steps[-1].name != symbol.name.id or symbol.name.id in self.given:
            symbol = self.append("identity", (symbol,))
        self.given.add(wish)
        self._taken.add(wish)
        symbol.name = Name(wish)
        self.steps[-1] = replace(self.steps[-1], name=wish)
        return symbol

    def _is_step(self, name: str) -> bool:
        """Whether a step so far may have the name as its own, `v12`."""
        number = name[1:] if name[:1] == "v" else ""
        return number.isdigit() and int(number) <= len(self.steps) + 1

    def _operand(self, arg: Any) -> Expr:
        if type(arg) is Symbol:
            if arg.recording is not self or not self._open:
                self._refuse_foreign(arg)
            return arg.name
        if type(arg) is float:
            if not math.isfinite(arg):
                raise located(DomainError, _not_finite(arg))
            return Number(arg)
        assert isinstance(arg, Condition), arg
        return Call(arg.op, tuple([self._operand(part) for part in arg.args]))

    def _refuse_foreign(self, symbol: Symbol) -> None:
        if not symbol.recording._open:
            raise located(
                UnsupportedError,
                f"the symbol {symbol} belongs to a program whose recording is over; it was kept in a global, an "
                "attribute or a closure: make it an argument, or compute it anew in every call",
            )
        raise located(
            UnsupportedError,
            f"the symbol {symbol} belongs to another program that is being recorded; give the inner function its own "
            "arguments, or call it directly instead of recording it",
        )

    def _check_power(self, exponent: Any) -> None:
        if type(exponent) is float and abs(exponent) > self.limits.power:
            raise located(
                UnsupportedError, f"the exponent {exponent:g} is beyond {self.limits.power}; raise the limit `power`"
            )

    def finish(self, result: Any, title: str) -> Tape:
        """The tape whose value is `result`; what came after it is left out."""
        if isinstance(result, np.ndarray) and result.ndim == 0:
            result = result[()]
        if not isinstance(result, Symbol):
            raise _no_value(result, title)
        if result.recording is not self:
            self._refuse_foreign(result)
        self._open = False
        name = Namer(self._taken).fresh("value")
        place = next((k for k in range(len(self.steps) - 1, -1, -1) if self.steps[k].name == result.name.id), None)
        if place is None:  # an argument comes back as it is
            del self.steps[0:]
            self.steps.append(Step(1, name, Call("identity", (result.name,))))
        else:
            del self.steps[place + 1 :]
            name = result.name.id if result.name.id in self.given else name
            self.steps[-1] = replace(self.steps[-1], name=name)
        return Tape(self.inputs, tuple(self.steps), (("value", Name(name)),))


class Statements(Sequence[Statement]):
    """The steps of a tape as statements of the language, each made when it is asked for.

    The last one is bare unless the user named it (`given` holds these names).
    """

    def __init__(self, steps: tuple[Step, ...], given: Set[str]) -> None:
        self._steps = steps
        self._bare = None if steps[-1].name in given else steps[-1]

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, place: int) -> Statement: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Statement, ...]: ...
    def __getitem__(self, place: int | slice) -> Statement | tuple[Statement, ...]:
        if isinstance(place, slice):
            return tuple(self[k] for k in range(*place.indices(len(self))))
        step = self._steps[place]
        return Statement(None if step is self._bare else step.name, step.expr, (0, 0))

    def __iter__(self) -> Iterator[Statement]:
        return map(self.__getitem__, range(len(self)))


def _not_finite(constant: float) -> str:
    """What to write for nan or an infinity in a program."""
    what = f"the constant {constant} is not a finite number"
    if math.isnan(constant):
        return f"{what}; leave out what it marks, because every result that it enters is nan"
    bound = math.copysign(1e300, constant)
    return f"{what}; begin a running maximum or minimum with the first element, and as a bound write {bound:g}"


def _no_value(result: Any, title: str) -> SymdiffError:
    """What is wrong with a result that is no symbol."""
    name = quoted(title)
    if isinstance(result, np.ndarray | list | tuple):
        shape = np.shape(np.array(result, dtype=object))
        return ShapeError(
            f"{name} returned an array of shape {shape}; the value must be one number: sum it, or pick one"
        )
    if result is None:
        return UnsupportedError(f"{name} returned None; it ends with: return VALUE")
    if isinstance(result, Condition):
        return UnsupportedError(f"{name} returned the comparison {result}; as a number it is where(c, 1, 0)")
    if isinstance(result, int | float | np.number):
        return UnsupportedError(f"{name} returned the number {result}, which depends on no argument")
    return UnsupportedError(f"{name} returned an object of type {type(result).__name__}; the value must be one number")


def _shape(shape: Any) -> tuple[int, ...]:
    """`3`, `(3,)`, `(2, 3)` or `()` as a tuple of sizes."""
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise ShapeError(
                f"{quoted(str(shape))} is no shape: give () for a number, 3 or (3,) for a vector, (2, 3) for a matrix"
            )
        if size < 1:
            raise ShapeError(f"the shape {shape} has no elements")
    return tuple(map(int, sizes))


def _names(
    function: Callable[..., Any],
    title: str,
    count: int,
    wanted: Iterable[str] | Mapping[str, str] | None,
    limits: Limits,
) -> tuple[str, ...]:
    """A name for each argument, from `names` or the signature."""
    if not callable(function):
        raise UnsupportedError(f"a function is traced, not an object of type {type(function).__name__}")
    if wanted is None or isinstance(wanted, Mapping):
        given = _renamed(_parameters(function, title, count), wanted or {})
    else:
        given = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    if len(given) != count:
        raise SymdiffError(f"{count} shapes and {len(given)} names ({', '.join(given)}): give one name for each shape")
    for place, name in enumerate(given):
        wrong = _unfit(name, limits)
        if wrong:
            old = quoted(str(name))
            how = f"names={{{old}: 'a'}}" if wanted is None else "another one in names="
            raise ParseError(f"the argument {old} {wrong}; give {how}")
        if name in given[:place]:
            raise SymdiffError(f"two arguments are named '{name}'")
    if not given:
        raise SymdiffError(f"{quoted(title)} needs at least one argument: trace_function(f, (3,), ())")
    return given


def _renamed(names: tuple[str, ...], new: Mapping[str, str]) -> tuple[str, ...]:
    for old in new:
        if old not in names:
            raise SymdiffError(f"names: {quoted(str(old))} is not an argument{nearest(str(old), names)}")
    return tuple(new.get(name, name) for name in names)


def _unfit(name: Any, limits: Limits) -> str:
    """What is wrong with a name in a formula; empty where nothing is."""
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
        return "has a name of other characters than ASCII letters, digits and underscores"
    if name in PUBLIC or name == "pi" or keyword.iskeyword(name):
        return "has the name of a function, a constant or a keyword"
    return f"has a name of more than {limits.name} characters" if len(name) > limits.name else ""


def _parameters(function: Callable[..., Any], title: str, count: int) -> tuple[str, ...]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise UnsupportedError(f"{quoted(title)} does not say what its arguments are called; give names=") from None
    plain = [each for each in parameters if each.kind in _POSITIONAL]
    rest = next((each.name for each in parameters if each.kind == inspect.Parameter.VAR_POSITIONAL), None)
    names = [each.name for each in plain[:count]]
    if rest is not None:
        names += [f"{rest}_{k}" for k in range(count - len(names))]
    needed = [each.name for each in plain if each.default is inspect.Parameter.empty]
    if len(names) < count or len(needed) > count:
        shown = ", ".join(each.name for each in plain)
        example = ", ".join("()" for _ in needed)
        raise SymdiffError(
            f"{quoted(title)} takes the arguments ({shown}), and there are {count} shapes: give a shape for each, such "
            f"as trace_function({title}, {example})"
        )
    return tuple(names)


def _groups(names: Sequence[str], shapes: Sequence[tuple[int, ...]], constants: frozenset[str]) -> tuple[Group, ...]:
    """Elements `W_0_1` of every argument; a name that is an argument's already takes a suffix."""
    namer = Namer(names)
    groups = []
    for name, shape in zip(names, shapes, strict=True):
        places = ("_".join(map(str, place)) for place in np.ndindex(*shape))
        elements = tuple(namer.fresh(f"{name}_{place}") for place in places) if shape else (name,)
        groups.append(Group(name, shape, elements, name in constants))
    return tuple(groups)


__all__ = ["Recording", "Statements", "trace_function"]
