"""The op tables: every elementary operation, once.

`TABLE[name]` is the entry of an elementwise op, `ARRAYS[name]` that of an operation on whole arrays; `PUBLIC` are the
elementwise names that a formula may call. To add an op, write one entry in the family file where it belongs; nothing
else needs to change.
"""

from __future__ import annotations

from symdiff.ops import (
    abstract,
    activation,
    arithmetic,
    choice,
    contraction,
    exponential,
    linear_algebra,
    reduction,
    special,
    structure,
    trigonometric,
)
from symdiff.ops.array_core import ArrayOp
from symdiff.ops.choice import COMPARISONS
from symdiff.ops.core import Op, Spelling

FAMILIES = (arithmetic, trigonometric, exponential, special, activation, choice)
TABLE: dict[str, Op] = {op.name: op for family in FAMILIES for op in family.OPS}
PUBLIC: dict[str, str] = {name: name for name, op in TABLE.items() if op.public} | {"max": "maximum", "min": "minimum"}
ARRAY_FAMILIES = (contraction, reduction, structure, linear_algebra, abstract)
ARRAYS: dict[str, ArrayOp] = {op.name: op for family in ARRAY_FAMILIES for op in family.OPS}
COMPARE_OPS = frozenset(COMPARISONS.values())

# Elementwise ops where one rounding more or less can decide, by a comparison, a tie or a kink; atan2 jumps at its cut,
# and hypot has a kink at (0, 0). Ends of domains and poles do not count; a pole is all that `inverse` has.
DECIDING = frozenset(
    {op.name for op in choice.OPS} | {op.name for op in TABLE.values() if op.kinks} | {"atan2", "hypot"}
) - {"inverse"}

__all__ = ["ARRAYS", "COMPARE_OPS", "COMPARISONS", "DECIDING", "PUBLIC", "TABLE", "ArrayOp", "Op", "Spelling"]
