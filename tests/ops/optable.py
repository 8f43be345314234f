"""What the tests of the op table share: a case per op, points, a reference without rules, error measures.

`CASES` is made from the table, so a new op is tested as soon as its entry exists. The reference is the entry's mpmath
form alone: derivatives are central differences at a precision that is raised until two levels agree.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

from symdiff.adjoint import adjoint
from symdiff.expr import Call, Expr, Name, Number, call, names, substitute
from symdiff.formula_data import FormulaData, Input, Statement
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.core import OPERAND_NAMES, X, Y, Z
from symdiff.ops.evaluate import evaluate, evaluate_mp
from symdiff.render.printer import TEXT
from symdiff.tape import Step, Tape

INF = math.inf
SMALLEST_NORMAL, LARGEST = 2.2250738585072014e-308, 1.7976931348623157e308


@dataclass(frozen=True)
class Case:
    """One op over inputs: `label` names the test, `expr` is the op over names (and literals where it wants them)."""

    label: str
    op: str
    expr: Call

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(names(self.expr))

    @property
    def operands(self) -> tuple[tuple[str, int], ...]:
        """Inputs that are operands of the op itself, with their place."""
        if (
            self.expr.op != self.op or self.op == "where"
        ):  # a comparison sits inside `where`, `where` holds a comparison
            return tuple((name, OPERAND_NAMES.index(name)) for name in self.variables)
        return tuple((arg.id, place) for place, arg in enumerate(self.expr.args) if isinstance(arg, Name))

    def domain(self, variable: str) -> tuple[float, float]:
        for name, place in self.operands:
            if name == variable and place < len(TABLE[self.op].domain):
                return TABLE[self.op].domain[place]
        return (-INF, INF)

    @property
    def samples(self) -> list[tuple[float, ...]]:
        """The entry's samples, for the operands that are inputs here."""
        places = [place for _, place in self.operands]
        found = []
        for sample in TABLE[self.op].samples:
            literals = all(
                arg.value == sample[place] for place, arg in enumerate(self.expr.args) if isinstance(arg, Number)
            )
            if literals or TABLE[self.op].literal_exponents:
                found.append(tuple(sample[place] for place in places))
        return list(dict.fromkeys(found))


EXPONENTS = (-4.0, -3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 2.5)


def cases_of(op: str) -> list[Case]:
    """The op over its own operands; a comparison inside `where`; an operand without a derivative as a literal."""
    entry = TABLE[op]
    operands = (X, Y, Z)[: entry.operands]
    if op in COMPARE_OPS:
        return [Case(op, op, call("where", Call(op, operands), X, Y))]
    if op == "where":
        return [Case(op, op, call("where", call("gt", X, 0.25), Y, Z))]
    if any(partial is None for partial in entry.partials):
        literal = [place for place, partial in enumerate(entry.partials) if partial is None]
        values = list(dict.fromkeys(tuple(sample[place] for place in literal) for sample in entry.samples))
        return [
            Case(
                f"{op}_{'_'.join(f'{v:g}' for v in value)}",
                op,
                call(op, *(value[literal.index(p)] if p in literal else operands[p] for p in range(entry.operands))),
            )
            for value in values
        ]
    found = [Case(op, op, Call(op, operands))]
    if entry.literal_exponents:
        for value in EXPONENTS:
            label = f"{op}_{value:g}".replace("-", "m").replace(".", "p")
            found.append(Case(label, op, Call(op, (*operands[:-1], Number(value)))))
    return found


CASES = [case for op in TABLE for case in cases_of(op)]


def formula_of(expr: Expr, variables: Sequence[str] | None = None) -> FormulaData:
    """A formula of one statement, without going through the parser."""
    inputs = tuple(Input(name) for name in (names(expr) if variables is None else variables))
    return FormulaData(TEXT(expr), inputs, {}, (Statement(None, expr, (0, 0)),))


def one_step(case: Case) -> Tape:
    """The tape of the op itself, whatever `linearize` would make of it."""
    inputs = tuple(Input(name) for name in case.variables)
    return Tape(inputs, (Step(1, "value", case.expr),), (("value", Name("value")),))


def run(tape: Tape, values: Mapping[str, Any], function: Callable[..., Any] = evaluate) -> dict[str, Any]:
    """Every name of `tape` with its value; a plain reading of the tape's grammar, accumulators included."""
    known = dict(values)
    with np.errstate(all="ignore"):
        for step in tape.steps:
            made = function(step.expr, known)
            known[step.name] = made
            if step.into is not None:
                known[step.into] = known[step.into] + made if step.into in known else made
    return known


def outputs(tape: Tape, values: Mapping[str, Any], function: Callable[..., Any] = evaluate) -> dict[str, Any]:
    """Outputs of `tape` by label."""
    known = run(tape, values, function)
    return {label: function(expr, known) for label, expr in tape.outputs}


def rule(case: Case, variable: str, value: Expr | None = None) -> Expr | None:
    """The table's partial of the op by `variable`, over the case's operands; `v` is the op itself unless given."""
    places = dict(case.operands)
    if variable not in places:
        return None
    partial = TABLE[case.expr.op].partials[places[variable]]
    if partial is None:
        return None
    bound: dict[str, Expr] = dict(zip(OPERAND_NAMES, case.expr.args, strict=False))
    bound["v"] = case.expr if value is None else value
    return substitute(partial, bound)


# ---- points ----


def _inside(value: float, domain: tuple[float, float]) -> bool:
    return domain[0] < value < domain[1]


def line_points(domain: tuple[float, float], seed: int) -> list[float]:
    """Points of an open interval: scales 1e-10 to 1e10 of both signs, and close to finite ends."""
    source = random.Random(seed)
    low, high = domain
    found = [0.0] if _inside(0.0, domain) else []
    for exponent in range(-10, 11):
        for sign in (1.0, -1.0):
            found.append(sign * source.uniform(1.0, 9.9) * 10.0**exponent)
    for end, inward in ((low, 1.0), (high, -1.0)):
        if math.isfinite(end):
            found.extend(end + inward * source.uniform(1.0, 9.9) * 10.0**-exponent for exponent in range(1, 12))
    found.extend(source.uniform(max(low, -4.0), min(high, 4.0)) for _ in range(12))
    return [value for value in dict.fromkeys(found) if _inside(value, domain)]


def points(case: Case, extra: int = 0) -> list[tuple[float, ...]]:
    """The entry's samples and points over the whole domain; for several operands, mixed at random."""
    source = random.Random(len(case.label) + extra)
    lines = [line_points(case.domain(name), 7 * k + extra) for k, name in enumerate(case.variables)]
    if len(lines) == 1:
        return list(dict.fromkeys(case.samples + [(value,) for value in lines[0]]))
    # a zero among several operands is a pole, a cut or a kink for one op or another: the edge tests have them all
    mixed = [tuple(source.choice([v for v in line if v]) for line in lines) for _ in range(90)]
    near = [tuple(source.uniform(0.1, 3.0) for _ in lines) for _ in range(10)]
    near = [
        point for point in near if all(_inside(v, case.domain(n)) for v, n in zip(point, case.variables, strict=True))
    ]
    samples = [sample for sample in case.samples if len(sample) == len(lines)]
    return list(dict.fromkeys(samples + mixed + near))


def is_smooth(case: Case, point: Sequence[float]) -> bool:
    """False at a kink or a tie, where no derivative exists."""
    values = dict(zip(case.variables, point, strict=True))
    entry = TABLE[case.op]
    if point[0] in entry.kinks:
        return False
    if case.op in COMPARE_OPS or not all(partial is None or _steps(partial) for partial in entry.partials):
        return len(set(values.values())) == len(values)
    return not (len(point) > 1 and not any(point))


def _steps(partial: Expr) -> bool:
    """False for a partial that compares two operands: the op has ties."""
    return not (isinstance(partial, Call) and partial.op == "where" and set(names(partial.args[0])) >= {"x", "y"})


# ---- reference ----

LEVELS = (50, 100, 200, 400, 800)


def mp_value(case: Case, point: Sequence[Any]) -> Any:
    """The op at mpmath's working precision."""
    values = {name: mpf(value) for name, value in zip(case.variables, point, strict=True)}
    return mpmath.re(evaluate_mp(case.expr, values))


def _converged(at: Callable[[], Any]) -> Any:
    """`at()` at rising precision until two levels agree to 25 digits, or are both below every float."""
    last: Any = None
    for digits in LEVELS:
        with mp.workdps(digits):
            new = at()
        if not mpmath.isfinite(new):
            return new
        if last is not None:
            agree = abs(new - last) <= mpf(10) ** -25 * abs(new)
            tiny = digits >= 400 and abs(new) < mpf(10) ** -340 and abs(last) < mpf(10) ** -340
            if (agree and new != 0) or tiny:
                return new
        last = new
    return last if abs(last) > mpf(10) ** -330 else mpf(0)


@cache
def reference_value(case: Case, point: tuple[float, ...]) -> Any:
    return _converged(lambda: mp_value(case, point))


def _scale(x: float) -> Any:
    return abs(mpf(x)) if x else mpf(1)


@cache
def reference_partial(case: Case, point: tuple[float, ...], variable: str) -> Any:
    """Derivative by central differences of the value."""
    index = case.variables.index(variable)

    def at() -> Any:
        step = mpf(10) ** (-mp.dps // 3) * _scale(point[index])
        up, down = list(map(mpf, point)), list(map(mpf, point))
        up[index] += step
        down[index] -= step
        return (mp_value(case, up) - mp_value(case, down)) / (2 * step)

    return _converged(at)


@cache
def reference_second(case: Case, point: tuple[float, ...], first: str, second: str) -> Any:
    """Second derivative by central differences of the value."""
    i, j = case.variables.index(first), case.variables.index(second)

    def at() -> Any:
        h, k = (mpf(10) ** (-mp.dps // 5) * _scale(point[index]) for index in (i, j))
        total = mpf(0)
        for a, b in itertools.product((1, -1), repeat=2):
            moved = list(map(mpf, point))
            moved[i] += a * h
            moved[j] += b * k
            total += a * b * mp_value(case, moved)
        return total / (4 * h * k)

    return _converged(at)


def condition(case: Case, point: tuple[float, ...], variable: str | None) -> float:
    """Relative change of the value (or of a partial) per relative change of the operands."""
    of = reference_value(case, point) if variable is None else reference_partial(case, point, variable)
    if not of or not mpmath.isfinite(of):
        return 0.0
    total = mpf(0)
    for name, value in zip(case.variables, point, strict=True):
        slope = (
            reference_partial(case, point, name) if variable is None else reference_second(case, point, variable, name)
        )
        total += abs(slope * mpf(value))
    found = total / abs(of)
    return float(found) if mpmath.isfinite(found) else 0.0


# ---- errors ----


def ulp_error(got: float, want: Any) -> float:
    """|got - want| in units of the last place of `want`. 0 where both leave the range of normal numbers alike."""
    got = float(got)
    if mpmath.isnan(want):
        return 0.0 if math.isnan(got) else INF
    if math.isnan(got):
        return INF
    if abs(want) >= mpf(LARGEST):  # too large, and the largest number itself within rounding
        close = math.isinf(got) or abs(got) > 0.999999999 * LARGEST
        return 0.0 if close and (got > 0) == (want > 0) else INF
    if math.isinf(got):
        return 0.0 if abs(want) > mpf(LARGEST) * (1 - mpf(2) ** -44) and (got > 0) == (want > 0) else INF
    if abs(want) < mpf(SMALLEST_NORMAL):
        # partials that are products of factors may underflow early, by less than the smallest normal number
        return 0.0 if abs(mpf(got) - want) <= mpf(SMALLEST_NORMAL) else INF
    unit = mpf(2) ** (mpmath.frexp(want)[1] - 53)
    return float(abs(mpf(got) - want) / unit)


@dataclass(frozen=True)
class Miss:
    """A number that is further from the reference than allowed."""

    case: str
    what: str
    point: tuple[float, ...]
    got: float
    want: float
    error: float
    allowed: float

    def __str__(self) -> str:
        numbers = f"{self.got!r}, want {self.want!r}; {self.error:.3g} > {self.allowed:.3g} ulp"
        return f"{self.case} {self.what} at {self.point}: {numbers}"


# Units in the last place that a value or a partial may be off by, and what it takes to need more than that.
DEFAULT_ULPS = 4.0
Extra = Callable[[Case, tuple[float, ...], str | None], float]
EXTRA: dict[tuple[str, str | None], tuple[str, Extra]] = {
    ("pow", "x"): (
        "the exponent y - 1 is rounded: half an ulp of 1, times log x",
        lambda case, point, what: abs(math.log(point[0])) if point[0] > 0 else 0.0,
    ),
    ("cbrt", "x"): (
        "glibc's cbrt is off by up to 2 ulp and the partial has its square",
        lambda case, point, what: 4.0,
    ),
    ("gelu", None): (
        "the constant 1/sqrt(2) and its product with x are both rounded in front of erfc",
        lambda case, point, what: condition(case, point, what) / 2,
    ),
    ("gelu", "x"): (
        "Phi(x) + x phi(x) cancels around its zero -0.75: 4 ulp of the larger term",
        lambda case, point, what: condition(case, point, what) / 2 + 4 * _gelu_terms(point[0]),
    ),
}


def _gelu_terms(x: float) -> float:
    return float(mpmath.ncdf(x) / abs(mpmath.ncdf(x) + x * mpmath.npdf(x))) if abs(x) < 30 else 0.0


def misses(
    case: Case,
    what: str | None,
    where: Sequence[tuple[float, ...]],
    got: Sequence[float],
    ulps: float = DEFAULT_ULPS,
) -> Iterator[Miss]:
    """Points at which a value (`what` is None) or the partial by `what` is off by more than `ulps` + condition/2."""
    extra = EXTRA.get((case.op, what))
    for point, number in zip(where, got, strict=True):
        want = reference_value(case, point) if what is None else reference_partial(case, point, what)
        error = ulp_error(number, want)
        if error <= ulps:
            continue
        allowed = ulps + condition(case, point, what) / 2 + (extra[1](case, point, what) if extra else 0.0)
        if not error <= allowed:
            yield Miss(case.label, what or "value", point, float(number), float(want), error, allowed)


def columns(case: Case, where: Sequence[tuple[float, ...]]) -> dict[str, np.ndarray]:
    """The points as one array per variable."""
    return dict(zip(case.variables, np.array(where, dtype=float).reshape(len(where), -1).T, strict=True))


def numpy_results(case: Case, where: Sequence[tuple[float, ...]]) -> dict[str | None, np.ndarray]:
    """Value (under None) and partials at every point: the adjoint tape of the op, in the table's NumPy spellings."""
    with np.errstate(all="ignore"):
        found = outputs(adjoint(one_step(case), case.variables), columns(case, where))
    keys = {None if label == "value" else label: numbers for label, numbers in found.items()}
    return {key: np.broadcast_to(np.asarray(numbers, float), (len(where),)) for key, numbers in keys.items()}


# ---- edges ----

EDGES = (math.nan, INF, -INF, 0.0, -0.0, 5e-324, -5e-324, 1e-308, -1e-308, 1.7e308, -1.7e308, 1.0, -1.0, 0.5, -0.5,
         2.0, -2.0, 3.0, -3.0, 1e10, -1e10, 800.0, -800.0, 1e155, -1e155)  # fmt: skip


def edge_points(count: int) -> list[tuple[float, ...]]:
    """The full product; for three operands of a smaller set."""
    values = EDGES if count < 3 else (math.nan, INF, -INF, 0.0, -0.0, 5e-324, 1.7e308, 1.0, -1.0, 0.5)
    return list(itertools.product(values, repeat=count))


def same_class(a: float, b: float, ulps: float, absolute: float = 0.0) -> bool:
    """NaN with NaN, an infinity with the same one, a zero with the same zero, else close."""
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return a == b
    if a == 0 and b == 0:
        return math.copysign(1.0, a) == math.copysign(1.0, b)
    return abs(a - b) <= ulps * max(np.spacing(abs(a)), np.spacing(abs(b))) + absolute
