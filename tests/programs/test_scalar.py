"""`symdiff.Scalar`: the same numbers and the same states as the trace, node by node, and the habits of an autograd."""

from __future__ import annotations

import copy
import doctest
import itertools
import math
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symdiff
from symdiff import Scalar, examples
from symdiff import functions as fn
from symdiff.ops import TABLE
from symdiff.programs import scalar as module
from symdiff.programs.operand import value_of

# -- against the trace -----------------------------------------------------------------------------------------------


def _program(text: str, at: dict[str, float]) -> dict[str, Scalar]:
    """The statements of a formula run as Python on Scalars."""
    names: dict[str, Any] = {name: Scalar(value, name) for name, value in at.items()}
    for line in text.splitlines():
        name, _, expression = line.partition(" = ")
        made = eval(expression, {"__builtins__": {}, **vars(fn)}, names)  # the test's own text
        names[name] = made.named(name)
    return names


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def _agrees(text: str, at: dict[str, float], *, words: bool = True) -> None:
    """Every value, every adjoint and every state of the sweep; `words`: also what is pending, as text."""
    trace = symdiff.formula(text).gradient(wrt=list(at)).trace(at=at)
    names = _program(text, at)
    nodes = {node.name: node for node in trace.numbers.nodes}
    assert all(_same(names[name].data, node.value) for name, node in nodes.items() if name in names)
    output = names[text.splitlines()[-1].partition(" = ")[0]]
    sweep = output.sweep()
    order = []
    for node in sweep:
        name = sweep.name(node)
        order.append(name)
        state = trace.before(name)
        found = sweep.adjoints
        assert found.keys() == state.adjoints.keys()
        assert all(_same(found[each], state.adjoints[each]) for each in found)
        assert _same(node.grad, state.adjoint)
        if words:
            assert sweep.pending == state.pending
        else:  # a trace writes the condition of a branch into the text; here it has a value
            assert {k: len(v) for k, v in sweep.pending.items()} == {k: len(v) for k, v in state.pending.items()}
    assert tuple(order) == trace.numbers.reverse_order
    assert all(_same(names[name].grad, value) for name, value in trace.gradient.items())


def test_system_e_step_by_step() -> None:
    lines = examples.path("scalar_e").read_text("ascii").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    at = {"x": 0.5, "y": -1.25}
    _agrees(text, at)
    z = _program(text, at)
    sweep = z["z8"].sweep()
    for node in sweep:
        if node is z["z4"]:
            break
    assert z["z3"].grad == z["z7"].data  # z8_bar*z7, and nothing yet from z4
    assert sweep.pending["z3"] == ["z4_bar*cos(z3)"]
    assert z["z4"].grad == z["z5"].grad * (2.0 * z["z4"].data)
    for _ in sweep:  # and on to the end
        pass
    assert z["z3"].grad == z["z7"].data + z["z4"].grad * math.cos(z["z3"].data)
    assert sweep.pending == {}


SMOOTH = ["sin({a})", "tanh({a})", "sigmoid({a})", "exp({a})", "-{a}", "softplus({a})", "1/{a}", "{a}**2", "{a}**3",
          "{a}**-1.5", "log({a})", "sqrt({a})", "erf({a})", "{a}**0.5", "{a}/2", "3 - {a}", "1.5*{a}", "2**{a}",
          "relu({a})", "abs({a})", "{a}**4", "{a}**-3"]  # fmt: skip
BINARY = ["{a} + {b}", "{a}*{b}", "{a} - {b}", "{a}/{b}", "{a}**{b}", "maximum({a}, {b})", "minimum({a}, {b})",
          "hypot({a}, {b})", "atan2({a}, {b})", "xlogy({a}, {b})"]  # fmt: skip
BRANCHES = ["where({a} > {b}, {a}, {c})", "where({a} <= 0.5, log({b}), {c})", "where({b} != {c}, 1/{a}, sqrt({b}))",
            "where({a} < 0, 2.0, {c})", "where({a} == {b}, {c}, {c}*{a})", "sign({a})*{b}"]  # fmt: skip
NUMBERS = st.sampled_from([-2.5, -1.0, -0.3, 0.0, 0.5, 1.0, 2.0, 3.75]) | st.floats(-4, 4)


@st.composite
def _texts(draw: st.DrawFn, parts: list[str]) -> tuple[str, dict[str, float]]:
    """A formula of a few statements, all of which its value uses, and a point."""
    at = {name: draw(NUMBERS) for name in ("x", "y")}
    names, lines = list(at), []
    for k in range(draw(st.integers(2, 8))):
        a, b, c = (draw(st.sampled_from(names)) for _ in range(3))
        names.append(f"z{k}")
        lines.append(f"z{k} = " + draw(st.sampled_from(parts)).format(a=a, b=b, c=c))
    lines.append("last = " + " + ".join(names))
    return "\n".join(lines), at


@settings(max_examples=60, deadline=None)
@given(_texts(SMOOTH + BINARY))
def test_random_formulas_agree_with_their_trace(case: tuple[str, dict[str, float]]) -> None:
    _agrees(*case)


@settings(max_examples=60, deadline=None)
@given(_texts(SMOOTH + BINARY + BRANCHES * 3))
def test_random_formulas_with_branches_agree_with_their_trace(case: tuple[str, dict[str, float]]) -> None:
    """A branch that is not taken sends exactly 0, through whatever is behind it, also where that is infinite."""
    _agrees(*case, words=False)


def test_nested_expressions_have_the_names_of_the_trace() -> None:
    _agrees("z1 = sin(x)*exp(-y) + x**2/(1 + y)\nz2 = tanh(z1*x - 3)*z1*sign(x*y*y)", {"x": 0.25, "y": 1.5})


def test_powers_are_spelled_as_in_generated_code() -> None:
    for k in range(20):  # x*x*x and a general power differ in the last bit at some of these
        _agrees("z = x**5 + x**4 + x**-4 + x**-3", {"x": 0.7 + k / 7.0})


def test_what_is_pending_from_a_branch() -> None:
    x, y = Scalar(1.0, "x"), Scalar(2.0, "y")
    sweep = fn.where(x > y, x, y * 3.0).named("z").sweep()
    assert sweep.pending == {"x": ["0"], "v1": ["z_bar"], "y": ["v1_bar*3"]}


def test_a_branch_not_taken_sends_nothing() -> None:
    x = Scalar(-1.0, "x")
    inside = x.log()  # NaN, and 1/x is not wanted either
    value = fn.where(x > 0, inside * 3.0, x * 2.0)
    value.backward()
    assert (value.data, x.grad, inside.grad) == (-2.0, 2.0, 0.0)
    zero = Scalar(0.0)
    both = fn.where(zero > 0, zero.sqrt(), zero)  # 0 * inf on the other side
    both.backward()
    assert zero.grad == 1.0


# -- an autograd -----------------------------------------------------------------------------------------------------


def _loss(x: Scalar, y: Scalar) -> Scalar:
    hidden = [(x * w + y).tanh() for w in (0.5, -1.5)]
    return sum(h * h for h in hidden) + fn.exp(x / 4) - 1 / (y + 3)


def test_one_node_at_a_time_is_the_whole_sweep() -> None:
    x, y = Scalar(0.7, "x"), Scalar(-0.2, "y")
    whole = _loss(x, y)
    whole.backward()
    wanted = x.grad, y.grad
    a, b = Scalar(0.7), Scalar(-0.2)
    loss = _loss(a, b)
    nodes = [node for node in loss.sweep() if node is not None]
    loss.zero_grad()
    assert (a.grad, b.grad, nodes[0].grad) == (0.0, 0.0, 0.0)
    loss.grad = 1.0
    for node in nodes:
        node.backward(only=True)
    assert (a.grad, b.grad) == wanted
    a.backward(only=True)  # a leaf sends nothing
    assert (a.grad, b.grad) == wanted


def test_by_hand_a_branch_not_taken_sends_nothing_either() -> None:
    x = Scalar(0.0)
    root = x.sqrt()
    value = fn.where(x > 0, root, x)
    value.grad = 1.0
    for node in (value, root):
        node.backward(only=True)
    assert (root.grad, x.grad) == (0.0, 1.0)


def test_gradients_add_up_until_they_are_zeroed() -> None:
    x = Scalar(3.0)
    square = x * x
    first, second = square + x, square * 2.0
    first.backward()
    assert x.grad == 7.0
    second.backward()  # through the same node: what `square` has from the first sweep is not sent again
    assert x.grad == 7.0 + 12.0
    assert square.grad == 1.0 + 2.0
    second.zero_grad()
    assert (x.grad, square.grad, second.grad) == (0.0, 0.0, 0.0)
    second.backward()
    assert x.grad == 12.0


def test_a_leaf_is_its_own_derivative_and_a_constant_has_none() -> None:
    x = Scalar(2)
    x.backward()
    assert x.grad == 1.0
    assert list(x.sweep()) == []
    stepped = fn.sign(x) + x
    x.zero_grad()
    stepped.backward()
    assert x.grad == 1.0


def test_long_chains_need_no_recursion() -> None:
    x = Scalar(0.5)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    y.backward()
    assert x.grad == 1.0
    y.zero_grad()
    assert x.grad == 0.0
    del y  # frees a chain


def test_a_program_may_branch_on_values() -> None:
    x, y = Scalar(2.0), Scalar(-1.0)
    chosen = x if x > y else y
    assert chosen is x
    assert max(x, y) is x
    assert not (x <= y)
    assert bool(x)
    assert not Scalar(0.0)
    assert sorted([x, y])[0] is y
    assert len({x, y, x}) == 2


def test_gradient_descent() -> None:
    x, y = Scalar(-1.0, "x"), Scalar(2.0, "y")
    values = []
    for _ in range(120):
        loss = (x - 1.0) ** 2 + 2.0 * (y + x) ** 2
        loss.zero_grad()
        loss.backward()
        values.append(loss.data)
        for p in (x, y):
            p.data -= 0.1 * p.grad
    assert values == sorted(values, reverse=True)
    assert (x.data, y.data) == pytest.approx((1.0, -1.0), abs=1e-3)


def test_values_are_floats_and_old_values_stay() -> None:
    import numpy as np

    x = Scalar(np.float32(0.5), "x")
    y = np.float64(2.0) * x
    x.data = 7.0
    assert type(x.data) is float
    assert (type(y.data), y.data) == (float, 1.0)
    assert repr(x) == "Scalar(7.0, grad=0.0, label='x')"
    assert repr(Scalar(1)) == "Scalar(1.0, grad=0.0)"


def test_a_sweep_goes_by_the_values_at_the_time_of_each_operation() -> None:
    x = Scalar(3.0)
    y = x * x
    z = y.exp()
    x.data, y.data, z.data = 5.0, 7.0, 8.0
    z.backward()
    assert x.grad == math.exp(9.0) * 3.0 + math.exp(9.0) * 3.0
    x = Scalar(3.0)
    chosen = fn.where(x > 2.0, x * x, -x)
    x.data = 1.0
    chosen.backward()
    assert x.grad == 6.0


@pytest.mark.parametrize("data", [5, True, "float32"])
def test_data_may_be_set_to_any_real_number(data: Any) -> None:
    import numpy as np

    x = Scalar(1.0)
    x.data = np.float32(5.0) if data == "float32" else data
    y = x * x
    y.backward()
    assert (type(y.data), y.data, type(x.grad), x.grad) == (float, float(x.data) ** 2, float, 2.0 * float(x.data))
    x.data = "5"
    with pytest.raises(symdiff.SymdiffError, match="data of a Scalar is one real number, not str"):
        x * x


# -- copies ----------------------------------------------------------------------------------------------------------


def test_copies_are_nodes_of_their_own() -> None:
    x = Scalar(3.0, "x")
    y = x * x
    twin = copy.deepcopy(y)
    (y * twin).backward()
    other = twin.operands[0]
    assert other is twin.operands[1] and other is not x and other.label == "x"
    assert (x.grad, other.grad) == (54.0, 54.0)
    x = Scalar(3.0)
    y = x * x
    twin = copy.copy(y)  # made from the same x
    (y * twin).backward()
    assert (y.grad, twin.grad, x.grad) == (9.0, 9.0, 108.0)
    leaf, again = Scalar(2.0, "a"), Scalar(0.0)
    again = copy.copy(leaf)
    sweep = (leaf * 2.0 + again * 3.0).sweep()
    assert [len(sends) for sends in sweep.pending.values()] == [1, 1, 1, 1]
    for _ in sweep:
        pass
    assert (leaf.grad, again.grad) == (2.0, 3.0)


def test_a_deep_copy_keeps_who_is_who() -> None:
    chain = [Scalar(1.0)]
    for _ in range(5000):
        chain.append(chain[-1] * 1.5 - chain[-1])
    twins = copy.deepcopy(chain)
    assert all(twin.operands[0].operands[0] is before for before, twin in itertools.pairwise(twins))
    twins[-1].backward()
    chain[-1].backward()
    assert twins[0].grad == chain[0].grad != 0.0
    model = {"w": [Scalar(1.0), Scalar(2.0)]}
    target = copy.deepcopy(model)
    (model["w"][0] * target["w"][1]).backward()
    assert (model["w"][0].grad, target["w"][1].grad, target["w"][0].grad) == (2.0, 1.0, 0.0)


def test_pickles_hold_what_a_program_starts_from() -> None:
    x = Scalar(3.0, "x")
    y = x * 1.0
    y.backward()
    one, same, other = pickle.loads(pickle.dumps([x, x, Scalar(2.0)]))
    assert one is same and (one.data, one.grad, one.label) == (3.0, 1.0, "x")
    late = Scalar(4.0)
    (late * other * one).backward()
    assert (late.grad, other.grad, one.grad) == (6.0, 12.0, 1.0 + 8.0)
    for _ in range(5000):
        y = y * 1.0
    with pytest.raises(symdiff.UnsupportedError, match="a Scalar that was computed is not pickled"):
        pickle.dumps(y)


# A process that reads numbers of another one has a clock of its own
_READ = """
import pickle, sys
weights = pickle.load(sys.stdin.buffer)
from symdiff import Scalar
h = Scalar(2.0)
for w in weights:
    h = h*w
h.backward()
print([w.grad for w in weights])
"""


def test_pickles_of_another_process() -> None:
    data = pickle.dumps([Scalar(float(k)) for k in (1, 2, 3)])
    done = subprocess.run([sys.executable, "-c", _READ], input=data, capture_output=True, check=True)
    assert done.stdout.split() == [b"[12.0,", b"6.0,", b"4.0]"]


def test_a_sweep_changes_nothing_before_its_first_step() -> None:
    x = Scalar(2.0, "x")
    z = x * x
    sweep = z.sweep()
    assert (sweep.pending, z.grad) == ({"x": ["v1_bar*x", "v1_bar*x"]}, 0.0)
    assert next(sweep) is z
    assert (z.grad, x.grad) == (1.0, 0.0)
    assert list(sweep) == list(sweep) == []
    assert (z.grad, x.grad) == (1.0, 4.0)
    lonely = x.sweep()
    assert x.grad == 4.0
    assert list(lonely) == list(lonely) == []
    assert x.grad == 5.0


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.3, -2.75, 1e308, 5e-324, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("op", sorted(module._VALUES))
def test_the_fast_values_are_those_of_the_table(op: str) -> None:
    function, operands = module._VALUES[op], TABLE[op].operands
    for values in itertools.product(SPECIAL, repeat=operands):
        assert str(function(*values)).lstrip("-") == str(value_of(op, values)).lstrip("-") or values[0] == 0.0, values
        assert _same(function(*values), value_of(op, values))
        assert math.isnan(function(*values)) or math.copysign(1.0, function(*values)) == math.copysign(
            1.0, value_of(op, values)
        )


def test_constants_have_the_derivatives_of_the_trace() -> None:
    """Also 0, 1 and -1, at which the rule has another form, and divisions by zero."""
    for number in (0.0, 1.0, -1.0, 3.0, -0.7):
        c = f"({number})" if number < 0 else f"{number}"
        for text in (f"z1 = x*{c}", f"z1 = {c}*x", f"z1 = x - {c}", f"z1 = {c} - x", f"z1 = x/{c}", f"z1 = {c}/x"):
            for x in (2.5, 0.0, -3.0):
                lines = f"{text}\nz2 = z1*x + x"
                if "x*0.0" not in text and "0.0*x" not in text:
                    _agrees(lines, {"x": x}, words=False)


def test_names_of_nodes() -> None:
    x, twin = Scalar(1.0, "x"), Scalar(2.0, "x")
    unnamed = Scalar(3.0)
    product = x * twin
    value = (product + unnamed).named("value")
    sweep = value.sweep()
    assert [sweep.name(node) for node in (x, twin, unnamed, product, value)] == ["x", "x_1", "x_2", "v1", "value"]
    assert x.named("other") is not x
    with pytest.raises(symdiff.SymdiffError, match="not part of this sweep"):
        sweep.name(Scalar(1.0, "stranger"))


@pytest.mark.parametrize("data", [[1.0], "1", 1j, None, Scalar(1.0)], ids=lambda data: type(data).__name__)
def test_only_real_numbers(data: Any) -> None:
    with pytest.raises(symdiff.SymdiffError, match="one real number"):
        Scalar(data)


@pytest.mark.parametrize("use", [float, int, math.exp, lambda x: [0, 1][x]])
def test_a_derivative_is_not_lost_in_silence(use: Callable[[Any], Any]) -> None:
    x = Scalar(1.0)
    with pytest.raises(symdiff.UnsupportedError, match=r"x\.data(.|\n)*test_scalar\.py, line"):
        use(x)


def test_a_scalar_and_a_symbol_do_not_mix() -> None:
    x = Scalar(1.0)
    with pytest.raises(symdiff.UnsupportedError, match="a Scalar and a Symbol"):
        symdiff.trace_function(lambda y: y * x, ())


def test_the_same_program_traced_has_the_same_numbers() -> None:
    program = symdiff.trace_function(_loss, (), ()).gradient()
    x, y = Scalar(0.7), Scalar(-0.2)
    loss = _loss(x, y)
    loss.backward()
    value, grads = program.compile("numpy")(0.7, -0.2)
    trace = program.trace(at={"x": 0.7, "y": -0.2})
    assert loss.data == trace.value == value
    assert {"x": x.grad, "y": y.grad} == trace.gradient
    assert tuple(grads) == pytest.approx((x.grad, y.grad), rel=1e-14)


@pytest.mark.peer("micrograd")
def test_gradients_are_micrograd_s() -> None:
    from micrograd.engine import Value

    def program(a: Any, b: Any) -> Any:
        c = a * b + b**3
        for _ in range(3):
            c = c + (c - a).relu() * 0.5 + 1
        return c / 2.0 + 24.7 / c

    ours, theirs = (Scalar(-4.0), Scalar(2.0)), (Value(-4.0), Value(2.0))
    mine, other = program(*ours), program(*theirs)
    mine.backward()
    other.backward()
    assert mine.data == pytest.approx(other.data, rel=1e-15)
    assert [p.grad for p in ours] == pytest.approx([p.grad for p in theirs], rel=1e-14)


def test_the_docstrings() -> None:
    found = doctest.testmod(module)
    assert found.attempted > 5
    assert found.failed == 0


def _sums(x: Scalar, y: Scalar) -> list[Scalar]:
    """Every node of a program with sums and products in all mixtures, with nodes that depend on nothing."""
    a, b = x * y + 0.1, 0.3 - y
    c, d = 0.0 * a, x.sign() * 2.0
    e = (a - 3) * b * c + d * 1e-3 + 7 * a * a - 0.1 * (y * y)
    return [x, y, a, b, c, d, e, e * a + e * e.sin()]


def test_the_sweep_at_once_has_the_bits_of_the_sweep_by_steps() -> None:
    rng = random.Random(5)
    for _ in range(50):
        x, y = rng.gauss(), rng.gauss()
        at_once, stepped = _sums(Scalar(x), Scalar(y)), _sums(Scalar(x), Scalar(y))
        for one, other in zip(at_once, stepped, strict=True):
            one.grad = other.grad = 0.25  # which every sweep adds to
        at_once[-1].backward()
        for _ in stepped[-1].sweep():
            pass
        assert [each.grad.hex() for each in at_once] == [each.grad.hex() for each in stepped]
        assert at_once[4].grad == at_once[5].grad == 0.25  # they depend on nothing


def test_operators_of_scalars_and_numbers_keep_the_order_of_their_operands() -> None:
    x, y = Scalar(3.0), Scalar(2.0)
    made = [x + y, x - y, x * y, x + 0.5, x - 0.5, x * 0.5, 0.5 + x, 0.5 - x, 0.5 * x, 1 - x, x - 1]
    assert [each.data for each in made] == [5.0, 1.0, 6.0, 3.5, 2.5, 1.5, 3.5, -2.5, 1.5, -2.0, 2.0]
    assert [each.operands for each in made[5:9]] == [(x, 0.5), (0.5, x), (0.5, x), (0.5, x)]
    assert all(type(each.operands[0]) in (float, Scalar) for each in made)
    x.data = 4  # type: ignore[assignment]  # a user's whole number
    assert (x * y).data == 8.0 and type((x + x).data) is float
