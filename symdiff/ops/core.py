"""What one entry of the op table is made of.

An op is written down once, in one `Op(...)` of one family file. Its adjoint and tangent rule, its line in a derivation,
its code in every language and its tests are all derived from that entry (`tests/ops/test_op_table.py` iterates over the
table). The rules are expressions over `X`, `Y`, `Z` (the operands) and `V` (the value of the op itself), in the ops of
this same table, so that the table is closed under differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from symdiff.expr import Expr, Name, Number

X, Y, Z, V = Name("x"), Name("y"), Name("z"), Name("v")
OPERAND_NAMES = ("x", "y", "z")
ZERO, ONE = Number(0.0), Number(1.0)

# Binding strength, weakest first. An operand is put in brackets when it binds more weakly than its place asks for.
LOOSE, COMPARE, ADD, MUL, NEG, POWER, ATOM = 0, 5, 10, 20, 25, 30, 40


@dataclass(frozen=True, slots=True)
class Spelling:
    """How an op is written in one language: a format text over the operands, its strength, and what each place asks.

    In C, `{m.sin}` stands for the libm function in the precision and the vector variant that the file is made for.
    """

    text: str
    strength: int
    places: tuple[int, ...]


def infix(text: str, strength: int) -> Spelling:
    """A left-associative operator: `a - (b - c)` keeps its brackets, `(a - b) - c` needs none."""
    return Spelling("{0}" + text + "{1}", strength, (strength, strength + 1))


def function(name: str, operands: int = 1) -> Spelling:
    """A function call, `name(a, b)`."""
    return Spelling(name + "(" + ", ".join(f"{{{i}}}" for i in range(operands)) + ")", ATOM, (LOOSE,) * operands)


def libm(name: str, operands: int = 1) -> Spelling:
    """A call of the C library, in the precision and variant of the file."""
    return function("{m." + name + "}", operands)


def latex_function(name: str, operands: int = 1) -> Spelling:
    r"""`\sin\left(x\right)`; a power of it takes brackets, because \sin x^2 is read both ways."""
    inside = ", ".join(f"{{{i}}}" for i in range(operands))
    name = name.replace("{", "{{").replace("}", "}}")  # the spelling is a format text
    return Spelling(name + r"\left(" + inside + r"\right)", POWER - 1, (LOOSE,) * operands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One entry of the table.

    partials    derivative by each operand, over X, Y, Z and V; None where the op has none by that operand
    gate        what a person calls the node in a drawn graph
    sympy       head in SymPy: a name, or a function of (sympy, *operands)
    mpmath      the value at any precision: a name, or a function of (mpmath, *operands)
    domain      low and high end of each operand's open domain
    edges       what the op does at the ends of its domain, at ties and at kinks, for people
    stability   why this form of value and partial, with a measured number
    source      book and equation
    samples     points for the tests; the last ones are hard
    kinks       operand values (of the first operand) at which no derivative exists
    complex_step  NumPy's spelling also takes complex operands and is analytic there
    """

    name: str
    operands: int = 1
    partials: tuple[Expr | None, ...]
    gate: str
    python: Spelling
    c: Spelling
    latex: Spelling
    text: Spelling
    sympy: str | Callable[..., Any]
    mpmath: str | Callable[..., Any]
    source: str
    stability: str = "exact to the rounding of its own arithmetic"
    domain: tuple[tuple[float, float], ...] = ((-float("inf"), float("inf")),) * 3
    edges: str = ""
    samples: tuple[tuple[float, ...], ...] = ()
    kinks: tuple[float, ...] = ()
    complex_step: bool = True
    commutes: bool = False
    public: bool = True  # callable by this name in a formula
    literal_exponents: Mapping[str, Callable[[float], Spelling | None]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        assert len(self.partials) == self.operands, self.name


REAL_LINE = (-float("inf"), float("inf"))
POSITIVE = (0.0, float("inf"))


def unary(
    name: str,
    partial: Expr,
    *,
    gate: str | None = None,
    python: str | Spelling | None = None,
    c: str | Spelling | None = None,
    latex: str | Spelling | None = None,
    text: Spelling | None = None,
    sympy: str | Callable[..., Any] | None = None,
    mpmath: str | Callable[..., Any] | None = None,
    domain: tuple[float, float] = REAL_LINE,
    samples: tuple[float, ...],
    source: str,
    **rest: Any,
) -> Op:
    """An op of one operand whose NumPy, libm, SymPy and mpmath names follow from its own, unless given."""
    return Op(
        name=name,
        partials=(partial,),
        gate=gate or name,
        python=python if isinstance(python, Spelling) else function(python or f"np.{name}"),
        c=c if isinstance(c, Spelling) else function(c) if c else libm(name),
        latex=latex if isinstance(latex, Spelling) else latex_function(latex or rf"\operatorname{{{name}}}"),
        text=text or function(name),
        sympy=sympy or name,
        mpmath=mpmath or name,
        domain=(domain,),
        samples=tuple((value,) for value in samples),
        source=source,
        **rest,
    )
