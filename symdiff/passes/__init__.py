"""Passes: each a pure Tape -> Tape that makes code better and never renumbers.

`for_values` runs before the reverse sweep is added, `for_code` after it; the derivation uses neither.
"""

from __future__ import annotations

from symdiff.collector import at_rest
from symdiff.passes.arithmetic import drop_copies, scalars_first
from symdiff.passes.cse import merge_repeated_steps, share_subexpressions
from symdiff.passes.dead import drop_unused
from symdiff.passes.fold import fold_constants
from symdiff.passes.products import order_products
from symdiff.passes.units import drop_units
from symdiff.passes.views import drop_broadcasts, inline_transposes
from symdiff.tape import Tape


@at_rest
def for_values(tape: Tape) -> Tape:
    """A tape of primal steps, each value computed once."""
    merged = merge_repeated_steps(fold_constants(tape))
    return drop_unused(order_products(drop_units(inline_transposes(merged))) if tape.is_array else merged)


@at_rest
def for_code(tape: Tape) -> Tape:
    """A complete tape, ready to be printed as code."""
    folded = fold_constants(tape)
    if tape.is_array:
        folded = drop_copies(scalars_first(fold_constants(drop_broadcasts(folded))))
    return drop_unused(share_subexpressions(folded))


__all__ = [
    "drop_broadcasts",
    "drop_copies",
    "drop_units",
    "drop_unused",
    "fold_constants",
    "for_code",
    "for_values",
    "inline_transposes",
    "merge_repeated_steps",
    "order_products",
    "scalars_first",
    "share_subexpressions",
]
