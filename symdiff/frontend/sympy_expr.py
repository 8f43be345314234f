"""A SymPy expression as a formula: written out in the formula language, and read by its parser like any other text.

Terms and factors keep the order of SymPy's `args` (as typed where the expression is unevaluated, else sorted by SymPy).
Inputs come in natural order of their names, because an order of first appearance would be SymPy's and not the user's.
Nothing recurses, and no SymPy expression is built, hashed or compared: on deep trees SymPy does all three recursively.
"""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from symdiff.errors import DomainError, ParseError, UnsupportedError, quoted
from symdiff.expr import Call, Expr, Name, Number, call
from symdiff.formula_data import FormulaData, Limits
from symdiff.frontend.declarations import check_name
from symdiff.frontend.parser import parse
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.core import ATOM, LOOSE, NEG
from symdiff.shapes import Shape

Build = Callable[[list[Expr]], Expr]
Plan = tuple[list[Any], Build]

_INSTEAD = {
    "Heaviside": "write Piecewise((0, x < 0), (1, True)), whose value at 0 is yours to say",
    "DiracDelta": "it is not a function of numbers",
    "ITE": "write Piecewise",
    "And": "nest Piecewise, one comparison in each condition",
    "Or": "nest Piecewise, one comparison in each condition",
    "Not": "turn the comparison round",
    "Derivative": "call .doit() first",
    "Integral": "call .doit() first",
    "Sum": "call .doit() first",
    "Product": "call .doit() first",
    "Subs": "call .doit() first",
    "Limit": "call .doit() first",
}
_RECIPROCAL = {"sec": "cos", "csc": "sin", "cot": "tan", "sech": "cosh", "csch": "sinh", "coth": "tanh"}
_EXACT = 2**53  # whole numbers up to here are float64s


@dataclass(frozen=True, slots=True)
class _Negated:
    """Minus a node whose leading coefficient is negative."""

    node: Any


@dataclass(frozen=True, slots=True)
class _Flipped:
    """One over a power with a negative number as its exponent."""

    node: Any


def read_sympy(
    expression: Any, *, limits: Limits, shapes: Mapping[str, Shape] | None = None, constants: tuple[str, ...] = ()
) -> FormulaData:
    """The formula of a SymPy expression; its `source` is the expression in the formula language."""
    source = to_text(_Reader(limits).read(expression))
    formula = parse(source, limits=limits, shapes=shapes, constants=constants)
    if shapes:
        return formula
    return replace(formula, declared=tuple(sorted(formula.declared, key=lambda given: _natural(given.name))))


class _Reader:
    """SymPy tree -> Expr, with its own stack."""

    def __init__(self, limits: Limits) -> None:
        self.sympy: Any = sys.modules["sympy"]
        self.limits = limits
        self.heads = _heads(self.sympy)
        self.symbols: dict[str, Any] = {}

    def read(self, root: Any) -> Expr:
        work: list[tuple[Any, int, Build | None]] = [(root, 0, None)]
        done: list[Expr] = []
        visited = 0
        while work:
            node, count, build = work.pop()
            if build is not None:
                split = len(done) - count
                args = done[split:]
                del done[split:]
                done.append(build(args))
                continue
            visited += 1
            if visited > 4 * self.limits.steps:
                most = 4 * self.limits.steps
                raise UnsupportedError(f"the expression has more than {most} nodes; raise the limit `steps`")
            children, build = self.plan(node)
            work.append((node, len(children), build))
            work.extend((child, 0, None) for child in reversed(children))
        return done[0]

    def plan(self, node: Any) -> Plan:
        """The parts of a node, and how the Expr is made from theirs."""
        sp = self.sympy
        if isinstance(node, _Negated):
            return self.negated(node.node)
        if isinstance(node, _Flipped):
            return self.power(node.node.args[0], node.node.args[1], flipped=True)
        if isinstance(node, sp.Symbol):
            return self.leaf(self.symbol(node))
        if isinstance(node, sp.Number | sp.NumberSymbol):
            return self.leaf(self.number(node))
        if isinstance(node, sp.Add):
            return self.sum(node.args)
        if isinstance(node, sp.Mul):
            return self.product(node.args)
        if isinstance(node, sp.Pow):
            return self.power(*node.args)
        if isinstance(node, sp.Piecewise):
            return self.piecewise(node.args)
        if isinstance(node, sp.UnevaluatedExpr):
            return list(node.args), lambda args: args[0]
        return self.function(node)

    @staticmethod
    def leaf(expr: Expr) -> Plan:
        return [], lambda _: expr

    def symbol(self, node: Any) -> Name:
        name = node.name
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ParseError(f"the symbol {quoted(name)} needs a name of A-Z, a-z, 0-9 and _; rename it with subs()")
        if self.symbols.setdefault(name, node) != node:
            raise UnsupportedError(f"two symbols are called '{name}' (other assumptions, or a Dummy); rename one")
        if not node.is_commutative or node.is_extended_real is False:
            raise UnsupportedError(f"the symbol '{name}' is not a real number by its assumptions")
        check_name(name, "symbol")
        return Name(name)

    def number(self, node: Any) -> Expr:
        sp = self.sympy
        if node is sp.pi:
            return Name("pi")
        if node is sp.E:
            return call("exp", 1)
        if node in (sp.oo, -sp.oo, sp.zoo, sp.nan):
            raise DomainError(f"{node} is not a finite number")
        if isinstance(node, sp.Rational) and node.q != 1 and abs(node.p) <= _EXACT and node.q <= _EXACT:
            return Number(float(node.p)) / Number(float(node.q))
        try:
            value = int(node.p) / int(node.q) if isinstance(node, sp.Rational) else float(node)
        except OverflowError:
            value = float("inf")
        if value in (float("inf"), -float("inf")):
            raise DomainError("a number of the expression is too large for float64 (1.8e308)")
        return Number(value)

    # -- sums, products, powers --------------------------------------------------------------------------------------

    def sum(self, terms: tuple[Any, ...]) -> Plan:
        negative = [position > 0 and self.is_negative(term) for position, term in enumerate(terms)]
        children = [_Negated(term) if minus else term for term, minus in zip(terms, negative, strict=True)]

        def build(args: list[Expr]) -> Expr:
            total = args[0] if args else Number(0.0)
            for arg, minus in zip(args[1:], negative[1:], strict=True):
                total = total - arg if minus else total + arg
            return total

        return children, build

    def is_negative(self, term: Any, alone: bool = False) -> bool:
        """A negative number, or (unless `alone`) a product that begins with one."""
        sp = self.sympy
        if not alone and isinstance(term, sp.Mul) and term.args:
            term = term.args[0]
        return isinstance(term, sp.Number) and term is not sp.nan and bool(term < 0)

    def negated(self, node: Any) -> Plan:
        if isinstance(node, self.sympy.Mul):
            return self.product((-node.args[0], *node.args[1:]))
        return [-node], lambda args: args[0]

    def product(self, factors: tuple[Any, ...]) -> Plan:
        """Factors over the bases of negative powers; a leading -1 is a sign, a leading p/q goes above and below."""
        sp = self.sympy
        above: list[Any] = []
        below: list[Any] = []
        minus = False
        for position, factor in enumerate(factors):
            rational = isinstance(factor, sp.Rational) and abs(factor.p) <= _EXACT and factor.q <= _EXACT
            if position == 0 and rational and len(factors) > 1 and not factor.is_zero:
                minus = factor.p == -1
                above.extend([sp.Integer(factor.p)] if abs(factor.p) != 1 else [])
                below.extend([sp.Integer(factor.q)] if factor.q != 1 else [])
            elif isinstance(factor, sp.Pow) and self.is_negative(factor.args[1], alone=True):
                below.append(_Flipped(factor))
            else:
                above.append(factor)

        def build(args: list[Expr]) -> Expr:
            top, bottom = _product(args[: len(above)]), _product(args[len(above) :])
            if bottom is not None:
                top = call("inverse", bottom) if top is None else top / bottom
            top = Number(1.0) if top is None else top
            return -top if minus else top

        return above + below, build

    def power(self, base: Any, exponent: Any, flipped: bool = False) -> Plan:
        sp = self.sympy
        exponent = -exponent if flipped else exponent
        if base is sp.E:
            return [exponent], lambda args: call("exp", args[0])
        if exponent is sp.S.One:
            return [base], lambda args: args[0]
        if exponent is sp.S.Half:
            return [base], lambda args: call("sqrt", args[0])
        if exponent is sp.S.NegativeOne:
            return [base], lambda args: call("inverse", args[0])
        if isinstance(exponent, sp.Rational) and (exponent.p, exponent.q) == (-1, 2):
            return [base], lambda args: call("inverse", call("sqrt", args[0]))
        return [base, exponent], lambda args: args[0] ** args[1]

    # -- functions ---------------------------------------------------------------------------------------------------

    def piecewise(self, pieces: tuple[Any, ...]) -> Plan:
        """Nested `where`, the first piece outermost."""
        sp = self.sympy
        if pieces[-1].args[1] is not sp.true:
            raise UnsupportedError("a Piecewise without a last (value, True) has no value elsewhere; add one")
        for piece in pieces[:-1]:
            if not isinstance(piece.args[1], sp.Rel):
                raise self.unsupported(piece.args[1], "a condition of Piecewise is one comparison")
        children = [part for piece in pieces[:-1] for part in (piece.args[1], piece.args[0])] + [pieces[-1].args[0]]

        def build(args: list[Expr]) -> Expr:
            result = args[-1]
            for position in range(len(args) - 3, -1, -2):
                result = call("where", args[position], args[position + 1], result)
            return result

        return children, build

    def function(self, node: Any) -> Plan:
        sp = self.sympy
        name, args = type(node).__name__, getattr(node, "args", ())
        arrays = (sp.MatrixExpr, sp.MatrixBase, sp.NDimArray, sp.Indexed, sp.IndexedBase)
        if isinstance(node, arrays) or name == "MatrixElement":
            raise UnsupportedError(
                f"{name}: SymPy's matrices and arrays are not read; write the formula as text, W: (3, 3)"
            )
        op = self.heads.get(type(node))
        if op is not None and op in ("maximum", "minimum"):
            return list(args), lambda values: reduce(lambda a, b: call(op, a, b), values)
        if name == "log" and op is not None and len(args) == 2:
            return list(args), lambda values: call("log", values[0]) / call("log", values[1])
        if op is not None and len(args) == TABLE[op].operands:
            return list(args), lambda values: call(op, *values)
        if type(node) is sp.factorial:
            return list(args), lambda values: call("gamma", values[0] + 1)
        if name in _RECIPROCAL and type(node) is getattr(sp, name):
            return list(args), lambda values: call("inverse", call(_RECIPROCAL[name], values[0]))
        if node is sp.I:
            raise UnsupportedError("the expression has the imaginary unit I; formulas are over real numbers")
        if node is sp.zoo:
            raise DomainError("zoo (complex infinity) is not a finite number")
        raise self.unsupported(node, "the formula language has no such function")

    def unsupported(self, node: Any, why: str) -> UnsupportedError:
        name = type(node).__name__
        return UnsupportedError(f"SymPy's {quoted(name)} cannot be read: {_INSTEAD.get(name, why)}")


def _heads(sympy: Any) -> dict[Any, str]:
    """SymPy class -> op."""
    heads = {getattr(sympy, op.sympy): name for name, op in TABLE.items() if isinstance(op.sympy, str)}
    code = sys.modules.get("sympy.codegen.cfunctions")
    if code is not None:
        heads |= {getattr(code, name): name for name in ("expm1", "log1p", "log2", "log10", "hypot")}
        heads |= {code.Sqrt: "sqrt", code.Cbrt: "cbrt"}
    return heads


def _product(factors: list[Expr]) -> Expr | None:
    return reduce(lambda a, b: a * b, factors) if factors else None


def _natural(name: str) -> list[tuple[int, str]]:
    """x2 before x10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def to_text(expr: Expr) -> str:
    """`expr` in the formula language, in time linear in its size, brackets from the op table."""
    pieces: list[str] = []
    work: list[tuple[Expr | str, int]] = [(expr, LOOSE)]
    while work:
        part, place = work.pop()
        if isinstance(part, str):
            pieces.append(part)
            continue
        strength, inside = _spelled(part)
        inside = ["(", *inside, ")"] if strength < place else inside
        work.extend((item, 0) if isinstance(item, str) else item for item in reversed(inside))
    return "".join(pieces)


def _spelled(expr: Expr) -> tuple[int, list[Any]]:
    """How strongly `expr` binds, and its text with the operands still in it, each with what its place asks."""
    if isinstance(expr, Name):
        return ATOM, [expr.id]
    if isinstance(expr, Number):
        whole = expr.value.is_integer() and abs(expr.value) < 1e15
        return NEG if expr.value < 0 else ATOM, [str(int(expr.value)) if whole else repr(expr.value)]
    assert isinstance(expr, Call)
    spelling = TABLE[expr.op].text
    if expr.op == "neg" and isinstance(expr.args[0], Call) and expr.args[0].op in COMPARE_OPS:
        raise UnsupportedError("a comparison is not a number")
    inside: list[Any] = []
    for text, place, _, _ in string.Formatter().parse(spelling.text):
        inside.append(text)
        if place is not None:
            inside.append((expr.args[int(place)], spelling.places[int(place)]))
    return spelling.strength, inside
