"""Styles, digits, levels, headings and fragments of a derivation: what each shows, and that TeX sets all of them."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import symdiff
from symdiff import examples
from symdiff.cli import main
from symdiff.errors import ParseError, SymdiffError, UnsupportedError
from symdiff.expr import walk
from symdiff.pipeline import Program
from symdiff.render.derivation_groups import groups_of, portions, tag_number
from symdiff.render.derivation_levels import MOST_NODES, statement_tape
from symdiff.render.figures import decimal
from symdiff.render.latex_names import typewriter
from symdiff.render.markdown_math import github_math
from symdiff.trace import Trace

SYSTEMS = ("two_layer", "graph_b", "matrix_graph", "relu_network", "scalar_e", "autoencoder")
STYLES, LEVELS = ("full", "steps", "chain", "matrix"), ("step", "statement")
POINTS = tomllib.loads(examples.path("points.toml").read_text("utf-8"))
BINDINGS = tomllib.loads(examples.path("bindings.toml").read_text("utf-8"))
EVERY_STEP_NAMED = ("scalar_e", "matrix_graph", "relu_network")
LONG = "; ".join(["v0 = x", *(f"v{k} = sin(v{k - 1})*x + y" for k in range(1, 68))])  # 202 steps, with names
SUM = "+".join(f"sin(a{k}*x)**2*exp(-y*a{k})" for k in range(25))  # 225 steps of one statement


@cache
def program(name: str) -> Program:
    text = {"chained": LONG, "sum": SUM}.get(name)
    if text is not None:
        return symdiff.formula(text).gradient()
    return symdiff.formula(examples.path(name)).bind(**BINDINGS.get(name, {})).gradient()


def point(name: str) -> dict[str, Any]:
    return POINTS[name] if name in POINTS else dict.fromkeys(program(name).data.inputs, 0.5)


def documents(names: tuple[str, ...], **fixed: Any) -> list[tuple[str, str]]:
    """LaTeX of every style and level, with its key."""
    found = []
    for name, style, level in itertools.product(names, STYLES, LEVELS):
        if style == "matrix" and not program(name).tape.is_array:
            continue
        text = program(name).latex(point(name), name=name, style=style, level=level, **fixed)
        found.append((f"{name} {style} {level}", text))
    return found


def set_in_one_run(bodies: list[tuple[str, str]], preamble: str, folder: Path) -> list[str]:
    """Overfull boxes above 5 pt, each with its document."""
    marked = [f"\\typeout{{DOC {key.replace('_', '-')}}}\n{body}\\clearpage\n" for key, body in bodies]
    (folder / "t.tex").write_text(f"{preamble}\\begin{{document}}\n{''.join(marked)}\\end{{document}}\n", "ascii")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:].decode(errors="replace")
    wide, document = [], ""
    for line in (folder / "t.log").read_text(errors="replace").splitlines():
        document = line if line.startswith("DOC") else document
        box = re.search(r"Overfull \\[hv]box \(([0-9.]+)pt", line)
        if box and float(box[1]) > 5:
            wide.append(f"{document}: {line}")
    return wide


# -- TeX --


@pytest.mark.tex
def test_every_style_and_level_fits_the_page(tmp_path: Path) -> None:
    made = documents((*SYSTEMS, "chained", "sum"))
    preamble = made[0][1].split(r"\begin{document}")[0]
    bodies = [(key, re.split(r"\\begin\{document\}|\\end\{document\}", text)[1]) for key, text in made]
    assert len(bodies) == 56
    assert set_in_one_run(bodies, preamble, tmp_path) == []


@pytest.mark.tex
def test_fragments_of_every_example_and_style_fit_a_bare_article(tmp_path: Path) -> None:
    bodies = []
    for name, style in itertools.product(examples.names(), STYLES):
        if style != "matrix" or program(name).tape.is_array:
            text = program(name).latex(point(name), name=name, style=style, fragment=True, headings="paragraph")
            bodies.append((f"{name} {style}", text))
    preamble = "\\documentclass{article}\\usepackage{amsmath}\\textwidth=160mm\\oddsidemargin=0pt\n"
    assert set_in_one_run(bodies, preamble, tmp_path) == []


@pytest.mark.tex
def test_a_fragment_changes_nothing_behind_it(tmp_path: Path) -> None:
    watched = r"\the\fboxsep,\the\parskip,\the\parindent,\the\emergencystretch,\the\tolerance,\the\tabcolsep"
    shown = rf"\typeout{{NOW {watched},\the\csname @mathmargin\endcsname,\thesection,\theequation}}" + "\n"
    body = program("two_layer").latex(point("two_layer"), name="two_layer", fragment=True)
    command = "\\newcommand{\\answer}[1]{#1}\\answer{" + body + "}\n"  # also as an argument, where TeX reads ahead
    set_in_one_run(
        [("x", shown + body + shown + command + shown)], "\\documentclass{article}\\usepackage{amsmath}\n", tmp_path
    )
    lines = [line for line in (tmp_path / "t.log").read_text(errors="replace").splitlines() if line.startswith("NOW")]
    assert len(lines) == 3 and len(set(lines)) == 1


# -- what the styles show --


def test_a_table_of_steps_has_every_step_value_derivative_and_adjoint() -> None:
    made = program("graph_b").latex(point("graph_b"), style="steps")
    body = made.split("Steps}")[1].split(r"\end{longtable}")[0]
    trace = Trace(program("graph_b").tape, point("graph_b"))
    for step in program("graph_b").tape.primal:
        assert f"\n({step.label}) & " in body
    for number in [node.value for node in trace.nodes] + [node.adjoint for node in (*trace.nodes, *trace.inputs)]:
        assert (str(int(number)) if number.is_integer() else decimal(number, False)[0]) in body
    assert r"\partial v_{5} / \partial v_{4} = -\sin(v_{4})" in body
    assert r"\bar{v}_{4} = -\bar{v}_{5} \, \sin(v_{4})" in body
    assert r"\boxed{" in made and "Reverse sweep" not in made


def test_a_chain_of_numbers_is_a_product_whose_factors_multiply_to_the_gradient() -> None:
    made = program("scalar_e").latex(point("scalar_e"), style="chain", digits=4)
    assert r"\frac{\partial z_{8}}{\partial y}" in made and r"\underbrace{" in made and r"\boxed{" in made
    long = program("chained").latex(style="chain")
    assert re.search(r"There are [0-9]+ paths; what they share is named", long) and r"\delta_{" in long


def test_a_partial_derivative_and_the_one_along_all_paths_are_written_in_two_ways() -> None:
    """z8 = z7*z3, and z7 is made of z3 too: the factor dz8/dz3 is z7, and is not what delta is."""
    made = program("scalar_e")
    latex, text = made.latex(style="chain"), made.text(style="chain")
    assert r"\delta_{z_{3}} = \bar{z}_{3} &= \underbrace{\frac{\partial z_{8}}{\partial z_{3}}}_{" in latex
    assert r"\delta_{z_{1}} = \frac{\partial z_{8}}{\partial z_{1}} &= " in latex  # of which z8 is not made at once
    assert "delta_z3 = z3_bar = dz8/dz3 + dz8/dz7 * dz7/dz5" in text
    straight = symdiff.formula("a = x**2; f = x*a").gradient().latex(style="chain")
    assert r"\bar{x} &= " in straight
    assert not re.search(r"(\\frac\{\\partial f\}\{\\partial \w+\}) &= (?:\\underbrace\{)?\1(?!.*&)", straight)


def test_a_sum_of_products_is_broken_at_its_plus_signs() -> None:
    for name in ("scalar_e", "two_layer"):
        latex = program(name).latex(POINTS[name], name=name, style="chain")
        further = re.findall(r"^& \\quad \{\} (.)", latex, re.MULTILINE)
        assert set(further) <= {"+"}
    assert further


def test_what_is_not_shown_is_not_spoken_of() -> None:
    for style in ("steps", "chain", "matrix"):
        assert "sends back" not in program("matrix_graph").latex(style=style)
        assert "sends back" not in program("matrix_graph").markdown(style=style)
        assert not re.search(
            r"\.[A-Z]", re.sub(r"\$[^$]*\$", "x", program("matrix_graph").latex(style=style, fragment=True))
        )
    assert "sends back" in program("matrix_graph").latex()


def test_the_box_has_the_digits_of_the_sweep() -> None:
    latex = program("two_layer").latex(POINTS["two_layer"], name="two_layer")
    box = latex[latex.index(r"\boxed{") :]
    assert "-0.65861786 & 0.52112821 & 0.00073948610 & 0.40740744" in box[: box.index(r"\]")]


def test_the_chain_of_statements_has_no_other_names() -> None:
    made = program("two_layer").latex(style="chain", level="statement")
    product = (
        r"\frac{\partial J}{\partial L} \, \frac{\partial L}{\partial o} \, \frac{\partial o}{\partial h} \, "
        r"\frac{\partial h}{\partial z} \, \frac{\partial z}{\partial W_{1}}"
    )
    assert product in re.sub(r"\s+", " ", made)
    assert "v_{" not in made


def test_a_named_product_is_not_called_kronecker() -> None:
    assert r"\delta_{ij}" not in program("scalar_e").latex(style="chain")
    assert r"\delta_{ij}$ is $1$" in program("matrix_graph").latex(style="steps")


def test_matrix_shows_the_index_rule_and_then_matrices() -> None:
    made = program("two_layer").latex(style="matrix")
    assert made.index(r"\sum_{") < made.index(r"\text{hence}") < made.index(r"\boxed{")
    assert r"\bar{W}_{2} &\leftarrow" not in made  # no reverse sweep beside it
    with pytest.raises(UnsupportedError, match="chain"):
        program("graph_b").latex(style="matrix")


@pytest.mark.parametrize("style", ["steps", "chain", "matrix"])
def test_every_sign_is_defined(style: Any) -> None:
    made = program("relu_network").latex(style=style)
    before, _, after = made.partition("2\\quad")
    for sign, words in ((r"\odot ", "element by element"), (r"\mathbf{1}", "column of"), (r"I_{", "identity matrix")):
        assert sign not in after or words in before


def test_plain_text_has_no_table() -> None:
    with pytest.raises(UnsupportedError, match="symdiff trace"):
        program("graph_b").text(style="steps")


# -- levels --


@pytest.mark.parametrize("name", [*SYSTEMS, "chained", "sum", "gaussian_process", "layer_norm", "hill"])
def test_statements_are_what_the_steps_are(name: str) -> None:
    """Every line of the short tape, evaluated alone, is the number that the long one has under that name."""
    long = program(name)
    trace, short = Trace(long.tape, point(name)), statement_tape(long.sheet())
    assert len(short.steps) < len(long.tape.steps) or name in EVERY_STEP_NAMED
    original = {step.name: step for step in long.tape.steps}
    bound = {given.name for given in short.inputs} | set(short.dims) | {step.target for step in short.steps}
    bound |= {step.name for step in short.steps}
    for step in short.steps:
        assert set(step.operands) <= bound, step.name
        assert (step.label, step.into, step.shape) == (
            original[step.name].label, original[step.name].into, original[step.name].shape
        )  # fmt: skip
        np.testing.assert_allclose(
            np.asarray(trace.value_of(step.expr), float), np.asarray(trace.value_of(original[step.name].expr), float),
            rtol=1e-9, atol=1e-12,
        )  # fmt: skip


def test_branches_keep_their_masks() -> None:
    text = "h = where(x>0, log(x)*max(x, y), where(x<-1, log(-x)*y, atan2(x,y)))*sigmoid(x); h**2 + exp(h*y)*x"
    made = symdiff.formula(text).gradient()
    for x in (-2.5, -0.5, 0.7):
        trace = Trace(made.tape, {"x": x, "y": 0.7})
        for step in statement_tape(made.sheet()).steps:
            assert trace.value_of(step.expr) == pytest.approx(
                trace.value_of(next(s for s in made.tape.steps if s.name == step.name).expr), rel=1e-10, abs=1e-13
            )
    assert "[x > 0]" in made.latex(level="statement")


def test_a_statement_is_not_put_in_without_end() -> None:
    short = statement_tape(program("sum").sheet())
    assert max(sum(1 for _ in walk(step.expr)) for step in short.steps) <= 3 * MOST_NODES


def test_one_line_per_statement() -> None:
    made = symdiff.formula("h = sin(w*x) + b; h**2").gradient().text({"w": 1, "x": 2, "b": 3}, level="statement")
    assert "(3)      h = sin(w*x) + b" in made and "v1" not in made
    assert re.search(r"w_bar = h_bar \* \(?cos\(w\*x\)\*x", made)


# -- digits, headings, groups, names --


@pytest.mark.parametrize(("digits", "shown"), [(1, "0.6"), (3, "0.602"), (8, "0.60171144"), (17, "0.601711441564172")])
def test_digits(digits: int, shown: str) -> None:
    for made in (program("graph_b").latex(point("graph_b"), digits=digits),
                 program("graph_b").text(point("graph_b"), digits=digits)):  # fmt: skip
        assert re.search(rf"(approx|~) {re.escape(shown)}", made)
    found = program("two_layer").latex(point("two_layer"), digits=digits)
    assert {1: "one significant digit ", 17: "seventeen significant digits"}.get(digits, "significant") in found


def test_equals_stands_only_beside_what_is_shown_in_full() -> None:
    made = symdiff.formula("a = x*y; a + 1").gradient()
    at = {"x": 1.25, "y": 0.5}  # a = 0.625
    assert "a = x*y        = 0.625" in made.text(at, digits=3) and "~ 0.6" in made.text(at, digits=1)
    assert symdiff.formula("x*1").value().text({"x": 0.1}, digits=17).count("= 0.1") >= 2


@pytest.mark.parametrize("wrong", [{"digits": 0}, {"digits": 18}, {"digits": True}, {"style": "step"}, {"level": 1},
                                   {"headings": "chapter"}])  # fmt: skip
def test_options_that_there_are_not(wrong: dict[str, Any]) -> None:
    with pytest.raises(SymdiffError, match=next(iter(wrong))):
        program("graph_b").latex(**wrong)


def test_headings() -> None:
    made = {kind: program("graph_b").latex(fragment=True, headings=kind) for kind in ("section", "paragraph", "none")}  # type: ignore[arg-type]
    assert r"\subsection*{2\quad Forward sweep}" in made["section"]
    assert r"\paragraph*{Forward sweep.}" in made["paragraph"] and "section" not in made["paragraph"]
    assert "section" not in made["none"] and "paragraph" not in made["none"]


def test_long_sweeps_come_in_portions() -> None:
    tape = program("chained").tape
    named = {f"v{k}" for k in range(68)}
    groups = groups_of(tape.primal, named)
    assert [group.first for group in groups[1:]] == [group.last + 1 for group in groups[:-1]] and len(groups) > 5
    assert all(group.names for group in groups)
    tags = [step.label for step in tape.reverse]
    parts = portions(groups, tags, tag_number)
    assert sorted(itertools.chain(*parts)) == sorted(tags)
    made = program("chained").latex()
    assert "Steps (1) to (" in made and "Back through steps (" in made
    assert "Back through" not in program("graph_b").latex()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two_layer", r"\texttt{two\_layer}"),
        ("a_name_that_goes_on_and_on_for_long", r"\texttt{a\_\allowbreak{}name\_\allowbreak{}that\_\allowbreak{}"
         r"goes\_\allowbreak{}on\_\allowbreak{}and\_\allowbreak{}on\_\allowbreak{}for\_\allowbreak{}long}"),
        ("x" * 40, r"\texttt{" + r"\allowbreak{}".join(["x" * 8] * 5) + "}"),
    ],
)  # fmt: skip
def test_names_are_broken_only_where_they_may_be(name: str, shown: str) -> None:
    assert typewriter(name) == shown


@pytest.mark.parametrize("text", [r"\input{secret}", "x % y", "x # y", "x & y", "$x$", "x^2", "x~y", "{x}"])
def test_what_tex_would_read_is_refused_or_never_shown(text: str) -> None:
    try:
        made = symdiff.formula(text).gradient().latex()
    except ParseError:
        return
    assert text == "x # y" and "y" not in re.findall(r"f\((.*?)\)", made)[0]  # a comment


def test_textbook_derivatives_agree_with_the_table() -> None:
    made = symdiff.formula("tanh(x)*sigmoid(y)").gradient().latex({"x": 0.3, "y": -0.2})
    assert "= 1 - v_{1}^{2}$" in made and r"v_{2} \cdot (1 - v_{2})" in made and r"\cosh" not in made
    for number in (1 - np.tanh(0.3) ** 2, 1 / (1 + np.exp(0.2)) * (1 - 1 / (1 + np.exp(0.2)))):
        assert decimal(float(number), False)[0] in made


# -- Markdown --


def test_mathematics_that_markdown_leaves_alone() -> None:
    assert github_math("a $x \\, y$ b $z$\n$$u$$\n```\n$q$\n```") == (
        "a $`x \\, y`$ b $`z`$\n```math\nu\n```\n```\n$q$\n```"
    )


@pytest.mark.parametrize("name", [*SYSTEMS, "layer_norm", "hill"])
def test_markdown_and_text_of_every_style(name: str) -> None:
    for style, level in itertools.product(STYLES, LEVELS):
        if style == "matrix" and not program(name).tape.is_array:
            continue
        made = program(name).markdown(point(name), style=style, level=level)  # type: ignore[arg-type]
        assert made.count("```") % 2 == 0 and r"\rlap" not in made and r"\tag" not in made
        prose = re.sub(r"```.*?```", "", made, flags=re.DOTALL)
        assert "$" not in re.sub(r"\$`[^`$]+`\$", "", prose)
        for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE):
            assert len({line.count("|") for line in table.splitlines()}) == 1, table
        if style != "steps":
            text = program(name).text(point(name), style=style, level=level)  # type: ignore[arg-type]
            assert max(map(len, text.splitlines())) < 80


@pytest.mark.parametrize("name", examples.names())
def test_the_terminal_has_80_columns(name: str) -> None:
    assert max(map(len, program(name).text(point(name), name=name).splitlines())) < 80


# -- command line --


def _derive(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["derive", *arguments])


def test_command_line() -> None:
    made = _derive("x*y", "--at", "x=1,y=2", "--format", "tex", "--style", "steps", "--digits", "3", "--fragment",
                   "--headings", "none")  # fmt: skip
    assert made.exit_code == 0 and r"\begin{tabular}" in made.output and "section" not in made.output
    assert "amsmath" in _derive("x*y", "--macros").output
    assert "At the" not in _derive("x*y", "--at", "x=1,y=2", "--no-numbers", "--format", "md").output
    assert "= 4" in _derive("x: () = 2; x*x", "--numbers").output
    assert _derive("x*y", "--digits", "0").exit_code == 2
    assert _derive("x*y", "--headings", "none").exit_code == 2
    assert _derive("x*y", "--style", "matrix").exit_code == 2
