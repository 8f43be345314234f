"""Tape -> Tape: the reverse sweep behind the forward one.

Input: a tape of primal steps. Output: the same tape with, for every primal step on a path from the variables to the
value, one adjoint step per operand: `operand_bar += step_bar * d step / d operand` (Griewank and Walther, Evaluating
Derivatives, 2nd ed., SIAM 2008, table 3.5). The formula is never expanded; the cost is a small multiple of the
forward sweep's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Name, call, substitute
from symdiff.ops import TABLE
from symdiff.ops.core import OPERAND_NAMES
from symdiff.ops.evaluate import fold, is_zero
from symdiff.tape import ADJOINT, SEED, SHARED, Namer, Step, Tape


def adjoint(tape: Tape, wrt: Iterable[str]) -> Tape:
    """`tape` with its reverse sweep; the outputs are the value and the gradient by each of `wrt`, in that order."""
    return _Reverse(tape, tuple(wrt)).tape()


@dataclass(frozen=True, slots=True)
class Local:
    """One operand of a step, and the derivative of the step by it."""

    operand: str
    partial: Expr
    branch: bool | None = None  # for `where`: the side of the condition on which the operand counts


def local_derivatives(step: Step) -> list[Local]:
    """Derivatives of a primal step by each operand that is a variable, where they are not the constant 0."""
    expr = step.expr
    if isinstance(expr, Name):  # an identity step after folding
        return [Local(expr.id, ONE_NUMBER)]
    if not isinstance(expr, Call):
        return []
    operands: dict[str, Expr] = dict(zip(OPERAND_NAMES, expr.args, strict=False))
    operands["v"] = Name(step.name)
    found = []
    for index, (arg, partial) in enumerate(zip(expr.args, TABLE[expr.op].partials, strict=True)):
        if partial is None or not isinstance(arg, Name):
            continue
        local = fold(substitute(partial, operands))
        if not is_zero(local):
            found.append(Local(arg.id, local, (index == 1) if expr.op == "where" else None))
    return found


class _Mask:
    """A side of a `where` that everything below it is reached through; masks form a tree, the root is None.

    The derivative of a branch that is not taken must be 0 even where it is infinite (0*inf is NaN). So every
    contribution made inside a branch is masked. A variable that is also used outside the branch belongs to the masks
    that all its uses have in common: their lowest common ancestor.
    """

    __slots__ = ("branch", "condition", "depth", "n", "name", "parent")

    def __init__(self, parent: _Mask | None, condition: Expr, branch: bool, n: int) -> None:
        self.parent, self.condition, self.branch, self.n = parent, condition, branch, n
        self.depth: int = 1 if parent is None else parent.depth + 1
        self.name: str | None = None  # of the step that holds the mask, once one is needed

    def select(self, inside: Expr) -> Expr:
        """`inside` where the mask holds, else 0."""
        if self.name is not None:
            return call("where", call("gt", Name(self.name), ZERO_NUMBER), inside, ZERO_NUMBER)
        return self.own(inside)

    def own(self, inside: Expr) -> Expr:
        """`inside` where the innermost condition holds."""
        sides = (inside, ZERO_NUMBER) if self.branch else (ZERO_NUMBER, inside)
        return call("where", self.condition, *sides)


def _common(a: _Mask | None, b: _Mask | None) -> _Mask | None:
    while a is not b:
        if a is None or b is None:
            return None
        if a.depth >= b.depth:
            a, b = (a.parent, b) if a.depth > b.depth else (a.parent, b.parent)
        else:
            b = b.parent
    return a


class _Reverse:
    """One reverse sweep."""

    def __init__(self, tape: Tape, wrt: tuple[str, ...]) -> None:
        self.source, self.wrt = tape, wrt
        self.namer = Namer(tape.bound_names())
        self.locals: Mapping[str, list[Local]] = {step.name: local_derivatives(step) for step in tape.steps}
        self.active = self._active()
        self.masks: dict[str, _Mask | None] = {}
        self.bars: dict[str, str] = {}
        self.uses: Counter[str] = Counter()

    def tape(self) -> Tape:
        value, steps = self.source.value, list(self.source.steps)
        if isinstance(value, Name) and value.id in self.active:
            self._prepare()
            steps.extend(self._sweep(value.id))
        outputs = [("value", value)]
        for name in self.wrt:
            bar = self.bars.get(name)
            outputs.append((name, ZERO_NUMBER if bar is None else Name(bar)))
        return self.source.with_steps(steps, outputs=tuple(outputs), wrt=self.wrt, bars=tuple(self.bars.items()))

    def _active(self) -> set[str]:
        """Variables that depend on `wrt` and on which the value depends."""
        varied = set(self.wrt)
        for step in self.source.steps:
            if any(local.operand in varied for local in self.locals[step.name]):
                varied.add(step.name)
        value = self.source.value
        useful = {value.id} if isinstance(value, Name) else set()
        for step in reversed(self.source.steps):
            if step.name in useful:
                useful.update(local.operand for local in self.locals[step.name])
        return varied & useful

    def _sends(self, step: Step) -> list[Local]:
        return [local for local in self.locals[step.name] if local.operand in self.active]

    def _prepare(self) -> None:
        """Name the adjoints, in the order in which people meet the variables, and count what each one receives."""
        for name in [given.name for given in self.source.inputs] + [step.name for step in self.source.steps]:
            if name in self.active:
                self.bars[name] = self.namer.fresh(f"{name}_bar")
        for step in self.source.steps:
            if step.name in self.active:
                self.uses.update(local.operand for local in self._sends(step))

    def _sweep(self, output: str) -> Iterator[Step]:
        self.masks[output] = None
        for step in reversed(self.source.steps):
            if step.name not in self.active:
                continue
            if step.name == output:
                yield Step(step.n, self.bars[output], ONE_NUMBER, SEED, step.shape, of=output)
            sends = self._sends(step)
            sides: dict[bool, _Mask] = {}
            for slot, local in enumerate(sends):
                mask = self.masks[step.name]
                if local.branch is not None:
                    assert isinstance(step.expr, Call)
                    if local.branch not in sides:
                        sides[local.branch] = _Mask(mask, step.expr.args[0], local.branch, step.n)
                    mask = sides[local.branch]
                yield from self._hold(mask)
                yield self._contribution(step, local, slot if len(sends) > 1 else None, mask)
                known = self.masks.get(local.operand, mask)
                self.masks[local.operand] = _common(known, mask)

    def _contribution(self, step: Step, local: Local, slot: int | None, mask: _Mask | None) -> Step:
        bar, several = self.bars[local.operand], self.uses[local.operand] > 1
        product = fold(call("mul", Name(self.bars[step.name]), local.partial))
        made = Step(
            n=step.n,
            name=bar,
            expr=product if mask is None else mask.select(product),
            role=ADJOINT,
            shape=step.shape,
            of=step.name,
            slot=slot,
            receiver=local.operand,
            local=local.partial,
        )
        if not several:
            return made
        # no user's name has brackets, so the name of a single contribution cannot clash
        return replace(made, name=f"{bar}[{made.label}]", into=bar)

    def _hold(self, mask: _Mask | None) -> Iterator[Step]:
        """A step for a mask inside another mask, so that code for nested branches stays linear in size."""
        chain = []
        while mask is not None and mask.parent is not None and mask.name is None:
            chain.append(mask)
            mask = mask.parent
        for inner in reversed(chain):
            assert inner.parent is not None
            inside = Name(inner.parent.name) if inner.parent.name else inner.parent.own(ONE_NUMBER)
            name = self.namer.fresh(f"mask{inner.n}")
            yield Step(inner.n, name, inner.own(inside), SHARED)
            inner.name = name
