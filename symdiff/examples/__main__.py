"""`python -m symdiff.examples`: what there is to run and to read, one line each."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Sequence
from importlib.resources import files

from symdiff.examples import NOTEBOOKS, names, path
from symdiff.examples._show import command


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the list; returns the exit code 0."""
    parser = argparse.ArgumentParser(
        prog="python -m symdiff.examples", description="list the examples; run one by python -m symdiff.examples.NAME"
    )
    parser.parse_args(argv)
    print("Programs; run one by  python -m symdiff.examples.NAME [--small] [-o DIR]\n")
    _table(_programs())
    print("\nNotebooks; copy one into a folder of yours and open it by  jupyter lab FILE  or in VS Code\n")
    _table([(str(path(name)), _title(name)) for name in NOTEBOOKS])
    print(f"\nFormulas, in {path('graph_b').parent}; derive one by  symdiff derive FILE.sd\n")
    _table([(name, _first_line(path(name).read_text("utf-8")).lstrip("# ")) for name in names()])
    return 0


def _programs() -> list[tuple[str, str]]:
    """Name and first line of every program, sorted."""
    found = []
    for file in files("symdiff.examples").iterdir():
        name, dot, kind = file.name.rpartition(".")
        if dot and kind == "py" and not name.startswith("_"):
            does = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
            found.append((name, _first_line(does)))
    return sorted(found)


def _title(name: str) -> str:
    """Heading of a notebook."""
    first, *_ = json.loads(path(name).read_text("utf-8"))["cells"]
    return _first_line("".join(first["source"])).lstrip("# ")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _table(rows: Sequence[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, does in rows:
        print(f"  {name.ljust(width)}  {does}")


if __name__ == "__main__":
    command(main)
