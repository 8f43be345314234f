"""The command line as a user meets it: results on stdout, messages on stderr, exit codes, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from symdiff.cli import main

SYSTEM_B = "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)"
AT_B = "w1=-3,x1=-2,w2=2,x2=-1"
SYSTEM_E = "z1 = x; z2 = y; z3 = z1 + z2; z4 = sin(z3); z5 = z4**2; z6 = exp(z1); z7 = z5 + z6; z8 = z7*z3"


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


@pytest.fixture(autouse=True)
def _in_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_trace_shows_system_b_node_by_node() -> None:
    printed = run("trace", SYSTEM_B, "--at", AT_B).stdout
    values = [6.0, -0.27941549819892586, 0.07807302063375395, -2.0, -0.4161468365471424, -0.3380738159133885]
    values += [1.6619261840866115, 0.6017114415641729]
    forward = printed.split("Reverse sweep")[0].splitlines()
    shown = [float(line.split()[-1]) for line in forward if line.startswith("(")]
    assert shown == pytest.approx(values, rel=4e-16)
    gradient = dict(line.split()[-2:] for line in printed.split("gradient")[1].splitlines() if " / d " in line)
    expected = {"w1": -0.3885395959048329, "x1": -0.5828093938572494}
    expected |= {"w2": 0.32921718831127095, "x2": -0.6584343766225419}
    assert {name: float(value) for name, value in gradient.items()} == pytest.approx(expected, rel=1e-15)


def test_trace_before_a_step_names_what_is_pending() -> None:
    printed = run("trace", SYSTEM_E, "--at", "x=1,y=2", "--before", "z4").stdout
    line = next(line for line in printed.splitlines() if line.startswith("z3_bar"))
    assert "2.738196685133862" in line and "z4_bar*cos(z3)" in line
    state = json.loads(run("trace", SYSTEM_E, "--at", "x=1,y=2", "--before", "z4", "--json").stdout)
    assert state["adjoints"]["z3"] == pytest.approx(2.738196685133862, rel=1e-15)
    assert state["pending"]["z3"] == ["z4_bar*cos(z3)"] and state["pending"]["z1"] == ["z3_bar"]


def test_trace_json_lists_steps_and_reverse() -> None:
    found = json.loads(run("trace", SYSTEM_E, "--at", "x=1,y=2", "--json").stdout)
    assert [step["name"] for step in found["steps"]] == [f"z{k}" for k in range(1, 9)]
    assert [step["name"] for step in found["reverse"]] == [f"z{k}" for k in range(8, 0, -1)]
    for entry in found["steps"] + found["reverse"]:
        assert {"n", "name", "op", "operands", "value", "adjoint", "pending"} <= entry.keys()
    before_z4 = found["reverse"][4]
    assert before_z4["pending"] == {"z3": ["z4_bar*cos(z3)"], "z1": ["z3_bar"]}


def test_the_gradient_is_that_of_the_users_own_output() -> None:
    assert "d z / d x" in run("trace", "z = x*x", "--at", "x=2").stdout


@pytest.mark.parametrize("name", ["../evil", "a/b", ".", "", "/tmp/evil", "int", "a b", "numpy", "__init__"])
def test_generate_refuses_names_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    done = run("generate", "x*y", "--name", name, "-o", "out")
    assert done.exit_code == 2 and done.stderr.startswith("symdiff: ") and not done.stdout
    assert not list(tmp_path.iterdir()) and not (tmp_path.parent / "evil").exists()


def test_generate_keeps_existing_files(tmp_path: Path) -> None:
    assert run("generate", "x*y", "--name", "one", "-o", "out").exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    again = run("generate", "x + y", "--name", "one", "-o", "out")
    assert again.exit_code == 2 and "--force" in again.stderr
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert run("generate", "x + y", "--name", "one", "-o", "out", "--force").exit_code == 0


@pytest.mark.parametrize(
    "source", ["y: (); x: (); x - 2*y", "a: (); b: (); b*2", "x*y", "lam: const() = 0.5; x: (); lam*x"]
)
def test_the_written_formula_gives_the_same_package_again(source: str, tmp_path: Path) -> None:
    assert run("generate", source, "--name", "one", "-o", "first").exit_code == 0
    file = str(tmp_path / "first" / "one" / "one.sd")
    assert run("generate", file, "-o", "second").exit_code == 0
    first, second = ({p.name: p.read_text() for p in (tmp_path / f / "one").glob("*.*")} for f in ("first", "second"))
    assert first == second


def test_a_formula_may_begin_with_a_minus() -> None:
    assert "value = -x**2" in run("derive", "-x**2").stdout
    deep = run("derive", "-" * 50_000 + "x")
    assert deep.exit_code == 2 and "column 401" in deep.stderr


@pytest.mark.parametrize(("style", "sign"), [("text", "Gradient"), ("md", "```math"), ("tex", r"\documentclass")])
def test_derive_in_every_text_format(style: str, sign: str, tmp_path: Path) -> None:
    printed = run("derive", SYSTEM_B, "--at", AT_B, "--format", style)
    assert printed.exit_code == 0 and sign in printed.stdout
    assert run("derive", SYSTEM_B, "--at", AT_B, "--format", style, "-o", "file").exit_code == 0
    assert (tmp_path / "file").read_text() == printed.stdout


def test_a_fragment_has_no_preamble() -> None:
    printed = run("derive", "x*y", "--format", "tex", "--fragment").stdout
    assert r"\documentclass" not in printed and r"\tag{" in printed


@pytest.mark.tex
def test_derive_makes_a_pdf(tmp_path: Path) -> None:
    assert run("derive", SYSTEM_B, "--at", AT_B, "--format", "pdf", "-o", "b.pdf").exit_code == 0
    assert (tmp_path / "b.pdf").read_bytes().startswith(b"%PDF-")


def test_formulas_come_from_files_standard_input_and_functions(tmp_path: Path) -> None:
    (tmp_path / "my-formula.sd").write_text("u = x*y\nu + sin(x)\n")
    (tmp_path / "model.py").write_text("raise SystemExit('must not run')\ndef f(x, y):\n    return np.sin(x)*y\n")
    for source, stdin in [("my-formula.sd", None), ("@my-formula.sd", None), ("-", b"x*y"), ("model.py:f", None)]:
        done = run("trace", source, "--at", "x=1,y=2", stdin=stdin)
        assert done.exit_code == 0, done.stderr
        assert run("derive", source, stdin=stdin).exit_code == 0
    assert "d value / d y  0.8414709848078965" in run("trace", "model.py:f", "--at", "x=1,y=2").stdout


def test_numbers_may_come_from_a_toml_file(tmp_path: Path) -> None:
    (tmp_path / "at.toml").write_text("x = 1\ny = 2.5\n")
    assert "3.5" in run("trace", "x + y", "--at", "at.toml").stdout
    assert run("trace", "x + y", "--at", "missing.toml").exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("derive", "x +"),
        ("derive", "sinn(x)"),
        ("derive", "x**1000000000"),
        ("derive", "missing.sd"),
        ("derive", "x*y", "--wrt", "z"),
        ("trace", "x*y", "--at", "x=1"),
        ("trace", "x*y", "--at", "x=1,y=2,z=3"),
        ("trace", "x*y", "--at", "x=1,y=2", "--before", "x"),
    ],
)
def test_bad_use_is_one_message_and_exit_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*arguments)
    assert done.exit_code == 2 and done.stderr.startswith("symdiff: ") and not done.stdout
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())


def test_check_passes_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("check", "x*exp(y)")
    assert done.exit_code == 0 and "tested at" in done.stdout and "verified" not in done.stdout

    from symdiff.render import python

    monkeypatch.setattr(python, "load_module", lambda *_: lambda x, y: (x * y, y, -x))
    assert run("check", "x*y").exit_code == 1


def test_doctor_names_the_compiler_and_the_cache() -> None:
    printed = run("doctor").stdout
    assert all(word in printed for word in ("compiler", "SIMD", "cache", "TeX"))
