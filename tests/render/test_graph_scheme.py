"""The scheme of a network: which layers a formula has, and how they are drawn."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest
from render.graphs import point, program

import symdiff
from symdiff.errors import UnsupportedError
from symdiff.render.graph_network import network
from symdiff.render.graph_scheme import MOST_NEURONS, scheme

SVG = "{http://www.w3.org/2000/svg}"
NETWORKS = {
    "two_layer": [("x", 3, None, (), None), ("h", 4, "W1", (), "tanh"), ("o", 2, "W2", (), None)],
    "relu_network": [("X", 3, None, (), None), ("a2", 4, "W1", ("b1",), "relu"), ("z2", 1, "w2", ("b2",), None)],
    "relu_network_rows": [("X", 3, None, (), None), ("a2", 4, "W1", ("b1",), "relu"), ("z2", 1, "w2", ("b2",), None)],
    "autoencoder": [("x", 3, None, (), None), ("O1", 2, "W1", ("b1",), "sigmoid"), ("O2", 3, "W2", ("b2",), "sigmoid")],
    "softmax_regression": [("X", "d", None, (), None), ("Z", "c", "W", ("b",), None)],
    "digits": [("X", "d", None, (), None), ("H", "m", "W1", ("b1",), "tanh"), ("O", "c", "W2", ("b2",), None)],
    "matrix_graph": [("x", 3, None, (), None), ("q", 3, "W", (), "sigmoid")],
}


@pytest.mark.parametrize("key", NETWORKS)
def test_layers(key: str) -> None:
    found = network(program(key).sheet("formula"))
    shown = [(each.name, each.size, each.weights, each.biases, each.step.op if each.step else None) for each in found]
    assert shown == NETWORKS[key]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x*y", "no product of a matrix"),
        ("x: const(3)\nW: (3,3)\nV: (3,3)\nf = sum(tanh(W @ x) + V @ x)", "goes into more than one product"),
        ("X: (3,3)\nW: (3,3)\nsum(X @ W)", "declare the one that holds the data const"),
        ("x: const(3)\ny: const(3)\nW: (3,3)\nV: (3,3)\nsum(W @ x + V @ y)", "not behind the layers before it"),
        ("A: (3,3)\nb: const(3)\nsum(solve(A, b))", "no product of a matrix"),
    ],
)
def test_what_is_no_network_is_refused(text: str, why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        symdiff.formula(text).gradient().graph(scheme=True)


def test_large_layers_are_elided_and_small_ones_not() -> None:
    text = "x: const(9)\nW: (8, 9)\nsum(tanh(W @ x))"
    columns = scheme(symdiff.formula(text).gradient().sheet("formula"), None).columns
    assert [(len(column.neurons), len(column.dots)) for column in columns] == [(4, 3), (MOST_NEURONS, 0)]


@pytest.mark.parametrize("key", NETWORKS)
def test_nothing_overlaps(key: str) -> None:
    drawn = scheme(program(key).sheet("formula"), None)
    boxes = [text.box for column in drawn.columns for text in column.texts] + [text.box for text in drawn.texts]
    circles = [(x, y, 12.0) for column in drawn.columns for x, y in column.neurons]
    for a, b in combinations(boxes, 2):
        assert a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
    for (x, y, r), (u, v, s) in combinations(circles, 2):
        assert (x - u) ** 2 + (y - v) ** 2 > (r + s) ** 2
    ends = [point for line in drawn.links for point in line]
    for box in boxes:
        assert all(box.bottom < y - r or box.top > y + r for _, y, r in circles)
        assert all(box.bottom < y or box.top > y for _, y in ends)
        assert 0 <= box.left and box.right <= drawn.width and 0 <= box.top and box.bottom <= drawn.height


def test_svg_shows_names_sizes_and_weights() -> None:
    made = program("digits")
    root = ET.fromstring(str(made.graph(scheme=True)))
    texts = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert texts == ["X", "d", "H", "m", "tanh", "O", "c", "W1, b1", "(d \u00d7 m), (m)", "W2, b2", "(m \u00d7 c), (c)"]
    sizes = point("digits")["W1"]
    root = ET.fromstring(str(made.graph(point("digits"), scheme=True)))
    texts = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert f"d = {len(sizes)}" in texts and f"m = {len(sizes[0])}" in texts


@pytest.mark.tikz
def test_tikz_compiles(tmp_path: Path) -> None:
    (tmp_path / "scheme.tex").write_text(str(program("digits").graph(scheme=True, format="tikz")), "ascii")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "scheme.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).returncode == 0
    log = (tmp_path / "scheme.log").read_text("utf-8", "replace")
    assert "(1 page" in log and "Overfull" not in log and "Warning" not in log


@pytest.mark.graphviz
def test_graphviz_reads_it(tmp_path: Path) -> None:
    (tmp_path / "all.dot").write_text("\n".join(str(program(key).graph(scheme=True, format="dot")) for key in NETWORKS))
    done = subprocess.run(["dot", "-Tplain", "all.dot"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
