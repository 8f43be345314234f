"""Numbers for people: eight significant digits where no other number of them is asked for, and whether what is shown is
the number itself or a rounded one.

`=` is claimed only where it is proved: a step of exact operands is worked out once more in fractions, and the equals
sign stands where the decimal shown is that fraction. Everything else, and everything that went through rounding, gets
the sign for "approximately".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from symdiff.expr import Call, Expr, Name, Number, bottom_up
from symdiff.tape import Step
from symdiff.trace import Trace

DIGITS = 8
_LARGEST = 10**40  # numerators and denominators beyond this are given up


@dataclass(frozen=True, slots=True)
class Figure:
    """A float64 as it is shown: sign and decimal digits, and a power of ten where there is one."""

    value: float
    exact: bool
    digits: int = DIGITS

    @property
    def parts(self) -> tuple[str, int]:
        """Decimal and exponent of ten."""
        return decimal(self.value, self.exact, self.digits)


def decimal(value: float, exact: bool, digits: int = DIGITS) -> tuple[str, int]:
    """`-0.27941550`, 0 for a plain decimal; `1.2345679`, -5 for one with a power of ten."""
    if not math.isfinite(value):
        return str(value), 0
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    exponent = int(power)
    if exact:
        return _trimmed(value, mantissa, exponent, digits)
    if -4 <= exponent < digits and value != 0:
        return f"{value:.{digits - 1 - exponent}f}", 0
    return ("0", 0) if value == 0 else (mantissa, exponent)


def _trimmed(value: float, mantissa: str, exponent: int, digits: int) -> tuple[str, int]:
    if value == 0:
        return "0", 0
    shortest = repr(value)  # of 0.1, whose first 17 digits are another number
    if "e" not in shortest and sum(c.isdigit() for c in shortest.lstrip("-0.")) <= digits:
        return shortest.removesuffix(".0"), 0
    if -4 <= exponent <= digits:
        text = f"{value:.{max(digits - 1 - exponent, 0)}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text), 0
    return mantissa.rstrip("0").rstrip("."), exponent


def literal(value: float) -> tuple[str, int]:
    """A number of the formula in full: the shortest decimal that gives it back."""
    text = repr(value)
    mantissa, _, power = text.partition("e")
    mantissa = mantissa.removesuffix(".0")
    if not power and value.is_integer() and abs(value) >= 1e9 and mantissa.lstrip("-1234567890") == "":
        digits = mantissa.rstrip("0")
        if len(digits.lstrip("-")) <= 3:
            whole = digits.lstrip("-")
            sign = "-" if value < 0 else ""
            return sign + whole[0] + ("." + whole[1:] if len(whole) > 1 else ""), len(mantissa.lstrip("-")) - 1
    return mantissa, int(power or 0)


class Exactness:
    """Which values of a trace are known as fractions."""

    def __init__(self, trace: Trace, digits: int = DIGITS) -> None:
        self._trace, self._digits = trace, digits
        self._known: dict[str, Fraction | None] = {name: _typed(value) for name, value in trace.at.items()}
        for step in trace.tape.steps:
            self._add(step)

    def _add(self, step: Step) -> None:
        found = self._known[step.name] = self.fraction(step.expr)
        if step.into is None:
            return
        before = self._known.get(step.into, Fraction(0))
        self._known[step.into] = None if before is None or found is None else _kept(before + found)

    def fraction(self, expr: Expr) -> Fraction | None:
        """The exact value of `expr` where every operation of it is a rational one over exact operands."""

        def leaf(part: Name | Number) -> Fraction | None:
            if isinstance(part, Name):
                return self._known.get(part.id)
            return None if part.symbol else _typed(part.value)

        def node(call: Call, args: list[Fraction | None]) -> Fraction | None:
            if call.op == "where":
                return args[1] if self._holds(call.args[0]) else args[2]
            if None in args:
                return None
            rule = _RULES.get(call.op)
            return None if rule is None else _kept(rule(*args))

        return bottom_up(expr, leaf, node)

    def figure(self, expr: Expr) -> Figure:
        """The value of `expr` at the point."""
        value = self._trace.value_of(expr)
        return Figure(value, is_exact(value, self.fraction(expr), self._digits), self._digits)

    def _holds(self, condition: Expr) -> bool:
        return bool(self._trace.value_of(condition))


def is_exact(value: float, fraction: Fraction | None, digits: int = DIGITS) -> bool:
    """True where the decimal that would be shown is the fraction itself."""
    if fraction is None or not math.isfinite(value):
        return False
    text, power = decimal(value, True, digits)
    return Fraction(text) * Fraction(10) ** power == fraction


def _typed(value: float) -> Fraction | None:
    """The decimal that a person typed for a float64."""
    return _kept(Fraction(repr(value))) if math.isfinite(value) else None


def _kept(value: Fraction | None) -> Fraction | None:
    small = value is not None and abs(value.numerator) < _LARGEST and value.denominator < _LARGEST
    return value if small else None


def _power(x: Fraction, y: Fraction) -> Fraction | None:
    whole = y.denominator == 1 and abs(y) <= 20 and not (x == 0 and y < 0)
    return x ** int(y) if whole else None


def _root(x: Fraction) -> Fraction | None:
    if x < 0:
        return None
    above, below = math.isqrt(x.numerator), math.isqrt(x.denominator)
    return Fraction(above, below) if above**2 == x.numerator and below**2 == x.denominator else None


def _at(point: int, value: int) -> Callable[[Fraction], Fraction | None]:
    return lambda x: Fraction(value) if x == point else None


_RULES: dict[str, Callable[..., Fraction | None]] = {
    "identity": lambda x: x,
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y if y else None,
    "inverse": lambda x: 1 / x if x else None,
    "square": lambda x: x * x,
    "pow": _power,
    "abs": abs,
    "sign": lambda x: Fraction((x > 0) - (x < 0)),
    "relu": lambda x: max(x, Fraction(0)),
    "maximum": max,
    "minimum": min,
    "sqrt": _root,
    "exp": _at(0, 1),
    "cos": _at(0, 1),
    "cosh": _at(0, 1),
    "log": _at(1, 0),
}
_RULES |= dict.fromkeys("sin tan asin atan sinh tanh asinh atanh expm1 log1p erf".split(), _at(0, 0))


def rational_rule(op: str) -> Callable[..., Fraction | None] | None:
    """What a rational op makes of fractions; None for any other op."""
    return _RULES.get(op)
