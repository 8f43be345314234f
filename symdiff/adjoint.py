"""Tape -> Tape: the reverse sweep behind the forward one.

Input: a tape of primal steps. Output: the same tape with, for every primal step on a path from the variables to the
value, one adjoint step per operand: `operand_bar += step_bar * d step / d operand` (Griewank and Walther, Evaluating
Derivatives, 2nd ed., SIAM 2008, table 3.5). The formula is never expanded; the cost is a small multiple of the
forward sweep's.

An elementwise step sends `step_bar * partial`, summed over the axes along which the operand was repeated; every other
step sends what its entry in the table of array operations says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from symdiff.collector import at_rest
from symdiff.einstein import UNIT, Spec
from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Form, Name, Pattern, call, form_of, substitute
from symdiff.ops import ARRAYS, TABLE
from symdiff.ops.array_core import Rule, contraction, fitted, stretched
from symdiff.ops.core import OPERAND_NAMES
from symdiff.ops.evaluate import fold, is_zero
from symdiff.ops.infer import shape_of
from symdiff.shapes import Shape, broadcast
from symdiff.tape import ADJOINT, SEED, SHARED, Namer, Step, Tape, adjoint_label


@at_rest
def adjoint(tape: Tape, wrt: Iterable[str]) -> Tape:
    """`tape` with its reverse sweep; the outputs are the value and the gradient by each of `wrt`, in that order."""
    return _Reverse(tape, tuple(wrt)).tape()


@dataclass(frozen=True, slots=True)
class Local:
    """One operand of a step, and the derivative of the step by it."""

    operand: str
    partial: Expr | None  # None where the rule of the op gives the whole contribution
    branch: bool | None = None  # for `where`: the side of the condition on which the operand counts
    place: int = 0  # which operand of the op it is


def local_derivatives(step: Step) -> list[Local]:
    """Derivatives of a primal step by each operand that is a variable, where they are not the constant 0."""
    expr = step.expr
    if isinstance(expr, Name):  # an identity step after folding
        return [Local(expr.id, ONE_NUMBER)]
    if not isinstance(expr, Call):
        return []
    if expr.op in ARRAYS:
        return [Local(arg.id, None, None, k) for k, arg in enumerate(expr.args) if isinstance(arg, Name)]
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


@dataclass(frozen=True, slots=True)
class _Sent:
    """What every elementwise step of one form sends to one operand, over the operands, the step and its adjoint."""

    operand: int
    partial: Pattern
    branch: bool | None
    product: Pattern


class _Rules:
    """Local derivatives of elementwise steps, worked out once for all steps of a form."""

    def __init__(self) -> None:
        self._known: dict[Form, list[_Sent]] = {}

    def locals_of(self, step: Step) -> list[Local]:
        """What `local_derivatives` gives; `place` says which of the derivatives it is."""
        if not isinstance(step.expr, Call) or step.expr.op in ARRAYS:
            return local_derivatives(step)
        sent, found = self._sent(step.expr)
        found = (*found, step.name)
        return [Local(found[each.operand], each.partial.over(found), each.branch, k) for k, each in enumerate(sent)]

    def product(self, step: Step, local: Local, bar: str) -> Expr:
        """Upstream times local, folded."""
        if not isinstance(step.expr, Call):
            return Name(bar)
        sent, found = self._sent(step.expr)
        return sent[local.place].product.over((*found, step.name, bar))

    def _sent(self, expr: Call) -> tuple[list[_Sent], tuple[str, ...]]:
        form, found = form_of(expr)
        sent = self._known.get(form)
        if sent is None:
            upstream = Name(str(len(found) + 1))
            sent = self._known[form] = [
                _Sent(
                    int(local.operand),
                    Pattern(local.partial),
                    local.branch,
                    Pattern(fold(call("mul", upstream, local.partial))),
                )
                for local in local_derivatives(Step(0, str(len(found)), form.expr))
                if local.partial is not None
            ]
        return sent, found


_LINEAR = frozenset({"index", "reshape", "concat", "stack"})  # elements are moved, and none is changed
_GROUP = 8  # masks that one step joins


class _Mask:
    """Where contributions count: a side of a `where`, inside another mask or not; or wherever one of several holds.

    The derivative of a branch that is not taken must be 0 even where it is infinite (0*inf is NaN). So every
    contribution made inside a branch is masked. A variable that is used inside several branches counts wherever one of
    them is taken (`any_of`); one that is also used outside of every branch is not masked. No mask at all is None.

    A mask speaks of the elements of a step. `moved` is one that speaks of an operand's: an element of the operand
    counts where one of the elements that it goes into does.
    """

    __slots__ = ("any_of", "branch", "condition", "moved", "n", "name", "parent")

    def __init__(
        self,
        parent: _Mask | None,
        condition: Expr,
        branch: bool,
        n: int,
        any_of: tuple[_Mask, ...] = (),
        moved: tuple[_Mask, Callable[[Expr], Expr]] | None = None,
    ) -> None:
        self.parent, self.condition, self.branch, self.n, self.any_of = parent, condition, branch, n, any_of
        self.moved = moved
        self.name: str | None = None  # of the step that holds the mask, once one is needed

    @property
    def waits_for(self) -> tuple[_Mask, ...]:
        """Masks that this one is made of."""
        if self.moved is not None:
            return (self.moved[0],)
        return self.any_of or (() if self.parent is None else (self.parent,))

    @property
    def ready(self) -> bool:
        """True for a mask that one comparison says, and for one that a step holds."""
        return self.name is not None or not self.waits_for

    def choose(self, inside: Expr, outside: Expr = ZERO_NUMBER) -> Expr:
        """`inside` where the (ready) mask holds, else `outside`."""
        if self.name is not None:
            return call("where", call("gt", Name(self.name), ZERO_NUMBER), inside, outside)
        return call("where", self.condition, *((inside, outside) if self.branch else (outside, inside)))

    def expression(self) -> Expr:
        """1 where the mask holds, else 0 (a moved one: how often it holds); over ready masks."""
        if self.moved is not None:
            base, move = self.moved
            return move(Name(base.name) if base.name else base.choose(ONE_NUMBER))
        if self.any_of:
            found: Expr = ZERO_NUMBER
            for mask in reversed(self.any_of):
                found = mask.choose(ONE_NUMBER, found)
            return found
        assert self.parent is not None
        inside = Name(self.parent.name) if self.parent.name else self.parent.choose(ONE_NUMBER)
        sides = (inside, ZERO_NUMBER) if self.branch else (ZERO_NUMBER, inside)
        return call("where", self.condition, *sides)


def _either(masks: Iterable[_Mask | None], n: int) -> _Mask | None:
    """Where one of `masks` holds: without masks inside others of them, and with the two sides of a `where` as one."""
    found: dict[int, _Mask] = {}
    sides: dict[tuple[int, Expr], _Mask] = {}
    work = list(reversed(list(masks)))
    while work:
        mask = work.pop()
        if mask is None:
            return None
        side = mask.moved[0] if mask.moved else mask
        if not side.any_of and not side.moved and (side is mask or side.parent is None):
            other = sides.setdefault((id(side.parent), side.condition), side)
            if other.branch != side.branch:
                work.append(side.parent)
        found[id(mask)] = mask
    kept = _outermost(found)
    while len(kept) > 1:  # in groups, so that no expression is deep
        groups = [tuple(kept[k : k + _GROUP]) for k in range(0, len(kept), _GROUP)]
        kept = [group[0] if len(group) == 1 else _Mask(None, ZERO_NUMBER, True, n, group) for group in groups]
    return kept[0]


def _outermost(found: Mapping[int, _Mask]) -> list[_Mask]:
    """Masks of `found` that are not inside another one of them."""
    covered: dict[int, bool] = {}  # mask -> is it, or is one around it, in `found`?
    kept = []
    for mask in found.values():
        path, outer = [], mask.parent
        while outer is not None and id(outer) not in covered and id(outer) not in found:
            path.append(outer)
            outer = outer.parent
        inside = outer is not None and (id(outer) in found or covered[id(outer)])
        covered.update((id(part), inside) for part in path)
        if not inside:
            kept.append(mask)
    return kept


class _Reverse:
    """One reverse sweep."""

    def __init__(self, tape: Tape, wrt: tuple[str, ...]) -> None:
        self.source, self.wrt = tape, wrt
        self.namer = Namer(tape.bound_names())
        self.rules = _Rules()
        self.locals: Mapping[str, list[Local]] = {step.name: self.rules.locals_of(step) for step in tape.steps}
        self.active = self._active()
        self.sends: dict[str, list[Local]] = {}  # active step -> its derivatives by active operands
        self.masks: dict[str, list[_Mask | None]] = {}  # variable -> the mask of each contribution to it
        self.sides: dict[tuple[int, Expr, bool], _Mask] = {}
        self.bars: dict[str, str] = {}
        self.uses: Counter[str] = Counter()
        self._last_rule: tuple[Step, Rule] | None = None
        self.contributions: set[str] = set()  # names of steps that add to an adjoint
        self.shapes: dict[str, Shape] = dict(tape.shapes)

    def tape(self) -> Tape:
        value, steps = self.source.value, list(self.source.steps)
        if isinstance(value, Name) and value.id in self.active:
            self._prepare()
            steps.extend(self._sweep(value.id))
        outputs = [("value", value)]
        for name in self.wrt:
            bar = self.bars.get(name)
            shape = self.shapes[name]
            nothing = call("zeros", options=(shape,)) if shape else ZERO_NUMBER
            outputs.append((name, nothing if bar is None else Name(bar)))
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

    def _prepare(self) -> None:
        """Name the adjoints, in the order in which people meet the variables, and count what each one receives."""
        for name in [given.name for given in self.source.inputs] + [step.name for step in self.source.steps]:
            if name in self.active:
                self.bars[name] = self.namer.fresh(f"{name}_bar")
        for step in self.source.steps:
            if step.name in self.active:
                sends = [local for local in self.locals[step.name] if local.operand in self.active]
                self.sends[step.name] = sends
                self.uses.update([local.operand for local in sends])

    def _sweep(self, output: str) -> Iterator[Step]:
        self.masks[output] = [None]
        for step in reversed(self.source.steps):
            if step.name not in self.active:
                continue
            if step.name == output:
                yield Step(step.n, self.bars[output], ONE_NUMBER, SEED, step.shape, of=output)
            sends = self.sends[step.name]
            around = _either(self.masks[step.name], step.n)
            for slot, local in enumerate(sends):
                mask = around if local.branch is None else self._side(around, step, local.branch)
                passed = self._passed(step, local, mask)
                mask = passed if local.partial is None else mask  # what mixes elements gives the operand's at once
                yield from self._hold(mask)
                yield self._contribution(step, local, slot if len(sends) > 1 else None, mask)
                self.masks.setdefault(local.operand, []).append(passed)

    def _passed(self, step: Step, local: Local, mask: _Mask | None) -> _Mask | None:
        """The mask of an operand's elements; None where the step mixes elements in other ways than adding them up."""
        if mask is None or (local.partial is not None and self.shapes[local.operand] == step.shape):
            return mask
        shape = self._mask_shape(mask)
        if shape == ():
            return mask
        move = self._move(step, local, shape)
        return None if move is None else _Mask(None, ZERO_NUMBER, True, step.n, moved=(mask, move))

    def _mask_shape(self, mask: _Mask) -> Shape:
        """Shape of what the mask compares."""
        if mask.name is not None:
            return self.shapes[mask.name]
        if mask.moved is not None:
            base, move = mask.moved
            inside = Name("mask") if base.name is None else Name(base.name)
            return shape_of(move(inside), {**self.shapes, "mask": self._mask_shape(base)})
        found: Shape = ()
        for part in mask.waits_for:
            found = broadcast(found, self._mask_shape(part))
        return found if mask.any_of else broadcast(found, shape_of(mask.condition, self.shapes))

    def _move(self, step: Step, local: Local, shape: Shape) -> Callable[[Expr], Expr] | None:
        """What sends the indicator of a mask of `shape` from a step to an operand: for sums the sum's own adjoint."""
        wanted = self.shapes[local.operand]

        def whole(indicator: Expr) -> Expr:
            return fitted(indicator, shape, step.shape)

        if local.partial is not None:
            return lambda indicator: fitted(whole(indicator), step.shape, wanted)
        expr = step.expr
        assert isinstance(expr, Call)
        if expr.op == "contract":
            spec: Spec = expr.options[0]
            part = spec.operands[local.place]
            rest = [index for index in part if index != UNIT and index not in spec.output]
            sizes = dict(zip(part, wanted, strict=True))
            missing = tuple((index, sizes[index]) for index in dict.fromkeys(rest))
            return lambda indicator: contraction(Spec((spec.output,), part, missing), (whole(indicator),))
        if ARRAYS[expr.op].local is not None:
            axes, keepdims = expr.options
            return lambda indicator: stretched(whole(indicator), wanted, axes, keepdims)
        if expr.op in _LINEAR:
            rule = self._rule(step)

            def back(indicator: Expr) -> Expr:
                sent = ARRAYS[rule.call.op].adjoint(rule, local.place, whole(indicator))
                assert sent is not None
                return sent

            return back
        return None

    def _side(self, around: _Mask | None, step: Step, branch: bool) -> _Mask:
        """A side of the `where` in `step`; the same mask for the same condition in the same place."""
        assert isinstance(step.expr, Call)
        condition = step.expr.args[0]
        return self.sides.setdefault((id(around), condition, branch), _Mask(around, condition, branch, step.n))

    def _contribution(self, step: Step, local: Local, slot: int | None, mask: _Mask | None) -> Step:
        bar, several = self.bars[local.operand], self.uses[local.operand] > 1
        shape = self.shapes[local.operand]
        expr, partial = self._sent(step, local, mask, shape), local.partial or self._partials(step)
        name, into = (self._contribution_name(bar, step, slot), bar) if several else (bar, None)
        return Step(step.n, name, expr, ADJOINT, shape, into, step.name, slot, local.operand, partial)

    def _contribution_name(self, bar: str, step: Step, slot: int | None) -> str:
        """A name for one contribution of several; no user's name has brackets, so it cannot clash."""
        label = adjoint_label(step.n, slot)
        name = f"{bar}[{label}]"
        if name in self.contributions:  # a pass made two steps of one, and both have its number
            name = f"{bar}[{label} {step.name}]"
        self.contributions.add(name)
        return name

    def _sent(self, step: Step, local: Local, mask: _Mask | None, shape: Shape) -> Expr:
        """The contribution: an array of the operand's shape."""
        if local.partial is None:
            assert isinstance(step.expr, Call)
            upstream = Name(self.bars[step.name])
            sent = ARRAYS[step.expr.op].adjoint(self._rule(step), local.place, upstream)
            assert sent is not None, step.op
            return fold(sent if mask is None else mask.choose(sent))
        product = self.rules.product(step, local, self.bars[step.name])
        return fitted(product if mask is None else mask.choose(product), step.shape, shape)

    def _rule(self, step: Step) -> Rule:
        if self._last_rule is None or self._last_rule[0] is not step:  # once a step, however many operands it has
            assert isinstance(step.expr, Call)
            shapes = tuple(shape_of(arg, self.shapes) for arg in step.expr.args)
            self._last_rule = step, Rule(step.expr, shapes, step.shape, Name(step.name))
        return self._last_rule[1]

    def _partials(self, step: Step) -> Expr | None:
        """Partials of a reduction, by element; what mixes elements has none to show."""
        entry = ARRAYS.get(step.op)
        return fold(entry.local(self._rule(step))) if entry is not None and entry.local is not None else None

    def _hold(self, mask: _Mask | None) -> Iterator[Step]:
        """Steps for a mask made of others and for those, so that code for nested branches stays linear in size."""
        work = [] if mask is None else [mask]
        while work:
            if work[-1].ready:
                work.pop()
                continue
            waiting = [part for part in work[-1].waits_for if not part.ready]
            work.extend(waiting)
            if not waiting:
                made = work.pop()
                name = self.namer.fresh(f"mask{made.n}")
                expression = made.expression()
                self.shapes[name] = shape_of(expression, self.shapes)
                yield Step(made.n, name, expression, SHARED, self.shapes[name])
                made.name = name
