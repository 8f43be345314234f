"""The derivation in LaTeX, Markdown and text: names, brackets, tags, numbers, and pages that TeX accepts."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdiff.adjoint import adjoint
from symdiff.errors import BuildError
from symdiff.expr import Call, Expr, Name, Number, call, walk
from symdiff.frontend.parser import parse
from symdiff.linearize import linearize
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.evaluate import constant_value
from symdiff.render import derivation
from symdiff.render.context import Sheet
from symdiff.render.derivation_model import Derivation
from symdiff.render.figures import decimal, literal
from symdiff.render.latex_lines import width
from symdiff.render.latex_names import symbols
from symdiff.render.latex_notation import LatexNotation
from symdiff.render.mathematics import SYMBOLS, MathPrinter
from symdiff.render.pdf import pdf
from symdiff.trace import Trace
from symdiff.verify.finite import finite_differences

SYSTEM_B = ("1/(sin(w1*x1)**2 + cos(w2*x2) + 2)", {"w1": -3, "x1": -2, "w2": 2, "x2": -1})
SYSTEM_E = (
    "z1 = x; z2 = y; z3 = z1 + z2; z4 = sin(z3); z5 = z4**2; z6 = exp(z1); z7 = z5 + z6; z8 = z7*z3",
    {"x": 1, "y": 2},
)
BRANCHES = ("where(x>0, log(x)*max(x, y), where(x<-1, log(-x)*y, atan2(x,y)))*sigmoid(x)", {"x": -2.5, "y": 0.7})
LONG_NAME = "a_name_that_goes_on_" * 9
FORMULAS: dict[str, tuple[str, Mapping[str, float] | None]] = {
    "b": SYSTEM_B,
    "e": SYSTEM_E,
    "branches": BRANCHES,
    "names": (
        "J0*_x + out*value + int*double + x_bar*v1 + lambda_ + theta_dot*x_max + X_max + x1*x_1 + w1_bar + alpha*Alpha "
        "+ loss_value + e*exp(e) + gamma*gamma(gamma) + sigma*sigmoid(sigma) + Psi*psi*digamma(psi) + x__1 + f*F",
        None,
    ),
    "long names": (f"{LONG_NAME}x*sin({LONG_NAME}y)", {LONG_NAME + "x": 1.0, LONG_NAME + "y": 2.0}),
    "long sum": ("+".join(f"a{k}*x" for k in range(60)), None),
    "not numbers": ("log(x)*1e-300 + 1e300*y*1e10 + x**y + 12345678901234567*x", {"x": -1.0, "y": 2.5e-7}),
    "no influence": ("sign(x)", {"x": 2.0}),
    "constant": ("x: const() = 2.5\ny: () = 3\nq = x*y\nq*q - sign(x)*abs(y)", {}),
    "deep": ("sin(" * 60 + "x" + ")" * 60, {"x": 1.0}),
    "helpers": (
        "def phi(z): return max(z, 0)*tanh(z)\na = phi(x*y)\na/(-a)**2 - (-a) + a**-x + 2**x*3*4",
        {"x": 0.3, "y": 1.0},
    ),
    "functions": (
        "silu(x)+gelu(x)+softplus(x)+erfc(x)+lgamma(y)+polygamma(2,y)+hypot(x,y)+xlogy(x,y)+cbrt(x)+log2(y)+log1p(y)"
        "+expm1(x)+acosh(y+1)+atanh(x)+asin(x)+x**y+relu(x)+sqrt(y)",
        {"x": 0.4, "y": 1.3},
    ),
}


def sheet(text: str, name: str = "formula") -> Sheet:
    formula = parse(text)
    tape = adjoint(linearize(formula), [g.name for g in formula.declared if not g.constant])
    return Sheet(name, formula, tape, tape)


def texts(text: str, at: Mapping[str, float] | None, name: str = "formula") -> dict[str, str]:
    page = sheet(text, name)
    trace = None if at is None else Trace(page.people, at)
    check = None if trace is None else finite_differences(trace)
    return {
        "latex": derivation.latex(page, trace, check=check),
        "fragment": derivation.latex(page, trace, fragment=True, check=check),
        "markdown": derivation.markdown(page, trace, check),
        "text": derivation.text(page, trace, check),
    }


# -- names --


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x_1", "x_{1}"), ("W1", "W_{1}"), ("alpha", r"\alpha"), ("Omega", r"\Omega"), ("varphi", r"\varphi"),
        ("x_max", r"x_{\mathrm{max}}"), ("theta_dot", r"\theta_{\mathrm{dot}}"), ("lambda_", r"\mathit{lambda\_}"),
        ("loss_value", r"\mathit{loss\_value}"), ("J0", "J_{0}"), ("_x", r"\mathit{\_x}"), ("out", r"\mathit{out}"),
        ("Alpha", r"\mathit{Alpha}"), ("x_1_2", "x_{1,2}"), ("w1_bar", r"w_{1,\mathrm{bar}}"),
    ],
)  # fmt: skip
def test_spelling_of_a_name(name: str, expected: str) -> None:
    assert symbols([name])[name].text == expected


def test_bar_stands_over_the_letter() -> None:
    table = symbols(["v_3", "loss_value", "alpha1"])
    assert [symbol.bar for symbol in table.values()] == [
        r"\bar{v}_{3}",
        r"\overline{\mathit{loss\_value}}",
        r"\bar{\alpha}_{1}",
    ]


NAMES = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True),
    st.sampled_from(
        ["x1", "x_1", "x__1", "_x1", "x1_", "X1", "x_01", "x01", "x1_2", "x_12", "alpha", "Alpha", "alpha1", "alpha_1"]
    ),
    st.text("ab", min_size=30, max_size=33),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=12, unique=True))
def test_no_two_names_look_alike(names: list[str]) -> None:
    shown = [symbol.text for symbol in symbols(names).values()]
    assert len(set(shown)) == len(names)
    assert all(text.isascii() for text in shown)


# -- expressions --

PRINTER = MathPrinter("latex", {"a": "a", "x": "x", "y": "y", "z": "z"}, lambda number, alone: "", {}, constants=False)
_A = Name("a")
_LOOSE = {"add", "sub", "neg", "expm1"}


def _applied(op: str) -> Expr:
    entry = TABLE[op]
    if op == "where":
        return call("where", call("gt", Name("x"), Number(0.0)), Name("y"), Name("z"))
    return call(
        op,
        *([Number(1.0)] if op == "polygamma" else []),
        *(Name(n) for n in "xyz"[: entry.operands - (op == "polygamma")]),
    )


@pytest.mark.parametrize("op", [op for op in TABLE if op not in COMPARE_OPS and op != "identity"])
def test_brackets_of_every_op(op: str) -> None:
    f = _applied(op)
    plain = PRINTER(f)
    bracketed = {f"({plain})", rf"\left({plain}\right)"}
    weak = op in _LOOSE or op == "where"
    minus = PRINTER(Call("neg", (f,)))
    assert minus in ({"-" + b for b in bracketed} if weak else {"-" + plain})
    square = PRINTER(Call("square", (f,)))
    alone = op in ("sqrt", "cbrt", "abs", "hypot")  # closed on both sides
    power_of_function = op in ("sin", "cos", "tan", "sinh", "cosh", "tanh")
    if power_of_function:
        assert square == rf"\{op}^{{2}}(x)"
    else:
        assert square in ({plain + "^{2}"} if alone else {b + "^{2}" for b in bracketed})
    assert PRINTER(Call("div", (_A, f))) == rf"\frac{{a}}{{{plain}}}"
    product = PRINTER(Call("mul", (_A, f)))
    assert any(b in product for b in bracketed) == (weak or op == "mul")
    assert product.count("{") == product.count("}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x**2", "-x^{2}"), ("(-x)**2", "(-x)^{2}"), ("a - (x - y)", "a - (x - y)"), ("a - x - y", "a - x - y"),
        ("2*3*x", r"2 \cdot 3 \, x"), ("a/x/y", r"\frac{\frac{a}{x}}{y}"), ("x*1e-5", r"x \cdot (1 \times 10^{-5})"),
        ("sin(x)**2", r"\sin^{2}(x)"), ("sin(x**2)", r"\sin(x^{2})"), ("exp(x)**2", "(e^{x})^{2}"),
        ("x**-y", "x^{-y}"), ("(x**y)**z", "(x^{y})^{z}"), ("pi*x", r"\pi \, x"),
        ("sin(a/x)", r"\sin\left(\frac{a}{x}\right)"),
        ("log1p(-x)", r"\log(1 + (-x))"),
    ],
)  # fmt: skip
def test_order_and_brackets_stay(text: str, expected: str) -> None:
    assert PRINTER(parse(text).statements[0].expr) == expected


@pytest.mark.parametrize(
    ("value", "exact", "expected"),
    [
        (6.0, True, ("6", 0)), (-0.27941549819892586, False, ("-0.27941550", 0)), (1.5e-5, True, ("1.5", -5)),
        (1.23456789012e-5, False, ("1.2345679", -5)), (0.0, True, ("0", 0)), (1e300, False, ("1.0000000", 300)),
        (float("inf"), False, ("inf", 0)), (123456789.0, False, ("1.2345679", 8)),
    ],
)  # fmt: skip
def test_decimal(value: float, exact: bool, expected: tuple[str, int]) -> None:
    assert decimal(value, exact) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_literal_is_the_number(value: float) -> None:
    digits, power = literal(value)
    assert float(f"{digits}e{power}") == value


def test_equals_is_claimed_only_where_it_holds() -> None:
    page = sheet("cos(x) + exp(x)*x/3")
    story = Derivation(page, Trace(page.people, {"x": 0.3}), None)
    assert {link.exact for equation in story.forward for link in equation.links} == {False}
    story = Derivation(page, Trace(page.people, {"x": 0.0}), None)
    assert {link.exact for equation in story.forward for link in equation.links} == {True}  # cos(0) = exp(0) = 1
    page = sheet("cos(x) + 1")
    story = Derivation(page, Trace(page.people, {"x": 1e-9}), None)
    assert [equation.links[-1].exact for equation in story.forward] == [False, False]  # 1.0 in float64, and not 1


# -- whole derivations --


@pytest.mark.parametrize("key", FORMULAS)
def test_every_equation_is_there(key: str) -> None:
    text, at = FORMULAS[key]
    tape = sheet(text).people
    made = texts(text, at)
    labels = {step.label for step in tape.steps if step.role in ("primal", "adjoint")}
    for label in labels:
        tag = re.sub(r"'", "$'$", label)
        assert rf"\tag{{{tag}}}" in made["latex"] and rf"\tag{{{tag}}}" in made["fragment"]
        assert f"| ({label}) |" in made["markdown"]
        assert f"({label})" in made["text"]


@pytest.mark.parametrize("key", FORMULAS)
def test_form_of_the_texts(key: str) -> None:
    made = texts(*FORMULAS[key])
    assert all(text.isascii() and text.endswith("\n") for text in made.values())
    assert max(map(len, made["text"].splitlines())) < 80
    assert made["markdown"].count("$") % 2 == 0
    for line in made["markdown"].splitlines():
        assert line.count("$") % 2 == 0
        if line.startswith("|"):
            assert line.count("|") in (3, 4, 5)
    assert r"\documentclass" not in made["fragment"] and r"\usepackage" not in made["fragment"]
    assert r"\toprule" not in made["fragment"] and "longtable" not in made["fragment"]
    for name in ("latex", "fragment"):
        plain = re.sub(r"\\[{}]", "", made[name])
        assert plain.count("{") == plain.count("}")


def test_numbers_are_those_of_the_trace() -> None:
    text, at = SYSTEM_B
    made = texts(text, at)
    trace = Trace(sheet(text).people, at)
    for value in (
        [n.value for n in trace.nodes] + [send.value for send in trace.sends] + [send.local for send in trace.sends]
    ):
        shown = str(int(value)) if value.is_integer() else decimal(value, False)[0]
        assert all(shown in body for body in made.values())
    for seed in ("-0.27941550", "0.078073021", "-0.41614684", "-0.33807382", "1.6619262", "0.60171144", "-0.36205666"):
        assert seed in made["latex"]
    assert (
        r"\frac{\partial f}{\partial w_{1}} &= \bar{w}_{1} = \bar{v}_{1} \, x_{1} &&\approx -0.38853960"
        in made["latex"]
    )


def test_fan_out_is_written_as_contributions_and_their_sum() -> None:
    made = texts(*SYSTEM_E)
    assert r"\bar{z}_{3} &\leftarrow \bar{z}_{8} \cdot z_{7}" in made["latex"]
    assert r"\bar{z}_{3} &\leftarrow \bar{z}_{4} \cdot \cos(z_{3})" in made["latex"]
    assert r"\bar{z}_{3} &= \bar{z}_{8} \, z_{7} + \bar{z}_{4} \, \cos(z_{3})" in made["latex"]
    assert "z3_bar = z8_bar*z7 + z4_bar*cos(z3)" in made["text"]
    assert r"\approx 2.7381967 + (-0.83824649)" in made["latex"]


def test_masks_stay_in_the_gradient() -> None:
    page = sheet(*BRANCHES[:1])
    story = Derivation(page, Trace(page.people, BRANCHES[1]), None)
    notation = LatexNotation(story)
    assert r"[x > 0] \, \bar{v}_{3} \cdot v_{2}" in "\n".join(
        " ".join(notation.right_lines(e, 1e9)) for e in story.reverse
    )
    by_x = notation.right(story.gradient[0])
    assert r"\mathit{mask}_{8}" in by_x and "[x > 0]" in by_x
    assert r"[x \not> 0]" in texts(*BRANCHES)["latex"]


def test_conventions_are_those_of_the_ops_that_occur() -> None:
    assert r"\texttt{max(x, y)}: a tie" in texts(*BRANCHES)["latex"]
    assert "At ties" not in texts(*SYSTEM_B)["latex"]


def test_closed_form() -> None:
    made = texts(*SYSTEM_B)
    assert r"\frac{x_{2} \sin{\left(w_{2} x_{2} \right)}}" in made["latex"]
    assert "closed form" not in texts("+".join(f"sin(a{k}*x)" for k in range(30)), None)["latex"]


def test_same_text_twice() -> None:
    assert texts(*BRANCHES) == texts(*BRANCHES)


def test_finite_differences_agree() -> None:
    trace = Trace(sheet(SYSTEM_B[0]).people, SYSTEM_B[1])
    for reverse, difference in finite_differences(trace).values():
        assert reverse == pytest.approx(difference, rel=1e-8)


def test_width_is_on_the_high_side() -> None:
    assert 9 < width("x_{1}") < 20 and width(r"\frac{a + b}{c}") == pytest.approx(width("a + b") + 4)


# -- TeX --


def _log(tex: str, folder: Path) -> str:
    (folder / "t.tex").write_text(tex)
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60)
    log = (folder / "t.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    return log


@pytest.mark.tex
@pytest.mark.parametrize("key", FORMULAS)
def test_article_compiles_without_wide_boxes(key: str, tmp_path: Path) -> None:
    log = _log(texts(*FORMULAS[key], name="odd_name_1")["latex"], tmp_path)
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([0-9.]+)pt", log)]
    assert max(wide, default=0.0) <= 5.0


@pytest.mark.tex
@pytest.mark.parametrize("key", ["b", "branches", "functions"])
def test_fragment_needs_amsmath_alone(key: str, tmp_path: Path) -> None:
    body = texts(*FORMULAS[key])["fragment"]
    _log("\\documentclass{article}\\usepackage{amsmath}\\begin{document}\n" + body + "\\end{document}\n", tmp_path)


@pytest.mark.tex
def test_pdf_has_the_same_bytes_twice() -> None:
    tex = texts(*SYSTEM_B)["latex"]
    first = pdf(tex)
    assert first.startswith(b"%PDF-") and first == pdf(tex)
    assert b"CreationDate" not in first


@pytest.mark.tex
def test_pdf_says_what_is_wrong_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(BuildError, match="Undefined control sequence"):
        pdf("\\documentclass{article}\\begin{document}\\nosuchthing\\end{document}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tex
def test_pdf_reads_no_foreign_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.tex"
    secret.write_text("hello")
    with pytest.raises(BuildError):
        pdf(f"\\documentclass{{article}}\\begin{{document}}\\input{{{secret}}}\\end{{document}}\n")


def test_pdf_without_tex(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BuildError, match="--format tex"):
        pdf("", "tex")


# -- what the op table's numbers are called, brackets, and long formulas --


def _numbers(expr: Expr | None) -> list[Number]:
    return [] if expr is None else [part for part in walk(expr) if isinstance(part, Number)]


def test_every_symbol_of_the_op_table_has_latex_and_can_be_typed() -> None:
    numbers = [number for entry in TABLE.values() for partial in entry.partials for number in _numbers(partial)]
    named = {number.symbol: number.value for number in numbers if number.symbol is not None}
    assert set(named) == set(SYMBOLS) - {"pi"}
    for symbol, value in named.items():
        typed = parse(f"x*{symbol}").statements[-1].expr
        assert isinstance(typed, Call) and constant_value(typed.args[1]) == value


@pytest.mark.parametrize("value", sorted({0.7071067811865476, 0.6931471805599453, 1.1283791670955126}))
def test_a_decimal_of_the_user_stays_digits(value: float) -> None:
    shown = texts(f"{value!r}*x*y + x/{value!r}", {"x": 1.5, "y": 2.0})
    for text in shown.values():
        assert str(value) in text
        assert not any(mark in text for mark in (r"\sqrt{", "sqrt(", r"\log(", "log("))


def test_constants_of_the_rules_have_names() -> None:
    shown = texts("erf(x) + log2(x) + gelu(x)", {"x": 1.5})
    for mark in (r"\frac{2}{\sqrt{\pi}}", r"\log(2)", r"\frac{1}{\sqrt{2}}", r"\frac{1}{\sqrt{2 \pi}}"):
        assert mark in shown["latex"] and mark in shown["markdown"]
    for mark in ("(2/sqrt(pi))*exp", "1/(x*log(2))", "x*sqrt(0.5)", "(1/sqrt(2*pi))*exp"):
        assert mark in shown["text"]


def test_negative_numbers_behind_an_operator_stand_in_brackets() -> None:
    shown = texts("a = x*y; a/(-1e-310) + a - a*(-2.5)", {"x": 1.0, "y": 2.0})["text"]
    assert "(-inf)" in shown and "(-2.5)" in shown
    assert not re.search(r"[-+*/] ?-(inf|[0-9])", shown.split("Forward sweep")[1].replace("2**-52", ""))


def test_a_long_sum_in_the_gradient_is_shortened() -> None:
    page = sheet("+".join(f"x*a{k}" for k in range(300)))
    equation = next(e for e in Derivation(page, None, None).gradient if e.left == "x")
    assert (len(equation.terms), equation.more) == (4, 296)
    assert r"+ \cdots +" in derivation.markdown(page, None) and " + ... +" in derivation.text(page, None)


@pytest.mark.parametrize(
    "text",
    [
        "+".join(f"a{k}" for k in range(4000)),
        "; ".join(["v0 = x", *(f"v{k} = sin(v{k - 1})*x" for k in range(1, 500))]),
    ],
    ids=["flat sum", "chain"],
)
def test_long_formulas_take_seconds(text: str) -> None:
    page = sheet(text)
    trace = Trace(page.people, dict.fromkeys(page.formula.inputs, 0.5))
    for write in (derivation.text, derivation.markdown, derivation.latex):
        start = time.process_time()
        write(page, trace)
        assert time.process_time() - start < 6.0
