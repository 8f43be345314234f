"""Formulas that come with symdiff, one a file (`.sd`), and a point for each in `points.toml`.

What the abstract functions of an example are bound to, for its package, stands in `bindings.toml`.

>>> from symdiff import examples
>>> "graph_b" in examples.names()
True
"""

from importlib.resources import as_file, files
from pathlib import Path

TABLES = ("points.toml", "bindings.toml")


def names() -> tuple[str, ...]:
    """Names of the examples, sorted."""
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".sd") for name in found if name.endswith(".sd")))


def path(name: str) -> Path:
    """File of the example `name`; also of `points.toml` and `bindings.toml`."""
    file = name if name in TABLES else f"{name}.sd"
    if name not in TABLES and name not in names():
        raise KeyError(f"no example {name!r}; there are {', '.join(names())}")
    with as_file(files(__name__) / file) as found:
        return found
