"""Tape -> statements: compound steps taken apart, views read in place, everything else in loops and calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from symdiff.errors import UnsupportedError
from symdiff.expr import ZERO_NUMBER, Call, Expr, Name, Number, bottom_up, walk
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.infer import call_shape
from symdiff.render.c_array_calls import CALLS
from symdiff.render.c_array_contract import contract
from symdiff.render.c_array_elem import (
    Elem,
    Leaf,
    Variable,
    combined,
    dimension,
    identity_matrix,
    indexed,
    is_diagonal,
    number,
    read,
    reshaped,
    row_major,
    taken,
)
from symdiff.render.c_array_ir import EXACT, Map, Remark, Scalar, Statement, Target, Total, Writing, is_exact
from symdiff.render.printer import TEXT
from symdiff.shapes import Shape, Size, Slice, broadcast, plus, product
from symdiff.tape import PRIMAL, Step, Tape

LARGEST_PERIOD = 32  # sums that are kept for the last axes of a loop over all elements in a row


class Lowering:
    """Turns the steps of one tape into statements; `results` are the outputs."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.statements: list[Statement] = []
        self.inputs = [Variable(given.name, given.shape, source=k) for k, given in enumerate(tape.inputs)]
        self.values: dict[str, Elem] = {variable.wish: read(variable) for variable in self.inputs}
        self.values.update((name, dimension(name)) for name in tape.dims)
        self.known: dict[Expr, Elem] = {}
        self.hoisted: dict[Any, Elem] = {}
        self.sums: dict[str, Variable] = {}
        self.primal = {step.name: step for step in tape.primal}
        self.pending: list[str] = []
        self.current = ""
        for step in tape.steps:
            self._step(step)
        self.results = [self._result(k, label, expr) for k, (label, expr) in enumerate(tape.outputs)]
        self.statements = _needed(self.statements, self.results)

    # -- steps -----------------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        first = step.into is None or step.into not in self.sums
        self.current, self.pending = step.target, [_note(step, self.primal, first)]
        if step.into is None:
            self.values[step.name] = self._bound(step)
        else:
            variable = self.sums.setdefault(step.into, Variable(step.into, step.shape))
            self._stored(step.expr, Target(variable, not first))
            self.values[step.into] = read(variable)
        if self.pending:
            self.statements.append(Remark(self.pending))
        self.pending = []

    def _bound(self, step: Step) -> Elem:
        variable = Variable(step.name, step.shape)
        made = self._root(step.expr, Target(variable, False))
        if made is not None and self._is_free(made):
            return self.simple(made)
        if made is not None:
            self.write(variable, made, False)
        value = read(variable)
        if isinstance(step.expr, Call) and step.expr.op not in TABLE:
            self.known[step.expr] = value
        return value

    def _stored(self, expr: Expr, target: Target) -> None:
        made = self._root(expr, target)
        if made is not None:
            self.write(target.variable, made, target.add)

    def _is_free(self, elem: Elem) -> bool:
        """Whether reading costs no more than reading a copy would."""
        if not elem.shape:
            leaf = elem.leaves.get(elem.expr.id) if isinstance(elem.expr, Name) else None
            return isinstance(elem.expr, Number) or (leaf is not None and leaf.is_number)
        return elem.load is not None or all(leaf.is_number or is_diagonal(leaf) for leaf in elem.leaves.values())

    def _result(self, k: int, label: str, expr: Expr) -> Elem:
        """An output array is the variable itself where that is possible, else a copy of it."""
        self.current, self.pending = label if k == 0 else f"{label}_bar", []
        value = self.value(expr)
        leaf, variable = value.load, None
        if value.shape and leaf is not None and leaf.offset == 0 and leaf.strides == row_major(value.shape):
            variable = leaf.variable
        owned = variable is not None and variable.shape and variable.source is None and variable.output is None
        if owned and variable is not None and product(variable.shape) == product(value.shape):
            variable.output = k
            return value
        if value.shape:
            copy = Variable(self.current, value.shape, output=k)
            self.write(copy, value, False)
            return read(copy)
        return value

    # -- expressions -----------------------------------------------------------------------------------------------

    def value(self, expr: Expr) -> Elem:
        """`expr` element by element; what cannot be is worked out before."""

        def node(typed: Call, args: list[tuple[Expr, Elem]]) -> tuple[Expr, Elem]:
            original = typed.over(expr for expr, _ in args)
            return original, self._known(original, [elem for _, elem in args])

        def leaf(part: Name | Number) -> tuple[Expr, Elem]:
            return part, self.values[part.id] if isinstance(part, Name) else number(part)

        return bottom_up(expr, leaf, node)[1]

    def _known(self, call: Call, args: list[Elem]) -> Elem:
        if call.op in TABLE:
            return self._elementwise(call, args)
        if call not in self.known:
            made = self.node(call, args, None)
            assert made is not None, call.op
            self.known[call] = made
        return self.known[call]

    def _root(self, expr: Expr, target: Target) -> Elem | None:
        """The value of a step, or None where it has been written to the target."""
        if not isinstance(expr, Call) or expr in self.known or expr.op in TABLE:
            return self.value(expr)
        return self.node(expr, [self.value(arg) for arg in expr.args], target)

    def _elementwise(self, call: Call, args: list[Elem]) -> Elem:
        if call.op == "identity":
            return args[0]
        shape: Shape = reduce(broadcast, (arg.shape for arg in args), ())
        return combined(call, args, shape)

    def node(self, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
        """The value of an array op, or None where it has been written to the target."""
        handler = _HANDLERS.get(call.op)
        if handler is None:
            raise UnsupportedError(f"there is no C code for {call.op}")
        made: Elem | None = handler(self, call, args, target)
        return made

    # -- statements ------------------------------------------------------------------------------------------------

    def emit(self, statement: Writing) -> None:
        """Append a statement; the first one of a step carries its comment."""
        statement.notes, self.pending = self.pending, []
        self.statements.append(statement)

    def temporary(self, what: str, shape: Shape) -> Variable:
        """A variable for something inside the current step."""
        return Variable(f"{self.current}_{what}", shape)

    def goal(self, target: Target | None, what: str, shape: Shape) -> Target:
        """The target, or a new variable."""
        return target or Target(self.temporary(what, shape), False)

    def write(self, variable: Variable, elem: Elem, add: bool, place: Leaf | None = None) -> None:
        """`variable[place] = elem`, or `+=`."""
        if not variable.shape:
            self.emit(Scalar(variable, elem, add))
            return
        if 0 in elem.shape:
            return
        whole = place or Leaf(variable, 0, row_major(elem.shape))
        elem = self.simple(elem)
        if place is not None and not is_exact(elem):
            elem = self.copied(elem, "part")
        self.emit(Map(variable, elem, add, whole))

    def simple(self, elem: Elem) -> Elem:
        """The same with parts that are one number for all elements as numbers of their own."""
        if not elem.shape or not any(isinstance(part, Call) for part in walk(elem.expr)):
            return elem
        leaves, rank = dict(elem.leaves), len(elem.shape)

        def leaf(part: Name | Number) -> tuple[Expr, bool]:
            return part, isinstance(part, Number) or leaves[part.id].is_number

        def node(call: Call, args: list[tuple[Expr, bool]]) -> tuple[Expr, bool]:
            alone = all(flag for _, flag in args)
            if alone or call.op in COMPARE_OPS:
                return call.over(expr for expr, _ in args), alone
            return call.over(self._number(expr, leaves, rank) if flag else expr for expr, flag in args), False

        expr, alone = bottom_up(elem.expr, leaf, node)
        if alone:
            expr = self._number(expr, leaves, rank)
        used = {part.id for part in walk(expr) if isinstance(part, Name)}
        return Elem(elem.shape, expr, {key: leaf for key, leaf in leaves.items() if key in used})

    def _number(self, expr: Expr, leaves: dict[str, Leaf], rank: int) -> Expr:
        """A call over numbers as the name of a number, unless it is as good as one."""
        if (
            not isinstance(expr, Call)
            or expr.op in COMPARE_OPS
            or (expr.op == "neg" and isinstance(expr.args[0], Name))
        ):
            return expr
        if all(part.op in EXACT if isinstance(part, Call) else isinstance(part, Number) for part in walk(expr)):
            return expr
        inside = {part.id: replace(leaves[part.id], strides=()) for part in walk(expr) if isinstance(part, Name)}
        key = bottom_up(
            expr,
            lambda part: (inside[part.id].variable, inside[part.id].dimension) if isinstance(part, Name) else part,
            lambda call, args: (call.op, *args),
        )
        if key not in self.hoisted:
            variable = self.temporary("factor", ())
            self.statements.append(Scalar(variable, Elem((), expr, inside), False))
            self.hoisted[key] = read(variable)
        made = self.hoisted[key]
        assert isinstance(made.expr, Name)
        leaf = made.leaves[made.expr.id]
        leaves[made.expr.id] = replace(leaf, strides=(0,) * rank)
        return made.expr

    def copied(self, elem: Elem, what: str = "copy") -> Elem:
        """`elem` in a variable of its own."""
        variable = self.temporary(what, elem.shape)
        self.write(variable, elem, False)
        return read(variable)

    def stored(self, elem: Elem) -> Elem:
        """`elem` as a view of something in memory."""
        leaf = elem.load
        return elem if leaf is not None and not leaf.is_number else self.copied(elem)

    def packed(self, elem: Elem) -> Leaf:
        """`elem` row-major without gaps, for a call."""
        leaf = elem.load
        if leaf is None or leaf.is_number or leaf.strides != row_major(elem.shape):
            leaf = self.copied(elem).load
        assert leaf is not None
        return leaf

    def total(self, elem: Elem, kept: Sequence[int], shape: Shape, target: Target | None) -> Elem | None:
        """The sum over all axes that are not kept, as an array of `shape` (the kept sizes, and axes of size 1)."""
        wide = [k for k, size in enumerate(elem.shape) if size != 1]
        kept = tuple(wide.index(k) for k in kept if k in wide)
        if 0 in elem.shape:
            elem = number(ZERO_NUMBER, elem.shape)  # reads nothing
        elem = self.simple(taken(elem, wide, tuple(elem.shape[k] for k in wide)))
        if len(kept) == len(wide):
            return reshaped(elem, shape) or reshaped(self.copied(elem), shape)
        if not joins(elem.shape, kept) and not is_exact(elem):
            elem = self.copied(elem, "terms")
        goal = self.goal(target, "sum", shape)
        self.emit(Total(goal.variable, elem, goal.add, kept))
        return None if target else read(goal.variable)


def _needed(statements: Sequence[Statement], results: Sequence[Elem]) -> list[Statement]:
    """Without what nothing reads, such as a value of which a step takes no element: of that the comments alone."""
    read = {leaf.variable for elem in results for leaf in elem.leaves.values()}
    kept: list[Statement] = []
    for statement in reversed(statements):
        if isinstance(statement, Remark) or statement.variable in read:
            kept.append(statement)
            read.update(() if isinstance(statement, Remark) else (leaf.variable for leaf in statement.reads()))
        elif statement.notes:
            kept.append(Remark(statement.notes))
    return kept[::-1]


def joins(shape: Shape, kept: tuple[int, ...]) -> bool:
    """Whether the sum can be taken along with a loop over all elements in a row: nothing or a few last axes kept."""
    inner = shape[len(shape) - len(kept) :]
    period = product(inner)
    return kept == tuple(range(len(shape) - len(kept), len(shape))) and (
        isinstance(period, int) and 0 < period <= LARGEST_PERIOD
    )


def _note(step: Step, primal: dict[str, Step], first: bool) -> str:
    """`(5) v5 = H @ v4`, and for an adjoint step where it comes from; what comes first is not added to anything."""
    shown = TEXT(step.expr)
    shown = shown if len(shown) <= 200 else "..."
    source = primal.get(step.of or "") if step.role != PRIMAL else None
    origin = ""
    if source is not None:
        text = TEXT(source.expr)
        origin = f", from {source.name}" + (f" = {text}" if len(text) <= 60 else "")
    return f"({step.label}) {step.target} {'=' if first else '+='} {shown}{origin}"


# -- structure ---------------------------------------------------------------------------------------------------------


def _index(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem:
    return indexed(args[0], call.options[0], call_shape(call, [args[0].shape]))


def _put(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    items, shape = call.options
    goal = low.goal(target, "put", shape)
    place = indexed(read(goal.variable), items, args[0].shape).load
    if not shape or place is None:
        return args[0]
    given = args[0].shape
    fills = product(given) == product(shape) and place.offset == 0 and place.strides == row_major(given)
    if not goal.add and not fills:  # else no zero is left
        low.write(goal.variable, number(ZERO_NUMBER, shape), False)
    low.write(goal.variable, args[0], goal.add, place)
    return None if target else read(goal.variable)


def _concat(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    (axis,) = call.options
    total: Size = 0
    for arg in args:
        total = plus(total, arg.shape[axis])
    first = args[0].shape
    goal = low.goal(target, "joined", (*first[:axis], total, *first[axis + 1 :]))
    start: Size = 0
    for arg in args:
        items: list[Any] = [Slice(0, size, 1) for size in arg.shape]
        items[axis] = Slice(start, plus(start, arg.shape[axis]), 1)
        start = plus(start, arg.shape[axis])
        _write_part(low, goal, arg, items)
    return None if target else read(goal.variable)


def _stack(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem | None:
    (axis,) = call.options
    first = args[0].shape
    goal = low.goal(target, "joined", (*first[:axis], len(args), *first[axis:]))
    for k, arg in enumerate(args):
        items: list[Any] = [Slice(0, size, 1) for size in arg.shape]
        _write_part(low, goal, arg, [*items[:axis], k, *items[axis:]])
    return None if target else read(goal.variable)


def _write_part(low: Lowering, goal: Target, part: Elem, items: list[Any]) -> None:
    place = indexed(read(goal.variable), items, part.shape).load
    assert place is not None
    low.write(goal.variable, part, goal.add, place)


def _reshape(low: Lowering, call: Call, args: list[Elem], target: Target | None) -> Elem:
    shape = call.options[0]
    made = reshaped(args[0], shape) or reshaped(low.copied(args[0]), shape)
    assert made is not None
    return made


def _filled(value: float) -> Callable[..., Elem]:
    return lambda low, call, args, target: number(Number(value), call.options[0])


_HANDLERS: dict[str, Callable[..., Elem | None]] = {
    "index": _index,
    "put": _put,
    "concat": _concat,
    "stack": _stack,
    "reshape": _reshape,
    "zeros": _filled(0.0),
    "ones": _filled(1.0),
    "eye": lambda low, call, args, target: identity_matrix(call.options[0], call.options[-1]),
    "contract": contract,
    **CALLS,
}
