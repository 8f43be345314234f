"""Formulas that come with symdiff, one a file (`.sd`), and a point for each in `points.toml`.

What the abstract functions of an example are bound to, for its package, stands in `bindings.toml`; the update rule of
its package, where it has one, in `updates.toml`. Beside them are the programs that train the systems of the course:
`python -m symdiff.examples.autoencoder`, and so on. `backpropagation.ipynb` is a notebook that teaches.

>>> from symdiff import examples
>>> "graph_b" in examples.names()
True
"""

from importlib.resources import as_file, files
from pathlib import Path

TABLES = ("points.toml", "bindings.toml", "updates.toml")
NOTEBOOKS = ("backpropagation.ipynb",)


def names() -> tuple[str, ...]:
    """Names of the examples, sorted."""
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".sd") for name in found if name.endswith(".sd")))


def path(name: str) -> Path:
    """File of the example `name`; also of a table or a notebook by its whole name: `points.toml`."""
    whole = name in TABLES or name in NOTEBOOKS
    file = name if whole else f"{name}.sd"
    if not whole and name not in names():
        raise KeyError(f"no example {name!r}; there are {', '.join(names())}")
    with as_file(files(__name__) / file) as found:
        return found
