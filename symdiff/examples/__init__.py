"""Formulas that come with symdiff, one a file (`.sd`), and a point for each in `points.toml`.

>>> from symdiff import examples
>>> "graph_b" in examples.names()
True
"""

from importlib.resources import as_file, files
from pathlib import Path


def names() -> tuple[str, ...]:
    """Names of the examples, sorted."""
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".sd") for name in found if name.endswith(".sd")))


def path(name: str) -> Path:
    """File of the example `name`; `path("points.toml")` is the file of points."""
    file = name if name == "points.toml" else f"{name}.sd"
    if file != "points.toml" and name not in names():
        raise KeyError(f"no example {name!r}; there are {', '.join(names())}")
    with as_file(files(__name__) / file) as found:
        return found
