"""Formulas of arrays on the command line and through the public names: points, bindings, errors."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import symdiff
from symdiff.cli import main

SYSTEM_C = "W: (3, 3); x: (3, 1); z = W @ x; q = sigmoid(z); f = norm(q)**2"
AT_C = "W=[[1,2,3],[3,1,2],[2,3,1]],x=[[1],[1],[1]]"
ABSTRACT = "W: (2, 3); x: const(3); y: const(2); phi: function; l: function(); l(phi(W @ x), y)"
LOSS = "def l(o, y): return sum((o - y)**2)/2"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(autouse=True)
def _in_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_trace_of_system_c_has_the_numbers_of_every_node() -> None:
    found = json.loads(run("trace", SYSTEM_C, "--at", AT_C, "--json").stdout)
    steps = {step["name"]: step for step in found["steps"]}
    assert steps["z"]["value"] == [[6.0], [6.0], [6.0]] and steps["z"]["shape"] == [3, 1]
    assert np.array(steps["q"]["value"]) == pytest.approx(np.full((3, 1), 0.99752738), abs=5e-9)
    assert steps["f"]["value"] == pytest.approx(2.985182602656016, rel=1e-15)
    sends = {send["to"]: send for entry in found["reverse"] for send in entry["sends"]}
    assert np.array(sends["q"]["local"]) == pytest.approx(np.full((3, 1), 1.99505475), abs=5e-9)
    assert np.array(sends["z"]["local"]) == pytest.approx(np.full((3, 1), 0.00246651), abs=5e-9)
    assert np.array(found["gradient"]["W"]) == pytest.approx(np.full((3, 3), 0.00492082), abs=5e-9)
    assert np.array(found["gradient"]["x"]) == pytest.approx(np.full((3, 1), 0.02952493), abs=5e-9)


def test_the_printed_trace_shows_matrices_row_by_row() -> None:
    printed = run("trace", SYSTEM_C, "--at", AT_C).stdout
    assert "W               [[1. 2. 3.]\n" in printed and "[2. 3. 1.]]\n" in printed
    assert "W_bar = z_bar @ x.T" in printed and "x_bar = W.T @ z_bar" in printed


def test_the_state_before_a_step_of_arrays() -> None:
    found = json.loads(run("trace", SYSTEM_C, "--at", AT_C, "--before", "z", "--json").stdout)
    assert found["pending"] == {"W": ["z_bar @ x.T"], "x": ["W.T @ z_bar"]}
    assert np.shape(found["adjoints"]["q"]) == (3, 1)


@pytest.mark.parametrize("suffix", ["npz", "toml"])
def test_points_from_files(tmp_path: Path, suffix: str) -> None:
    if suffix == "npz":
        np.savez("point.npz", W=np.array([[1, 2, 3], [3, 1, 2], [2, 3, 1]]), x=np.ones((3, 1)))
    else:
        Path("point.toml").write_text("W = [[1, 2, 3], [3, 1, 2], [2, 3, 1]]\nx = [[1], [1], [1]]\n", "utf-8")
    from_file = run("trace", SYSTEM_C, "--at", f"point.{suffix}")
    assert from_file.exit_code == 0
    assert from_file.stdout == run("trace", SYSTEM_C, "--at", AT_C).stdout


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("W=[[1,2],[3]],x=[[1]]", "ragged"),
        ("W=[[1,2,3],[3,1,2],[2,3,1]],x=[1,1,1]", "x has shape (3,), and is declared (3, 1)"),
        ("W=[[1,2],[3,1]],x=[[1],[1],[1]]", "axis 0 has size 2 and not 3"),
        ("W=[[1,2,3],[3,1,2],[2,3,1],x=1", "expected NAME=NUMBER"),
        ("W=[[1,2,oops]],x=1", "expected NAME=NUMBER"),
        ("W=__import__('os')", "expected NAME=NUMBER"),
        ("W=1,x=[[1],[1],[1]]", "W has shape (), and is declared (3, 3)"),
        ("missing.npz", "cannot read missing.npz"),
    ],
)
def test_bad_points(at: str, words: str) -> None:
    done = run("trace", SYSTEM_C, "--at", at)
    assert done.exit_code == 2 and words in done.stderr and "Traceback" not in done.stderr


def test_no_pickle_is_read(tmp_path: Path) -> None:
    np.savez("evil.npz", W=np.array([{"a": 1}], dtype=object))
    done = run("trace", SYSTEM_C, "--at", "evil.npz")
    assert done.exit_code == 2 and "not an NPZ file of numbers" in done.stderr


def test_dimensions_that_disagree_are_named() -> None:
    done = run("trace", "X: (n, 2); y: const(n); sum((X @ ones(2) - y)**2)", "--at", "X=[[1,2],[3,4]],y=[1,2,3]")
    assert done.exit_code == 2
    assert "y has shape (3,), axis 0 has size 3, and X has shape (2, 2): dimension n is 2 by its axis 0" in done.stderr


def test_let_binds_abstract_functions() -> None:
    at = "W=[[1,2,3],[4,5,6]],x=[0.1,0.2,-0.1],y=[1,0]"
    bound = run("trace", ABSTRACT, "--let", "phi=tanh", "--let", f"l={LOSS}", "--at", at)
    assert bound.exit_code == 0
    typed = ABSTRACT.replace("phi: function; l: function(); l(phi(W @ x), y)", "sum((tanh(W @ x) - y)**2)/2")
    assert bound.stdout.split("gradient")[-1] == run("trace", typed, "--at", at).stdout.split("gradient")[-1]
    Path("loss.txt").write_text(LOSS, "utf-8")
    from_file = run("trace", ABSTRACT, "--let", "phi=tanh", "--let", "l=@loss.txt", "--at", at)
    assert from_file.stdout == bound.stdout


@pytest.mark.parametrize(
    ("let", "words"),
    [
        (("phi",), "expected NAME=OP"),
        (("phi=tanh", "phi=relu"), "given twice"),
        (("psi=tanh",), "'psi' is not an abstract function"),
        (("phi=atan2",), "argument"),
        (("phi=nothing_like_it",), "phi"),
    ],
)
def test_bad_bindings(let: tuple[str, ...], words: str) -> None:
    done = run("derive", ABSTRACT, *(part for text in let for part in ("--let", text)))
    assert done.exit_code == 2 and words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", [("generate",), ("trace", "--at", "W=[[1,2,3],[4,5,6]],x=[1,2,3],y=[1,2]"), ("check",)]
)
def test_unbound_functions_are_asked_for(command: tuple[str, ...]) -> None:
    done = run(command[0], ABSTRACT, *command[1:])
    assert done.exit_code == 2 and "'phi' is abstract" in done.stderr and "--let phi=" in done.stderr
    assert not list(Path().iterdir())


def test_bind_in_python() -> None:
    formula = symdiff.formula(ABSTRACT)
    assert "phi'(v1)" in str(formula.gradient())
    with pytest.raises(symdiff.UnsupportedError, match=r"bind\(phi=...\)"):
        formula.gradient().compile("numpy")
    kernel = formula.bind(phi="relu", l=LOSS).gradient().compile("numpy")
    value, grads = kernel(W=np.ones((2, 3)), x=np.ones(3), y=np.zeros(2))
    assert value == 9.0 and np.array_equal(grads.W, np.full((2, 3), 3.0))
    with pytest.raises(symdiff.SymdiffError, match="not an abstract function"):
        formula.bind(phi_="relu")


def test_the_gradient_of_an_array_is_refused_and_its_value_is_not() -> None:
    formula = symdiff.formula("W: (n, 3); x: 3; tanh(W @ x)")
    with pytest.raises(symdiff.ShapeError, match=r"shape \(n,\); sum it, or pick a component"):
        formula.gradient()
    kernel = formula.value().compile("numpy")
    assert kernel.signature == "(n,3),(3)->(n)"
    assert np.array_equal(kernel(np.ones((4, 3)), np.ones(3)), np.tanh(np.full(4, 3.0)))


def test_a_formula_of_arrays_has_no_sympy_form() -> None:
    with pytest.raises(symdiff.UnsupportedError, match="arrays"):
        _ = symdiff.formula("x: 3; sum(x)").sympy


def test_inputs_carry_shapes() -> None:
    formula = symdiff.formula("X: (n, 3)\ny: const(n)\nsum(X[:, 0]*y)")
    assert dict(formula.inputs) == {"X": ("n", 3), "y": ("n",)} and formula.constants == ("y",)
    given = symdiff.formula("sum(X[:, 0]*y)", shapes={"X": ("n", 3), "y": ("n",)}, constants=("y",))
    assert dict(given.inputs) == dict(formula.inputs) and given.constants == ("y",)


def test_a_python_function_with_annotations() -> None:
    @symdiff.formula
    def squared(W: "3,3", x: "3"):  # noqa: UP037  # shapes, not types
        return np.linalg.norm(W @ x) ** 2

    value, grads = squared.gradient().compile("numpy")(np.eye(3), np.array([1.0, 2.0, 3.0]))
    assert value == 14.0 and np.array_equal(grads.x, [2.0, 4.0, 6.0])


def test_points_add_up() -> None:
    Path("w.toml").write_text("W = [[1, 2, 3], [3, 1, 2], [2, 3, 1]]\n", "utf-8")
    np.savez("x.npz", x=np.ones((3, 1)))
    whole = run("trace", SYSTEM_C, "--at", AT_C).stdout
    assert run("trace", SYSTEM_C, "--at", "w.toml", "--at", "x.npz").stdout == whole
    assert run("trace", SYSTEM_C, "--at", "x=[[1],[1],[1]]", "--at", "w.toml").stdout == whole
    for command in ("trace", "derive", "check", "generate"):
        twice = run(command, SYSTEM_C, "--at", AT_C, "--at", "x.npz")
        assert twice.exit_code == 2 and "'x' is given twice" in twice.stderr


GRAM = "X: (n, 3); X @ X.T"


def test_the_value_of_an_array_alone() -> None:
    at = ("--at", "X=[[1,2,3],[4,5,6]]")
    assert "(n, n)" in run("derive", GRAM, "--value").stdout
    assert "[[14, 32], [32, 77]]" in run("derive", GRAM, "--value", *at).stdout
    found = json.loads(run("trace", GRAM, "--value", "--json", *at).stdout)
    assert found["value"] == [[14.0, 32.0], [32.0, 77.0]] and not found["gradient"]
    assert run("check", GRAM, "--value").exit_code == 0
    refused = run("derive", GRAM, "--value", "--wrt", "X")
    assert refused.exit_code == 2 and "--value has no derivatives" in refused.stderr


@pytest.mark.parametrize("at", [(), ("--at", "X=[[1,2,3],[4,5,6]]")])
def test_a_package_of_a_value_is_made_again_by_its_own_command(at: tuple[str, ...], tmp_path: Path) -> None:
    assert run("generate", GRAM, "--value", "--name", "gram", "-o", "first", *at).exit_code == 0
    first = tmp_path / "first" / "gram"
    readme = (first / "README.md").read_text("utf-8")
    command = next(line.strip() for line in readme.splitlines() if line.startswith("    symdiff generate"))
    assert command.endswith(" --value" + " --at gram.toml" * bool(at)) and command in (first / "gram.h").read_text(
        "utf-8"
    )
    assert not list(first.glob("check_*")) and "grads" not in readme
    words = shlex.split(command)[1:]
    words = [str(first / word) if word.endswith(".toml") else word for word in words]
    assert run(*words, "-o", "second").exit_code == 0
    second = tmp_path / "second" / "gram"
    assert {p.name: p.read_text("utf-8") for p in first.glob("*.*")} == {
        p.name: p.read_text("utf-8") for p in second.glob("*.*")
    }


def test_the_package_of_a_value_works(tmp_path: Path) -> None:
    assert run("generate", GRAM, "--value", "--name", "gram_value").exit_code == 0
    code = "import gram_value, numpy as np; print(gram_value.value(np.eye(2, 3)).tolist())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[[1.0, 0.0], [0.0, 1.0]]\n"


def test_a_package_of_a_bound_formula_has_the_same_text_as_one_typed(tmp_path: Path) -> None:
    assert run("generate", ABSTRACT, "--let", "phi=tanh", "--let", f"l={LOSS}", "--name", "net").exit_code == 0
    written = (tmp_path / "net" / "net.sd").read_text("utf-8")
    assert "def l(o, y): return sum((o - y)**2)/2\n" in written and "declared" not in written
    wrong = run("derive", ABSTRACT, "--let", "phi=softmax", "--let", f"l={LOSS}")
    assert wrong.exit_code == 2 and "'phi' is declared elementwise" in wrong.stderr
    wrong = run("derive", ABSTRACT, "--let", "phi=tanh", "--let", "l=def l(o, y): return o - y")
    assert (
        wrong.exit_code == 2 and "'l' is declared function(), and what it is bound to gives shape (2,)" in wrong.stderr
    )
