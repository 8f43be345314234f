"""What programs compute with in place of floats: operators, methods and NumPy's protocol, over the ops of the table.

    Operand   ::= Symbol (a step that is being recorded) | Scalar (a number with its derivative)
    Condition ::= Operand < Operand, ...       # the first argument of `where`, and nothing else

`apply` is the one way into an op: it takes operands, floats and arrays in any mixture. An operand says in `_apply` what
an op over it is; everything else here is spelling. As in formulas, `x**2` is a square and `1/x` an inverse.
"""

from __future__ import annotations

import numbers
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from symdiff.errors import UnsupportedError
from symdiff.expr import Call, Name, Number
from symdiff.ops import COMPARISONS, PUBLIC, TABLE
from symdiff.ops.evaluate import evaluate, float_function
from symdiff.programs.lines import NO_INDEX, NO_INT, NO_MOD, here, located, no_branch, no_float, refusal

_COMPARED = {op: sign for sign, op in COMPARISONS.items()}


class Condition:
    """`x > 0`: an op of comparison and its two operands. It chooses in `where`; a branch of the program it refuses.

    For operands that have a value, `bool` of it is the comparison of the values, and it equals that bool. For symbols
    everything that asks for a truth is refused, `(x > 0) == True` and `in` too: an answer would be a branch.
    """

    __slots__ = ("args", "op")

    def __init__(self, op: str, args: tuple[Operand | float, Operand | float]) -> None:
        self.op, self.args = op, args

    def __bool__(self) -> bool:
        return _operands(self.args)[0]._truth(self)

    def _value(self) -> bool:
        try:
            return bool(self)
        except UnsupportedError:
            raise located(
                UnsupportedError,
                f"{self} is neither true nor false here, so nothing equals it and it is no key and no index (c == "
                "True, in, count); write symdiff.functions.where(c, a, b), which chooses by the comparison c itself",
            ) from None

    def __eq__(self, other: object) -> Any:
        return self._value() == (other._value() if isinstance(other, Condition) else other)

    def __ne__(self, other: object) -> Any:
        return self._value() != (other._value() if isinstance(other, Condition) else other)

    def __hash__(self) -> int:
        return hash(self._value())  # as that of the bool, which it equals

    def __index__(self) -> int:
        return int(self._value())

    def _refused(self, *_: Any) -> NoReturn:
        instead = "nest symdiff.functions.where: for `a and b`, where(a, where(b, x, y), y)"
        raise located(
            UnsupportedError, f"{self} is a comparison and no number: as a number write where(c, 1, 0), and {instead}"
        )

    __and__ = __or__ = __xor__ = __rand__ = __ror__ = __invert__ = _refused
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = _refused
    __rpow__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __matmul__ = __rmatmul__ = _refused
    __neg__ = __pos__ = __abs__ = __float__ = __int__ = __complex__ = __round__ = _refused
    __lt__ = __le__ = __gt__ = __ge__ = _refused

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        from symdiff.programs.operand_arrays import call_function  # which builds on this module

        return call_function(function, types, args, options)

    def __repr__(self) -> str:
        left, right = self.args
        return f"({left} {_COMPARED[self.op]} {right})"


class Operand:
    """Parent of what programs compute with: Python's operators, the ops of the table as methods, NumPy's functions.

    A subclass says in `_apply` what an op gives, in `_truth` what a comparison is worth to a branch.
    """

    __slots__ = ()

    # -- what a subclass says ----------------------------------------------------------------------------------------

    def _apply(self, op: str, args: tuple[Any, ...]) -> Operand:
        """The op over operands of one class and floats; for `where`, a Condition comes first."""
        raise NotImplementedError

    def _truth(self, condition: Condition) -> bool:
        """What a comparison is where the program branches on it."""
        place = here()
        raise refusal(no_branch(str(condition), place), place)

    def _refuse(self, what: str, instead: str) -> NoReturn:
        """Raise UnsupportedError with the user's line."""
        raise located(UnsupportedError, f"{what}; write {instead}")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the ops of the table as methods, added below

    # -- operators ---------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Any:
        if type(other) is int and other == 0:  # sum() begins with it
            return self
        return self._after("add", other)

    def __sub__(self, other: Any) -> Any:
        return self._with("sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self._after("sub", other)

    def __mul__(self, other: Any) -> Any:
        return self._with("mul", other)

    def __rmul__(self, other: Any) -> Any:
        return self._after("mul", other)

    def __truediv__(self, other: Any) -> Any:
        return self._with("div", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._after("div", other)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            self._refuse(*NO_MOD)
        return self._with("pow", other)

    def __rpow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            self._refuse(*NO_MOD)
        return self._after("pow", other)

    def __neg__(self) -> Any:
        return self._apply("neg", (self,))

    def __pos__(self) -> Any:
        return self

    def conjugate(self) -> Any:
        """Itself, a real number; NumPy's variance asks for it."""
        return self

    def __abs__(self) -> Any:
        return self._apply("abs", (self,))

    def __lt__(self, other: Any) -> Any:
        return self._compared("lt", other)

    def __le__(self, other: Any) -> Any:
        return self._compared("le", other)

    def __gt__(self, other: Any) -> Any:
        return self._compared("gt", other)

    def __ge__(self, other: Any) -> Any:
        return self._compared("ge", other)

    def __eq__(self, other: object) -> Any:
        return self._compared("eq", other)

    def __ne__(self, other: object) -> Any:
        return self._compared("ne", other)

    def _with(self, op: str, other: Any) -> Any:
        """`self op other`."""
        right = self._plain(other)
        return self._no_number(other) if right is NotImplemented else _normal(self, op, (self, right))

    def _after(self, op: str, other: Any) -> Any:
        """`other op self`."""
        left = self._plain(other)
        return self._no_number(other) if left is NotImplemented else _normal(self, op, (left, self))

    def _compared(self, op: str, other: Any) -> Any:
        right = self._plain(other)
        return right if right is NotImplemented else Condition(op, (self, right))

    def _plain(self, value: Any) -> Any:
        """`value` as an operand of this class or a float; NotImplemented for arrays and what is no number."""
        if type(value) is float or type(value) is type(self):
            return value
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return self._plain(value[()])
        if isinstance(value, Operand):
            _one_kind((self, value))
        if isinstance(value, Condition):
            value._refused()
        return as_float(value)

    def _no_number(self, other: Any) -> Any:
        """What arithmetic with something else than a number or an operand says."""
        if isinstance(other, list | tuple):
            kind = type(other).__name__
            self._refuse(
                f"a {kind} has no arithmetic element by element (and a symbol cannot repeat it)",
                f"symdiff.functions.array(...) around the {kind}, or [v*x for v in ...]",
            )
        if isinstance(other, numbers.Complex):
            self._refuse("programs are over real numbers, not complex ones", "real and imaginary part as two numbers")
        return NotImplemented

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from symdiff.programs.operand_arrays import call_ufunc  # which builds on this module

        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        from symdiff.programs.operand_arrays import call_function  # which builds on this module

        return call_function(function, types, args, options)

    # -- what an operand is not --------------------------------------------------------------------------------------

    def __hash__(self) -> int:
        self._refuse("a symbol is no key of a dictionary or a set: two of them may be equal", "a list, or use the name")

    def __bool__(self) -> bool:
        self._refuse("a symbol is neither true nor false", "symdiff.functions.where(x != 0, a, b)")

    def __float__(self) -> float:
        place = here()
        raise refusal(no_float(place), place)

    __complex__ = __float__

    def __int__(self) -> int:
        self._refuse(*NO_INT)

    def __index__(self) -> int:
        self._refuse(*NO_INDEX)

    def __round__(self, *_: Any) -> Any:
        self._refuse("round, floor and ceil have no useful derivative", "the program without them")

    __floor__ = __ceil__ = __trunc__ = __round__

    def __floordiv__(self, other: Any) -> Any:
        self._refuse(*NO_MOD)

    __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = __floordiv__

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self._refuse("@ multiplies arrays, and this is one number", "x*y")

    def __and__(self, other: Any) -> Any:
        self._refuse("& and | are not for numbers", "nested symdiff.functions.where for conditions")

    __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = __and__


def _normal(operand: Operand, op: str, args: tuple[Any, ...]) -> Any:
    """The op that a person means: `x**2` is a square, `1/x` and `x**(-1)` are one inverse."""
    if op == "pow":
        exponent = args[1]
        if type(exponent) is float:
            if exponent == 2.0:
                return operand._apply("square", args[:1])
            if exponent == -1.0:
                return operand._apply("inverse", args[:1])
    elif op == "div" and type(args[0]) is float and args[0] == 1.0:
        return operand._apply("inverse", args[1:])
    return operand._apply(op, args)


def as_float(value: Any) -> Any:
    """A real number (also a 0-d array) as a float; NotImplemented for anything else."""
    if isinstance(value, numbers.Real | np.bool_) or (isinstance(value, np.ndarray) and value.ndim == 0):
        try:
            return float(value)
        except OverflowError:
            raise located(UnsupportedError, "an integer is too large for float64; write it as a float") from None
        except (TypeError, ValueError):
            return NotImplemented
    return NotImplemented


def _operands(args: tuple[Any, ...]) -> list[Operand]:
    found = []
    for arg in args:
        if isinstance(arg, Operand):
            found.append(arg)
        elif isinstance(arg, Condition):
            found += _operands(arg.args)
    return found


def _one_kind(found: tuple[Operand, ...]) -> None:
    kinds = sorted({type(each).__name__ for each in found})
    if len(kinds) > 1:
        raise located(UnsupportedError, f"a {kinds[0]} and a {kinds[1]} in one operation; a program uses one of them")


def apply(op: str, *args: Any) -> Any:
    """The op over operands, real numbers and arrays, element by element where there is an array.

    Numbers alone give a float, by the table's own NumPy spelling, so that a program run on floats has the bits of the
    code made from it; an exponent counts as a literal (see `value_of`). Raises TypeError for anything else, and
    UnsupportedError for operands of two kinds.
    """
    if len(args) != TABLE[op].operands:
        raise TypeError(f"{op} takes {TABLE[op].operands} arguments, got {len(args)}")
    arrays = [isinstance(arg, list | tuple) or (isinstance(arg, np.ndarray) and arg.ndim > 0) for arg in args]
    if any(arrays):
        from symdiff.programs.operand_arrays import elementwise  # which builds on this module

        return elementwise(op, args)
    if op in ("eq", "ne") and any(isinstance(arg, Condition) for arg in args):
        return args[0] == args[1] if op == "eq" else args[0] != args[1]
    found = [_scalar(op, k, arg) for k, arg in enumerate(args)]
    operands = _operands(tuple(found))
    if op == "where" and not isinstance(found[0], Condition):
        return found[1] if found[0] else found[2]
    if not operands:
        return value_of(op, found, exponent=True)
    first = operands[0]
    if any(type(each) is not type(first) for each in operands):
        _one_kind(tuple(operands))
    return Condition(op, (found[0], found[1])) if op in _COMPARED else _normal(first, op, tuple(found))


def _scalar(op: str, place: int, arg: Any) -> Any:
    if isinstance(arg, np.ndarray):
        arg = arg[()]
    if isinstance(arg, Operand):
        return arg
    if op == "where" and place == 0:
        return arg if isinstance(arg, Condition) else bool(arg)
    if isinstance(arg, Condition):
        arg._refused()
    made = as_float(arg)
    if made is NotImplemented:
        raise TypeError(f"{op}: argument {place + 1} must be a real number, not {type(arg).__name__}")
    return made


def value_of(op: str, values: Any, *, exponent: bool = False) -> float:
    """Value of the op over floats, as generated NumPy code computes it.

    `exponent` says that the last operand of a power is a literal: code spells `x**3` as `x*x*x`, and `x**y` as a power.
    """
    if op == "pow" and exponent:
        return float(literal_power(np.float64(values[0]), values[1]))
    with np.errstate(all="ignore"):
        return float(float_function(op)(*map(np.float64, values)))


def literal_power(base: Any, exponent: float) -> Any:
    """A float64 or an array of them to an exponent that stands in the program, as generated NumPy code computes it."""
    return evaluate(Call("pow", (Name("x"), Number(exponent))), {"x": base})


# -- names of NumPy, and methods ---------------------------------------------------------------------------------------

UFUNCS = {
    **{match[1]: op for op, each in TABLE.items() if (match := re.match(r"np\.(\w+)\(", each.python.text))},
    "absolute": "abs", "float_power": "pow", "square": "square", "reciprocal": "inverse", "fabs": "abs", "sign": "sign",
    "maximum": "maximum", "minimum": "minimum", "less": "lt", "less_equal": "le", "greater": "gt",
    "greater_equal": "ge", "equal": "eq", "not_equal": "ne",
}  # fmt: skip
del UFUNCS["where"]


def method(op: str) -> Callable[..., Any]:
    """The op as a method of an operand, or of an array of them."""

    def of_one(self: Any) -> Any:
        return apply(op, self)

    def of_two(self: Any, other: Any) -> Any:
        return apply(op, self, other)

    made: Callable[..., Any] = of_one if TABLE[op].operands == 1 else of_two
    made.__name__ = op
    made.__doc__ = f"The op `{op}` of this and, where it takes two, of another operand."
    return made


_NO_METHODS = ("max", "min", "polygamma")
METHODS = {
    **{name: op for name, op in PUBLIC.items() if TABLE[op].operands <= 2 and name not in _NO_METHODS},
    **{name: op for name, op in UFUNCS.items() if op not in _COMPARED},
    "neg": "neg",
    "negative": "neg",
    "square": "square",
    "inverse": "inverse",
    "reciprocal": "inverse",
}
for _name, _op in METHODS.items():
    setattr(Operand, _name, method(_op))

__all__ = ["METHODS", "UFUNCS", "Condition", "Operand", "apply", "as_float", "literal_power", "method", "value_of"]
