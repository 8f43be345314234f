"""Adjoints of arrays as people write them: numbers and scalars in front, what is trivial put in, products merged.

    Product ::= number * scalars / scalars * arrays      # (2 lam / n) A (.) B

`tidy` rewrites one expression, `Collected` a whole reverse sweep: in (3'a) W2_bar = v7_bar*(2*W2) with v7_bar = lam/2
people write lam*W2. It is for the eye alone; numbers come from the tape as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from symdiff.einstein import Spec, familiar, merged, renamed
from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Name, Number, bottom_up, call, substitute, walk
from symdiff.ops import COMPARE_OPS
from symdiff.ops.array_core import contraction, size_expr
from symdiff.ops.infer import shape_of
from symdiff.shapes import Shape
from symdiff.tape import ADJOINT, SEED, Step, Tape

_MOST_PUT_IN = 32  # nodes of an adjoint that is put in where it is used
_LARGEST_FRACTION = 1000  # denominators that are written as a fraction
Shapes = Mapping[str, Shape]


@dataclass(frozen=True)
class Product:
    """`number * above / below * arrays`: the scalars commute, the arrays are multiplied element by element."""

    number: float = 1.0
    above: tuple[Expr, ...] = ()
    below: tuple[Expr, ...] = ()
    arrays: tuple[Expr, ...] = ()

    def times(self, other: Product) -> Product:
        """The product of two."""
        above, below = list(self.above), list(self.below)
        for factor in other.above:
            (below.remove if factor in below else above.append)(factor)
        for factor in other.below:
            (above.remove if factor in above else below.append)(factor)
        return Product(self.number * other.number, tuple(above), tuple(below), (*self.arrays, *other.arrays))

    @property
    def inverse(self) -> Product:
        """One over a product of scalars."""
        return Product(1 / self.number, self.below, self.above)

    @property
    def scalar(self) -> Expr:
        """The factor in front, without its sign."""
        number, below = abs(self.number), list(self.below)
        denominator = 1.0 / number if 0 < number < 1 else 1.0
        if denominator != 1.0 and abs(denominator - round(denominator)) < 1e-12 * denominator <= _LARGEST_FRACTION:
            number = 1.0
            below.insert(0, Number(float(round(denominator))))
        top = _chain([*([Number(number)] if number != 1.0 else []), *self.above])
        if not below:
            return top
        bottom = _chain(below)
        return call("inverse", bottom) if top == ONE_NUMBER else call("div", top, bottom)

    @property
    def expr(self) -> Expr:
        """The product as an expression."""
        front, behind = self.scalar, _chain(list(self.arrays))
        made = behind if front == ONE_NUMBER else front if not self.arrays else call("mul", front, behind)
        return call("neg", made) if self.number < 0 else made


def _chain(factors: list[Expr]) -> Expr:
    made: Expr = factors[0] if factors else ONE_NUMBER
    for factor in factors[1:]:
        made = call("mul", made, factor)
    return made


def product_of(expr: Expr, shapes: Shapes) -> Product:
    """`expr` taken apart into factors; scalars come out of what is linear in them."""
    shape = shape_of(expr, shapes)
    if isinstance(expr, Number):
        return Product(expr.value) if expr.symbol is None and expr.value else Product(1.0, (expr,))
    if isinstance(expr, Call):
        if expr.op == "neg":
            return Product(-1.0).times(product_of(expr.args[0], shapes))
        if expr.op == "mul":
            return _absorbed(product_of(expr.args[0], shapes).times(product_of(expr.args[1], shapes)), shape, shapes)
        if expr.op in ("div", "inverse") and not shape_of(expr.args[-1], shapes):
            above = product_of(expr.args[0], shapes) if expr.op == "div" else Product()
            below = product_of(expr.args[-1], shapes)
            return above.times(below.inverse) if below.number else Product(1.0, (expr,))
        if expr.op == "contract":
            return _linear(expr, shapes)
        if expr.op == "div":
            return _quotient(expr, shape, shapes)
        if expr.op == "solve":
            part = product_of(expr.args[1], shapes)
            inner = expr.over((expr.args[0], _chain(list(part.arrays))))
            return Product(part.number, part.above, part.below, (inner,))
    return Product(1.0, (), (), (expr,)) if shape else Product(1.0, (expr,))


def _quotient(expr: Call, shape: Shape, shapes: Shapes) -> Product:
    """Something over an array, with the scalar factors in front, and 1 for what is 1 repeated."""
    above, below = product_of(expr.args[0], shapes), expr.args[1]
    plain = all(_is_ones(each) for each in above.arrays) and shape_of(below, shapes) == shape
    inside = call("inverse", below) if plain else call("div", _chain(list(above.arrays)), below)
    return Product(above.number, above.above, above.below, (inside,))


def _linear(expr: Call, shapes: Shapes) -> Product:
    """A contraction with the scalar factors of its operands in front."""
    front, args = Product(), []
    for arg in expr.args:
        part = product_of(arg, shapes)
        inside = part.arrays if shape_of(arg, shapes) else ()
        front = front.times(Product(part.number, part.above, part.below))
        args.append(_chain(list(inside)))
    made = contraction(expr.options[0], args)
    if isinstance(made, Call) and made.op == "contract":
        made = _merged(made)
    if made == ONE_NUMBER:
        return front
    if not shape_of(made, shapes):
        return front.times(Product(1.0, (made,)))
    return front.times(Product(1.0, (), (), (made,)))


def _absorbed(product: Product, shape: Shape, shapes: Shapes) -> Product:
    """Without factors of ones where another array has the whole shape."""
    kept, whole = [], [each for each in product.arrays if shape_of(each, shapes) == shape and not _is_ones(each)]
    for each in product.arrays:
        if not (_is_ones(each) and whole):
            kept.append(each)
    return Product(product.number, product.above, product.below, tuple(kept))


def _is_ones(expr: Expr) -> bool:
    """Whether `expr` is 1 repeated."""
    return isinstance(expr, Call) and expr.op == "contract" and expr.args == (ONE_NUMBER,)


def tidy(expr: Expr, shapes: Shapes) -> Expr:
    """`expr` with scalars in front and contractions of contractions merged where that has a name."""
    return bottom_up(expr, lambda leaf: leaf, lambda old, args: _tidied(old.over(args), shapes))


def _tidied(expr: Call, shapes: Shapes) -> Expr:
    if expr.op == "contract":
        merge = _merged(expr)
        if merge != expr and isinstance(merge, Call):
            return _tidied(merge, shapes)
    if expr.op in ("mul", "div", "neg", "inverse", "contract", "solve"):
        return product_of(expr, shapes).expr
    return expr


def _merged(expr: Call) -> Expr:
    """A contraction with one operand that is a contraction itself put in, if the result still has a name."""
    outer: Spec = expr.options[0]
    for place, arg in enumerate(expr.args):
        if not isinstance(arg, Call) or arg.op != "contract":
            continue
        spec, factors = merged(outer, place, arg.options[0])
        spec = renamed(spec)
        args = (*expr.args[:place], *arg.args, *expr.args[place + 1 :])
        kinds = (familiar(arg.options[0]).kind, familiar(outer).kind)
        one = len(args) == 1 or kinds[0] in ("transpose", "broadcast") or kinds[1] == "transpose"
        if len(args) <= 2 and one and familiar(spec).kind != "einsum":
            made = contraction(spec, args)
            for factor in factors:
                made = call("mul", size_expr(factor), made)
            return made
    return expr


@dataclass
class Collected:
    """The reverse sweep with what is trivial put in: variable -> the terms of its adjoint.

    tape    with its reverse sweep
    named   variables that the user named; each of these gets a line
    """

    tape: Tape
    named: frozenset[str]
    lines: dict[str, list[Expr]] = field(default_factory=dict)
    _inline: dict[str, Expr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._shapes = self.tape.shapes
        self._inputs = {given.name for given in self.tape.inputs}
        self._steps = {step.name: step for step in self.tape.primal}
        self._bars = dict(self.tape.bars)
        self._variables = {bar: name for name, bar in self._bars.items()}
        self._uses = self._count()
        self._inline |= self._primal()
        waiting: dict[str, list[Step]] = {}
        total: dict[str, int] = {}
        for step in self.tape.reverse:
            total[step.target] = total.get(step.target, 0) + 1
        for step in self.tape.reverse:
            if step.role not in (SEED, ADJOINT):
                continue
            made = waiting.setdefault(step.target, [])
            made.append(step)
            if len(made) == total[step.target]:
                self._close(step.target, made)

    def _count(self) -> dict[str, int]:
        uses: dict[str, int] = {}
        self._users: dict[str, list[Step]] = {}
        for step in self.tape.reverse:
            for part in walk(step.expr):
                if isinstance(part, Name):
                    uses[part.id] = uses.get(part.id, 0) + 1
                    self._users.setdefault(part.id, []).append(step)
        return uses

    def _primal(self) -> dict[str, Expr]:
        """Unnamed forward steps that are only another way to look at something: transposes and constant scalars."""
        found: dict[str, Expr] = {}
        fixed = {given.name for given in self.tape.inputs if not given.shape} | set(self.tape.dims)
        for step in self.tape.primal:
            if step.name in self.named or not isinstance(step.expr, Call):
                continue
            expr = substitute(step.expr, found)
            transpose = step.op == "transpose" and isinstance(expr, Call) and isinstance(expr.args[0], Name)
            scalar = not step.shape and all(part.id in fixed for part in walk(expr) if isinstance(part, Name))
            if transpose or (scalar and sum(1 for _ in walk(expr)) <= 8):
                found[step.name] = expr
        return found

    def _close(self, bar: str, made: list[Step]) -> None:
        """The adjoint is complete: a line of its own, or put in where it is used."""
        variable = self._variables[bar]
        terms = [tidy(substitute(nicer(step.expr, self._steps), self._inline), self._shapes) for step in made]
        terms = _added(terms, self._shapes)
        self.lines[variable] = terms
        if len(terms) != 1 or variable in self._inputs:
            return
        if self._trivial(terms[0], variable):
            self._inline[bar] = terms[0]
            if variable not in self.named:
                del self.lines[variable]

    def _trivial(self, expr: Expr, variable: str) -> bool:
        if sum(1 for _ in walk(expr)) > _MOST_PUT_IN:
            return False
        product = product_of(expr, self._shapes)
        if variable in self.named:
            bars = any(isinstance(part, Name) and part.id in self._variables for part in walk(expr))
            return not product.arrays and not bars
        if len(product.arrays) > 1:
            return False
        if not product.arrays:
            return all(sum(1 for _ in walk(part)) <= 8 for part in (*product.above, *product.below))
        inner = product.arrays[0]
        if isinstance(inner, Name) or _is_ones(inner):
            return True
        if isinstance(inner, Call) and inner.op == "apply_partial":
            return self._uses.get(self._bars[variable], 0) <= 1
        if not isinstance(inner, Call) or inner.op != "contract" or self._uses.get(self._bars[variable], 0) > 1:
            return False
        return familiar(inner.options[0]).kind in ("transpose", "broadcast") or self._turned(variable)

    def _turned(self, variable: str) -> bool:
        """Whether all that happens to the adjoint is a transpose."""
        return all(step.op == "transpose" for step in self._users.get(self._bars[variable], ()))


def _added(terms: list[Expr], shapes: Shapes) -> list[Expr]:
    """Equal terms taken together: a v + a v = 2 a v."""
    found: list[Product] = []
    for term in terms:
        product = product_of(term, shapes)
        for k, other in enumerate(found):
            if (other.above, other.below, other.arrays) == (product.above, product.below, product.arrays):
                found[k] = Product(other.number + product.number, other.above, other.below, other.arrays)
                break
        else:
            found.append(product)
    if any(product.number == 0 for product in found):
        return terms
    return [product.expr for product in found]


def nicer(expr: Expr, primal: Mapping[str, Step]) -> Expr:
    """Derivatives as textbooks write them; masks as indicators in front; without the case of a norm that is 0, which
    the conventions say.
    """

    def node(old: Call, args: list[Expr]) -> Expr:
        made = old.over(args)
        if old.op == "where" and args[1] == ZERO_NUMBER and isinstance(args[0], Call) and args[0].op == "eq":
            norm = args[0].args[0]
            return args[2] if isinstance(norm, Name) and _has(primal, norm.id, "norm") else made
        if old.op == "where" and args[2] == ZERO_NUMBER and args[1] != ONE_NUMBER:
            return call("mul", call("where", args[0], ONE_NUMBER, ZERO_NUMBER), args[1])
        if old.op == "where" and args[1] == ZERO_NUMBER and args[2] != ONE_NUMBER and _is_comparison(args[0]):
            return call("mul", call("where", args[0], ZERO_NUMBER, ONE_NUMBER), args[2])
        return made

    return bottom_up(textbook(expr, primal), lambda leaf: leaf, node)


def textbook(expr: Expr, primal: Mapping[str, Step]) -> Expr:
    """The derivatives of the sigmoid and of tanh as v (1 - v) and 1 - v**2, where v is the step's own value."""

    def node(old: Call, args: list[Expr]) -> Expr:
        made = old.over(args)
        if old.op == "mul" and isinstance(args[0], Name) and _is(args[1], "sigmoid"):
            step = primal.get(args[0].id)
            inside = step.expr.args if step is not None and _is(step.expr, "sigmoid") else ()  # type: ignore[attr-defined]  # it is a Call
            mirrored = inside and args[1] == call("sigmoid", call("neg", inside[0]))
            return call("mul", args[0], call("sub", ONE_NUMBER, args[0])) if mirrored else made
        if old.op not in ("inverse", "div") or not (_is(args[-1], "square") and _is(args[-1].args[0], "cosh")):  # type: ignore[attr-defined]
            return made
        value = _value_of(call("tanh", args[-1].args[0].args[0]), primal)  # type: ignore[attr-defined]  # square(cosh(x))
        if value is None:
            return made
        partial = call("sub", ONE_NUMBER, call("square", value))
        return partial if old.op == "inverse" else call("mul", args[0], partial)

    return bottom_up(expr, lambda leaf: leaf, node)


def _value_of(expr: Call, primal: Mapping[str, Step]) -> Name | None:
    """The step that is `expr`."""
    return next((Name(name) for name, step in primal.items() if step.expr == expr), None)


def _is(expr: Expr, op: str) -> bool:
    return isinstance(expr, Call) and expr.op == op


def _is_comparison(expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.op in COMPARE_OPS


def _has(primal: Mapping[str, Step], name: str, op: str) -> bool:
    step = primal.get(name)
    return step is not None and isinstance(step.expr, Call) and step.expr.op == op


__all__ = ["Collected", "Product", "nicer", "product_of", "textbook", "tidy"]
