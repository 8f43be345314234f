"""MathML: only what browsers draw themselves, well formed, with what nobody writes between the factors."""

# ruff: noqa: RUF001 -- signs of mathematics that look like other characters are what this file is about

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from render.test_document import ARTICLES, parts_of

from symdiff import pipeline
from symdiff.errors import UnsupportedError
from symdiff.expr import Call, Expr, Name, Number
from symdiff.ops import TABLE
from symdiff.render.document import read
from symdiff.render.document_model import Cell, Math
from symdiff.render.latex_names import symbols
from symdiff.render.math_tree import parse_math
from symdiff.render.mathematics import MathPrinter
from symdiff.render.mathml import mathml
from symdiff.render.typst_math import typst_math

CORE = frozenset(
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle mpadded msub msup msubsup munder mover munderover "
    "mtable mtr mtd semantics annotation".split()
)
ARITY = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3}
NAMES = ("x", "y1", "alpha", "Gamma", "loss_value", "x_1_max", "W", "a_name_that_goes_on_and_on_for_ever")
SPELLED = {name: symbol.text for name, symbol in symbols(NAMES).items()}


def tree(latex: str, **how: bool) -> ElementTree.Element:
    """The element, checked: elements of MathML Core with as many children as they take, the LaTeX kept."""
    root = ElementTree.fromstring(mathml(latex, **how))
    assert root.tag == "math" and root.get("alttext") == latex.replace("\n", " ")
    for element in root.iter():
        assert element.tag in CORE, element.tag
        if element.tag in ARITY:
            assert len(element) == ARITY[element.tag], ElementTree.tostring(element)
        if element.tag in ("mi", "mn", "mo", "mtext"):
            assert element.text and not len(element)
    return root


def shown(latex: str) -> str:
    """The characters, with the invisible ones as `*` and `@`."""
    return "".join(tree(latex).itertext()).replace("\u2062", "*").replace("\u2061", "@").replace("\u2212", "-")


def formulas(path: Path) -> Iterator[str]:
    for part in parts_of(read(path.read_text("ascii"))):
        if isinstance(part, Math | Cell):
            yield part.latex


def test_every_formula_of_the_articles() -> None:
    every = sorted({latex for path in ARTICLES for latex in formulas(path)})
    assert len(every) > 3000
    for latex in every:
        tree(latex)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"W_{1} \, x", "W1*x"),
        (r"2 \pi", "2*π"),
        (r"x y", "x*y"),
        (r"\sin(x) \, y", "sin@(x)*y"),
        (r"\cos^{2}(z_{1})", "cos2@(z1)"),
        (r"2 \left(x + y\right) \sin{\left(x + y \right)}", "2*(x+y)*sin@(x+y)"),
        (r"x \left(y + 1\right)", "x*(y+1)"),
        (r"f\left(\frac{x}{2}\right)", "f@(x2)"),
        (r"F(u + h)", "F@(u+h)"),
        (r"\phi'(z)", "ϕ′@(z)"),
        (r"(x)(y)", "(x)*(y)"),
        (r"x[1{:}n]", "x[1:n]"),
        (r"\lVert W \rVert_{\mathrm{F}}^{2} + 1", "‖W‖F2+1"),
        (r"\partial J / \partial u", "∂J/∂u"),
        (r"A^{-\top} \, b", "A-⊤*b"),
        (r"[x \not> 0] \, y", "[x≯0]*y"),
        (r"1.5 \times 10^{-5}", "1.5×10-5"),
        (r"\mathit{loss\_value} \cdot \mathbf{1}_{n}", "𝑙𝑜𝑠𝑠_𝑣𝑎𝑙𝑢𝑒⋅𝟏n"),
        (r"\log \lvert \det K \rvert", "log@|detK|"),
    ],
)  # fmt: skip
def test_what_is_shown_and_what_is_heard(latex: str, expected: str) -> None:
    assert shown(latex) == expected


def test_a_minus_sign_knows_its_place() -> None:
    forms = [mo.get("form") for mo in tree(r"-x - (-y) = -1 \cdot -2").iter("mo") if mo.text == "\u2212"]
    assert forms == ["prefix", "infix", "prefix", "prefix", "prefix"]
    assert [mo.get("form") for mo in tree(r"{} + x \qquad - y").iter("mo")] == ["infix", "infix"]


def test_structures() -> None:
    assert tree(r"\sum_{i=1}^{n} x_{i}").find(".//munderover/mo").text == "∑"  # type: ignore[union-attr]
    assert tree(r"\max_{i} x").find(".//munder/mo").get("movablelimits") == "true"  # type: ignore[union-attr]
    assert tree(r"\sqrt[3]{x}").find(".//mroot") is not None
    assert tree(r"\bar{x}").find(".//mover").get("accent") == "true"  # type: ignore[union-attr]
    assert len(tree(r"\begin{pmatrix} 1 & 2 \\[2pt] 3 & 4 \end{pmatrix}").findall(".//mtr/mtd")) == 4
    cases = tree(r"\begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}")
    assert [text.text for text in cases.iter("mtext")] == ["if\u00a0", "otherwise"]
    assert next(mo.text for mo in cases.iter("mo")) == "{"
    brace = tree(r"\underbrace{x}_{\substack{1 \\ (2)}}").find(".//munder/munder/mo")
    assert brace is not None and brace.get("stretchy") == "true"
    rows = tree(r"\begin{align*} a &= b \tag{3$'$a} \\ c &= d \end{align*}").findall(".//mtr")
    assert [len(row) for row in rows] == [3, 2]


def test_how_it_stands_on_the_page() -> None:
    assert tree("x", display=True).get("display") == "block"
    assert tree("x", large=True).get("displaystyle") == "true"
    assert tree("x").attrib == {"alttext": "x"}


def test_nothing_is_markup_but_ours() -> None:
    hostile = r"\text{<script>alert(1)</script> & \"} < x".replace(r"\"", '"')
    found = mathml(hostile)
    assert "<script" not in found and ElementTree.fromstring(found).get("alttext") == hostile


def expressions() -> st.SearchStrategy[Expr]:
    """Any expression in the ops of the table."""
    numbers = st.sampled_from([0.0, 1.0, 2.0, 0.5, 3.25, 1e-300, 12345678901234567.0, math.pi]).map(Number)
    leaves = numbers | st.sampled_from(NAMES).map(Name)

    def calls(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        return st.sampled_from(sorted(TABLE)).flatmap(
            lambda op: st.tuples(*[inner] * TABLE[op].operands).map(lambda args: Call(op, args))
        )

    return st.recursive(leaves, calls, max_leaves=12)


@settings(max_examples=150, deadline=None)
@given(expressions(), st.booleans(), st.booleans())
def test_any_expression(expr: Expr, flat: bool, constants: bool) -> None:
    latex = MathPrinter("latex", SPELLED, lambda number, alone: "", {}, flat=flat, constants=constants)(expr)
    tree(latex)
    assert typst_math(latex).isascii()


@pytest.mark.parametrize("op", sorted(TABLE))
def test_every_op(op: str) -> None:
    names = [Name(name) for name in NAMES]
    for constants in (False, True):
        printer = MathPrinter("latex", SPELLED, lambda number, alone: "", {}, constants=constants)
        simple = Call(op, tuple(names[: TABLE[op].operands]))
        latex = printer(Call("div", (Call(op, (simple, *names[1 : TABLE[op].operands])), simple)))
        tree(latex)
        assert typst_math(latex).isascii()


EVERY_ARRAY_OP = """x: n; A: (n,n); u = concat(x, 2*x); v = x[1:]
prod(x) + sum(cumsum(x)*x) + amax(x) + sum(u[2:5]**2) + trace(A @ inv(A)) + det(A) + sum(outer(x,x)*A.T) + norm(v)
+ norm1(x) + sum(stack(x,x)**3) + sum(reshape(A,(-1,))) + amin(A) + sum(softmax(x)*x) + sum(mean(A, axis=0)**2)
+ sum(logsumexp(A, axis=0)) + logsumexp(x) + logdet(A) + sum(solve(A, x)) + sum(cholesky(A)) + sum(eye(n) @ x)
+ sum(x[:, None]*A) + sum(where(x > 0, x, -x)) + sum(hypot(x, x)) + sum(cbrt(x)) + sum(x / (1 + x))"""


@pytest.mark.parametrize("style", ["full", "matrix", "chain"])
def test_operations_on_arrays(style: str) -> None:
    text = EVERY_ARRAY_OP.replace("\n+", " +").replace("; ", "\n")
    tex = pipeline.formula(text).gradient().latex(style=style)  # type: ignore[arg-type]
    for part in parts_of(read(tex)):
        if isinstance(part, Math | Cell):
            tree(part.latex)
            assert typst_math(part.latex).isascii()


def test_a_derivative_in_closed_form() -> None:
    tex = pipeline.formula("sqrt(x)*log(1 + exp(-x*y)) + atan(y)**3/cosh(x)").gradient().latex()
    assert "closed form" in tex
    assert len([tree(part.latex) for part in parts_of(read(tex)) if isinstance(part, Math | Cell)]) > 20


PAGE = r"""
bar: \bar{W}
sum: \sum_{i=1}^{n} x_{i}
tall: \left(\frac{1}{\frac{1}{x}}\right)
cases: \begin{cases} x & \text{if } x > 0 \\ 7 & \text{otherwise} \end{cases}
brace: \underbrace{x + y + z}_{\substack{1 \\ 2}}
matrix: \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}
overline: \overline{\mathit{loss}}
big: \bigl( x \bigr)
"""
MEASURE = """() => Object.fromEntries([...document.querySelectorAll('p')].map(p => [p.id,
  [...p.querySelectorAll('math *')].map(e => { const r = e.getBoundingClientRect();
    return [e.tagName, e.textContent, r.left, r.top, r.right, r.bottom]; })]))"""


@pytest.mark.chromium
@pytest.mark.peer("playwright")
def test_chromium_draws_it(browser_page: object) -> None:
    lines = dict(line.split(": ", 1) for line in PAGE.strip().splitlines())
    body = "".join(f'<p id="{name}">{mathml(latex, large=True)}</p>' for name, latex in lines.items())
    page = browser_page
    page.set_content(f"<!doctype html><meta charset=utf-8>{body}")  # type: ignore[attr-defined]
    boxes = page.evaluate(MEASURE)  # type: ignore[attr-defined]

    def box(name: str, tag: str, text: str) -> list[float]:
        return next(each[2:] for each in boxes[name] if each[0] == tag and each[1] == text)

    assert box("bar", "mo", "\u203e")[1] < box("bar", "mi", "W")[3]
    under, sign = box("sum", "mrow", "i=1"), box("sum", "mo", "∑")
    assert under[1] >= sign[3] - 3 and box("sum", "mi", "n")[3] <= sign[1] + 3  # limits are below and above
    bracket, fraction = box("tall", "mo", "("), box("tall", "mfrac", "11x")
    assert bracket[3] - bracket[1] > 0.9 * (fraction[3] - fraction[1])
    assert box("cases", "mo", "{")[3] - box("cases", "mo", "{")[1] > 30
    seven, x = box("cases", "mn", "7"), box("cases", "mi", "x")
    assert abs(seven[0] - x[0]) < 2  # cases stand left
    base, note = box("brace", "mrow", "x+y+z"), box("brace", "mn", "1")
    assert note[1] > base[3] and base[0] < note[0] < note[2] < base[2]
    assert box("matrix", "mn", "3")[1] > box("matrix", "mn", "1")[3] - 3
    assert box("big", "mo", "(")[3] - box("big", "mo", "(")[1] > 14


@pytest.fixture
def browser_page() -> Iterator[object]:
    """A page of headless Chromium that may not open anything."""
    import shutil

    from playwright.sync_api import sync_playwright

    program = next(
        found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)) is not None
    )
    switches = "no-sandbox disable-gpu disable-background-networking disable-component-update disable-sync no-first-run"
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=[f"--{each}" for each in switches.split()])
        page = browser.new_page()
        page.route("**/*", lambda route: route.abort())
        yield page
        browser.close()


@pytest.mark.parametrize("head", [r"\frac{1}{1 + ", r"\sqrt{", r"\left(", "x^{"])
def test_as_deep_as_the_reader_goes(head: str) -> None:
    """The writers get to the bottom of what the reader lets through, and the reader stops before Python does."""
    end = r"\right)" if head == r"\left(" else "}" * head.count("{") if head.count("{") == 1 else "}"
    for levels in range(40, 200, 20):
        latex = head * levels + "x" + end * levels
        try:
            parse_math(latex)
        except UnsupportedError:
            assert levels > 40
            return
        tree(latex)
        assert typst_math(latex)
    pytest.fail("there is no end to it")
