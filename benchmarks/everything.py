"""All runs, one after the other, then the figure and the verdict: the one command that makes benchmarks/results.

    python -m benchmarks all --limit FILE [--quick] [--against DIR] [--output DIR]

Every run is a process of its own. A run that fails does not keep the others from their turn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import RESULTS

# Run: its command without options, and the file that it writes.
RUNS = {"numbers": ([], "benchmarks"), "matrices": (["matrices"], "matrices"), "building": (["building"], "building"),
        "growth": (["growth"], "growth"), "transformer": (["transformer"], "transformer")}  # fmt: skip
COMPARED = ("numbers", "matrices", "building")
QUICK_NUMBERS = ["--points", "2000", "--rounds", "2"]


def commands(options: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """What follows `python -m benchmarks`, by run. Without --quick the runs know themselves where to write."""
    found = {}
    for name, (start, file) in RUNS.items():
        words = list(start)
        if name == "numbers" and options.limit:
            words += ["--limit", str(options.limit.resolve())]
        if options.quick:
            words += QUICK_NUMBERS if name == "numbers" else ["--quick"]
        earlier = options.against / f"{file}.json" if options.against else None
        if earlier and name in COMPARED and earlier.is_file():
            words += ["--against", str(earlier.resolve())]
        if folder != RESULTS:
            words += ["--output", str(folder)]
        found[name] = words
    return found


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if a run failed, something got slower or a bound does not hold; 2 for bad use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks all", description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=Path, metavar="FILE", help="a runner of hand-written C outside the repository")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, few rounds: to see everything run")
    parser.add_argument("--against", type=Path, metavar="DIR", help="results of an earlier run: what got slower")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (by default benchmarks/results)")
    options = parser.parse_args(arguments)
    if options.quick and options.against:
        parser.error("--against: the sizes of --quick are those of no other run")
    if options.quick and not options.output:
        options.output = Path(tempfile.mkdtemp(prefix="symdiff-benchmarks-"))
    folder = (options.output or RESULTS).resolve()
    failed = []
    for name, words in commands(options, folder).items():
        print(f"== {name}", file=sys.stderr, flush=True)
        if _run(words):
            failed.append(name)
    for name in ("figure", "verdict"):
        if _run([name, "--results", str(folder)]):
            failed.append(name)
    print(
        f"written to {folder.name}; " + (f"see above: {', '.join(failed)}" if failed else "all is well"),
        file=sys.stderr,
    )
    return 1 if failed else 0


def _run(words: Sequence[str]) -> int:
    root = Path(__file__).resolve().parents[1]
    return subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=root).returncode
