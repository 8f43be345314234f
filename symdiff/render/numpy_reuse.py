"""What NumPy code takes from values that it has already, and where it saves an array: a tape -> the same in less.

    joint     sigmoid and its derivative share an exponential, as do softplus and sigmoid, logsumexp and softmax:
              one step gives both
    sign      relu(x) > 0 says what x > 0 says, so that x need not be kept
    mask      a comparison multiplies as it is, without an array of ones and zeros
    factor    two contributions c*A and -c*B to one adjoint are c*(A - B), one multiplication of an array instead of two
    products  a sum of products is a dot product, without an array of the products
    order     products that read the same matrix follow each other (`numpy_order`)

Derivations, traces and C are made of the tape itself. The steps keep their numbers; a step that another one carries out
is `absorbed` by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from symdiff.einstein import LETTERS, UNIT, Spec, familiar
from symdiff.expr import ONE_NUMBER as ONE
from symdiff.expr import ZERO_NUMBER as ZERO
from symdiff.expr import Call, Expr, Name, Number, bottom_up, call, names, walk
from symdiff.ops import COMPARE_OPS
from symdiff.ops.infer import shape_of
from symdiff.render.numpy_order import products_together
from symdiff.shapes import Shape
from symdiff.tape import PRIMAL, Namer, Step, Tape

_Rewrite = Callable[[Expr], Expr]


@dataclass(frozen=True)
class Joint:
    """A helper that gives the value of an op and `what` else; `fits` knows that as an expression over the step."""

    helper: str
    what: str
    fits: Callable[[Step, Call], bool]


@dataclass(frozen=True)
class Reuse:
    """The tape that is printed; what a step carries out beside its own work: `absorbed` steps, in their order, by the
    name of the one that does it, and the second result of a `joint` helper.
    """

    tape: Tape
    absorbed: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    joint: Mapping[str, tuple[Joint, str]] = field(default_factory=dict)

    def shapes(self) -> dict[str, Shape]:
        """Shape of every name, second results too."""
        made = dict(self.tape.shapes)
        return made | {second: made[_operand(step)] for step, second in self._seconds()}

    def _seconds(self) -> Iterator[tuple[Step, str]]:
        for step in self.tape.steps:
            if step.name in self.joint:
                yield step, self.joint[step.name][1]


def reused(tape: Tape, *, dot_products: bool) -> Reuse:
    """See the module. Without `dot_products` sums stay NumPy's own, which rounds less: for float32."""
    tape = _mapped(tape, _signs(tape))
    tape, joint = _joined(tape)
    shapes = Reuse(tape, {}, joint).shapes()
    tape = _mapped(tape, lambda node: _masked(node, shapes))
    tape, absorbed = _factored(tape, shapes)
    if dot_products:
        tape = _mapped(tape, lambda node: _row_dots(node, shapes))
        tape, products = _dotted(tape)
        absorbed |= products
    return Reuse(products_together(_delayed(tape, joint)), absorbed, joint)


def _mapped(tape: Tape, rewrite: _Rewrite) -> Tape:
    """The tape with `rewrite` made at every node of the reverse sweep, from the leaves up."""

    def whole(expr: Expr) -> Expr:
        return bottom_up(expr, lambda leaf: leaf, lambda old, args: rewrite(old.over(args)))

    return tape.with_steps(step if step.role == PRIMAL else step.over(whole(step.expr)) for step in tape.steps)


# -- what the forward values say already -------------------------------------------------------------------------------


def _signs(tape: Tape) -> _Rewrite:
    said: dict[Expr, Expr] = {
        call("gt", step.expr.args[0], ZERO): call("gt", Name(step.name), ZERO)
        for step in tape.primal
        if isinstance(step.expr, Call) and step.expr.op == "relu" and isinstance(step.expr.args[0], Name) and step.shape
    }
    return lambda node: said.get(node, node) if said else node


def _is_slope(step: Step, node: Call) -> bool:
    """v*sigmoid(-x)"""
    return node == call("mul", Name(step.name), call("sigmoid", call("neg", Name(_operand(step)))))


def _is_sigmoid(step: Step, node: Call) -> bool:
    """sigmoid(x)"""
    return node == call("sigmoid", Name(_operand(step)))


def _is_softmax(step: Step, node: Call) -> bool:
    """exp(x - v), with v along the axes that are left"""
    inner = node.args[0] if node.op == "exp" else None
    if not isinstance(inner, Call) or inner.op != "sub" or inner.args[0] != Name(_operand(step)):
        return False
    assert isinstance(step.expr, Call)
    axes, keepdims = step.expr.options
    given = inner.args[1]
    if given == Name(step.name):
        return keepdims or not step.shape
    if not isinstance(given, Call) or given.op != "contract" or given.args != (Name(step.name),) or keepdims:
        return False
    rank = len(step.shape) + len(axes or ())
    return familiar(given.options[0]).axes == tuple(k for k in range(rank) if axes is not None and k not in axes)


_JOINTS = {
    "sigmoid": Joint("sigmoid_and_slope", "slope", _is_slope),
    "softplus": Joint("softplus_and_slope", "slope", _is_sigmoid),
    "logsumexp": Joint("logsumexp_and_softmax", "softmax", _is_softmax),
}


def _operand(step: Step) -> str:
    """Name of the first operand of a step that has a joint helper."""
    assert isinstance(step.expr, Call) and isinstance(step.expr.args[0], Name)
    return step.expr.args[0].id


def _joined(tape: Tape) -> tuple[Tape, dict[str, tuple[Joint, str]]]:
    shapes, namer = tape.shapes, Namer(tape.bound_names())
    found: dict[str, tuple[Joint, str]] = {}
    places: dict[Expr, Expr] = {}
    nodes = [part for step in tape.reverse for part in walk(step.expr) if isinstance(part, Call)]
    for step in tape.primal:
        expr = step.expr
        joint = _JOINTS.get(expr.op) if isinstance(expr, Call) else None
        if joint is None or not isinstance(expr, Call) or not isinstance(expr.args[0], Name):
            continue
        if not shapes[expr.args[0].id]:
            continue  # a number, which no helper can write over
        if fitting := [node for node in nodes if joint.fits(step, node)]:
            second = namer.fresh(f"{step.name}_{joint.what}")
            found[step.name] = joint, second
            places |= dict.fromkeys(fitting, Name(second))
    return (_mapped(tape, lambda node: places.get(node, node)) if places else tape), found


def _delayed(tape: Tape, joint: Mapping[str, tuple[Joint, str]]) -> Tape:
    """Joint steps after the last other reading of their operand, where nothing has read them by then: the operand's
    memory is then free for the second result.
    """
    steps = list(tape.steps)
    for step in tape.steps:
        if step.name in joint:
            here = steps.index(step)
            results = {step.name, joint[step.name][1]}
            read = next((k for k, each in enumerate(steps) if results & set(each.operands)), len(steps))
            others = [k for k, each in enumerate(steps) if k != here and _operand(step) in each.operands]
            if others and here < max(others) < read and steps[max(others)].role == PRIMAL:
                steps.insert(max(others) + 1, step)
                del steps[here]
    return tape.with_steps(steps)


# -- arrays that need not be made --------------------------------------------------------------------------------------


def _masked(node: Expr, shapes: Mapping[str, Shape]) -> Expr:
    """a*where(c, 1, 0) as a*c for an array a: the same bits. A number might be a whole one, and the product as well."""
    if not isinstance(node, Call) or node.op != "mul":
        return node
    for k, other in ((1, 0), (0, 1)):
        mask, factor = node.args[k], node.args[other]
        if _is_mask(mask) and not _is_mask(factor) and all(name in shapes for name in names(factor)):
            assert isinstance(mask, Call)
            if shape_of(factor, shapes):
                return node.over(mask.args[0] if j == k else arg for j, arg in enumerate(node.args))
    return node


def _is_mask(expr: Expr) -> bool:
    if not isinstance(expr, Call):
        return False
    whether = expr.args[0] if expr.op == "where" else expr
    known = isinstance(whether, Call) and whether.op in COMPARE_OPS
    return known and (expr.op != "where" or expr.args[1:] == (ONE, ZERO))


def _factored(tape: Tape, shapes: Mapping[str, Shape]) -> tuple[Tape, dict[str, tuple[Step, ...]]]:
    """Contributions to an adjoint that follow each other and have a number as a common factor, as one.

    The number is made of constants and sizes alone, as 1/n, so that it is finite: inf*A + inf*B is NaN at every zero.
    """
    finite = set(tape.dims)
    for step in tape.reverse:
        if not step.shape and step.into is None and finite.issuperset(step.operands):
            finite.add(step.name)
    opposite = {
        step.name: step.expr.args[0].id
        for step in tape.reverse
        if isinstance(step.expr, Call) and step.expr.op == "neg" and not step.shape and step.into is None
        if isinstance(step.expr.args[0], Name)
    }
    latest: dict[str, Step] = {}  # by accumulator
    absorbed: dict[str, tuple[Step, ...]] = {}
    whole = {step.name: step for step in tape.steps}
    steps = dict(whole)
    for step in tape.reverse:
        if step.into is not None:
            earlier = latest.get(step.target)
            if earlier is not None and (made := _common(earlier, step, finite, opposite)) is not None:
                absorbed[step.name] = (*absorbed.pop(earlier.name, ()), steps.pop(earlier.name))
                steps[step.name] = step = step.over(made)
            latest[step.target] = step
    if absorbed:
        read = {name for step in steps.values() for name in step.operands}
        read |= {name for _, expr in tape.outputs for name in names(expr)}
        for name, gone in absorbed.items():
            factors = dict.fromkeys(each for part in (*gone, steps[name]) for each in whole[part.name].operands)
            unread = [each for each in factors if each in opposite and each in steps and each not in read]
            absorbed[name] = (*map(steps.pop, unread), *gone)
    return tape.with_steps(steps.values()), absorbed


def _common(one: Step, two: Step, finite: set[str], opposite: Mapping[str, str]) -> Expr | None:
    """c*(A + B) or c*(A - B), if the expressions are c*A and c*B or -c*B."""
    first, second = _scaled(one, finite), _scaled(two, finite)
    if first is None or second is None:
        return None
    (c, a), (d, b) = first, second
    if opposite.get(c, c) != opposite.get(d, d):
        return None
    if (c in opposite) == (d in opposite):
        return call("mul", Name(c), call("add", a, b))
    return call("mul", Name(d), call("sub", b, a)) if c in opposite else call("mul", Name(c), call("sub", a, b))


def _scaled(step: Step, numbers: set[str]) -> tuple[str, Expr] | None:
    """c and A, if the expression is c*A with one of these numbers; A then has the shape of the step."""
    expr = step.expr
    if not isinstance(expr, Call) or expr.op != "mul" or not step.shape:
        return None
    number, array = expr.args if isinstance(expr.args[0], Name) and expr.args[0].id in numbers else expr.args[::-1]
    return (number.id, array) if isinstance(number, Name) and number.id in numbers else None


def _row_dots(node: Expr, shapes: Mapping[str, Shape]) -> Expr:
    """sum(a*b) over the last axis, of factors of one shape, as one contraction."""
    if not isinstance(node, Call) or node.op != "contract" or familiar(node.options[0]).kind != "sum":
        return node
    product, spec = node.args[0], node.options[0]
    if not isinstance(product, Call) or product.op != "mul" or UNIT in spec.operands[0]:
        return node
    known = all(name in shapes for name in names(product))
    same = known and len({shape_of(each, shapes) for each in product.args}) == 1
    if not same or familiar(spec).axes != (len(spec.operands[0]) - 1,):
        return node
    return call("contract", *product.args, options=(Spec(spec.operands * 2, spec.output), *node.options[1:]))


def _dotted(tape: Tape) -> tuple[Tape, dict[str, tuple[Step, ...]]]:
    """Sums over everything, or over the last axis, of a product that nothing else reads."""
    reads = Counter(part.id for expr in _expressions(tape) for part in walk(expr) if isinstance(part, Name))
    products = {step.name: step for step in tape.steps if step.into is None and reads[step.name] == 1}
    absorbed: dict[str, tuple[Step, ...]] = {}
    steps: list[Step] = []
    for step in tape.steps:
        inner = _reduced(step.expr)
        product = products.get(inner) if inner is not None and step.role == PRIMAL else None
        made = _dot(step.expr, product, tape) if product is not None else None
        if made is not None and product is not None:
            absorbed[step.name] = (product,)
        steps.append(replace(step, expr=made) if made is not None else step)
    gone = {step.name for products in absorbed.values() for step in products}
    return tape.with_steps(step for step in steps if step.name not in gone), absorbed


def _expressions(tape: Tape) -> Iterator[Expr]:
    yield from (step.expr for step in tape.steps)
    yield from (expr for _, expr in tape.outputs)


def _reduced(expr: Expr) -> str | None:
    """The name that is summed, or whose mean is taken."""
    if not isinstance(expr, Call) or not isinstance(expr.args[0] if expr.args else None, Name):
        return None
    is_sum = expr.op == "contract" and familiar(expr.options[0]).kind == "sum"
    return names(expr)[0] if expr.op == "mean" or is_sum else None


def _dot(expr: Expr, product: Step, tape: Tape) -> Expr | None:
    """`expr`, a sum or mean of the product, over the factors."""
    assert isinstance(expr, Call)
    factors = _factors(product, tape.shapes)
    rank = len(product.shape)
    if expr.op == "mean":
        axes, keepdims = expr.options
    else:
        form = familiar(expr.options[0])
        axes, keepdims = form.axes, form.keepdims
    gone = tuple(range(rank)) if axes is None else tuple(axes)
    if factors is None or keepdims or not rank or gone not in (tuple(range(rank)), (rank - 1,)):
        return None
    letters = LETTERS[:rank]
    total = call("contract", *factors, options=(Spec((letters, letters), letters[: rank - len(gone)]),))
    if expr.op != "mean":
        return total
    count: Expr | None = None
    for size in (product.shape[axis] for axis in gone):
        if isinstance(size, str):
            one: Expr = Name(size)
        elif isinstance(size, int):
            one = Number(float(size))
        else:
            return None
        count = one if count is None else call("mul", count, one)
    assert count is not None
    return call("div", total, count)


def _factors(step: Step, shapes: Mapping[str, Shape]) -> tuple[Expr, Expr] | None:
    """a and b of a*b, twice a of a**2, where both have the shape of the product."""
    expr = step.expr
    if not isinstance(expr, Call):
        return None
    if expr.op == "square" or (expr.op == "pow" and expr.args[1] == Number(2.0)):
        pair = (expr.args[0], expr.args[0])
    elif expr.op == "mul":
        pair = (expr.args[0], expr.args[1])
    else:
        return None
    fits = all(isinstance(each, Name) and shape_of(each, shapes) == step.shape for each in pair)
    return pair if fits else None


__all__ = ["Joint", "Reuse", "reused"]
