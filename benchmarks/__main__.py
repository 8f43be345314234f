"""`python -m benchmarks [SUITE] [options]`: numbers, or one of `SUITES`; `all` of them, and the verdict."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

# Suite: its module. What stands without a name is the run on formulas of numbers.
SUITES = {
    "": "scalars",
    "matrices": "matrices.run",
    "building": "building",
    "growth": "growth",
    "transformer": "transformer",
    "verdict": "verdict",
    "figure": "figure",
    "all": "everything",
}


def one_thread() -> None:
    """Holds this process to one processor and tells the libraries, before any of them is imported."""
    pools = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA")
    os.environ |= dict.fromkeys((f"{pool}_NUM_THREADS" for pool in pools), "1")
    os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if a contestant's results are wrong or something got slower, 2 for bad use."""
    suite = arguments[0] if arguments and arguments[0] in SUITES else ""
    if suite != "all":  # which only starts the others
        one_thread()
    # Imported here: NumPy's BLAS starts its threads when it is loaded, as many as it is told then.
    code: int = import_module(f"benchmarks.{SUITES[suite]}").main(arguments[1:] if suite else arguments)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
