"""What the kernels must show, line by line: each claim with its bound, and how the results of the runs tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks.against import OWN
from benchmarks.building import LONG
from benchmarks.formulas import CASES

LETTERS = dict(zip(CASES, "abcde", strict=True))
FORMULAS = {letter: name for name, letter in LETTERS.items()}
PROBLEMS = ("mlp", "softmax", "attention", "autoencoder")
LENGTH = 10_000  # steps of the program of which the compiled kernels are compared
TWO = "symdiff_threads"  # the contestant with two threads, in the measure "threads"


@dataclass(frozen=True)
class Claim:
    """Numbers that must all lie on the right side of a bound; a number that was not measured is None."""

    section: str
    text: str
    bound: float
    at_most: bool
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    unit: str = ""

    def holds(self) -> bool | None:
        """None where a number is missing and the others are right."""
        found = [number for number in self.numbers.values() if number is not None]
        if not all(number <= self.bound if self.at_most else number >= self.bound for number in found):
            return False
        return True if found and len(found) == len(self.numbers) else None


class Results:
    """The JSON of the runs by name (`benchmarks`, `matrices`, `growth`, `building`); a run may be absent."""

    def __init__(self, runs: Mapping[str, Any]) -> None:
        self.runs = runs
        self._times = {
            name: {(row["formula"], row["measure"], row["contestant"]): row["median"] for row in run.get("rows", [])}
            for name, run in runs.items()
        }

    def time(self, run: str, formula: str, measure: str, contestant: str) -> float | None:
        """A median in ns."""
        return self._times.get(run, {}).get((formula, measure, contestant))

    def ratio(self, run: str, formula: str, measure: str, upper: str, lower: str) -> float | None:
        """Time of `upper` over time of `lower`."""
        return quotient(self.time(run, formula, measure, upper), self.time(run, formula, measure, lower))

    def peers(self, run: str, formula: str, measure: str) -> dict[str, float]:
        """Times of everybody who is neither symdiff nor a limit."""
        found = {who: time for (where, what, who), time in self._times.get(run, {}).items()
                 if (where, what) == (formula, measure)}  # fmt: skip
        return {who: time for who, time in found.items() if who not in (*OWN, "limit", "products")}


def quotient(upper: float | None, lower: float | None) -> float | None:
    """None where a time is missing."""
    return upper / lower if upper is not None and lower else None


def claims(results: Results) -> Iterator[Claim]:
    """All of them, in order."""
    yield from _batches(results)
    yield from _threads(results)
    yield from _one_point(results)
    yield from _matrices(results)
    yield from _building(results)
    yield from _growth(results)


def _over(letters: str, number: Callable[[str], float | None], more: str = "") -> dict[str, float | None]:
    return {letter + more: number(FORMULAS[letter]) for letter in letters}


def _batches(results: Results) -> Iterator[Claim]:
    points = results.runs.get("benchmarks", {}).get("points", 0)
    section = f"Batched, N = {points:,}, one thread, memory held"

    def beside(letters: str, upper: str, lower: str, more: str = "") -> dict[str, float | None]:
        return _over(letters, lambda name: results.ratio("benchmarks", name, "batch", upper, lower), more)

    yield Claim(section, "time / hand-written limit", 1.15, True, beside("abcde", "symdiff", "limit"))
    for letters, bound in (("ac", 1.9), ("e", 1.3), ("bd", 0.8)):
        yield Claim(section, "heyoka / symdiff", bound, False, beside(letters, "heyoka", "symdiff"))
    for peer in ("jax", "numba", "symengine"):
        yield Claim(section, f"{peer} / symdiff", 10, False, beside("ae", peer, "symdiff"))


def _threads(results: Results) -> Iterator[Claim]:
    def gain(name: str) -> float | None:
        return results.ratio("benchmarks", name, "threads", "symdiff", TWO)

    yield Claim("Two threads", "one thread / two", 1.7, False, _over("cde", gain))
    yield Claim("Two threads", "one thread / two: never slower", 1.0, False, _over("ab", gain))


def _one_point(results: Results) -> Iterator[Claim]:
    section = "One point"

    def held(name: str) -> float | None:
        return results.ratio("benchmarks", name, "held", "symdiff", "casadi")

    yield Claim(section, "k.raw / CasADi, buffers bound", 1.5, True, _over("abcde", held))
    call = {"a": results.time("benchmarks", "graph_b", "call", "symdiff")}
    yield Claim(section, "the call k(w1, x1, w2, x2)", 800, True, call, "ns")
    beside = {"a": results.ratio("benchmarks", "graph_b", "call", "jax", "symdiff")}
    yield Claim(section, "call of JAX / call of symdiff", 15, False, beside)


def _matrices(results: Results) -> Iterator[Claim]:
    section = "Matrices"

    def over(size: str, upper: str, lower: str, names: Iterable[str] = PROBLEMS) -> dict[str, float | None]:
        return {name: results.ratio("matrices", name, size, upper, lower) for name in names}

    def best(name: str) -> float | None:
        peers = results.peers("matrices", name, "medium")
        return quotient(results.time("matrices", name, "medium", "symdiff"), min(peers.values(), default=None))

    yield Claim(section, "large: time / bare products", 1.05, True, over("large", "symdiff", "products"))
    yield Claim(section, "middle sizes: time / best peer", 1.05, True, {name: best(name) for name in PROBLEMS})
    yield Claim(section, "3x3: k.raw, all bound / CasADi MX, all bound", 1.0, True, over("small", "fixed", "casadi"))
    yield Claim(section, "3x3: call of JAX / call of symdiff", 3, False, over("small", "jax", "symdiff"))
    rows = {peer: results.ratio("matrices", "autoencoder", "large", peer, "symdiff") for peer in ("torch", "jax")}
    yield Claim(section, "autoencoder 3-2-3, 200,000 rows: peer / symdiff", 2, False, rows)
    for size, name in (("small", "3x3"), ("medium", "middle sizes"), ("large", "large")):
        yield Claim(section, f"NumPy target, {name}: time / NumPy by hand", 1.05, True, over(size, "numpy", "hand"))


def _building(results: Results) -> Iterator[Claim]:
    section = "Building"
    run = results.runs.get("building", {})

    def seconds(kind: str) -> dict[str, float | None]:
        times = {name: results.time("building", name, kind, "symdiff") for name in CASES}
        return {LETTERS[name]: None if time is None else time / 1e9 for name, time in times.items()}

    yield Claim(section, "text to the first gradient in C, once imported", 0.4, True, seconds("next"), "s")
    yield Claim(section, "the same, kernel from the cache", 0.03, True, seconds("next_cached"), "s")
    own = results.time("building", "symdiff", "import", "symdiff")
    imported = quotient(own, results.time("building", "numpy", "import", "import numpy"))
    yield Claim(section, "import symdiff / import numpy", 1.2, True, {"": imported})
    brought = run.get("modules", {})
    unwanted = {
        "import symdiff": ("symdiff", ("sympy",)),
        "text to gradient": ("new", ("sympy",)),
        "import of a package": ("package", ("symdiff", "sympy")),
    }
    found = {
        text: float(len(set(brought[kind]) & set(modules))) if kind in brought else None
        for text, (kind, modules) in unwanted.items()
    }
    yield Claim(section, "imports of SymPy, and by a package of symdiff", 0, True, found)
    intact = {"": None if "denormals" not in run else float(run["denormals"])}
    yield Claim(section, "5e-324*1.0 != 0 after loading a kernel (1: yes)", 1, False, intact)


def _growth(results: Results) -> Iterator[Claim]:
    """From the cells of that run: seconds of one tool (`contestant`) on one length (`steps`) of a task."""
    run = results.runs.get("growth", {})
    times: dict[tuple[str, str, int], float] = {}
    for cell in run.get("cells", []):
        key = cell["task"], cell["contestant"], cell["steps"]
        if cell["seconds"] and not cell["failed"]:
            times[key] = median(cell["seconds"])
        elif cell["failed"].startswith(">"):
            times[key] = run["limit"]  # it was ended then: it takes at least as long
    own = [(steps, time) for (task, who, steps), time in times.items() if (task, who) == ("first", "symdiff")]
    slopes = {f"{m:,} to {n:,}": math.log(b / a) / math.log(n / m) for (m, a), (n, b) in pairwise(own)}
    yield Claim("Growth", "text to first gradient: slope between lengths", 1.2, True, slopes or {"": None})
    source = results.time("building", LONG, "source", "symdiff")
    seconds = {"": None if source is None else source / 1e9}
    yield Claim("Growth", "parse to C text at 1e3 operations", 0.1, True, seconds, "s")
    mine = times.get(("kernel", "symdiff", LENGTH))
    others = {
        who: quotient(time, mine)
        for (task, who, steps), time in times.items()
        if task == "kernel" and steps == LENGTH and who.startswith(("jax", "casadi"))
    }
    text = f"{LENGTH:,} operations to a compiled kernel: peer / symdiff"
    yield Claim("Growth", text, 1, False, others or {"": None})
