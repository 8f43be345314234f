"""Update rules: what is one, what it says once it is written out for variables, and the numbers of those that ship."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symdiff
from symdiff import optim
from symdiff.errors import SymdiffError, UnsupportedError
from symdiff.expr import names
from symdiff.ops.evaluate import evaluate
from symdiff.rule import Line, Rule, Update, instance

SHIPPED = {"gd": optim.gradient_descent(), "momentum": optim.momentum(), "adam": optim.adam()}
OWN = "theta: ()\ntheta_bar: ()\neta: () = 0.5\n"


def run(update: Update, point: dict[str, Any]) -> dict[str, Any]:
    """Every line of an update worked out, from values of what it reads."""
    known = dict(point)
    for line in [*update.common, *(line for each in update.parameters for line in each.lines)]:
        known[line.name] = evaluate(line.expr, known)
    return known


def one_number(rule: Rule, bars: list[float], start: float = 0.5) -> list[float]:
    """A parameter through several updates, as the written-out rule says."""
    update = instance(rule, [("w", (), "w_bar")], ["w", "w_bar"])
    known = {name: value for name, _, value in update.settings} | {"w": start}
    known |= {state: 0.0 for state, _ in update.parameters[0].states}
    found = []
    for t, bar in enumerate(bars, 1):
        after = run(update, {**known, "w_bar": bar, **({update.count: float(t)} if update.count else {})})
        known |= {old: after[new] for old, new in update.parameters[0].states} | {"w": after["w_new"]}
        found.append(float(known["w"]))
    return found


# -- the rules that ship -----------------------------------------------------------------------------------------------


def test_what_the_shipped_rules_are_made_of() -> None:
    assert {key: (rule.key, rule.states, rule.counts) for key, rule in SHIPPED.items()} == {
        "gd": ("gd", (), False),
        "momentum": ("momentum", ("velocity",), False),
        "adam": ("adam", ("m", "s"), True),
    }
    assert [line.name for line in SHIPPED["adam"].common] == ["c1", "c2"]
    assert [line.name for line in SHIPPED["adam"].each] == ["m_new", "s_new", "theta_new"]
    assert all(rule.source for rule in SHIPPED.values())


def test_gradient_descent_by_hand() -> None:
    assert one_number(optim.gradient_descent(eta=0.25), [1.0, -2.0]) == [0.25, 0.75]


def test_momentum_by_hand() -> None:
    # velocity 1, then 0.5*1 - 2 = -1.5
    assert one_number(optim.momentum(eta=0.25, mu=0.5), [1.0, -2.0]) == [0.25, 0.625]


def test_adam_as_in_the_paper() -> None:
    """Algorithm 1 of Kingma and Ba, written again without looking at the rule's text."""
    bars, theta, m, v, expected = [0.3, -1.2, 0.7, 0.0], 0.5, 0.0, 0.0, []
    for t, g in enumerate(bars, 1):
        m, v = 0.8 * m + 0.2 * g, 0.99 * v + 0.01 * g * g
        theta -= 0.05 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-6)
        expected.append(theta)
    rule = optim.adam(eta=0.05, beta1=0.8, beta2=0.99, epsilon=1e-6)
    assert one_number(rule, bars) == pytest.approx(expected, rel=1e-14)


@pytest.mark.peer("torch")
@pytest.mark.parametrize("key", SHIPPED)
def test_pytorch_takes_the_same_steps(key: str) -> None:
    import torch

    bars = [0.3, -1.2, 0.7, 0.0, 5.0, -0.01]
    w = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    made: Any = {
        "gd": lambda: torch.optim.SGD([w], lr=0.1),
        "momentum": lambda: torch.optim.SGD([w], lr=0.01, momentum=0.9),
        "adam": lambda: torch.optim.Adam([w], lr=0.001),
    }[key]()
    expected = []
    for bar in bars:
        w.grad = torch.tensor(bar, dtype=torch.float64)
        made.step()
        expected.append(float(w.detach()))
    assert one_number(SHIPPED[key], bars) == pytest.approx(expected, rel=1e-13)


# -- what is no rule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("theta: ()\ntheta_new = theta", "theta_bar"),
        ("theta_bar: ()\ntheta_new = theta_bar", "theta"),
        (OWN + "theta - eta*theta_bar", "theta_new"),
        (OWN + "theta_new = theta\nlast = theta_new", "theta_new"),
        ("theta: ()\ntheta_bar: ()\neta: ()\ntheta_new = theta - eta*theta_bar", "'eta' no value"),
        ("theta: (3,)\ntheta_bar: (3,)\ntheta_new = theta - theta_bar", "elementwise"),
        (OWN + "theta_new = theta - eta*sum(theta_bar)", "elementwise: sum"),
        (OWN + "phi: function\ntheta_new = theta - eta*phi(theta_bar)", "elementwise"),
        (OWN + "m: () = 3\nm_new = m + theta_bar\ntheta_new = theta - m_new", "start at 0"),
        (OWN + "t: () = 5\ntheta_new = theta - t*theta_bar", "gives 't' a value"),
        ("theta: () = 5\ntheta_bar: ()\ntheta_new = theta - theta_bar", "gives 'theta' a value"),
        ("theta: ()\ntheta_bar: () = 5\ntheta_new = theta - theta_bar", "gives 'theta_bar' a value"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_is_missing(text: str, says: str) -> None:
    with pytest.raises(UnsupportedError, match=says):
        optim.rule(text, "mine")


@pytest.mark.parametrize("text", ['a """', "a */ b", "a\nb", "Kr\u00f6ger", "back\\slash", "%s{}", 5])
def test_names_that_could_end_a_comment_are_refused(text: Any) -> None:
    for arguments in ((text,), ("mine", text)):
        with pytest.raises(SymdiffError, match="ASCII"):
            optim.rule(OWN + "theta_new = theta", *arguments)


def test_helpers_are_put_in() -> None:
    rule = optim.rule("def twice(x): return 2*x\n" + OWN + "theta_new = theta - twice(eta)*theta_bar")
    assert one_number(rule, [0.25]) == [0.25]
    assert rule.common == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), pytest.param(10**5000, id="huge"), "fast", None])
def test_a_setting_is_a_finite_number(value: Any) -> None:
    with pytest.raises(SymdiffError, match="'eta' needs a finite number"):
        SHIPPED["gd"].set({"eta": value})


def test_settings() -> None:
    changed = SHIPPED["adam"].set({"eta": 3, "beta1": np.float32(0.5)})
    assert (changed.settings["eta"], changed.settings["beta1"], changed.settings["beta2"]) == (3.0, 0.5, 0.999)
    assert changed.defaults == SHIPPED["adam"].settings
    assert changed.key == "adam"
    with pytest.raises(SymdiffError, match="Adam has no setting 'beta'; did you mean 'beta"):
        SHIPPED["adam"].set({"beta": 1})
    with pytest.raises(SymdiffError, match="no setting 'warmup'; it has eta, beta1, beta2, epsilon"):
        SHIPPED["adam"].set({"warmup": 1})
    with pytest.raises(SymdiffError, match="no setting 'eta'; it has none"):
        optim.rule("theta: (); theta_bar: ()\ntheta_new = theta - theta_bar").set({"eta": 1})


@pytest.mark.parametrize(
    ("make", "name", "usual"),
    [(optim.adam, "lr", "eta"), (optim.adam, "eps", "epsilon"), (optim.momentum, "momentum", "mu")],
)
def test_names_that_settings_have_elsewhere(make: Any, name: str, usual: str) -> None:
    with pytest.raises(SymdiffError, match=f"'{name}'; did you mean '{usual}'"):
        make(**{name: 0.1})
    assert usual in inspect.signature(make).parameters and name not in inspect.signature(make).parameters


@pytest.mark.parametrize(
    ("make", "name", "taken", "refused", "says"),
    [
        (optim.gradient_descent, "eta", [0, 1e300], [-1e-300], "0 <= eta"),
        (optim.momentum, "eta", [0], [-1], "0 <= eta"),
        (optim.momentum, "mu", [0, 0.999], [1, -0.1], "0 <= mu < 1"),
        (optim.adam, "eta", [0], [-1], "0 <= eta"),
        (optim.adam, "beta1", [0, 0.999], [1, 2, -0.1], "0 <= beta1 < 1"),
        (optim.adam, "beta2", [0, 0.999], [1, 2, -0.1], "0 <= beta2 < 1"),
        (optim.adam, "epsilon", [5e-324, 1], [0, -1], "0 < epsilon"),
    ],
)
def test_the_shipped_rules_have_ranges(make: Any, name: str, taken: Any, refused: Any, says: str) -> None:
    for number in taken:
        assert make(**{name: number}).settings[name] == number
    for number in refused:
        for attempt in (lambda n=number: make(**{name: n}), lambda n=number: make().set({name: n})):
            with pytest.raises(SymdiffError, match=f"{says}, and got"):
                attempt()
    assert says in (make.__doc__ or "")


def test_a_rule_of_ones_own_has_no_ranges() -> None:
    assert optim.rule(OWN + "theta_new = theta + eta*theta_bar", eta=-3).settings == {"eta": -3.0}


def test_a_rule_shows_its_name_and_settings() -> None:
    assert repr(optim.adam(0.1)) == "<Adam, eta=0.1, beta1=0.9, beta2=0.999, epsilon=1e-08>"
    assert repr(optim.rule("theta: (); theta_bar: ()\ntheta_new = theta - theta_bar", "plain")) == "<plain>"


# -- written out -------------------------------------------------------------------------------------------------------


def test_a_state_without_the_variable_in_it_is_still_one_for_each() -> None:
    rule = optim.rule(OWN + "k: ()\nt: ()\nk_new = t\ntheta_new = theta - eta*k_new*theta_bar")
    update = instance(rule, [("a", (2,), "a_bar"), ("b", (), "b_bar")], ["a", "b", "a_bar", "b_bar"])
    assert update.common == ()
    assert [each.states for each in update.parameters] == [(("a_k", "a_k_new"),), (("b_k", "b_k_new"),)]


def test_what_counts_updates_is_no_state() -> None:
    rule = optim.rule(OWN + "t: ()\nt_new = t + 1\ntheta_new = theta - eta/t_new*theta_bar")
    assert (rule.states, rule.counts) == ((), True)


def test_a_variable_that_does_not_matter_gets_a_name_for_its_adjoint() -> None:
    program = symdiff.formula("w: ()\nz: ()\nz_bar: ()\nw**2 + z_bar").gradient(("w", "z")).update(SHIPPED["gd"])
    update = program.written_update
    assert update is not None
    assert [each.bar for each in update.parameters] == ["w_bar", "z_bar_1"]


def test_without_a_gradient_there_is_no_update() -> None:
    with pytest.raises(SymdiffError, match="needs a gradient"):
        symdiff.formula("w**2").value().update(SHIPPED["gd"])
    assert symdiff.formula("w**2").gradient().written_update is None


NAMES = st.sampled_from(
    "eta beta1 t c1 c1_1 m x_m x_m_new x x_new x_bar theta theta_bar velocity x_velocity mu s".split()
)


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.sampled_from(sorted(SHIPPED)), st.integers(1, 8))
def test_no_name_is_given_twice(taken: list[str], key: str, count: int) -> None:
    rule = SHIPPED[key]
    update = instance(rule, [(name, (), None) for name in taken[:count]], taken)
    own = [name for name, _, _ in update.settings] + ([update.count] if update.count else [])
    own += [line.name for line in update.common]
    for each in update.parameters:
        own += [each.bar, *(state for state, _ in each.states), *(line.name for line in each.lines)]
    assert len(own) == len(set(own))
    assert not set(own) & set(taken)
    known = {*taken, *own}
    lines: list[Line] = [*update.common, *(line for each in update.parameters for line in each.lines)]
    assert all(set(names(line.expr)) <= known for line in lines)
    # and the lines compute what they do under the rule's own names
    point = dict.fromkeys(taken, 0.5) | {name: value for name, _, value in update.settings}
    point |= {update.count: 3.0} if update.count else {}
    for each in update.parameters:
        point |= {each.bar: 0.25} | {state: 0.125 for state, _ in each.states}
    after = run(update, point)
    plain = {line.name: line for line in rule.lines}
    own_point = dict(rule.settings) | {"theta": 0.5, "theta_bar": 0.25, "t": 3.0} | dict.fromkeys(rule.states, 0.125)
    for line in plain.values():
        own_point[line.name] = evaluate(line.expr, own_point)
    assert [after[each.new] for each in update.parameters] == [own_point["theta_new"]] * len(update.parameters)
