"""Random expressions from the op table, by seed: inside every op's domain (`formula`), or any tree at all (`tree`)."""

from __future__ import annotations

import math
import random

from hypothesis import HealthCheck, settings

from symdiff.expr import Call, Expr, Name, Number, bottom_up, call
from symdiff.formula_data import FormulaData, Input, Statement
from symdiff.ops import COMPARE_OPS, TABLE

PROFILE = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck), max_examples=60
)
"""Same examples on every run."""

VARIABLES = ("a", "b", "c", "d")
COMPARES = sorted(COMPARE_OPS)
OPS = [op for op in TABLE if op not in COMPARE_OPS]
LINEAR = frozenset({"identity", "neg", "add", "sub", "mul", "maximum", "minimum", "abs", "where"})


def variables(count: int = 4) -> list[Expr]:
    return [Name(name) for name in VARIABLES[:count]]


def _into(domain: tuple[float, float], argument: Expr, steep: bool) -> Expr:
    """`argument` brought into an open domain, and kept small where the op may grow fast."""
    low, high = domain
    if math.isfinite(low) and math.isfinite(high):
        return (low + high) / 2 + (high - low) / 3 * call("tanh", argument)
    if math.isfinite(low):
        return low + 0.5 + call("square", call("sin", argument))
    return call("sin", argument) * 1.5 if steep and isinstance(argument, Call) else argument


def _condition(source: random.Random, made: list[Expr]) -> Expr:
    return call(source.choice(COMPARES), source.choice(made), source.choice(made))


def applied(op: str, source: random.Random, made: list[Expr]) -> Expr:
    """`op` over expressions made so far, inside its domain."""
    entry = TABLE[op]
    args: list[Expr] = []
    for place, partial in enumerate(entry.partials):
        if op == "where" and place == 0:
            args.append(_condition(source, made))
        elif partial is None:
            args.append(Number(source.choice(entry.samples)[place]))
        else:
            domain = entry.domain[place] if place < len(entry.domain) else (-math.inf, math.inf)
            args.append(_into(domain, source.choice(made), op not in LINEAR))
    if op == "inverse" or op == "div":
        args[-1] = 2.5 + call("sin", args[-1])
    return Call(op, tuple(args))


def formula(seed: int, size: int, ops: list[str] | None = None) -> FormulaData:
    """A program of `size` statements over four variables, every one using earlier ones, so that there is fan-out."""
    source = random.Random(seed)
    made: list[Expr] = list(variables())
    statements = []
    for index in range(size):
        recent = made[-3:] if source.random() < 0.6 else made
        expr = applied(source.choice(ops or OPS), source, recent)
        statements.append(Statement(f"t{index}", expr, (0, 0)))
        made.append(Name(f"t{index}"))
    last = call("add", made[-1], call("mul", made[-2], made[source.randrange(4)]))
    statements.append(Statement("result", last, (0, 0)))
    return FormulaData("", tuple(Input(name) for name in VARIABLES), {}, tuple(statements))


def point(seed: int) -> dict[str, float]:
    source = random.Random(seed)
    return {name: source.uniform(-2.0, 2.0) for name in VARIABLES}


NUMBERS = (0.0, 1.0, 2.0, 3.0, 0.5, 10.0, 1e-300, 0.1, 1e16, 7.25)


def tree(seed: int, size: int, numbers: tuple[float, ...] = NUMBERS, ops: list[str] | None = None) -> Expr:
    """Any tree with at least one name, domains or not."""
    source = random.Random(seed)
    made: list[Expr] = [Name("a"), Name("b"), *(Number(source.choice(numbers)) for _ in range(3))]
    for _ in range(size):
        op = source.choice(ops or OPS)
        entry = TABLE[op]
        args: list[Expr] = [source.choice(made[-6:]) for _ in range(entry.operands)]
        if op == "where":
            args[0] = _condition(source, made)
        for place, partial in enumerate(entry.partials):
            if partial is None and op != "where":
                args[place] = Number(source.choice(entry.samples)[place])
        made.append(Call(op, tuple(args)))
    return call("add", made[-1], Name("a"))


def depth(expr: Expr) -> int:
    return bottom_up(expr, lambda leaf: 1, lambda node, args: 1 + max(args))
