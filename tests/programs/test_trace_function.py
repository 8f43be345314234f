"""Ordinary Python functions traced: the steps, the numbers, the derivatives, and what is refused, with the line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symdiff
from symdiff.ops import COMPARE_OPS, PUBLIC, TABLE
from symdiff.tape import check_tape

Values = dict[str, Any]
math_exp = vars(math)["exp"]
F = symdiff.functions


def at_random(formula: symdiff.Formula, seed: int = 0, low: float = 0.25, high: float = 1.75) -> Values:
    """An array of ordinary numbers for every argument."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.uniform(low, high, shape) if shape else float(rng.uniform(low, high))
        for name, shape in formula.inputs.items()
    }


def on_floats(function: Callable[..., Any], at: Values) -> float:
    """The program itself run on floats, with the functions of symdiff for the bits of generated code."""
    return float(function(*(F.array(value) if np.ndim(value) else value for value in at.values())))


# -- programs of several kinds ----------------------------------------------------------------------------------------


def two_layers(W1: Any, b1: Any, W2: Any, x: Any, y: Any) -> Any:
    h = np.tanh(W1 @ x + b1)
    return ((W2 @ h - y) ** 2).sum() / 2


def recurrent(U: Any, V: Any, h: Any, xs: Any) -> Any:
    for x in xs:
        h = np.tanh(U @ h + V @ x)
    return np.dot(h, h)


class Neuron:
    def __init__(self, weights: Any, bias: Any) -> None:
        self.weights, self.bias = weights, bias

    def __call__(self, x: Any) -> Any:
        return (sum(w * v for w, v in zip(self.weights, x, strict=True)) + self.bias).relu()


def perceptron(W: Any, b: Any, x: Any) -> Any:
    layer = [Neuron(W[k], b[k]) for k in range(3)]
    return sum(neuron(x) for neuron in layer) ** 2


def softmax_loss(logits: Any, target: Any) -> Any:
    shifted = logits - F.maximum(logits[0], logits[1])
    powers = np.exp(shifted)
    return -(target * (shifted - np.log(powers.sum()))).sum()


def chosen(x: Any, y: Any) -> Any:
    return np.where(x > y, x * y, np.sqrt(y)).sum() + np.maximum(x, 1.0).sum() + np.abs(y - 1).sum()


def closure() -> Callable[..., Any]:
    weights = [0.5, -1.5, 2.0]

    def inner(x: Any) -> Any:
        terms = [w * F.sin(v) for w, v in zip(weights, x, strict=True)]
        return sum(terms) / len(terms) + np.mean(x) * np.prod(x) - np.cumsum(x)[-1]

    return inner


PROGRAMS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (two_layers, ((4, 3), 4, (2, 4), 3, 2)),
    (recurrent, ((2, 2), (2, 3), 2, (5, 3))),
    (perceptron, ((3, 2), 3, 2)),
    (softmax_loss, (4, 4)),
    (chosen, ((2, 3), 3)),
    (closure(), (3,)),
]
IDS = [function.__name__ for function, _ in PROGRAMS]


@pytest.mark.parametrize(("function", "shapes"), PROGRAMS, ids=IDS)
def test_value_is_that_of_the_program_run_on_floats_and_of_the_generated_code(function: Any, shapes: Any) -> None:
    formula = symdiff.trace_function(function, *shapes)
    at = at_random(formula)
    wanted = on_floats(function, at) if function is not perceptron else None  # floats have no .relu()
    trace = formula.gradient().trace(at)
    numpy_value, numpy_gradient = formula.gradient().compile("numpy")(**at)
    assert wanted is None or trace.value == wanted
    assert numpy_value == trace.value
    for name, derivative in trace.gradient.items():
        np.testing.assert_allclose(getattr(numpy_gradient, name), derivative, rtol=1e-13)
        assert np.shape(derivative) == formula.inputs[name]
    check_tape(formula.gradient().tape)
    check_tape(formula.gradient().code_tape)


@pytest.mark.compiler
@pytest.mark.parametrize(("function", "shapes"), PROGRAMS, ids=IDS)
def test_compiled_gradient_agrees_with_the_trace(function: Any, shapes: Any) -> None:
    program = symdiff.trace_function(function, *shapes).gradient()
    at = at_random(symdiff.trace_function(function, *shapes))
    value, gradient = program.compile("c")(**at)
    trace = program.trace(at)
    assert value == pytest.approx(trace.value, rel=1e-14)
    for name, derivative in trace.gradient.items():
        np.testing.assert_allclose(getattr(gradient, name), derivative, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("function", "shapes"), PROGRAMS, ids=IDS)
def test_gradient_by_differences_of_the_program_itself(function: Any, shapes: Any) -> None:
    formula = symdiff.trace_function(function, *shapes)
    at, program = at_random(formula, seed=3), formula.gradient()
    value = formula.value().compile("numpy")
    gradient = program.trace(at).gradient
    rng = np.random.default_rng(1)
    direction = {name: rng.normal(size=np.shape(array)) for name, array in at.items()}
    step = 1e-6
    up, down = (
        value(**{name: array + sign * step * direction[name] for name, array in at.items()}) for sign in (1, -1)
    )
    sent = sum(float(np.sum(gradient[name] * direction[name])) for name in at)
    assert (up - down) / (2 * step) == pytest.approx(sent, rel=1e-6, abs=1e-8)


@pytest.mark.peer("jax")
def test_gradient_is_that_of_jax() -> None:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def same(W1: Any, b1: Any, W2: Any, x: Any, y: Any) -> Any:
        h = jnp.tanh(W1 @ x + b1)
        return ((W2 @ h - y) ** 2).sum() / 2

    formula = symdiff.trace_function(two_layers, (4, 3), 4, (2, 4), 3, 2)
    at = at_random(formula)
    wanted = jax.grad(same, argnums=(0, 1, 2, 3, 4))(*at.values())
    found = formula.gradient().trace(at).gradient
    for name, derivative in zip(at, wanted, strict=True):
        np.testing.assert_allclose(found[name], derivative, rtol=1e-10)  # its 1 - tanh**2 cancels


def test_the_tape_is_that_of_the_same_formula_as_text() -> None:
    def program(w1: Any, x1: Any, w2: Any, x2: Any) -> Any:
        return 1 / ((w1 * x1).sin() ** 2 + np.cos(w2 * x2) + 2)

    traced = symdiff.trace_function(program, (), (), (), ()).gradient()
    typed = symdiff.formula("1/(sin(w1*x1)**2 + cos(w2*x2) + 2)").gradient()
    assert str(traced) == str(typed)
    assert traced.source("c").split("*/", 1)[1] == typed.source("c").split("*/", 1)[1]


def test_the_formula_printed_as_text_gives_the_same_tape() -> None:
    program = symdiff.trace_function(recurrent, (2, 2), (2, 3), 2, (2, 3), constants="xs").gradient()
    again = symdiff.formula("\n".join(program.sheet().formula_file)).gradient()
    assert str(again) == str(program)


def test_every_op_has_a_method_a_function_and_its_numpy_name() -> None:
    for name, op in PUBLIC.items():
        if name in ("max", "min", "where", "polygamma"):
            continue
        count = TABLE[op].operands
        args = [0.75, 0.5][:count]
        function = getattr(F, name)
        made = symdiff.trace_function(lambda x, function=function, rest=args[1:]: function(x, *rest), ())
        method = symdiff.trace_function(lambda x, name=name, rest=args[1:]: getattr(x, name)(*rest), ())
        wanted = function(*args) if op != "acosh" else math.nan
        assert type(wanted) is float
        for formula in (made, method):
            found = formula.value().trace({"x": 0.75}).value
            assert found == wanted or (math.isnan(found) and math.isnan(wanted)), name
        ufunc = getattr(np, {"asin": "arcsin", "pow": "power"}.get(name, name), None)
        if isinstance(ufunc, np.ufunc):
            whole = symdiff.trace_function(lambda x, ufunc=ufunc, rest=args[1:]: ufunc(x, *rest).sum(), 2)
            assert {step.op for step in whole.primal.steps[:2]} <= {op, "square"}
    assert (
        F.polygamma(1, 2.5) == symdiff.trace_function(lambda x: F.polygamma(1, x), ()).value().trace({"x": 2.5}).value
    )
    assert F.where(True, 1.0, 2.0) == 1.0 and F.where(np.array([True, False]), 1.0, 2.0).tolist() == [1.0, 2.0]


def test_functions_on_floats_and_on_arrays_of_floats() -> None:
    assert F.exp(1) == math.exp(1) and type(F.exp(np.float32(1))) is float
    np.testing.assert_array_equal(F.maximum(np.array([1.0, 3.0]), 2), [2.0, 3.0])
    with pytest.raises(TypeError, match="exp takes 1 arguments, got 2"):
        F.exp(1.0, 2.0)
    with pytest.raises(TypeError, match="argument 1 must be a real number, not str"):
        F.exp("1")


# -- steps ------------------------------------------------------------------------------------------------------------


def test_sum_adds_no_step_for_its_zero_and_a_float_zero_is_kept() -> None:
    assert [step.op for step in symdiff.trace_function(lambda x: sum(x), 3).primal.steps] == ["add", "add"]
    assert [step.op for step in symdiff.trace_function(lambda x: sum(x, 0.0), 2).primal.steps] == ["add", "add"]


def test_squares_inverses_and_constants() -> None:
    formula = symdiff.trace_function(lambda x: x**2 + x**-1 + 1 / x + x**3 + x**0.5 + 2**x + (2.0 * 3.0) * x, ())
    ops = [step.op for step in formula.primal.steps if step.op != "add"]
    assert ops == ["square", "inverse", "inverse", "pow", "pow", "pow", "mul"]
    assert "6*x" in str(formula.value())


def test_numbers_of_numpy_stay_what_they_are() -> None:
    formula = symdiff.trace_function(lambda x: np.float64(2) * x + np.int64(3) - x * np.array(0.5) + True, ())
    assert formula.value().trace({"x": 3.0}).value == 2 * 3 + 3 - 1.5 + 1


def test_an_argument_given_back_and_steps_after_the_value() -> None:
    formula = symdiff.trace_function(lambda x, y: x, (), ())
    assert formula.gradient("x").trace({"x": 2.0, "y": 1.0}).gradient == {"x": 1.0}

    def program(x: Any) -> Any:
        value = x * x.sin()
        (value + 1).exp()  # nobody uses it
        return value

    assert len(symdiff.trace_function(program, ()).primal.steps) == 2


def test_names_of_elements_do_not_meet_names_of_arguments_or_steps() -> None:
    formula = symdiff.trace_function(lambda W, W_0, v1, value: (W * W_0).sum() + v1 * value, 2, (), (), ())
    program = formula.gradient()
    check_tape(program.tape)
    at = {"W": np.array([2.0, 3.0]), "W_0": 5.0, "v1": 7.0, "value": 11.0}
    assert program.trace(at).value == 25 + 77
    found, gradient = program.compile("numpy")(**at)
    assert found == 102 and gradient.W.tolist() == [5.0, 5.0] and gradient.W_0 == 5 and gradient.v1 == 11


def test_arguments_are_named_by_the_signature_or_by_names() -> None:
    assert list(symdiff.trace_function(lambda *x: sum(x), (), ()).inputs) == ["x_0", "x_1"]
    formula = symdiff.trace_function(lambda a, b=2.0: a * b, (), names=["alpha"])
    assert dict(formula.inputs) == {"alpha": ()}
    method = symdiff.trace_function(Neuron([0.5, 2.0], 1.0), 2)
    assert dict(method.inputs) == {"x": (2,)}
    with pytest.raises(symdiff.SymdiffError, match="one name for each shape"):
        symdiff.trace_function(lambda a, b: a, (), (), names=["a"])


def test_steps_may_have_names_of_their_own() -> None:
    def program(x: Any, v2: Any) -> Any:
        z = F.named(x * v2, "z")
        copy = F.named(z, "again")
        w = z + copy
        F.named(3.0, "number")
        return F.named(w.sin(), "f") * z + w

    formula = symdiff.trace_function(program, (), ())
    assert [step.name for step in formula.primal.steps] == ["z", "again", "v3", "f", "v5", "value"]
    assert formula.gradient().trace({"x": 0.5, "v2": 3.0}).value == math.sin(3.0) * 1.5 + 3.0
    check_tape(formula.gradient().tape)
    last = symdiff.trace_function(lambda x: F.named(x * x, "E"), ())
    assert str(last.value()).split()[1] == "E" and last.value().sheet().formula_file[-1] == "E = x**2".replace(
        "x**2", "x*x"
    )
    for wrong in ("x", "z", "v1", "sin", "lambda", "a b"):
        with pytest.raises(symdiff.ParseError, match="the step"):
            symdiff.trace_function(lambda x, wrong=wrong: F.named(F.named(x + 1, "z") + 1, wrong), ())


def test_names_of_functions_do_not_reach_generated_code_as_they_are() -> None:
    def program(x: Any) -> Any:
        return x * 2

    program.__name__ = "*/ int evil; /*"
    assert "evil" not in symdiff.trace_function(program, ()).gradient().source("c")
    for name in ("lambda", "é", "x" * 201, "sin", 3):
        with pytest.raises(symdiff.ParseError, match="give another one in names="):
            symdiff.trace_function(program, (), names=[name])  # type: ignore[list-item]  # one of them is no text


def test_constants_are_not_differentiated() -> None:
    formula = symdiff.trace_function(two_layers, (4, 3), 4, (2, 4), 3, 2, constants=["x", "y"])
    assert formula.constants == ("x", "y")
    program = formula.gradient()
    assert program.wrt == ("W1", "b1", "W2")
    with pytest.raises(symdiff.SymdiffError, match="'x' is declared constant"):
        formula.gradient("x")
    with pytest.raises(symdiff.SymdiffError, match="not an input; did you mean 'W1'"):
        formula.gradient("W11")
    with pytest.raises(symdiff.SymdiffError, match="constants: 'z' is not an argument"):
        symdiff.trace_function(two_layers, (4, 3), 4, (2, 4), 3, 2, constants="z")


def test_a_point_of_a_trace_is_checked() -> None:
    program = symdiff.trace_function(lambda W, x: (W @ x).sum(), (2, 2), 2).gradient("W")
    with pytest.raises(symdiff.ShapeError, match=r"W has shape \(2,\), and the function was traced with \(2, 2\)"):
        program.trace({"W": [1.0, 2.0], "x": [1.0, 2.0]})
    with pytest.raises(symdiff.SymdiffError, match="no value for x"):
        program.trace({"W": np.eye(2)})
    with pytest.raises(symdiff.SymdiffError, match="'W_0_0' is not an argument"):
        program.trace({"W_0_0": 1.0})
    with pytest.raises(symdiff.ShapeError, match="must hold real numbers"):
        program.trace({"W": np.eye(2) * 1j, "x": [1, 2]})


# -- refusals ---------------------------------------------------------------------------------------------------------

LINES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("branch", lambda x: x if x > 0 else -x, r"\(x > 0.0\) is neither true nor false.*where"),
    ("max", lambda x: max(x, 0), "branch on it.*maximum"),
    ("sorted", lambda x: sorted([x, 1.0])[0], "sorted"),
    ("math", lambda x: math.exp(x), "symdiff.functions.exp"),
    ("math log", lambda x: math.log(x), r"^math\.log takes floats, .*; write symdiff\.functions\.log\(x\)$"),
    ("another name", lambda x: math_exp(x), r"^a float array .*symdiff\.functions\.exp\(x\) for math\.exp"),
    ("float", lambda x: float(x), r"^float\(x\): a symbol has no value; write x itself"),
    ("int", lambda x: int(x), r"^int\(x\), .* has no value"),
    ("float array", lambda x: np.array([x], dtype=float)[0], r"^a float array cannot hold symbols.*functions\.array"),
    ("chain", lambda x: F.where(0 < x < 1, x, 0), r"cannot be joined.*where\(x > 0, where\(x < 1, a, b\), b\)"),
    ("both", lambda x: x if (x > 0) and (x < 1) else 0.0, "cannot be joined"),
    ("max beside and", lambda x: max(x, 0) if PROGRAMS and IDS else x, "branch on it.*maximum"),
    ("table", lambda x: np.arange(3.0)[x], "^an index must be a whole number that is known"),
    ("round", lambda x: np.rint(x), "np.rint is not known for symbols; write the program without rounding"),
    ("data", lambda x: x.data, "no .data"),
    ("item", lambda x: x.item(), "no .item"),
    ("index", lambda x: [1, 2][x], "no index"),
    ("range", lambda x: sum(range(x)), "no index"),
    ("key", lambda x: {x: 1}[x], "no key"),
    ("truth", lambda x: x and 1, "neither true nor false"),
    ("floor", lambda x: math.floor(x), "no useful derivative"),
    ("remainder", lambda x: x % 2, "no useful derivative"),
    ("mask", lambda x: (x > 0) * x, r"where\(c, 1, 0\)"),
    ("and", lambda x: F.where((x > 0) & (x < 1), x, 0), "where"),
    ("unknown", lambda x: x.tnah(), "did you mean 'tanh'"),
    ("ufunc", lambda x: np.logaddexp(x, 1.0), "np.logaddexp is not known"),
    ("format", lambda x: f"{x:.3f}" and x, "no value"),
    ("nan", lambda x: x + math.nan, "not a finite number"),
    ("large", lambda x: x * 10**400, "too large"),
    ("power", lambda x: x**1e7, "exponent"),
]


@pytest.mark.parametrize(("program", "message"), [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_what_needs_a_value_is_refused_with_the_line_of_the_program(program: Any, message: str) -> None:
    with pytest.raises(symdiff.SymdiffError) as caught:
        symdiff.trace_function(program, ())
    said, place = str(caught.value).split("\n", 1)  # the line that is shown holds `message` itself
    assert re.search(message, said)
    assert place.startswith(f"  {__file__}, line {program.__code__.co_firstlineno}\n")
    assert str(caught.value).splitlines()[-1].strip().startswith('("')  # the source line itself


ARRAYS: list[tuple[str, Callable[..., Any], str]] = [
    ("index", lambda x, i: x[i], "^an index must be a whole number that is known while the function is traced"),
    ("range", lambda x, i: sum(range(x)), "a symbol is no index"),
    ("inverse", lambda x, i: np.linalg.inv(x).sum(), r"^np\.linalg\.inv computes with floats.*loops.*inv, solve, det"),
    ("qr", lambda x, i: np.linalg.qr(x)[1][0, 0], r"^np\.linalg\.qr computes with floats"),
    ("power", lambda x, i: np.linalg.matrix_power(x, -1).sum(), r"^np\.linalg\.inv computes with floats"),
    ("plain", lambda x, i: np.linalg.det(np.array([[i, 1], [2, i]])), r"^np\.linalg\.det computes with floats"),
    ("interp", lambda x, i: np.interp(x[0], [0, 1], [0, 1]), r"^np\.interp computes with floats"),
    ("math", lambda x, i: math.exp(x), r"^math\.exp takes floats.*symdiff\.functions\.exp"),
    ("int", lambda x, i: int(x), r"^int\(x\)"),
    ("astype", lambda x, i: x.astype(float).sum(), r"^an array of symbols .* without \.astype"),
]


@pytest.mark.parametrize(("program", "message"), [case[1:] for case in ARRAYS], ids=[case[0] for case in ARRAYS])
def test_what_numpy_cannot_do_with_symbols_is_refused_with_the_line(program: Any, message: str) -> None:
    with pytest.raises(symdiff.UnsupportedError) as caught:
        symdiff.trace_function(program, (2, 2), ())
    said, place = str(caught.value).split("\n", 1)
    assert re.search(message, said)
    assert place.startswith(f"  {__file__}, line {program.__code__.co_firstlineno}\n")


def test_what_numpy_computes_from_products_and_sums_works() -> None:
    def program(x: Any) -> Any:
        cube = np.linalg.matrix_power(x, 3)
        return np.linalg.norm(x) + cube.sum() + np.linalg.multi_dot([x, x, x]).sum()

    at = np.array([[1.0, 0.5], [-0.25, 2.0]])
    found = symdiff.trace_function(program, (2, 2)).value().trace({"x": at}).value
    assert found == pytest.approx(program(at), rel=1e-14)


def test_a_loop_that_a_symbol_ends_is_refused() -> None:
    def program(x: Any) -> Any:
        while x > 1:
            x = x / 2
        return x

    with pytest.raises(symdiff.UnsupportedError, match=r"cannot end a loop.*fixed number of passes.*for k in range"):
        symdiff.trace_function(program, ())


def test_a_branch_over_several_lines_is_refused_too() -> None:
    def program(x: Any) -> Any:
        return x if (
            x
            > 1
        ) else math.exp(
            x
        )  # fmt: skip

    with pytest.raises(symdiff.UnsupportedError, match="cannot branch on it"):
        symdiff.trace_function(program, ())
    made: dict[str, Any] = {}
    exec("def program(x):\n    return float(x)", made)  # there is no text to look at
    with pytest.raises(symdiff.UnsupportedError, match=r"a float array cannot hold symbols.*symdiff\.functions\.exp"):
        symdiff.trace_function(made["program"], ())


def test_errors_of_libraries_that_do_not_know_symbols_get_a_note() -> None:
    def foreign(x: Any) -> Any:
        raise TypeError(f"sin(): argument 'input' must be Tensor, not {type(x).__name__}")

    for shape in ((), 2):
        with pytest.raises(TypeError, match="must be Tensor") as caught:
            symdiff.trace_function(foreign, shape)
        assert "symdiff.functions.sin" in caught.value.__notes__[0]
    with pytest.raises(IndexError, match="list index out of range") as other:
        symdiff.trace_function(lambda x: [x][1], ())
    assert not hasattr(other.value, "__notes__")


def test_arguments_are_renamed_by_a_mapping() -> None:
    formula = symdiff.trace_function(lambda sin, y: sin * y, (), (), names={"sin": "s"})
    assert list(formula.inputs) == ["s", "y"]
    assert list(symdiff.trace_function(lambda sin: sin * 2, (), names="angle").inputs) == ["angle"]
    with pytest.raises(symdiff.ParseError, match=r"give names=\{'sin': 'a'\}"):
        symdiff.trace_function(lambda sin: sin, ())
    with pytest.raises(symdiff.SymdiffError, match="names: 'sine' is not an argument; did you mean 'sin'"):
        symdiff.trace_function(lambda sin: sin, (), names={"sine": "s"})
    with pytest.raises(symdiff.ParseError, match="the argument 'cos' has the name of a function"):
        symdiff.trace_function(lambda sin: sin, (), names={"sin": "cos"})
    with pytest.raises(symdiff.SymdiffError, match="two arguments are named 'y'"):
        symdiff.trace_function(lambda sin, y: sin, (), (), names={"sin": "y"})


@pytest.mark.parametrize(
    ("program", "shape", "message"),
    [
        (lambda x: None, (), "returned None"),
        (lambda x: 3.0, (), "returned the number 3.0"),
        (lambda x: x, 3, r"array of shape \(3,\)"),
        (lambda x: [x, x], (), r"array of shape \(2,\)"),
        (lambda x: x > 1, (), "returned the comparison"),
        (lambda x: "x", (), "object of type str"),
        (lambda exp: exp, (), "name of a function, a constant or a keyword"),
        (lambda x: x, (2, 0), "no elements"),
        (lambda x: x, "3", "is no shape"),
    ],
)
def test_results_and_arguments_that_are_refused(program: Any, shape: Any, message: str) -> None:
    with pytest.raises(symdiff.SymdiffError, match=message):
        symdiff.trace_function(program, shape)


def test_symbols_go_into_arrays_of_objects_only() -> None:
    def program(x: Any) -> Any:
        made = np.zeros(2)
        made[0] = x
        return made.sum()

    with pytest.raises(symdiff.UnsupportedError, match=r"^a float array cannot hold symbols.*dtype=object") as caught:
        symdiff.trace_function(program, ())
    assert "made[0] = x" in str(caught.value)

    def right(x: Any) -> Any:
        made = np.zeros(2, dtype=object)
        made[0] = x
        return made.sum()

    assert symdiff.trace_function(right, ()).value().trace({"x": 2.0}).value == 2.0


def test_wrong_numbers_of_arguments() -> None:
    with pytest.raises(symdiff.SymdiffError, match=r"takes the arguments \(x, y\), and there are 1 shapes"):
        symdiff.trace_function(lambda x, y: x, ())
    with pytest.raises(symdiff.SymdiffError, match="needs at least one argument"):
        symdiff.trace_function(lambda: 1.0)
    with pytest.raises(symdiff.UnsupportedError, match="a function is traced, not an object of type int"):
        symdiff.trace_function(3, ())  # type: ignore[arg-type]  # that is the point
    with pytest.raises(symdiff.UnsupportedError, match="give names="):
        symdiff.trace_function(np.hypot, (), ()) if not hasattr(np.hypot, "__signature__") else symdiff.trace_function(
            dict, ()
        )


def test_exceptions_of_the_program_pass_through() -> None:
    class Mine(Exception):
        pass

    def program(x: Any) -> Any:
        raise Mine(x)

    with pytest.raises(Mine):
        symdiff.trace_function(program, ())


def test_a_symbol_that_leaves_its_trace_is_refused() -> None:
    kept: list[Any] = []

    def keep(x: Any) -> Any:
        kept.append(x)
        return x * x

    symdiff.trace_function(keep, ())
    with pytest.raises(symdiff.UnsupportedError, match="recording is over") as caught:
        symdiff.trace_function(lambda x: x * kept[0], ())
    assert "kept[0]" in str(caught.value)
    with pytest.raises(symdiff.UnsupportedError, match="recording is over"):
        kept[0] + 1
    with pytest.raises(symdiff.UnsupportedError, match="recording is over"):
        symdiff.trace_function(lambda x: kept[0], ())
    with pytest.raises(symdiff.UnsupportedError, match="belongs to another program"):
        symdiff.trace_function(lambda x: symdiff.trace_function(lambda y: x * y, ()), ())


def test_a_trace_inside_a_trace_of_its_own_symbols_works() -> None:
    def outer(x: Any) -> Any:
        inner = symdiff.trace_function(lambda y: y * y, ())
        return x * len(inner.primal.steps)

    assert symdiff.trace_function(outer, ()).value().trace({"x": 3.0}).value == 3.0


def test_the_limit_of_steps_says_how_to_raise_it() -> None:
    def long(x: Any) -> Any:
        for _ in range(60):
            x = x * x
        return x

    with pytest.raises(symdiff.UnsupportedError, match=r"more than 50 .*Limits\(steps=500\)") as caught:
        symdiff.trace_function(long, (), limits=symdiff.Limits(steps=50))
    assert "x = x * x" in str(caught.value)
    assert len(symdiff.trace_function(long, (), limits=symdiff.Limits(steps=60)).primal.steps) == 60


# -- random programs --------------------------------------------------------------------------------------------------

_UNARY = sorted(
    op for op, each in TABLE.items() if each.operands == 1 and each.public and op not in ("gamma", "lgamma", "digamma")
)
_BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "hypot", "atan2")


@st.composite
def random_programs(draw: st.DrawFn) -> Callable[[Any], Any]:
    """A program over a vector of three: instructions over a growing list of numbers."""
    pick = st.integers(0, 10**6)
    binary = st.tuples(st.sampled_from(_BINARY), pick, pick)
    unary = st.tuples(st.sampled_from(_UNARY), pick, pick)
    number = st.tuples(st.just("number"), pick, st.floats(-2, 2).map(lambda value: value))
    where = st.tuples(st.sampled_from(sorted(COMPARE_OPS - {"eq", "ne"})), pick, pick)
    lines = draw(st.lists(st.one_of(binary, unary, number, where), min_size=1, max_size=25))
    end = draw(pick)

    def program(x: Any) -> Any:
        known = list(x)
        for op, first, second in lines:
            a = known[first % len(known)]
            if op == "number":
                known.append(a * second + 0.5)
                continue
            b = known[second % len(known)]
            if op in ("add", "sub", "mul", "div"):
                known.append({"add": a + b, "sub": a - b, "mul": a * b, "div": a / (b * b + 1)}[op])
            elif op in COMPARE_OPS:
                condition = {"lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[op]
                known.append(F.where(condition, a, b * 0.5))
            else:
                known.append(getattr(F, op)(*((a, b) if op in _BINARY else (a,))))
        return known[-1 - end % len(known)] + 0.0 * x[0]

    return program


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random_programs(), st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3))
def test_random_programs_traced_are_the_programs_run_on_floats(program: Any, numbers: list[float]) -> None:
    formula = symdiff.trace_function(program, 3)
    with np.errstate(all="ignore"):
        wanted = program(np.array(numbers))
    traced = formula.gradient().trace({"x": numbers})
    value, gradient = formula.gradient().compile("numpy")(np.array(numbers))
    np.testing.assert_array_equal(traced.value, wanted)
    np.testing.assert_array_equal(value, wanted)
    np.testing.assert_allclose(gradient.x, traced.gradient["x"], rtol=1e-9, atol=1e-12)


# -- growth -----------------------------------------------------------------------------------------------------------

_MEMORY = """
import resource, symdiff
def program(x):
    state = list(x)
    for k in range(STEPS // 4):
        i = k % 8
        state[i] = (state[i] * state[i - 3] + state[i - 5]).tanh() - 0.5
    return sum(state)
symdiff.trace_function(lambda x: x * x.sin(), ()).gradient().source("c")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
formula = symdiff.trace_function(program, 8)
formula.gradient().source("c")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / len(formula.primal.steps))
"""


def test_a_step_takes_at_most_four_kilobytes_at_the_peak() -> None:
    import subprocess
    import sys

    code = _MEMORY.replace("STEPS", "20_000")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 4096
