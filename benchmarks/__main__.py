"""`python -m benchmarks [SUITE] [options]`: numbers, or `matrices`, `transformer`, `growth` of programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def one_thread() -> None:
    """Holds this process to one processor and tells the libraries, before any of them is imported."""
    pools = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA")
    os.environ |= dict.fromkeys((f"{pool}_NUM_THREADS" for pool in pools), "1")
    os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if a contestant's results are wrong, 2 for bad use."""
    one_thread()
    # Imported here: NumPy's BLAS starts its threads when it is loaded, as many as it is told then.
    if arguments[:1] == ["matrices"]:
        from benchmarks.matrices import run

        return run.main(arguments[1:])
    if arguments[:1] == ["growth"]:
        from benchmarks import growth

        return growth.main(arguments[1:])
    if arguments[:1] == ["transformer"]:
        from benchmarks import transformer

        return transformer.main(arguments[1:])
    from benchmarks import scalars

    return scalars.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
