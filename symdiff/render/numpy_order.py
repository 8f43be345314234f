"""Matrix products that read the same input, one after the other, while it is still in the cache.

`X @ Wq`, `X @ Wk` and `X @ Wv` of an attention head stand together, and so do the products with X.T that give the
gradients. A product of inputs moves up to an earlier one; one that only gives a result moves down to a later one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable

from symdiff.einstein import familiar
from symdiff.expr import Call, Name, names
from symdiff.tape import PRIMAL, Step, Tape


def products_together(tape: Tape) -> Tape:
    """See the module."""
    inputs = {given.name for given in tape.inputs}
    matrices = {given.name for given in tape.inputs if len(given.shape) >= 2}
    read = {name for step in tape.steps for name in step.operands}
    results = {name for _, expr in tape.outputs for name in names(expr)} - read
    contributions = Counter(step.target for step in tape.steps)

    def is_early(step: Step) -> bool:
        return inputs.issuperset(step.operands)

    def is_late(step: Step) -> bool:
        return step.target in results and contributions[step.target] == 1

    forward = [step for step in tape.steps if step.role == PRIMAL]
    backward = [step for step in reversed(tape.steps) if step.role != PRIMAL]
    return tape.with_steps([*_moved_up(forward, matrices, is_early), *reversed(_moved_up(backward, matrices, is_late))])


def _moved_up(steps: Iterable[Step], matrices: Collection[str], may: Callable[[Step], bool]) -> list[Step]:
    """The steps with every product that `may` directly behind the one before it that has a matrix in common."""
    latest: dict[str, str] = {}  # product, by matrix
    behind: defaultdict[str, list[Step]] = defaultdict(list)
    waiting: list[Step] = []
    for step in steps:
        factors = _factors(step, matrices)
        before = [latest[factor] for factor in factors if factor in latest]
        (behind[before[0]] if before and may(step) else waiting).append(step)
        latest |= dict.fromkeys(factors, step.name)
    waiting.reverse()
    made = []
    while waiting:
        step = waiting.pop()
        made.append(step)
        waiting += reversed(behind[step.name])
    return made


def _factors(step: Step, matrices: Collection[str]) -> list[str]:
    """The matrices that the step multiplies; none if it is no matrix product."""
    expr = step.expr
    if not isinstance(expr, Call) or expr.op != "contract" or familiar(expr.options[0]).kind != "product":
        return []
    return [factor.id for factor in expr.args if isinstance(factor, Name) and factor.id in matrices]


__all__ = ["products_together"]
