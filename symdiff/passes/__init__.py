"""Passes: each a pure Tape -> Tape that makes code better and never renumbers.

`for_values` runs before the reverse sweep is added, `for_code` after it; the derivation uses neither.
"""

from __future__ import annotations

from symdiff.passes.cse import merge_repeated_steps, share_subexpressions
from symdiff.passes.dead import drop_unused
from symdiff.passes.fold import fold_constants
from symdiff.tape import Tape


def for_values(tape: Tape) -> Tape:
    """A tape of primal steps, each value computed once."""
    return drop_unused(merge_repeated_steps(fold_constants(tape)))


def for_code(tape: Tape) -> Tape:
    """A complete tape, ready to be printed as code."""
    return drop_unused(share_subexpressions(fold_constants(tape)))


__all__ = ["drop_unused", "fold_constants", "for_code", "for_values", "merge_repeated_steps", "share_subexpressions"]
