"""The run on building: what starting costs, and the way from a formula's text to a gradient that can be called.

    python -m benchmarks building [--quick] [--rounds N] [--output DIR]

Every sample is a process of its own, all kinds of process in turn; bytecode is there, as after any first run. A time is
what the statement takes inside the process, so the interpreter's own start counts for nobody.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import RESULTS, add_comparison, command_line, compared, publish
from benchmarks.formulas import CASES, Problem, long_arm
from benchmarks.scalars import error_of, reference
from benchmarks.table import Row, digits, line, machine
from benchmarks.timing import summed_up

TOLERANCE = 1e-9
IMPORTS = {"symdiff": "import symdiff", "numpy": "import numpy", "sympy": "import sympy"}
LONG = "long text"
KINDS = {
    "new": "text to the first gradient, the process's first kernel, nothing cached, s",
    "cached": "the same, kernel cached, s",
    "next": "text to the first gradient, after another kernel, s",
    "next_cached": "the same, kernel cached, s",
    "package": "import of its package and first gradient, s",
}
# Prints seconds, which large modules were imported, and what came out.
_CHILD = """
import json, sys
from time import perf_counter
{before}
start = perf_counter()
{statement}
seconds = perf_counter() - start
modules = [name for name in ("symdiff", "sympy", "numpy", "jinja2", "mpmath", "scipy") if name in sys.modules]
tiny = float("5e-324")
print(json.dumps([seconds, modules, {result}, tiny * 1.0 != 0]))
"""
_FORMULA = "kernel = symdiff.formula(case['text']).gradient().compile(backend='c')\nresult = kernel(*case['point'])"
# All that making a kernel imports, and what is compiled once for all kernels.
_ANOTHER = "symdiff.formula('x*sin(x)').gradient().compile(backend='c')(1.0)"
_PACKAGE = "from {name} import gradient as kernel\nresult = kernel(*case['point'])"
_NUMBERS = "[result[0], *result[1]]"
# What renders C is loaded when it is first needed, so a short formula goes before.
_WARM = "import symdiff\nsymdiff.formula('x*sin(x)').gradient().source('c')\ntext = {text!r}"
_SOURCE = "symdiff.formula(text).gradient().source('c')"


@dataclass(frozen=True)
class Sample:
    """One process: its seconds, which of the large modules it had imported, numbers, whether denormals are intact."""

    seconds: float
    modules: tuple[str, ...]
    numbers: tuple[float, ...]
    denormals: bool


def sample(statement: str, folder: Path, *, before: str = "", result: str = "[]", cache: Path | None = None) -> Sample:
    """Runs `statement` in a new process, timed, in `folder`; RuntimeError with what it said where it fails."""
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if cache is not None:
        environment["SYMDIFF_CACHE"] = str(cache)
    code = _CHILD.format(before=before, statement=statement, result=result)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=folder)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    seconds, modules, numbers, denormals = json.loads(done.stdout)
    return Sample(seconds, tuple(modules), tuple(numbers), denormals)


@dataclass(frozen=True)
class Report:
    """All of one run. Rows are in ns: of imports (measure "import") and of each formula (measures of KINDS).

    `modules`: of the large modules, what each kind of process had imported in the end.
    """

    command: str
    rounds: int
    machine: dict[str, Any]
    titles: dict[str, str]
    modules: dict[str, list[str]]
    denormals: bool
    rows: list[Row]

    def as_json(self) -> str:
        """The report as indented JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def as_markdown(self) -> str:
        """A table of imports, and one of the way from text to gradient."""
        lines = ["# Starting and building", "", f"`{self.command}`", ""]
        lines += [f"- {name}: {fact}" for name, fact in self.machine.items()]
        lines += [f"- medians of {self.rounds} rounds, every sample in a new process, all kinds in turn; one thread"]
        lines += ["- before anything is written, the gradients agreed with a 50-digit reference"]
        lines += [f"- denormals after loading a kernel (5e-324*1.0 != 0): {'intact' if self.denormals else 'LOST'}"]
        times = {(row.formula, row.measure): row.median / 1e9 for row in self.rows}
        numpy = times["numpy", "import"]
        lines += ["", "## Imports", "", line(["statement", "s", "of `import numpy`", "brings along"])]
        lines += [line(["---", "---:", "---:", "---"])]
        for name, statement in IMPORTS.items():
            seconds, brought = times[name, "import"], ", ".join(self.modules[name]) or "-"
            lines.append(line([f"`{statement}`", digits(seconds), digits(seconds / numpy), brought]))
        lines += ["", "## From text to a gradient in C, symdiff and NumPy imported before", ""]
        lines += [line(["formula", *KINDS.values()]), line(["---", *["---:"] * len(KINDS)])]
        for name in dict.fromkeys(row.formula for row in self.rows if row.measure in KINDS):
            lines.append(line([self.titles[name], *(digits(times[name, kind]) for kind in KINDS)]))
        lines += ["", f"{long_arm().title}, a thousand operations: from text to the text of its C, after another one, "]
        lines[-1] += f"{digits(times[LONG, 'source'])} s."
        lines += [""]
        lines += [f"- {KINDS[kind].rpartition(',')[0]}: imports {', '.join(self.modules[kind])}" for kind in KINDS]
        return "\n".join(lines) + "\n"


def packages(cases: Mapping[str, Any], folder: Path) -> None:
    """Writes and compiles the package `made_NAME` of every formula."""
    for name, case in cases.items():
        code = (
            "import symdiff\nfrom symdiff import pipeline\n"
            f"written = symdiff.formula({case.text!r}).gradient().write({str(folder / f'made_{name}')!r})\n"
            "pipeline.build_package(written)"
        )
        sample(code, folder)


def measure(names: Sequence[str], rounds: int, warm: bool = True) -> tuple[list[Row], dict[str, list[str]], bool]:
    """Rows, imported modules by kind of process, and whether denormals survive; ValueError for wrong gradients."""
    cases = {name: CASES[name] for name in names}
    samples: dict[tuple[str, str], list[Sample]] = {}
    with tempfile.TemporaryDirectory(prefix="symdiff-benchmark-") as scratch:
        folder = Path(scratch)
        packages(cases, folder)
        # Round 0 warms up: bytecode, the system's cache of files.
        for turn in range(not warm, rounds + 1):
            print(f"round {turn} of {rounds}", file=sys.stderr, flush=True)
            found = {(name, "import"): sample(statement, folder) for name, statement in IMPORTS.items()}
            before = _WARM.format(text=long_arm().text)
            found[LONG, "source"] = sample(_SOURCE, folder, before=before)
            for name, case in cases.items():
                point = {"text": case.text, "point": case.points(1)[:, 0].tolist()}
                cache, ready = folder / f"cache-{name}-{turn}", f"case = {point!r}"
                for kind in ("new", "cached", "next", "next_cached"):
                    before = f"{ready}\nimport symdiff, numpy"
                    if kind.startswith("next"):
                        before, own = f"{before}\n{_ANOTHER}", cache / "next"
                    else:
                        own = cache / "first"
                    found[name, kind] = sample(_FORMULA, folder, before=before, result=_NUMBERS, cache=own)
                statement, before = _PACKAGE.format(name=f"made_{name}"), f"{ready}\nimport numpy"
                found[name, "package"] = sample(statement, folder, before=before, result=_NUMBERS)
            for key, each in found.items():
                samples.setdefault(key, []).extend([each] if turn else [])
                if each.numbers:
                    expected = reference(Problem(cases[key[0]]), cases[key[0]].points(1))[:, 0]
                    if (error := error_of(np.array(each.numbers), expected)) > TOLERANCE:
                        raise ValueError(f"{key[0]}, {key[1]}: error {error:.2e} against the 50-digit reference")
    modules: dict[str, list[str]] = {}
    for (name, kind), kept in samples.items():
        brought = modules.setdefault(name if kind == "import" else kind, [])
        brought += [module for module in kept[-1].modules if module not in brought and module != name]
    rows = [_row(*key, [each.seconds * 1e9 for each in kept]) for key, kept in samples.items()]
    return rows, modules, all(each.denormals for kept in samples.values() for each in kept)


def _row(name: str, measured: str, times: Sequence[float]) -> Row:
    contestant = IMPORTS[name] if measured == "import" and name != "symdiff" else "symdiff"
    return summed_up((name, contestant, measured), times)


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if a gradient is wrong or something got slower than in the run of --against, 2 for bad use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks building", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="processes of each kind")
    parser.add_argument("--quick", action="store_true", help="one formula, one round: to see it run")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (the whole run: benchmarks/results)")
    add_comparison(parser)
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    names, rounds = (["graph_b"], 1) if options.quick else (list(CASES), options.rounds)
    try:
        rows, modules, denormals = measure(names, rounds, not options.quick)
    except ValueError as wrong:
        print(f"wrong result, nothing written: {wrong}", file=sys.stderr)
        return 1
    titles = {name: CASES[name].title for name in names}
    facts = machine(["numpy", "sympy", "cffi"])
    report = Report(command_line(["building", *arguments]), rounds, facts, titles, modules, denormals, rows)
    publish(report, "building", options.output or (None if options.quick else RESULTS))
    return compared(report, options)
