"""The computation graph: what it says, in SVG, TikZ and DOT."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from render.graphs import EXAMPLES, KEYS, example_scene, graph_of, point, program, random_text

import symdiff
from symdiff.errors import BuildError, SymdiffError, UnsupportedError
from symdiff.render.graph_pdf import flat
from symdiff.render.graph_svg import svg
from symdiff.render.graph_tikz import tikz
from symdiff.render.graph_words import Run, literal_words, number_words
from symdiff.trace import Trace

SVG = "{http://www.w3.org/2000/svg}"
B = {"w1": -3, "x1": -2, "w2": 2, "x2": -1}
ODD = "alpha: ()\nx_1: ()\nloss_value: ()\nlam: () = 2\nq = alpha*x_1 + loss_value**2\nomega_new = q*lam/sin(q)"
TYPESET = ["two_layer", "gaussian_process", "layer_norm", "matrix_graph", "student_t_loglik", "hill"]


def parsed(text: str | bytes) -> ET.Element:
    assert isinstance(text, str) and text.isascii()
    return ET.fromstring(text)


def shown(element: ET.Element) -> str:
    return "".join(element.itertext()).replace("\u2212", "-")


def numbers(element: ET.Element, kind: str) -> list[str]:
    return [shown(text) for text in element.iter(f"{SVG}text") if (text.get("class") or "").split()[0] == kind]


def groups(root: ET.Element, kind: str) -> list[ET.Element]:
    return [group for group in root.iter(f"{SVG}g") if kind in (group.get("class") or "").split()]


# -- what the graph says -----------------------------------------------------------------------------------------------


def test_system_b_has_a_node_for_every_step_and_input() -> None:
    graph = graph_of(program("graph_b"))
    assert [node.words.plain for node in graph.nodes[:4]] == ["w1", "x1", "w2", "x2"]
    labels = [(node.label, node.words.plain) for node in graph.nodes[4:]]
    assert labels == [("1", "\u00d7"), ("2", "sin"), ("3", "(\u00b7)2"), ("4", "\u00d7"), ("5", "cos"), ("6", "+"),
                      ("7", "+\u20092"), ("8", "1/(\u00b7)")]  # fmt: skip
    assert [node.kind for node in graph.nodes] == ["input"] * 4 + ["step"] * 7 + ["output"]
    assert [(edge.source, edge.target, edge.label) for edge in graph.edges[:3]] == [
        ("w1", "v1", "1'a"), ("x1", "v1", "1'b"), ("v1", "v2", "2'")]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_an_edge_for_every_operand_and_every_adjoint_step_on_one_edge(key: str) -> None:
    made = program(key)
    graph = graph_of(made, point(key))
    sent = [step.label for step in made.tape.reverse if step.receiver is not None]
    assert sorted(edge.label for edge in graph.edges if edge.label) == sorted(sent)
    for step in made.tape.primal:
        drawn = [edge.source for edge in graph.incoming[step.name]]
        assert list(dict.fromkeys(drawn)) == [name for name in step.operands if name not in made.tape.dims]


def test_an_operand_used_twice_has_two_edges_and_its_sum() -> None:
    graph = graph_of(symdiff.formula("x*x").gradient(), {"x": 3.0})
    assert [(edge.slot, edge.label) for edge in graph.edges] == [(0, "1'a"), (1, "1'b")]
    total = graph.nodes[0].adjoint
    assert total is not None and total.rows[0][0].plain == "6"


def test_a_comparison_receives_no_adjoint() -> None:
    graph = graph_of(symdiff.formula("where(x > y, x*2, y)").gradient(), {"x": 3.0, "y": 1.0})
    where = graph.incoming["value"]
    assert [(edge.source, edge.label) for edge in where] == [("x", None), ("y", None), ("v1", "2'a"), ("y", "2'b")]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("2*x", "\u00d7\u20092"),
        ("-2*x", "\u00d7\u2009(\u22122)"),
        ("x - 2", "\u2212\u20092"),
        ("2 - x", "2\u2009\u2212\u2009\u00b7"),
        ("x/3", "\u00f7\u20093"),
        ("x**3", "(\u00b7)3"),
        ("2**x", "2\u00b7"),
        ("max(x, 0)", "max(\u00b7, 0)"),
        ("x*pi", "\u00d7\u2009\u03c0"),
        ("where(x > 0, x, 1)", "if \u00b7 > 0: \u00b7, 1"),
        ("x + 0.12345678901", "+\u20090.12345\u2026"),
        ("sigma*sigmoid(x)", "sigmoid"),
        ("y*sigmoid(x)", "\u03c3"),
    ],
)
def test_constants_stand_in_the_label(text: str, label: str) -> None:
    graph = graph_of(symdiff.formula(text).gradient())
    assert label in [node.words.plain for node in graph.nodes]


def test_statements_are_one_node_each_and_add_up_what_their_steps_send() -> None:
    made, at = program("logistic_loss"), point("logistic_loss")
    graph = graph_of(made, at, "statement")
    assert [node.key for node in graph.nodes if node.kind in ("step", "output")] == ["margin", "L"]
    gradient = made.trace(at).gradient
    sent = {edge.source: edge.adjoint for edge in graph.edges if edge.target == "L" and edge.source == "w1"}
    (only,) = (figure.rows[0][0].plain for figure in sent.values() if figure is not None)
    assert float(only.replace("\u2212", "-")) == pytest.approx(0.01 * at["w1"], rel=1e-4)
    assert gradient["w1"] != pytest.approx(0.01 * at["w1"])


def test_too_many_nodes_are_refused_with_what_to_do() -> None:
    text = "y = x\n" + "y2 = " + " + ".join(["sin(y)"] * 200)
    made = symdiff.formula(text).gradient()
    with pytest.raises(UnsupportedError, match="level 'statement'"):
        made.graph()
    assert len(groups(parsed(made.graph(level="statement")), "node")) == 3
    with pytest.raises(UnsupportedError, match="nobody can read"):
        symdiff.formula("\n".join(f"s{k} = sin({f's{k - 1}' if k else 'x'})" for k in range(400))).gradient().graph(
            level="statement"
        )


def test_traced_functions_are_drawn() -> None:
    made = symdiff.trace_function(lambda W, x: (W @ x).sum() ** 2, (2, 2), 2, names=["W", "x"]).gradient()
    root = parsed(made.graph({"W": [[1, 2], [3, 4]], "x": [1, 1]}))
    assert len(groups(root, "input")) == 6
    with pytest.raises(UnsupportedError, match="statements"):
        made.graph(level="statement")


def test_options_that_there_are_not() -> None:
    made = program("graph_b")
    for options in ({"format": "png"}, {"level": "word"}, {"fragment": True}):
        with pytest.raises(UnsupportedError):
            made.graph(**options)
    with pytest.raises(SymdiffError, match="no value for"):
        made.graph({})


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(6.0, "6"), (-2.0, "-2"), (0.0, "0"), (1 / 3, "0.33333"), (-0.27941549, "-0.27942"), (0.5, "0.5"),
     (0.49999999999999994, "0.50000"), (1e-5, "1\u00b710-5"), (1.23456789e-9, "1.2346\u00b710-9"),
      (123456.0, "1.2346\u00b7105"),
     (100000.0, "100000"), (float("inf"), "\u221e"), (float("nan"), "NaN")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number_words(value).plain.replace("\u2212", "-") == text


def test_a_long_literal_is_shortened_and_says_so() -> None:
    assert literal_words(0.0002959122082855911).plain == "0.00029591\u2026"
    assert literal_words(0.01).plain == "0.01"


def test_symbols_are_those_of_the_derivation() -> None:
    graph = graph_of(symdiff.formula(ODD).gradient())
    names = {node.key: node for node in graph.nodes}
    assert names["alpha"].words.runs == (Run("\u03b1", True),)
    assert names["x_1"].words.runs == (Run("x", True), Run("1", level=-1))
    assert names["loss_value"].words.latex == r"\mathit{loss\_value}"
    assert names["omega_new"].symbol is not None
    assert names["omega_new"].symbol.runs == (Run("\u03c9", True), Run("new", level=-1))


# -- SVG ---------------------------------------------------------------------------------------------------------------


def close(text: str, value: float) -> bool:
    mantissa, _, power = text.partition("\u00b710")
    found = float(mantissa) * 10.0 ** int(power or 0)
    return bool(np.isclose(found, value, rtol=6e-5, atol=0))


@pytest.mark.parametrize("key", ["graph_b", "scalar_e", "black_scholes", "rosenbrock10"])
def test_numbers_in_svg_are_those_of_the_trace(key: str) -> None:
    made, at = program(key), point(key)
    trace = Trace(made.tape, made.data.scalar_point(at))
    root = parsed(made.graph(at))
    values = {node.name: node for node in (*trace.inputs, *trace.nodes)}
    sends = {send.step.label: send for send in trace.sends}
    edges = groups(root, "edge")
    assert len(edges) == sum(len(step.operands) for step in made.tape.primal) + 1
    for edge in edges:
        source = str(edge.get("data-from"))
        (value,) = numbers(edge, "value")
        (adjoint,) = numbers(edge, "adjoint")
        assert close(value, values[source].value)
        label = edge.get("data-label")
        assert close(adjoint, sends[label].value if label else 1.0)
        assert [text.get("data-adjoint") for text in edge.iter(f"{SVG}text") if text.get("class") == "adjoint"] == [
            source
        ]
    for node in groups(root, "node"):
        for text in numbers(node, "adjoint"):
            assert close(text.partition("= ")[2], values[str(node.get("data-name"))].adjoint or 0.0)


def test_system_b_figures() -> None:
    root = parsed(program("graph_b").graph(B))
    found = {(edge.get("data-from"), edge.get("data-to")): (numbers(edge, "value"), numbers(edge, "adjoint"))
             for edge in groups(root, "edge")}  # fmt: skip
    assert found["w1", "v1"] == (["-3"], ["-0.38854"])
    assert found["x2", "v4"] == (["-1"], ["-0.65843"])
    assert found["value", ""] == (["0.60171"], ["1"])


def test_small_arrays_are_shown_in_numbers_and_large_ones_by_shape() -> None:
    root = parsed(program("matrix_graph").graph(point("matrix_graph")))
    edge = next(edge for edge in groups(root, "edge") if edge.get("data-from") == "W")
    assert numbers(edge, "value") == list("123312231")
    assert numbers(edge, "adjoint") == ["0.004921"] * 9
    root = parsed(program("digits").graph())
    edge = next(edge for edge in groups(root, "edge") if edge.get("data-from") == "W1")
    assert numbers(edge, "value") == ["(d \u00d7 m)"]


@pytest.mark.parametrize("key", KEYS)
def test_svg_is_well_formed_and_needs_nothing_else(key: str) -> None:
    text = svg(example_scene(key, True))
    root = parsed(text)
    assert root.get("role") == "img" and root.get("aria-label")
    assert root.find(f"{SVG}title") is not None and root.find(f"{SVG}desc") is not None
    assert not [each for each in root.iter() if each.get("id") or each.get("href")], "two drawings share a page"
    assert not re.search(r"url\(|@import|<script|https?://(?!www\.w3\.org/2000/svg)", text)
    style = root.find(f"{SVG}style")
    assert style is not None and "prefers-color-scheme: dark" in str(style.text)
    rules = re.sub(r"@media[^{]*\{", "", str(style.text))
    heads = re.findall(r"^\s*([^{}\n]+?)\s*\{", rules, re.MULTILINE)
    assert heads and all(part.strip().startswith(".symdiff-graph") for head in heads for part in head.split(","))


def test_steps_and_inputs_can_be_found() -> None:
    made = program("autoencoder")
    root = parsed(made.graph())
    steps = [(node.get("data-step"), node.get("data-name")) for node in groups(root, "node") if node.get("data-step")]
    assert steps == [(step.label, step.name) for step in made.tape.primal]
    assert [node.get("data-name") for node in groups(root, "input")] == [given.name for given in made.tape.inputs]
    assert [node.get("data-name") for node in groups(root, "constant")] == ["x"]
    assert [node.get("data-name") for node in groups(root, "output")] == ["E"]


def test_the_value_alone_has_no_adjoints() -> None:
    root = parsed(symdiff.formula("x*y + 1").value().graph({"x": 2, "y": 3}))
    assert numbers(root, "value") == ["2", "3", "6", "7"] and numbers(root, "adjoint") == []


@pytest.mark.chromium
def test_letters_stay_in_their_room_in_a_browser() -> None:
    api = pytest.importorskip("playwright.sync_api")
    drawings = [example_scene(key, True) for key in ("graph_b", "digits", "gaussian_process", "arm_7")]
    page = "".join(svg(drawing) for drawing in drawings)
    rooms = [[text.box for place in (*drawing.wires, *drawing.nodes) for text in place.texts] for drawing in drawings]
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_chromium(), args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.set_content(f"<!doctype html><meta charset=utf-8>{page}")
        found = tab.evaluate(
            "[...document.querySelectorAll('svg')].map(s => [...s.querySelectorAll('text')].map(t => {"
            "const b = t.getBBox(); return [b.x, b.x + b.width, b.width]}))"
        )
        browser.close()
    for drawing, places in zip(rooms, found, strict=True):
        assert len(drawing) == len(places)
        for room, (left, right, width) in zip(drawing, places, strict=True):
            assert width > 0 and room.left - 1 <= left and right <= room.right + 1, (room, left, right)


def _chromium() -> str:
    import shutil

    return next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))


# -- TikZ --------------------------------------------------------------------------------------------------------------


def compiled(tex: str, folder: Path) -> str:
    (folder / "graph.tex").write_text(tex, "ascii")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "graph.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    log = (folder / "graph.log").read_text("utf-8", "replace")
    assert done.returncode == 0, log[-2000:]
    return log


@pytest.mark.tikz
def test_documents_compile_on_one_page_without_a_warning(tmp_path: Path) -> None:
    """One drawing as it stands, and several in one document, for TeX starts slowly."""
    first = tikz(example_scene("graph_b", True))
    log = compiled(first, tmp_path)
    assert "Output written on graph.pdf (1 page" in log and "Overfull" not in log and "Warning" not in log
    texts = [tikz(example_scene(key, True)) for key in TYPESET]
    texts.append(str(symdiff.formula(ODD).gradient().graph({"alpha": 1, "x_1": 2, "loss_value": 3}, format="tikz")))
    texts.append(str(program("logistic_loss").graph(format="tikz", level="statement")))
    pictures = [text.split(r"\noindent")[1].split(r"\end{document}")[0] for text in texts]
    head = first.split(r"\begin{document}")[0].replace(r"\usepackage[paperwidth", "%")
    head += "\\usepackage[paperwidth=5600pt, paperheight=2000pt, margin=0pt]{geometry}\n\\begin{document}\n"
    log = compiled(head + "\n\\newpage\\noindent\n".join(pictures) + "\\end{document}\n", tmp_path)
    assert f"({len(texts)} pages" in log and "Overfull" not in log and "Warning" not in log


@pytest.mark.tikz
def test_a_fragment_fits_the_line_of_a_document_that_loads_tikz(tmp_path: Path) -> None:
    body = tikz(example_scene("kepler", True), fragment=True) + "\n" + tikz(example_scene("hill", False), fragment=True)
    head = "\\documentclass{article}\\usepackage{tikz}\\begin{document}\\noindent\n"
    log = compiled(head + body + "\\end{document}\n", tmp_path)
    assert "Overfull" not in log and "Warning" not in log


@pytest.mark.tikz
def test_pdf_is_one_page_and_the_same_bytes_twice() -> None:
    made: Any = program("scalar_e")
    first = made.graph(point("scalar_e"), format="pdf")
    assert first.startswith(b"%PDF-") and first == made.graph(point("scalar_e"), format="pdf")


@pytest.mark.peer("typst")
def test_pdf_without_tex_is_made_by_typst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    made: Any = program("scalar_e")
    first = made.graph(point("scalar_e"), format="pdf")
    assert first.startswith(b"%PDF-") and first == made.graph(point("scalar_e"), format="pdf")
    assert made.graph(format="pdf") != first


def test_pdf_without_tex_and_typst_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BuildError, match="texlive-pictures"):
        program("graph_b").graph(format="pdf")


@pytest.mark.parametrize("scheme", [False, True])
def test_a_flat_svg_has_plain_colours(scheme: bool) -> None:
    text = flat(str(program("digits").graph(scheme=scheme)))
    assert parsed(text) is not None
    assert not re.search(r"var\(|--|@media", text) and "fill: #17693f" in text and "stroke: #98a2b3" in text


def test_a_picture_longer_than_a_page_of_tex_is_refused() -> None:
    text = "\n".join(f"s{k} = sin({f's{k - 1}' if k else 'x'})" for k in range(250))
    made = symdiff.formula(text).gradient()
    with pytest.raises(UnsupportedError, match="SVG"):
        made.graph({"x": 0.1}, format="tikz")
    assert len(groups(parsed(made.graph({"x": 0.1})), "step")) == 249


# -- DOT ---------------------------------------------------------------------------------------------------------------


@pytest.mark.graphviz
def test_graphviz_reads_every_example(tmp_path: Path) -> None:
    texts = [str(program(key).graph(point(key), format="dot")) for key in KEYS]
    texts.append(str(symdiff.formula(ODD).gradient().graph(format="dot")))
    texts.append(str(symdiff.formula(random_text(3, 40, 4)).gradient().graph(format="dot")))
    texts.append(str(symdiff.formula("v: 3\nsum(v[1:3]*where(v[0:2] < 1, v[0:2], 1))").gradient().graph(format="dot")))
    (tmp_path / "all.dot").write_text("\n".join(texts), "ascii")
    done = subprocess.run(["dot", "-Tplain", "all.dot"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.count("\ngraph ") + 1 == len(texts)


def test_dot_has_the_edges_of_the_graph() -> None:
    text = str(program("scalar_e").graph(point("scalar_e"), format="dot"))
    assert text.isascii()
    assert re.findall(r"(n\d+) -> (n\d+)", text) == [
        ("n0", "n2"), ("n1", "n3"), ("n2", "n4"), ("n3", "n4"), ("n4", "n5"), ("n5", "n6"), ("n2", "n7"), ("n6", "n8"),
        ("n7", "n8"), ("n8", "n9"), ("n4", "n9")]  # fmt: skip


def test_examples_are_there() -> None:
    assert len(KEYS) > 20 and EXAMPLES.is_dir()
