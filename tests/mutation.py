"""Does the suite notice a wrong rule? Breaks every rule of the table, and the sweeps, in many small ways.

    python tests/mutation.py [--ops sin,cos] [--no-stages] [--verbose]

A rule is mutated in the op table itself; adjoint.py, tangent.py and the passes by replacing one piece of their source, in this
process. A mutant is caught when a check of the suite fails. What no check catches is dropped only with a proof that it
is the same function. Prints the share that is caught and the survivors; exit 1 below 98 %.
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
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from ops import symbolic, test_op_table  # noqa: E402
from ops.optable import CASES, Case, misses, numpy_results, points  # noqa: E402

from symdiff.expr import Call, Expr, Name, Number, bottom_up, call  # noqa: E402
from symdiff.ops import TABLE  # noqa: E402
from symdiff.ops.core import Op  # noqa: E402
from symdiff.ops.evaluate import fold  # noqa: E402
from symdiff.render.printer import TEXT  # noqa: E402

WANTED = 0.98
SIBLINGS = {
    "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "tan": "tanh", "exp": "expm1", "expm1": "exp",
    "log": "log1p", "log1p": "log", "sqrt": "cbrt", "erf": "erfc", "erfc": "erf", "digamma": "lgamma", "sigmoid": "tanh",
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
            if not {leaf.id for leaf in _names(changed)} <= names or fold(changed) == fold(rule):
                continue
            partials = (*entry.partials[:place], changed, *entry.partials[place + 1 :])
            found.setdefault(tuple(map(_folded, partials)), Mutant(op, f"{how} (operand {place + 1})", partials, guarded))
    rules = entry.partials
    if entry.operands == 2 and None not in rules and rules[0] != rules[1]:
        found.setdefault((rules[1], rules[0]), Mutant(op, "partials exchanged", rules[::-1]))
    return list(found.values())


def _folded(rule: Expr | None) -> Expr | None:
    return None if rule is None else fold(rule)


def _names(expr: Expr) -> list[Name]:
    found: list[Name] = []
    bottom_up(expr, lambda leaf: found.append(leaf) if isinstance(leaf, Name) else None, lambda *_: None)
    return found


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


def is_equivalent(mutant: Mutant) -> bool:
    """Proof that the changed rules are the same functions."""
    if mutant.guarded or mutant.op in symbolic.UNPROVED:
        return False
    for old, new in zip(TABLE[mutant.op].partials, mutant.partials, strict=True):
        if old is not None and new is not None and old != new:
            try:
                if symbolic.differ(mutant.op, old, new):
                    return False
            except Exception:  # SymPy cannot tell: no proof
                return False
    return True


# ---- mutants of the stages ----

STAGES: list[tuple[str, str, str, str]] = [
    # module, what is broken, old text, new text
    ("adjoint", "mask dropped", "product if mask is None else mask.choose(product)", "product"),
    ("adjoint", "mask inverted", "if self.branch else (outside, inside)", "if not self.branch else (outside, inside)"),
    ("adjoint", "inner mask forgets the outer one", "sides = (inside, ZERO_NUMBER) if", "inside = ONE_NUMBER\n        sides = (inside, ZERO_NUMBER) if"),
    ("adjoint", "first mask alone", "work = list(reversed(list(masks)))", "work = list(masks)[:1]"),
    ("adjoint", "last mask alone", "work = list(reversed(list(masks)))", "work = list(masks)[-1:]"),
    ("adjoint", "shared node loses its masks", "self._side(around, step, local.branch)", "self._side(None, step, local.branch)"),
    ("adjoint", "any union is everything", "    return kept[0]\n", "    return kept[0] if not kept[0].any_of else None\n"),
    ("adjoint", "union is its first member", "return kept[0]\n", "return kept[0].any_of[0] if kept[0].any_of else kept[0]\n"),
    ("adjoint", "outer of two masks dropped", "        if not inside:\n            kept.append(mask)", "        if inside:\n            kept.append(mask)"),
    ("adjoint", "two sides are one", "other is not None and other.branch != mask.branch", "other is not None"),
    ("adjoint", "root mask ignored", "        if mask is None:\n            return None\n        other", "        if mask is None:\n            continue\n        other"),
    ("adjoint", "overwritten, not added", 'return replace(made, name=f"{bar}[{made.label}]", into=bar)', 'return replace(made, name=f"{bar}[{made.label}]", into=bar, expr=made.expr if self.masks.get(local.operand) is None else ZERO_NUMBER)'),
    ("adjoint", "wrong receiver", "bar, several = self.bars[local.operand]", "bar, several = self.bars[self._sends(step)[-1].operand]"),
    ("adjoint", "operands exchanged in the rules", "zip(OPERAND_NAMES, expr.args, strict=False)", "zip(OPERAND_NAMES, expr.args[::-1], strict=False)"),
    ("adjoint", "value of the wrong step", 'operands["v"] = Name(step.name)', 'operands["v"] = expr.args[0]'),
    ("adjoint", "local derivative forgotten", 'call("mul", Name(self.bars[step.name]), local.partial)', 'call("mul", Name(self.bars[step.name]), ONE_NUMBER)'),
    ("adjoint", "upstream forgotten", 'call("mul", Name(self.bars[step.name]), local.partial)', 'call("mul", ONE_NUMBER, local.partial)'),
    ("adjoint", "seed 2", "self.bars[output], ONE_NUMBER, SEED", "self.bars[output], call('add', ONE_NUMBER, ONE_NUMBER), SEED"),
    ("adjoint", "forward order", "for step in reversed(self.source.steps):\n            if step.name not in", "for step in self.source.steps:\n            if step.name not in"),
    ("adjoint", "second operand sends nothing", "if local.operand in self.active]", "if local.operand in self.active][:1]"),
    ("adjoint", "taken side for both branches", "(index == 1) if", "(index >= 1) if"),
    ("adjoint", "use count short by one", "self.uses[local.operand] > 1", "self.uses[local.operand] > 2"),
    ("adjoint", "everything is active", "return varied & useful", "return varied | useful"),
    ("adjoint", "names not fresh", 'self.namer.fresh(f"{name}_bar")', 'f"{name}_bar"'),
    ("adjoint", "mask names not fresh", 'self.namer.fresh(f"mask{made.n}")', 'f"mask{made.n}"'),
    ("adjoint", "gradients in the wrong order", "for name in self.wrt:\n            bar", "for name in sorted(self.wrt):\n            bar"),
    ("tangent", "branches exchanged", 'call("where", made.args[0], derivatives[1], derivatives[2])', 'call("where", made.args[0], derivatives[2], derivatives[1])'),
    ("tangent", "later terms overwrite", "term if total is None else fold", "term if True else fold"),
    ("tangent", "terms subtracted", 'fold(call("add", total, term))', 'fold(call("sub", total, term))'),
    ("tangent", "local derivative forgotten", 'fold(call("mul", local, derivative))', "derivative"),
    ("tangent", "direction forgotten", 'fold(call("mul", local, derivative))', "local"),
    ("tangent", "operands exchanged in the rules", "zip(OPERAND_NAMES, made.args, strict=False)", "zip(OPERAND_NAMES, made.args[::-1], strict=False)"),
    ("tangent", "value of the wrong step", 'operands["v"] = value', 'operands["v"] = made.args[0]'),
    ("tangent", "inner value taken for the outer", "value is not None and typed is expr", "value is not None"),
    ("tangent", "accumulator overwritten", "into=dot if step.into else None", "into=None"),
    ("tangent", "names not fresh", 'dots = {name: namer.fresh(f"{name}_dot") for name in wrt}', 'dots = {name: f"{name}_dot" for name in wrt}'),
    ("tangent", "zero tangents stay unknown", "if is_zero(derivative):\n            continue\n        dot", "if not is_zero(derivative):\n            continue\n        dot"),
    ("passes.cse", "order of operands ignored", "TABLE[expr.op].commutes", "True"),
    ("passes.cse", "renames not carried out", "expr = substitute(step.expr, renamed) if renamed else step.expr", "expr = step.expr"),
    ("passes.cse", "outputs not renamed", "(label, substitute(expr, renamed)) for", "(label, expr) for"),
    ("passes.cse", "copies merged", 'and expr.op != "identity"', ""),
    ("passes.cse", "shared part used before it is made", "steps.extend(hoisted)\n        steps.append(replace(step, expr=expr))", "steps.append(replace(step, expr=expr))\n        steps.extend(hoisted)"),
    ("passes.cse", "nothing shared", "counts[original] > 1", "counts[original] > 10**9"),
    ("passes.cse", "wrong step known", "return original, Name(known[original])", "return original, Name(next(iter(known.values())))"),
    ("passes.dead", "accumulators dropped", "or (step.into is not None and step.into in needed)", ""),
    ("passes.dead", "operands not needed", "needed.update(step.operands)", "pass"),
    ("passes.dead", "order lost", "tuple(reversed(kept))", "tuple(kept)"),
    ("passes.dead", "nothing dropped", "elif step.role == PRIMAL:", "elif kept.append(step) or step.role == PRIMAL:"),
    ("passes.fold", "accumulators folded", "and step.into is None and", "and"),
    ("passes.fold", "constants not put in", "fold(substitute(step.expr, constants)) if constants else fold(step.expr)", "fold(step.expr)"),
    ("passes.fold", "outputs not put in", "(label, substitute(expr, constants)) for", "(label, expr) for"),
    ("ops.evaluate", "sign lost in a product", "return _negative(_fold_mul(call, a, _inside(b)))", "return _fold_mul(call, a, _inside(b))"),
    ("ops.evaluate", "-1*a is a", "if _number(a) == -1.0:\n        return _negative(b)", "if _number(a) == -1.0:\n        return b"),
    ("ops.evaluate", "0*a is 0", "if _number(a) == 1.0:\n        return b\n    if", "if _number(a) == 0.0:\n        return a\n    if _number(a) == 1.0:\n        return b\n    if"),
    ("ops.evaluate", "a + 0 is a", "    return call\n\n\ndef _fold_sub", "    return a if isinstance(b, Number) and b.value == 0 else call\n\n\ndef _fold_sub"),
    ("ops.evaluate", "a - -0.0 is a", 'and str(b.value) == "0.0"', ""),
    ("ops.evaluate", "a + -b is a + b", 'return Call("sub", (a, _inside(b)), call.span)', 'return Call("add", (a, _inside(b)), call.span)'),
    ("ops.evaluate", "a - -b is a - b", 'return Call("add", (a, _inside(b)), call.span)', 'return Call("sub", (a, _inside(b)), call.span)'),
    ("ops.evaluate", "a*(1/b) is b/a", 'return Call("div", (a, _inside(b)), call.span)', 'return Call("div", (_inside(b), a), call.span)'),
    ("ops.evaluate", "2/b is 1/b", "if _number(a) == 1.0:\n        return Call(\"inverse\"", "if _number(a) is not None:\n        return Call(\"inverse\""),
    ("ops.evaluate", "a**1 is a square", "{1.0: a, 2.0:", "{1.0: Call('square', (a,), call.span), 2.0:"),
    ("ops.evaluate", "a**0 is a", "0.0: Number(1.0)}", "0.0: a}"),
    ("ops.evaluate", "constant condition inverted", "return taken if bool(evaluate(condition, {})) else other", "return other if bool(evaluate(condition, {})) else taken"),
    ("ops.evaluate", "xlogy of any constant", "isinstance(b, Number) and 0.0 < b.value", "isinstance(b, Number) and 0.0 <= b.value"),
]  # fmt: skip
"""Ways in which the stages can be wrong."""

TESTS = {
    "adjoint": ("test_adjoint",),
    "tangent": ("test_tangent", "test_adjoint"),
    "passes.cse": ("test_passes",),
    "passes.dead": ("test_passes",),
    "passes.fold": ("test_passes",),
    "ops.evaluate": ("ops.test_op_table", "test_adjoint", "test_passes"),
}
ONLY = {"ops.test_op_table": ("test_fold",)}


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
            if isinstance(changed, FunctionType) and kept[name].__module__ == module.__name__:
                if not kept[name].__closure__ and not changed.__closure__:
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
    found = [(key, test) for key, test in found if key.startswith(ONLY.get(name, ("test_",))) and "linear" not in key]
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
