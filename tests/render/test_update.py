"""The update rule in generated Python and in derivations: right numbers, names that clash, texts that fit."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff import examples, optim
from symdiff.render.python import load_module

RULES = {
    "gd": optim.gradient_descent(eta=0.25),
    "momentum": optim.momentum(eta=0.05, mu=0.5),
    "adam": optim.adam(eta=0.05),
    "odd": optim.rule(
        """
        theta: ()
        theta_bar: ()
        t: ()
        count: ()
        best: ()
        lr: () = 0.5
        count_new = t
        gate = sigmoid(theta_bar)/(1 + lr)
        best_new = where(theta_bar > best, theta_bar, best)
        theta_new = theta - lr*gate*best_new/t + 0.01*softplus(theta)**2
        """,
        "odd rule",
        "nobody, equation 0",
    ),
}
NETWORK = """
X: const(n, 3)
target: const(n)
W: (3, 4)
b: 4
w: 4
lam: const() = 0.01
h = tanh(X @ W + b)
E = mean((h @ w - target)**2) + lam*sum(W**2)
"""
VARIABLES = ("W", "b", "w")


def network(rule: str = "adam") -> symdiff.Program:
    return symdiff.formula(NETWORK).gradient(VARIABLES).update(RULES[rule])


def module(program: symdiff.Program, **options: Any) -> ModuleType:
    made = ModuleType("made")
    exec(compile(program.source("python", **options), "made", "exec"), made.__dict__)
    return made


def point(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes: dict[str, Any] = {"X": (7, 3), "target": 7, "W": (3, 4), "b": 4, "w": 4}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def by_hand(rule: str, theta: Any, bar: Any, states: list[Any], t: int) -> tuple[Any, list[Any]]:
    """The rules of RULES, written again in NumPy."""
    if rule == "gd":
        return theta - 0.25 * bar, []
    if rule == "momentum":
        velocity = 0.5 * states[0] + bar
        return theta - 0.05 * velocity, [velocity]
    if rule == "adam":
        m, s = 0.9 * states[0] + 0.1 * bar, 0.999 * states[1] + 0.001 * bar**2
        return theta - 0.05 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), [m, s]
    gate, best = 1 / (1 + np.exp(-bar)) / 1.5, np.maximum(bar, states[1])
    return theta - 0.5 * gate * best / t + 0.01 * np.log1p(np.exp(theta)) ** 2, [np.full_like(theta, t), best]


# -- Python ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_update_is_the_rule_for_each_variable(rule: str) -> None:
    made, at = module(network(rule)), point()
    parameters = tuple(at[name] for name in VARIABLES)
    count = len(RULES[rule].states)
    states: Any = tuple(tuple(np.zeros(each.shape) for each in parameters) for _ in range(count))
    known = [(each, [np.zeros(each.shape) for _ in range(count)]) for each in parameters]
    for t in range(1, 4):
        _, bars = made.gradient(**{**at, **dict(zip(VARIABLES, parameters, strict=True))})
        known = [by_hand(rule, *each[:1], bar, each[1], t) for each, bar in zip(known, bars, strict=True)]
        before = [each.copy() for each in parameters]
        given = parameters
        parameters, states = made.update(parameters, bars, states, t, *RULES[rule].settings.values())
        assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))
    assert [type(parameters), type(states)] == [tuple, tuple]
    for place, (theta, own) in enumerate(known):
        np.testing.assert_allclose(parameters[place], theta, rtol=1e-12)
        assert parameters[place].shape == theta.shape
        for k, state in enumerate(own):
            np.testing.assert_allclose(states[k][place], state, rtol=1e-12)
            assert states[k][place].shape == theta.shape


@pytest.mark.parametrize("rule", RULES)
def test_single_precision_stays_single(rule: str) -> None:
    made = module(network(rule), dtype="float32")
    at = {name: value.astype(np.float32) for name, value in point().items()}
    start = {name: at[name] for name in VARIABLES}
    parameters, values = made.train({name: at[name] for name in ("X", "target")}, start, 2)
    assert {each.dtype for each in parameters.values()} == {np.dtype(np.float32)}
    assert values.dtype == np.float32


def test_train_is_the_loop_of_gradient_and_update() -> None:
    made, at = module(network("momentum")), point()
    data, start = {name: at[name] for name in ("X", "target")}, {name: at[name] for name in VARIABLES}
    parameters, values = made.train(data, start, 40)
    theta = dict(start)
    velocity = {name: np.zeros_like(value) for name, value in theta.items()}
    expected = []
    for _ in range(40):
        value, bars = made.gradient(**data, **theta)
        expected.append(value)
        for name, bar in zip(VARIABLES, bars, strict=True):
            velocity[name] = 0.5 * velocity[name] + bar
            theta[name] = theta[name] - 0.05 * velocity[name]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert values[-1] < 0.5 * values[0]
    assert list(parameters) == list(VARIABLES)
    np.testing.assert_allclose(parameters["W"], theta["W"], rtol=1e-12)
    assert all(np.array_equal(start[name], at[name]) for name in VARIABLES)
    slower, _ = made.train(data, start, 1, eta=0.0)
    assert np.array_equal(slower["W"], at["W"])
    default, _ = made.train({**data, "lam": 0.01}, start, 40)
    assert np.array_equal(default["W"], parameters["W"])


def test_train_takes_the_mean_over_points_of_a_formula_of_numbers() -> None:
    x = np.linspace(-1, 1, 11)
    program = (
        symdiff.formula("x: const()\ny: const()\na: ()\nb: ()\n(a*x + b - y)**2")
        .gradient(("a", "b"))
        .update(RULES["gd"])
    )
    parameters, values = module(program).train({"x": x, "y": 3 * x - 1}, {"a": 0, "b": 0}, 200)
    assert (parameters["a"], parameters["b"]) == pytest.approx((3, -1), abs=1e-9)
    assert values[0] == pytest.approx(np.mean((3 * x - 1) ** 2))
    one, _ = module(program).train({"x": 2.0, "y": 1.0}, {"a": 1.0, "b": 0.0}, 1)
    assert (one["a"], one["b"]) == (1 - 0.25 * 2 * 1 * 2, -0.25 * 2 * 1)


def test_train_of_a_traced_function_takes_its_arguments() -> None:
    def loss(W: Any, x: Any, c: Any) -> Any:
        return sum((y - c) ** 2 for y in W @ x)

    program = symdiff.trace_function(loss, (2, 3), 3, ()).gradient(("W", "c")).update(RULES["gd"])
    text = program.source("python")
    assert 'inputs = ("W", "x", "c")' in text
    assert "W_new = W - eta*W_bar" in text
    update = load_module(text, "update")
    (W, c), states = update((np.ones((2, 3)), 2.0), (np.full((2, 3), 4.0), 1.0), (), 1)
    assert (W.tolist(), c, states) == ([[0.0] * 3] * 2, 1.75, ())
    made, x, start = module(program), np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]]), {"W": np.ones((2, 3)), "c": 2.0}
    whole, values = made.train({"x": x}, start, 1, eta=0.01)
    apart = [made.train({"x": each}, start, 1, eta=0.01) for each in x]
    np.testing.assert_allclose(whole["W"], (apart[0][0]["W"] + apart[1][0]["W"]) / 2, rtol=1e-14)
    assert values[0] == pytest.approx((apart[0][1][0] + apart[1][1][0]) / 2) == (2 * 4.0**2 + 2 * 2.5**2) / 2


CLASHES = [
    "eta beta1 t",
    "m s c1 c2",
    "update train value_",
    "parameters gradient states",
    "data start epochs point",
    "np_ inputs variables values",
    "x x_m x_m_new x_new",
    "x x_bar x_new_1 epsilon",
    "lambda_ def_ None_ sum_",
    "name each derivatives own",
    "_ __x u_x",
]


@pytest.mark.parametrize("inputs", CLASHES)
@pytest.mark.parametrize("rule", ["gd", "adam"])
def test_names_that_clash_come_out_right(inputs: str, rule: str) -> None:
    wanted = inputs.split()
    source = " + ".join(f"{k + 2}*{name}**2" for k, name in enumerate(wanted))
    made = module(symdiff.formula(source).gradient().update(RULES[rule]))
    start = {name: 1.0 + k for k, name in enumerate(wanted)}
    parameters, values = made.train({}, start, 2)
    for k, name in enumerate(wanted):
        theta, states = start[name], [0.0] * len(RULES[rule].states)
        for t in (1, 2):
            theta, states = by_hand(rule, theta, 2 * (k + 2) * theta, states, t)
        assert parameters[name] == pytest.approx(theta, rel=1e-13)
    assert values[0] == pytest.approx(sum((k + 2) * (1.0 + k) ** 2 for k in range(len(wanted))))


def test_settings_called_as_the_arguments_of_train() -> None:
    text = "theta: ()\ntheta_bar: ()\ndata: () = 0.5\nepochs: () = 1\ntheta_new = theta - data*epochs*theta_bar"
    made = module(symdiff.formula("w**2").gradient().update(optim.rule(text)))
    parameters, _ = made.train({}, {"w": 1.0}, 1)
    assert parameters["w"] == 0.0
    assert made.update((1.0,), (2.0,), (), 1, 0.25, 1.0)[0] == (0.5,)


@pytest.mark.parametrize("kind", ["arrays", "numbers", "traced"])
def test_settings_called_as_anything_that_train_uses(kind: str) -> None:
    """Every name in the text of `train` is the name of a setting here."""
    x = np.array([0.5, -1.0, 2.0])
    formula = {
        "arrays": lambda: symdiff.formula("x: const(3); w: (); sum((w*x - 1)**2)"),
        "numbers": lambda: symdiff.formula("x: const(); w: (); (w*x - 1)**2"),
        "traced": lambda: symdiff.trace_function(lambda x, w: (w * x - 1) ** 2, (), (), constants=("x",)),
    }[kind]()
    plain = formula.gradient("w").update(optim.gradient_descent(0.1)).source("python")
    train = next(part for part in ast.parse(plain).body if isinstance(part, ast.FunctionDef) and part.name == "train")
    used = {part.id for part in ast.walk(train) if isinstance(part, ast.Name)} | {part.arg for part in train.args.args}
    names = sorted(used - {"t", "eta", "_"})
    assert {"update", "gradient", "point", "np", *(["pairs", "own"] if kind == "traced" else [])} <= set(names)
    declared = "".join(f"{name}: const() = {1 + k / 64}; " for k, name in enumerate(names))
    rule = optim.rule(
        f"theta: (); theta_bar: const(); {declared} theta_new = theta - 0.01*({' + '.join(names)})*theta_bar"
    )
    made = module(formula.gradient("w").update(rule))
    parameters, values = made.train({"x": x}, {"w": 0.5}, 3)
    wanted = optim.gradient_descent(0.01 * sum(rule.settings.values()))
    other = formula.gradient("w").update(wanted).train({"x": x}, {"w": 0.5}, epochs=3, backend="numpy")
    assert float(parameters["w"]) == pytest.approx(other.parameters["w"], rel=1e-12)
    assert values.tolist() == pytest.approx(other.history.value.tolist(), rel=1e-12)


def test_a_variable_that_does_not_matter_stays() -> None:
    program = symdiff.formula("w: 2\nz: 3\nsum(w**2)").gradient(("w", "z")).update(RULES["adam"])
    parameters, _ = module(program).train({}, {"w": [1.0, 2.0], "z": [1.0, 2.0, 3.0]}, 3)
    assert parameters["z"].tolist() == [1.0, 2.0, 3.0]
    section = program.text({"w": [1, 2], "z": [1, 2, 3]})
    assert "  z_new = z - eta*(z_m_new/c1)/(sqrt(z_s_new/c2) + epsilon)  = [1, 2, 3]\n" in section


def test_lines_of_many_variables_are_broken() -> None:
    wanted = [f"parameter_number_{k}" for k in range(60)]
    program = symdiff.formula(" + ".join(f"{name}**2" for name in wanted)).gradient().update(RULES["adam"])
    text = program.source("python")
    assert max(map(len, text[text.index("def update") :].splitlines())) <= 110
    parameters, _ = module(program).train({}, dict.fromkeys(wanted, 1.0), 1)
    assert list(parameters) == wanted
    assert all(value == pytest.approx(0.95, abs=1e-7) for value in parameters.values())


def test_without_a_rule_nothing_changes(root: Path) -> None:
    """One package, generated before there were rules; tests/test_generated.py compares them all."""
    program = symdiff.formula(examples.path("graph_b")).gradient()
    text = program.source("python", name="graph_b")
    assert "def update" not in text
    golden = (root / "generated" / "graph_b" / "graph_b_numpy.py").read_text("ascii")
    at_the_body = golden.index("class Gradient")
    assert text[text.index("class Gradient") :] == golden[at_the_body:]
    assert "Update" not in program.text() + program.latex() + program.markdown()


def test_inputs_called_update_and_train_stay_without_a_rule() -> None:
    text = symdiff.formula("update*train").gradient().source("python")
    assert "def gradient(update, train):" in text


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (optim.gradient_descent(), " --update gd\n"),
        (optim.momentum(mu=0.5), " --update momentum --set mu=0.5\n"),
        (optim.adam(eta=0.01, beta1=0.8), " --update adam --set eta=0.01 --set beta1=0.8\n"),
        (RULES["odd"], " --update 'odd rule.sd'\n"),
    ],
)
def test_the_command_says_the_rule(rule: optim.Rule, says: str) -> None:
    program = symdiff.formula("x**2").gradient().update(rule)
    assert f"symdiff generate 'x**2' --name formula{says}" in program.source("python")


# -- derivations -------------------------------------------------------------------------------------------------------

AT = {"x": 1.0, "y": 2.0}
SCALAR = "x**2*y + sin(x)"


def test_the_section_in_text() -> None:
    text = symdiff.formula(SCALAR).gradient().update(RULES["gd"]).text(AT)
    section = text[text.index("7. Update rule: gradient descent") :]
    assert "  eta = 0.25\n" in section
    assert "  x_new = x - eta*x_bar  ~ -0.13507558\n" in section  # 1 - (4 + cos(1))/4
    assert "  y_new = y - eta*y_bar  = 1.75\n" in section


def test_the_sections_without_numbers_follow_the_gradient() -> None:
    for program, number in ((symdiff.formula(SCALAR).gradient(), 6), (symdiff.formula(NETWORK).gradient(VARIABLES), 8)):
        derived = program.update(RULES["momentum"])
        assert f"\n{number}. Update rule: gradient descent with momentum (Polyak" in derived.text()
        assert f"\n## {number}. Update rule\n" in derived.markdown()
        assert rf"\subsection*{{{number}\quad Update rule}}" in derived.latex()


def _numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


@pytest.mark.parametrize("rule", RULES)
def test_the_numbers_are_those_of_the_first_update(rule: str) -> None:
    at = {name: np.round(value, 3) for name, value in point().items()}
    program = network(rule)
    made = module(program)
    _, bars = made.gradient(*(at[name] for name in ("X", "target", *VARIABLES)))
    states = [[np.zeros_like(bar) for bar in bars] for _ in RULES[rule].states]
    new, _ = made.update([at[name] for name in VARIABLES], bars, states, 1)
    text = program.text(at)
    section = text[text.index("Update rule:") :]
    for name, value in zip(VARIABLES, new, strict=True):
        shown = re.search(rf"^  {name}_new = [^~=]*?[~=] (\[.*?\]+)\n", section, re.MULTILINE | re.DOTALL)
        assert shown, section
        np.testing.assert_allclose(_numbers(shown[1]), value.ravel(), rtol=5e-6, atol=1e-12)


def test_the_network_of_system_a_with_its_gradient_put_in() -> None:
    """What stands in the write-up: W2_new = W2 - eta (dJ/do h^T + lambda W2)."""
    program = symdiff.formula(examples.path("two_layer")).gradient(("W1", "W2")).update(RULES["gd"])
    latex, markdown, text = program.latex(), program.markdown(), program.text()
    assert r"W_{2}^{\mathrm{new}} &= W_{2} - \eta \, \bar{W}_{2}" in latex
    gradient = r"\left(\lambda \, W_{2} + \frac{\partial J}{\partial o} \, h^{\top}\right)"
    assert rf"W_{{2}}^{{\mathrm{{new}}}} &= W_{{2}} - \eta \, {gradient}" in latex
    assert rf"W_{{2}}^{{\mathrm{{new}}}} = W_{{2}} - \eta \, {gradient}" in markdown
    assert "  W2_new = W2 - eta*(lam*W2 + outer(dJ/do, h))\n" in text


def test_a_short_gradient_of_numbers_is_put_in() -> None:
    latex = symdiff.formula("a*b + b**2").gradient().update(RULES["gd"]).latex(fragment=True)
    assert latex.endswith(
        r"""With the gradient put in:
\begin{align*}
a^{\mathrm{new}} &= a - \eta \, b \\[2pt]
b^{\mathrm{new}} &= b - \eta \, (a + 2 b)
\end{align*}

\endgroup
"""
    )


def test_states_and_settings_in_mathematics() -> None:
    latex = network("adam").latex()
    assert r"c_{1} &= 1 - \beta_{1}^{t}" in latex
    assert r"m_{W}^{\mathrm{new}} &= \beta_{1} \, m_{W} + (1 - \beta_{1}) \, \bar{W}" in latex
    assert r"W^{\mathrm{new}} &= W - \frac{\eta \, (m_{W}^{\mathrm{new}} / c_{1})}{\sqrt{s_{W}^{\mathrm{new}}" in latex
    assert r"$\epsilon$ & $1 \times 10^{-8}$" in latex
    assert "With the gradient put in" not in latex  # it occurs twice in Adam
    assert latex.count(r"\beta_{1}^{t}") == 1


def test_names_in_mathematics_stay_apart() -> None:
    """A formula whose variables are called as settings, states and new values are."""
    formula = symdiff.formula("eta*x**2 + m*t*c_1 + x_m + beta_1*s_x + x_new**2")
    latex = formula.gradient().update(RULES["adam"]).latex()
    section = latex[latex.index("Update rule") :]
    lefts = re.findall(r"^(\S.*?) &=", section, re.MULTILINE)
    assert len(lefts) == len(set(lefts)) == 2 + 3 * 9
    assert r"x_{\mathrm{new}}^{\mathrm{new}} &=" in section
    assert r"\eta^{\mathrm{new}} &=" in section
    settings = re.findall(r"^\$(.*?)\$ & \$", section, re.MULTILINE)
    others = latex[: latex.index("Update rule")]
    assert len(settings) == 4
    for each in settings:
        assert each == r"\beta_{2}" or each == r"\epsilon" or f"${each}" not in others


def test_a_new_value_to_a_power_is_in_brackets() -> None:
    rule = optim.rule("theta: ()\ntheta_bar: ()\nm: ()\nm_new = m + theta_bar\ntheta_new = theta - m_new**2")
    assert r"(m_{x}^{\mathrm{new}})^{2}" in symdiff.formula("x**2").gradient().update(rule).latex()


@pytest.mark.tex
@pytest.mark.parametrize(
    ("source", "rule", "at"),
    [
        (SCALAR, "adam", AT),
        (SCALAR, "odd", None),
        (NETWORK, "adam", point()),
        (NETWORK, "odd", point(1)),
        ("a_rather_long_name_of_a_variable*loss_value_after**2", "odd", "ones"),
        ("lambda_*eta + " + "+".join(f"exp(x{k}*y)" for k in range(12)), "momentum", "ones"),
    ],
)
def test_latex_compiles_and_fits(source: str, rule: str, at: Any, tmp_path: Path) -> None:
    formula = symdiff.formula(source)
    numbers = dict.fromkeys(formula.inputs, 1.0) if at == "ones" else at
    program = formula.gradient(VARIABLES if source == NETWORK else None).update(RULES[rule])
    (tmp_path / "t.tex").write_text(program.latex(numbers), "ascii")
    tool = shutil.which("pdflatex")
    assert tool is not None
    done = subprocess.run(
        [tool, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    log = (tmp_path / "t.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    wide = [each for each in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", log) if float(each) > 5]
    assert wide == []


@pytest.mark.parametrize("rule", RULES)
def test_texts_are_narrow_ascii_and_the_same_again(rule: str) -> None:
    at = {name: np.round(value, 2) for name, value in point().items()}
    program = network(rule)
    text = program.text(at)
    assert max(map(len, text.splitlines())) <= 79
    for made in (text, program.markdown(at), program.latex(at, fragment=True), program.source("python")):
        made.encode("ascii")
    again = network(rule)
    assert (again.text(at), again.latex(at), again.markdown(at)) == (text, program.latex(at), program.markdown(at))
    for number in re.findall(r"\d[\d.]*", program.markdown(at)[program.markdown(at).index("Update rule") :]):
        assert len(number.replace(".", "").strip("0")) <= 12


def test_a_fragment_needs_amsmath_alone() -> None:
    fragment = network().latex(fragment=True)
    assert "Update rule" in fragment
    section = fragment[fragment.index("Update rule") :]
    assert r"\toprule" not in section
    assert fragment.rstrip().endswith(r"\endgroup")
