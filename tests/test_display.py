"""What notebooks show of a formula, a program, a trace and a kernel."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import symdiff
from symdiff import examples
from symdiff.render.figures import decimal
from symdiff.render.mathml import mathml
from symdiff.runtime.kernel import KernelSpec
from symdiff.runtime.kernel_page import KernelPage, kernel_html, kernel_latex

POINTS = tomllib.loads(examples.path("points.toml").read_text("utf-8"))
BINDINGS = tomllib.loads(examples.path("bindings.toml").read_text("utf-8"))
SYSTEM_B = symdiff.formula(examples.path("graph_b"))
MATRICES = symdiff.formula("X: const(n, 3)\nW_1: (3, 2)\nlam: const() = 0.5\nY = tanh(X @ W_1)\nlam*sum(Y*Y)")
NAMES = symdiff.formula("x_1 + alpha*W1 + loss_value**2 + lambda_*v1 + int*out + X*x")


def bundle(shown: Any) -> dict[str, str]:
    made: dict[str, str] = shown._repr_mimebundle_()
    assert made.get("text/html") == shown._repr_html_() and made.get("text/latex") == shown._repr_latex_()
    return made


def tree(html: str) -> ET.Element:
    """The page as a tree: it is well formed, and asks for nothing from anywhere."""
    assert not re.search(r"<script|https?:|@import|url\(|\bsrc=", html)
    page = ET.fromstring(f"<div>{html}</div>")
    assert not [name for found in page.iter() for name in found.attrib if name.startswith("on")]
    return page


def text(element: ET.Element) -> str:
    return "".join(element.itertext())


def rows(page: ET.Element) -> list[list[str]]:
    """Text of every cell of the first table."""
    table = next(page.iter("table"))
    return [[text(cell).replace("\u2212", "-") for cell in row] for row in table.iter("tr")]


def pages(name: str) -> list[Any]:
    formula = symdiff.formula(examples.path(name))
    bound = formula.bind(**BINDINGS.get(name, {}))
    program = bound.gradient()
    return [formula, formula.gradient(), program.trace(POINTS[name]), program.compile("numpy")]


# Scalars, matrices, abstract functions, branches, linear algebra; the mathematics of all examples is tested elsewhere.
@pytest.mark.parametrize(
    "name", ["gaussian_process", "graph_b", "lennard_jones", "relu_network_rows", "softmax_regression", "two_layer"]
)
def test_examples_have_pages(name: str) -> None:
    for shown in pages(name):
        made = bundle(shown)
        assert sorted(made) == ["text/html", "text/latex", "text/plain"], made["text/plain"]
        tree(made["text/html"])
        assert made["text/latex"].startswith("$") and made["text/latex"].isascii()


def test_a_formula_is_its_statement_and_its_inputs_with_shapes() -> None:
    made = bundle(MATRICES)
    assert r"Y &= \tanh(X \, W_{1})" in made["text/latex"].replace("& =", "&=")
    (latex,) = re.findall(r"\$\\displaystyle (.*)\$", made["text/latex"])
    assert mathml(latex, display=True) in made["text/html"]
    assert rows(tree(made["text/html"])) == [
        ["Input", "Shape", "Use"],
        ["X", "(n, 3)", "constant"],
        ["W_1", "(3, 2)", "variable"],
        ["lam", "a number", "constant, by default 0.5"],
    ]


def test_a_program_is_its_gradient_boxed_and_every_step_behind_a_heading() -> None:
    page = tree(bundle(SYSTEM_B.gradient())["text/html"])
    boxed = [math.get("alttext", "") for math in page.iter("math") if r"\boxed" in math.get("alttext", "")]
    assert len(boxed) == 1 and r"\frac{\partial f}{\partial x_{2}}" in boxed[0]
    (details,) = page.iter("details")
    labels = [text(cell) for cell in details.iter("td") if cell.get("class") == "tag" and text(cell)]
    steps = SYSTEM_B.gradient().steps
    assert sorted(labels) == sorted(f"({step.label})" for step in steps if step.role != "seed")


def test_ids_of_two_programs_do_not_meet() -> None:
    made = [bundle(formula.gradient())["text/html"] for formula in (SYSTEM_B, MATRICES)]
    first, second = ({found.get("id") for found in tree(html).iter() if found.get("id")} for html in made)
    assert first and second and not first & second


def test_a_trace_has_every_value_and_every_adjoint() -> None:
    trace = SYSTEM_B.gradient().trace(POINTS["graph_b"])
    table = rows(tree(bundle(trace)["text/html"]))
    assert table[0] == ["", "Step", "Value", "Local derivative", "Adjoint"]
    blocks: list[list[str]] = []
    for row in table[1:]:  # the lines of one node belong together
        if row[1]:
            blocks.append(row)
        else:
            blocks[-1] = [above + " " + below for above, below in zip(blocks[-1], row, strict=True)]
    nodes = [*trace.numbers.inputs, *trace.numbers.nodes]
    assert len(blocks) == len(nodes) == 12
    for block, node in zip(blocks, nodes, strict=True):
        assert block[0].strip() == (f"({node.step.n})" if node.step else "")
        for shown, value in ((block[2], node.value), (block[4], node.adjoint)):
            assert decimal(value, False)[0] in shown or decimal(value, True)[0] in shown, (node.name, shown)


def test_a_trace_of_a_value_alone_has_no_adjoints() -> None:
    made = bundle(symdiff.formula("x: (2)\n2*x").value().trace({"x": [1, 2]}))
    assert "Adjoint" not in rows(tree(made["text/html"]))[0]


def test_a_kernel_is_its_signature_backend_and_inputs() -> None:
    kernel = MATRICES.gradient().compile("numpy")
    made = bundle(kernel)
    page = tree(made["text/html"])
    assert "formula.gradient(X, W_1, lam=0.5) \u2192 value, (W_1)" in text(page)
    assert f"float64, numpy; shapes {kernel.signature}" in text(page)
    assert rows(page)[1:] == [
        ["X", "(n, 3)", "held fixed"],
        ["W_1", "(3, 2)", "differentiated"],
        ["lam", "a number", "held fixed, may be left out"],
    ]
    assert r"\mathtt{W\_1} \in \mathbb{R}^{3 \times 2}" in made["text/latex"]
    assert made["text/plain"] == repr(kernel)


def test_text_in_a_kernel_is_escaped_and_many_inputs_are_counted() -> None:
    odd = KernelSpec('<b onclick="x">', ("x",), ("x",))
    assert '<b onclick="x">.gradient(x)' in text(tree(kernel_html(odd, "<i>")))
    many = KernelSpec("f", tuple(f"x{k}" for k in range(300)), ("x7",))
    assert "260 more inputs" in kernel_html(many, "c") and len(rows(tree(kernel_html(many, "c")))) == 41
    assert kernel_latex(many).count("mathtt") == 43


def test_names_of_every_kind() -> None:
    page = tree(bundle(NAMES)["text/html"])
    assert [row[0] for row in rows(page)[1:]] == list(NAMES.inputs)
    for shown in (NAMES.gradient(), NAMES.gradient().trace(dict.fromkeys(NAMES.inputs, 2.0))):
        tree(bundle(shown)["text/html"])


def test_numbers_open_or_folded() -> None:
    program, at = SYSTEM_B.gradient(), POINTS["graph_b"]
    folded, whole = bundle(program.show(at)), bundle(program.show(at, folded=False, digits=4))
    assert "-0.38853960" in folded["text/latex"] and "-0.3885" in whole["text/latex"]
    assert "<details" in folded["text/html"] and "<details" not in whole["text/html"]
    assert whole["text/plain"] == str(program.show(at, digits=4)) == program.text(at, digits=4)
    with pytest.raises(symdiff.SymdiffError, match="no value for x2"):
        program.show({"w1": 1, "x1": 1, "w2": 1})


def test_a_long_program_is_counted_and_quick() -> None:
    formula = symdiff.formula("+".join(f"sin(x*{k})" for k in range(600)))
    program = formula.gradient()
    trace = program.trace({"x": 1.0})
    start = time.perf_counter()
    made = [bundle(shown) for shown in (formula, program, trace)]
    assert time.perf_counter() - start < 5
    assert all("steps" in page["text/html"] and len(page["text/html"]) < 10_000 for page in made)
    assert all("text/latex" not in page for page in made)


def test_what_cannot_be_shown_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError("a mistake\nof ours")

    monkeypatch.setattr("symdiff.render.notebook.read", fail)
    monkeypatch.setattr("symdiff.runtime.kernel_page.kernel_html", fail)
    program = SYSTEM_B.gradient()
    for shown in (SYSTEM_B, program, program.trace(POINTS["graph_b"]), program.compile("numpy")):
        made = bundle(shown)
        assert list(made) == ["text/plain"]
        assert made["text/plain"].startswith(repr(shown)) and "ValueError: a mistake" in made["text/plain"]


def test_a_kernel_page_is_part_of_every_package(tmp_path: Path) -> None:
    SYSTEM_B.gradient().write(tmp_path / "shown")
    probe = "import shown; print(shown.gradient._repr_html_())"
    done = subprocess.run([sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "shown.gradient(w1, x1, w2, x2)" in text(tree(done.stdout)), done.stderr
    assert issubclass(symdiff.pipeline.Kernel, KernelPage)


def test_the_state_before_a_step_prints_itself_in_a_notebook() -> None:
    state = SYSTEM_B.gradient().trace(POINTS["graph_b"]).before("v5")
    said: list[str] = []

    class Printer:
        text = staticmethod(said.append)

    state._repr_pretty_(Printer(), False)
    assert said == [str(state).rstrip("\n")] and repr(state) == "<symdiff state before v5>"


@pytest.mark.tex
def test_the_latex_compiles(tmp_path: Path) -> None:
    """nbconvert puts it into a document of its own."""
    shown = [page for name in ("graph_b", "matrix_graph", "two_layer") for page in pages(name)]
    body = "\n\n".join(bundle(page)["text/latex"] for page in [*shown, MATRICES, MATRICES.gradient(), NAMES])
    head = "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\begin{document}\n"
    (tmp_path / "t.tex").write_text(f"{head}{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode("latin-1")[-1500:]


@pytest.mark.peer("IPython")
def test_ipython_takes_all_three() -> None:
    from IPython.core.formatters import DisplayFormatter

    program = SYSTEM_B.gradient()
    for shown in (SYSTEM_B, program, program.trace(POINTS["graph_b"]), program.compile("numpy")):
        data, _ = DisplayFormatter().format(shown)
        assert {"text/html", "text/latex", "text/plain"} <= set(data)
