"""Who may import whom, and what generated files may import: ARCHITECTURE.md, section *The way of the data*."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "symdiff"

DATA = (
    "errors",
    "collector",
    "record",
    "reserved",
    "expr",
    "shapes",
    "einstein",
    "ops",
    "formula_data",
    "tape",
    "rule",
    "trace",
)  # each imports only what stands left of it
STAGES = ("frontend", "linearize", "adjoint", "tangent", "passes", "render", "build", "verify", "programs")


def _allowed() -> dict[str, set[str]]:
    """Unit (a module or package right under symdiff/, `__init__` for the package itself): the units it may import."""
    table = {unit: set(DATA[:place]) for place, unit in enumerate(DATA)}
    table |= {stage: set(DATA) for stage in STAGES}
    table["build"] |= {"runtime"}
    table["examples"] = {"__init__", "optim", "init"}  # what a user imports
    table["optim"] = {"pipeline", "errors"}
    table["init"] = {"pipeline", "errors"}
    table["functions"] = {"programs"}  # they are made there; this is the name that users import
    table["runtime"] = set()  # copied into generated packages: NumPy and cffi alone
    table["progress"] = set()
    table["doctor"] = {"build", "render"}  # of render the names of the vector functions
    table["pipeline"] = {*DATA, *STAGES, "runtime", "progress", "doctor"}
    table["cli_options"] = {"pipeline", "errors", "optim", "__init__"}
    table["cli_train_files"] = {"pipeline", "errors", "cli_options"}
    table["cli_train"] = {"pipeline", "errors", "init", "cli_options", "cli_train_files", "__init__"}
    table["serve"] = {"pipeline", "errors", "shapes", "examples", "render"}  # of render the environment alone
    table["notebook"] = {"pipeline", "errors", "cli_options"}
    table["cli_serve"] = {"errors", "serve"}
    table["cli_graph"] = {"pipeline", "cli_options"}
    table["cli"] = {"pipeline", "errors", "cli_graph", "cli_options", "cli_serve", "cli_train"}
    table["__main__"] = {"cli"}
    table["__init__"] = {"pipeline", "programs", "functions", "optim", "init", "notebook", *DATA}
    return table


ALLOWED = _allowed()


@dataclass(frozen=True)
class Import:
    """`file:line` imports `target`, a dotted name."""

    file: Path
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


def _imported_by(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Dotted names that one syntax node imports; `package` is where relative imports start."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            start = package[: len(package) - level + 1] if level else ()
            base = ".".join([*start, *([module] if module else [])])
            yield from (f"{base}.{alias.name}" for alias in names)
        case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__")):
            if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                yield node.args[0].value


def imports_of(source: str, file: Path) -> Iterator[Import]:
    """Every import of one file, also those inside functions and under TYPE_CHECKING; `file` is relative to the root."""
    for node in ast.walk(ast.parse(source, str(file))):
        for target in _imported_by(node, file.parent.parts):
            yield Import(file, node.lineno, target)


def unit_of(file: Path) -> str:
    """`symdiff/ops/core.py` is in unit `ops`, `symdiff/cli.py` in `cli`."""
    return file.parts[1].removesuffix(".py")


def imported_unit(target: str) -> str | None:
    """The unit that a dotted name lies in; None outside symdiff. A name of `symdiff/__init__.py` is in `__init__`."""
    parts = target.split(".")
    if parts[0] != "symdiff":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else "__init__"


def violations(source: str, file: Path) -> list[str]:
    """The imports of one file that the architecture forbids, each as `file:line imports target (why)`."""
    unit, found = unit_of(file), []
    if unit not in ALLOWED:
        return [f"{file}:1 is in no unit that tests/test_architecture.py knows; say there what it may import"]
    for each in imports_of(source, file):
        target = imported_unit(each.target)
        if target not in (None, unit) and target not in ALLOWED[unit]:
            may = ", ".join(sorted(ALLOWED[unit])) or "nothing of symdiff"
            found.append(f"{each} ({unit} may import {may})")
    return found


def _sources(folder: Path) -> list[Path]:
    return [path.relative_to(ROOT) for path in sorted(folder.rglob("*.py"))]


def test_imports_follow_the_architecture() -> None:
    files = _sources(PACKAGE)
    assert files
    found = [line for file in files for line in violations((ROOT / file).read_text("utf-8"), file)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("file", "source", "line"),
    [
        ("symdiff/expr.py", "\nfrom symdiff.tape import Step", 2),
        ("symdiff/ops/core.py", "import symdiff.formula_data", 1),
        ("symdiff/ops/core.py", "from ..formula_data import Formula", 1),
        ("symdiff/adjoint.py", "from symdiff import linearize", 1),
        ("symdiff/adjoint.py", "def f():\n    from .passes.fold import fold", 2),
        ("symdiff/render/c.py", "from symdiff.build import cache", 1),
        ("symdiff/render/c.py", "from symdiff import gradient", 1),
        ("symdiff/render/c.py", "import importlib\nimportlib.import_module('symdiff.build')", 2),
        ("symdiff/runtime/arrays.py", "from symdiff.errors import ShapeError", 1),
        ("symdiff/cli.py", "from symdiff.render import latex", 1),
        ("symdiff/newcomer.py", "", 1),
    ],
)
def test_a_forbidden_import_is_reported_with_its_place(file: str, source: str, line: int) -> None:
    (report,) = violations(source, Path(file))
    assert report.startswith(f"{file}:{line} ")


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("symdiff/tape.py", "from symdiff.ops import TABLE\nfrom .errors import SymdiffError"),
        ("symdiff/passes/fold.py", "from . import walk\nfrom symdiff.passes.walk import go\nimport sympy"),
        ("symdiff/build/kernel.py", "from symdiff.runtime.arrays import bind"),
        ("symdiff/runtime/scalar.py", "from .arrays import bind"),
        ("symdiff/pipeline/program.py", "from symdiff import adjoint, linearize"),
    ],
)
def test_an_allowed_import_is_not_reported(file: str, source: str) -> None:
    assert violations(source, Path(file)) == []


def test_generated_code_imports_no_symdiff() -> None:
    files = _sources(ROOT / "generated")
    assert files, "generated/ holds no Python file"
    found = [
        str(each)
        for file in files
        for each in imports_of((ROOT / file).read_text("utf-8"), file)
        if each.target.split(".")[0] == "symdiff"
    ]
    assert not found, "\n" + "\n".join(found)


TEMPLATES = sorted(path.relative_to(ROOT / "templates").as_posix() for path in (ROOT / "templates").rglob("*.j2"))


def test_there_are_templates() -> None:
    assert TEMPLATES


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_loads_in_the_environment_of_its_language(name: str) -> None:
    from symdiff.render.environment import environment

    language, _, path = name.partition("/")
    assert environment(language).get_template(path)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_imports_symdiff(name: str) -> None:
    text = (ROOT / "templates" / name).read_text("utf-8")
    assert not re.search(r"^\s*(from|import)\s+symdiff\b", text, re.MULTILINE)
