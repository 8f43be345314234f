"""What the page may cost."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.pipeline import Limits

# A formula that a person types, and not one that a program writes: what is refused here, the command line may take.
FORMULA = Limits(length=20_000, depth=100, steps=500, name=60, power=10_000)


@dataclass(frozen=True, slots=True)
class Bounds:
    """body      bytes of a request
    patience  seconds in which a request must have arrived
    seconds   for one question; a worker that needs longer is killed
    memory    bytes of address space of a worker, everything included
    workers   that are busy at once; one more waits, warm
    waiting   questions that may be under way at once
    answer    bytes of an answer
    numbers   elements, of all arrays of a trace together, that are sent
    documents pages with a derivation that are kept for the browser to fetch
    questions that a worker answers before a new one takes its place
    start     seconds in which a worker must be ready
    """

    body: int = 64 * 1024
    patience: float = 10.0
    seconds: float = 10.0
    memory: int = 1 << 30
    workers: int = 2
    waiting: int = 16
    answer: int = 32 << 20
    numbers: int = 20_000
    documents: int = 16
    questions: int = 500
    start: float = 60.0


__all__ = ["FORMULA", "Bounds"]
