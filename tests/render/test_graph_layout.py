"""The drawing of a graph, measured: nothing overlaps, no wire runs through a box or a number."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from render.graphs import KEYS, example_scene, graph_of, program, random_text

import symdiff
from symdiff.render.graph_layers import layered
from symdiff.render.graph_scene import Box, Path, Scene, points, scene

Boxes = np.ndarray  # left, top, right, bottom in rows


def boxes_of(found: Iterable[Box]) -> Boxes:
    return np.array([(box.left, box.top, box.right, box.bottom) for box in found]).reshape(-1, 4)


def overlaps(a: Boxes, b: Boxes) -> np.ndarray:
    """Which boxes of a share a point with which of b."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    return (low < high).all(axis=2)


def inside(a: Boxes, b: Boxes) -> np.ndarray:
    """Which boxes of a lie in which of b."""
    return (a[:, None, :2] >= b[None, :, :2]).all(axis=2) & (a[:, None, 2:] <= b[None, :, 2:]).all(axis=2)


def check(drawing: Scene) -> None:
    """Boxes and texts are disjoint and on the page; wires meet no box but at their two ends, and no text."""
    boxes = boxes_of(place.box for place in drawing.nodes)
    assert not np.triu(overlaps(boxes, boxes), 1).any()
    texts = [text for place in (*drawing.nodes, *drawing.wires) for text in place.texts]
    rooms = boxes_of(text.box for text in texts)
    clash = np.argwhere(np.triu(overlaps(rooms, rooms), 1))
    assert not clash.size, [(texts[a], texts[b]) for a, b in clash]
    assert inside(rooms, np.array([[0.0, 0.0, drawing.width, drawing.height]])).all()
    assert not (overlaps(rooms, boxes) & ~inside(rooms, boxes)).any()
    for wire in drawing.wires:
        check_path(wire.path, boxes, rooms)
        assert wire.branch[-1] == wire.path[-1]


def check_path(path: Path, boxes: Boxes, rooms: Boxes) -> None:
    way = np.array(points(path))
    start, end = way[:-1], way[1:]
    assert (end[:, 0] >= start[:, 0]).all(), "a wire goes back"
    pieces = np.hstack([np.minimum(start, end), np.maximum(start, end)])
    half = np.array([0.0, -0.7, 0.0, 0.7])  # of the width of a wire, upwards and downwards
    assert not overlaps(pieces + half, boxes).any()
    assert not overlaps(pieces + half, rooms).any()


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("key", KEYS)
def test_examples_do_not_overlap(key: str, numbers: bool) -> None:
    check(example_scene(key, numbers))


@settings(max_examples=14, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 68), st.integers(1, 12), st.booleans())
def test_random_graphs_do_not_overlap(seed: int, steps: int, inputs: int, numbers: bool) -> None:
    made = symdiff.formula(random_text(seed, steps, inputs)).gradient()
    at = dict.fromkeys(made.data.inputs, 0.7) if numbers else None
    check(scene(graph_of(made, at)))


@pytest.mark.parametrize("key", ["logistic_loss", "digits", "rosenbrock10", "layer_norm"])
def test_graphs_of_statements_do_not_overlap(key: str) -> None:
    check(scene(graph_of(program(key), None, "statement")))


def test_eighty_nodes_are_drawn_within_a_second() -> None:
    made = symdiff.formula(random_text(1, 76, 6)).gradient()
    graph = graph_of(made, dict.fromkeys(made.data.inputs, 0.7))
    assert len(graph.nodes) >= 75
    start = time.process_time()
    scene(graph)
    assert time.process_time() - start < 1.0


def test_the_drawing_is_the_same_every_time() -> None:
    made = program("black_scholes")
    assert scene(graph_of(made)) == scene(graph_of(made))


def test_wires_of_a_chain_are_straight() -> None:
    drawing = scene(graph_of(symdiff.formula("sin(exp(cos(x)))").gradient(), {"x": 1.0}))
    assert {y for wire in drawing.wires for _, y in points(wire.path)} == {drawing.nodes[0].box.top + 14.0}


def test_layers_put_inputs_before_their_first_use_and_shorten_wires() -> None:
    # 0: x, 1: y, 2: sin x, 3: sin sin x, 4: sin y, 5: (3) + (4)
    made = layered([[], [], [0], [2], [1], [3, 4]], [0, 1], 5)
    assert made.layer[:6] == [0, 1, 1, 2, 2, 3]
    assert len(made.layer) == 6, "no wire passes through a layer"


def test_one_wire_leaves_a_node_and_branches() -> None:
    made = layered([[], [0], [1], [2, 0], [3, 0]], [0], 4)
    passing = [vertex for vertex in range(5, len(made.layer)) if made.source[vertex] == 0]
    assert [made.layer[vertex] for vertex in passing] == [1, 2, 3]
    assert made.routes[0, 3, 1] == passing[:2]
    assert made.routes[0, 4, 1] == passing
