"""Order and products of a C function: what a compiler leaves as it is written, and a SIMD loop pays for.

Numbers. The adjoints of `erf(d/sqrt(2))/2` are `*0.5`, `*(1.128*...)`, `*0.707`: three products with numbers, where one
does. A step that only scales another, and that one product alone uses, becomes part of that product. Every variable
that is left has the value it had, to a rounding or two less.

Quotients. A division takes a processor as long as five to ten products, and compilers may not turn x/3 into
x*(1/3), which is another rounding. Where nothing decides by that rounding, it is done here.

Calls. A call of libm in the middle of a loop makes the compiler put every value that is needed later into memory. So
the reverse sweep calls what it needs of primal values before it begins to compute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from symdiff.expr import Call, Expr, Name, Number, bottom_up, call, names, walk
from symdiff.render.c_contract import LARGEST, quotient_by_number
from symdiff.tape import ADJOINT, PRIMAL, SHARED, Namer, Step, Tape

# What is a call in C and has no other step of its own: sine and cosine are made in pairs.
_CALLS = frozenset(
    "tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh hypot exp expm1 log log1p log2 log10 cbrt pow erf erfc "
    "gamma lgamma".split()
)


def for_compilers(tape: Tape, *, inverting: bool = False) -> Tape:
    """The same values, a rounding aside, in a form from which compilers make faster loops.

    With `inverting` quotients by numbers are products with the inverse: only where nothing decides by them.
    """
    return calls_first(numbers_joined(numbers_inverted(tape) if inverting else tape))


# Quotients


def numbers_inverted(tape: Tape) -> Tape:
    """Products with the inverse instead of quotients by numbers, save for results: 3/10 is to be seen as 0.3."""
    results = {part for _, expr in tape.outputs for part in names(expr)}

    def node(typed: Call, args: list[Expr]) -> Expr:
        made = typed.over(args)
        inverse = quotient_by_number(made)
        return made if inverse is None else call("mul", args[0], Number(inverse))

    def over(step: Step) -> Step:
        if step.name in results or step.into in results:
            return step
        if not any(quotient_by_number(part) is not None for part in walk(step.expr)):
            return step
        return step.over(bottom_up(step.expr, lambda leaf: leaf, node))

    return replace(tape, steps=tuple(map(over, tape.steps)))


# Numbers


@dataclass(frozen=True)
class _Product:
    """sign * number * factors[0] * factors[1] * ..."""

    sign: int
    number: float
    factors: tuple[Expr, ...]

    def expr(self) -> Expr:
        """The number goes with the factors behind the first, which is what comes from upstream."""
        first, rest = self.factors[0], list(self.factors[1:])
        if self.number != 1.0:
            rest.insert(0, Number(self.number))
        made: Expr = call("neg", first) if self.sign < 0 else first
        if not rest:
            return made
        local = rest[0]
        for factor in rest[1:]:
            local = call("mul", local, factor)
        return call("mul", made, local)


def _product(expr: Expr, waiting: Mapping[str, _Product]) -> tuple[_Product, int, list[str]]:
    """`expr` as a product, how many numbers came together, and which of the steps that wait were put in."""
    sign, number, count = 1, 1.0, 0
    factors: list[Expr] = []
    taken: list[str] = []
    pending = [expr]
    while pending:
        part = pending.pop()
        if isinstance(part, Call) and part.op == "mul":
            pending.extend(reversed(part.args))
        elif isinstance(part, Call) and part.op == "neg":
            sign = -sign
            pending.append(part.args[0])
        elif isinstance(part, Number):
            number, count = number * part.value, count + 1
        elif isinstance(part, Name) and part.id in waiting:
            inner = waiting[part.id]
            sign, number, count = sign * inner.sign, number * inner.number, count + 1
            taken.append(part.id)
            factors.extend(inner.factors)
        else:
            factors.append(part)
    return _Product(sign, number, tuple(factors)), count, taken


def numbers_joined(tape: Tape) -> Tape:
    """Adjoint steps that multiply by a number, joined where that saves a product."""
    uses = Counter(part.id for step in tape.steps for part in walk(step.expr) if isinstance(part, Name))
    results = {expr.id for _, expr in tape.outputs if isinstance(expr, Name)}
    waiting: dict[str, _Product] = {}
    steps: dict[str, Step] = {}
    for step in tape.steps:
        steps[step.name] = step
        if step.role != ADJOINT:
            continue
        product, count, taken = _product(step.expr, waiting)
        sound = product.factors and 1 / LARGEST <= abs(product.number) <= LARGEST
        if taken and sound and (count > 1 or isinstance(step.expr, Name)):
            for name in taken:
                del steps[name], waiting[name]
            steps[step.name] = step = step.over(product.expr())
        elif taken:
            product = _product(step.expr, {})[0]
        scales = len(product.factors) == 1 and isinstance(product.factors[0], Name) and product.number != 1.0
        if scales and step.into is None and uses[step.name] == 1 and step.name not in results:
            waiting[step.name] = product
    return replace(tape, steps=tuple(steps.values()))


# Calls


def calls_first(tape: Tape) -> Tape:
    """Calls of the reverse sweep that need primal values alone, before its first step."""
    primal = {given.name for given in tape.inputs} | {step.name for step in tape.steps if step.role == PRIMAL}
    namer = Namer(tape.bound_names())
    made: dict[Expr, Step] = {}
    before, after = [step for step in tape.steps if step.role == PRIMAL], []
    for step in tape.steps:
        if step.role == PRIMAL:
            continue
        known = all(name in primal for name in step.operands)
        if step.role == SHARED and known and any(_early(step.expr, primal)):
            before.append(step)
            primal.add(step.name)
        elif step.role == ADJOINT and not any(
            isinstance(part, Call) and part.op == "where" for part in walk(step.expr)
        ):
            for part in _early(step.expr, primal):
                if part not in made:
                    made[part] = Step(step.n, namer.fresh(f"d{step.n}"), part, SHARED, of=step.of)
            after.append(step.over(_replaced(step.expr, made)))
        else:
            after.append(step)
    return replace(tape, steps=(*before, *made.values(), *after))


def _early(expr: Expr, primal: set[str]) -> Iterator[Call]:
    """Calls in an expression that can be made before the reverse sweep, the outermost ones."""
    pending = [expr]
    while pending:
        part = pending.pop()
        if not isinstance(part, Call):
            continue
        if part.op in _CALLS and all(name in primal for name in names(part)):
            yield part
        else:
            pending.extend(reversed(part.args))


def _replaced(expr: Expr, made: Mapping[Expr, Step]) -> Expr:
    if not made:
        return expr

    def node(typed: Call, args: list[tuple[Expr, Expr]]) -> tuple[Expr, Expr]:
        original = typed.over(old for old, _ in args)
        return original, Name(made[original].name) if original in made else typed.over(new for _, new in args)

    return bottom_up(expr, lambda leaf: (leaf, leaf), node)[1]


__all__ = ["calls_first", "for_compilers", "numbers_inverted", "numbers_joined"]
