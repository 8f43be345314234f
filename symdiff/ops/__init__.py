"""The op table: every elementary operation, once.

`TABLE[name]` is the entry; `PUBLIC` are the names that a formula may call. To add an op, write one entry in the family
file where it belongs; nothing else needs to change.
"""

from __future__ import annotations

from symdiff.ops import activation, arithmetic, choice, exponential, special, trigonometric
from symdiff.ops.choice import COMPARISONS
from symdiff.ops.core import Op, Spelling

FAMILIES = (arithmetic, trigonometric, exponential, special, activation, choice)
TABLE: dict[str, Op] = {op.name: op for family in FAMILIES for op in family.OPS}
PUBLIC: dict[str, str] = {name: name for name, op in TABLE.items() if op.public} | {"max": "maximum", "min": "minimum"}
COMPARE_OPS = frozenset(COMPARISONS.values())

__all__ = ["COMPARE_OPS", "COMPARISONS", "PUBLIC", "TABLE", "Op", "Spelling"]
