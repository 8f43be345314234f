"""Does the suite notice a wrong rule? Breaks every rule of the table, and the sweeps, in many small ways.

    python tests/mutation.py [--ops sin,cos] [--no-stages] [--verbose]

A rule is mutated in the op table itself; adjoint.py, tangent.py and the passes by replacing one piece of their source,
in this process. A mutant is caught when a check of the suite fails. What no check catches is dropped only with a proof
that it is the same function. Prints the share that is caught and the survivors; exit 1 below 98 %.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from ops import symbolic, test_op_table  # noqa: E402
from ops.optable import CASES, Case, misses, numpy_results, points  # noqa: E402
from stage_mutants import STAGES  # noqa: E402

from symdiff.expr import Call, Expr, Name, Number, call, walk  # noqa: E402
from symdiff.ops import COMPARE_OPS, TABLE  # noqa: E402
from symdiff.ops.core import Op  # noqa: E402
from symdiff.ops.evaluate import evaluate, fold  # noqa: E402
from symdiff.render.printer import TEXT  # noqa: E402

WANTED = 0.98
SIBLINGS = {
    "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "tan": "tanh", "exp": "expm1", "expm1": "exp",
    "log": "log1p", "log1p": "log", "sqrt": "cbrt", "erf": "erfc", "erfc": "erf", "digamma": "lgamma",
    "sigmoid": "tanh",
    "square": "identity", "inverse": "identity", "hypot": "maximum", "xlogy": "mul", "sign": "abs", "abs": "identity",
    "gt": "lt", "lt": "gt", "eq": "ne", "add": "sub", "sub": "add", "mul": "div", "div": "mul", "neg": "identity",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A changed entry; `guarded` when the change is where two operands are equal, which no proof looks at."""

    op: str
    how: str
    partials: tuple[Expr | None, ...]
    guarded: bool = False

    def __str__(self) -> str:
        rules = ", ".join("-" if rule is None else TEXT(rule) for rule in self.partials)
        return f"{self.op}: {self.how}: {rules}"


# ---- mutants of a rule ----

Change = tuple[str, Expr, bool]


def changes(expr: Expr, guarded: bool = False) -> Iterator[Change]:
    """Every expression that differs from `expr` in one place, with what was done."""
    yield from (change for change in _here(expr, guarded))
    if isinstance(expr, Call):
        guard = expr.op == "where" and isinstance(expr.args[0], Call) and expr.args[0].op == "eq"
        for place, arg in enumerate(expr.args):
            for how, changed, inside in changes(arg, guarded or (guard and place < 2)):
                args = (*expr.args[:place], changed, *expr.args[place + 1 :])
                yield how, Call(expr.op, args), inside


def _here(expr: Expr, guarded: bool) -> Iterator[Change]:
    if isinstance(expr, Number):
        for value in (expr.value + 1, expr.value - 1, 2 * expr.value, -expr.value):
            if value != expr.value:
                yield f"{expr.value:g} -> {value:g}", Number(value), guarded
    elif isinstance(expr, Name):
        for other in "xyv":
            if other != expr.id:
                yield f"{expr.id} -> {other}", Name(other), guarded
    elif isinstance(expr, Call):
        if expr.op in SIBLINGS:
            yield f"{expr.op} -> {SIBLINGS[expr.op]}", Call(SIBLINGS[expr.op], expr.args), guarded
        if expr.op in ("add", "sub", "mul", "div", "pow"):
            for place, name in ((0, "second"), (1, "first")):
                yield f"{name} operand of {expr.op} dropped", expr.args[place], guarded
        if expr.op in ("sub", "div", "pow"):
            yield f"operands of {expr.op} swapped", Call(expr.op, expr.args[::-1]), guarded
        if expr.op == "where":
            guard = isinstance(expr.args[0], Call) and expr.args[0].op == "eq"
            yield "branches swapped", Call("where", (expr.args[0], expr.args[2], expr.args[1])), guarded
            yield "first branch always", expr.args[1], guarded
            yield "second branch always", expr.args[2], guarded or guard


def mutants(op: str) -> list[Mutant]:
    """Mutants of all rules of an op, each once; what folds to the rule itself is left out."""
    entry = TABLE[op]
    names = {"v", *"xyz"[: entry.operands]}
    found: dict[tuple[Expr | None, ...], Mutant] = {}
    for place, rule in enumerate(entry.partials):
        if rule is None:
            continue
        whole: list[Change] = [("sign", -rule, False), ("factor 2", 2.0 * rule, False), ("dropped", Number(0.0), False)]
        for how, changed, guarded in itertools.chain(whole, changes(rule)):
            if not {leaf.id for leaf in walk(changed) if isinstance(leaf, Name)} <= names or fold(changed) == fold(
                rule
            ):
                continue
            partials = (*entry.partials[:place], changed, *entry.partials[place + 1 :])
            found.setdefault(
                tuple(map(_folded, partials)), Mutant(op, f"{how} (operand {place + 1})", partials, guarded)
            )
    rules = entry.partials
    if entry.operands == 2 and None not in rules and rules[0] != rules[1]:
        found.setdefault((rules[1], rules[0]), Mutant(op, "partials exchanged", rules[::-1]))
    return list(found.values())


def _folded(rule: Expr | None) -> Expr | None:
    return None if rule is None else fold(rule)


# ---- checks of an op ----


def _accuracy(case: Case) -> None:
    where = test_op_table.smooth(case, points(case))
    for variable, got in numpy_results(case, where).items():
        if variable is not None:
            assert not any(misses(case, variable, where, got))


def checks(op: str) -> Iterator[Callable[[], None]]:
    """The suite's checks of one op, the quick ones first."""
    cases = [case for case in CASES if case.op == op]
    for case in cases:
        yield lambda case=case: _accuracy(case)
    for row in test_op_table.DOCUMENTED:
        if row[0] == op:
            yield lambda row=row: test_op_table.test_documented_edges(*row)
    for case in cases:
        yield lambda case=case: test_op_table.test_second_derivatives(case)
        yield lambda case=case: test_op_table.test_dot_product_of_one_op(case)


def caught(suite: Iterable[Callable[[], None]]) -> bool:
    """True when a check fails, or breaks."""
    for check in suite:
        try:
            check()
        except Exception:  # a mutant may break in any way
            return True
    return False


@contextmanager
def entry(op: str, changed: Op) -> Iterator[None]:
    kept = TABLE[op]
    TABLE[op] = changed
    try:
        yield
    finally:
        TABLE[op] = kept


def rule_caught(mutant: Mutant) -> bool:
    with entry(mutant.op, dataclasses.replace(TABLE[mutant.op], partials=mutant.partials)):
        return caught(checks(mutant.op))


ORDERS = [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0), (1.0, float("nan")), (float("nan"), float("nan"))]


def _same_in_every_order(op: str, old: Expr, new: Expr) -> bool:
    """Proof for rules that only compare the operands and the value with one another: all orders that there are."""
    only_orders = all(
        part.op == "where" or (part.op in COMPARE_OPS and all(isinstance(arg, Name) for arg in part.args))
        for rule in (old, new)
        for part in walk(rule)
        if isinstance(part, Call)
    )
    if not only_orders or op not in ("maximum", "minimum"):  # whose value is one of the operands
        return False
    for x, y in ORDERS:
        at = {"x": x, "y": y, "v": float(evaluate(call(op, Name("x"), Name("y")), {"x": x, "y": y}))}
        if evaluate(old, at) != evaluate(new, at):
            return False
    return True


def is_equivalent(mutant: Mutant) -> bool:
    """Proof that the changed rules are the same functions."""
    pairs = [(a, b) for a, b in zip(TABLE[mutant.op].partials, mutant.partials, strict=True) if a and b and a != b]
    if all(_same_in_every_order(mutant.op, old, new) for old, new in pairs):
        return True
    if mutant.guarded or mutant.op in symbolic.UNPROVED:
        return False
    try:
        return not any(symbolic.differ(mutant.op, old, new) for old, new in pairs)
    except Exception:  # SymPy cannot tell: no proof
        return False


# ---- mutants of the stages ----

TESTS = {
    "adjoint": ("test_adjoint",),
    "tangent": ("test_tangent", "test_adjoint"),
    "passes.cse": ("test_passes",),
    "passes.dead": ("test_passes",),
    "passes.fold": ("test_passes",),
    "ops.evaluate": ("ops.test_fold", "test_adjoint", "test_passes"),
}


@contextmanager
def source_changed(module: ModuleType, old: str, new: str) -> Iterator[None]:
    """`module` with one piece of its source replaced, also for those who imported its functions."""
    text = inspect.getsource(module)
    assert text.count(old) == 1, f"{module.__name__}: this stands there {text.count(old)} times: {old}"
    kept = dict(module.__dict__)
    codes = {name: value.__code__ for name, value in kept.items() if isinstance(value, FunctionType)}
    try:
        exec(compile(text.replace(old, new), str(module.__file__), "exec"), module.__dict__)
        for name in codes:
            changed = module.__dict__[name]
            own = isinstance(changed, FunctionType) and kept[name].__module__ == module.__name__
            if own and not kept[name].__closure__ and not changed.__closure__:
                kept[name].__code__ = changed.__code__
                module.__dict__[name] = kept[name]
        yield
    finally:
        for name, code in codes.items():
            if not kept[name].__closure__:
                kept[name].__code__ = code
        module.__dict__.clear()
        module.__dict__.update(kept)


def tests_of(name: str) -> Iterator[Callable[[], None]]:
    """The tests of a module, plain ones before those of hypothesis, parameters filled in."""
    module = importlib.import_module(name)
    found = [(key, test) for key, test in vars(module).items() if key.startswith("test_")]
    found = [(key, test) for key, test in found if "linear" not in key]
    for _, test in sorted(found, key=lambda pair: hasattr(pair[1], "hypothesis")):
        marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
        rows = [row if isinstance(row, tuple) else (row,) for row in marks[0].args[1]] if marks else [()]
        for row in rows:
            yield lambda test=test, row=row: test(*row)


def stage_caught(module: str, old: str, new: str) -> bool:
    with source_changed(importlib.import_module(f"symdiff.{module}"), old, new):
        return caught(itertools.chain.from_iterable(tests_of(name) for name in TESTS[module]))


# ---- the report ----


@dataclass
class Report:
    made: int = 0
    equivalent: int = 0
    survivors: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        counted = self.made - self.equivalent
        return 1.0 if not counted else 1 - len(self.survivors) / counted


def check_rules(ops: Iterable[str], report: Report, verbose: bool = False) -> None:
    """Mutate the rules of `ops`. The unchanged table must pass."""
    for op in ops:
        assert not caught(checks(op)), f"{op} fails as it is"
        for mutant in mutants(op):
            report.made += 1
            if rule_caught(mutant):
                continue
            if is_equivalent(mutant):
                report.equivalent += 1
                if verbose:
                    print(f"  the same function: {mutant}")
            else:
                report.survivors += (str(mutant),)


def check_stages(report: Report) -> None:
    for module, how, old, new in STAGES:
        report.made += 1
        if not stage_caught(module, old, new):
            report.survivors += (f"{module}: {how}",)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="share of broken rules that the suite notices")
    parser.add_argument("--ops", help="these ops only, separated by commas")
    parser.add_argument("--no-stages", action="store_true", help="rules of the table only")
    parser.add_argument("--verbose", action="store_true", help="list what was proved to be the same function")
    chosen = parser.parse_args(argv)
    start, report = time.perf_counter(), Report()
    check_rules(chosen.ops.split(",") if chosen.ops else list(TABLE), report, chosen.verbose)
    if not chosen.ops and not chosen.no_stages:
        check_stages(report)
    for survivor in report.survivors:
        print(f"  not caught: {survivor}")
    counted = report.made - report.equivalent
    print(
        f"{counted - len(report.survivors)} of {counted} mutants caught, {100 * report.share:.1f} %"
        f" ({report.equivalent} more are provably the same function); {time.perf_counter() - start:.0f} s"
    )
    return 0 if report.share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
