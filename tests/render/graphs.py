"""What the tests of graphs share: the examples with their points, and formulas of any size."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import symdiff
from symdiff.render.graph_model import Graph, graph
from symdiff.render.graph_scene import Scene, scene
from symdiff.trace import Trace

EXAMPLES = Path(symdiff.__file__).parent / "examples"
KEYS = sorted(path.stem for path in EXAMPLES.glob("*.sd"))
_POINTS = tomllib.loads((EXAMPLES / "points.toml").read_text("utf-8"))
_BINDINGS = tomllib.loads((EXAMPLES / "bindings.toml").read_text("utf-8"))


def program(key: str) -> symdiff.Program:
    """The gradient of an example, its abstract functions bound."""
    return symdiff.formula(EXAMPLES / f"{key}.sd").bind(**_BINDINGS.get(key, {})).gradient()


def point(key: str) -> dict[str, Any]:
    """Its point."""
    return dict(_POINTS[key])


def graph_of(made: symdiff.Program, at: Mapping[str, Any] | None = None, level: str = "step") -> Graph:
    """The graph of a program."""
    trace = None if at is None else Trace(made.tape, made.data.scalar_point(at))
    return graph(made.sheet("formula"), trace, level)


@cache
def example_scene(key: str, numbers: bool) -> Scene:
    """The drawing of an example."""
    return scene(graph_of(program(key), point(key) if numbers else None))


def random_text(seed: int, steps: int, inputs: int) -> str:
    """A formula of so many statements, each over names near or far, some of them never used."""
    pick = random.Random(seed)
    names, lines = [f"x{k}" for k in range(inputs)], []
    for k in range(steps):
        a, b, c = (pick.choice(names[-pick.choice((2, 8, 200)) :]) for _ in range(3))
        texts = (f"{a} + {b}", f"{a}*{b}", f"{a} - 2", f"{a}/{b}", f"sin({a})", f"{a}*{a}", f"3**{a}",
                 f"where({a} > {b}, {c}, {a})", f"max({a}, {b})", f"1 - {a}")  # fmt: skip
        names.append(f"long_name_{k}" if pick.random() < 0.1 else f"s{k}")
        lines.append(f"{names[-1]} = {pick.choice(texts)}")
    return "\n".join(lines)
