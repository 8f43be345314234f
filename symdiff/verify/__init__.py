"""Checks of what was generated, by other ways of working it out: `verify` tests kernels and returns a `Report`.

reference   the forward sweep in 110 digits: no rule of the op table is used
points      points where value and gradient are finite
checks      the five tests at one point
judge       how far two numbers may be apart
report      the table
finite_steps  differences of a kernel, with the error they can have
finite      finite differences beside a derivation

array_reference, array_points, array_lines, array_checks, array_judge, array_run: the same for formulas of arrays
"""

from __future__ import annotations

from symdiff.verify.report import Report, Row
from symdiff.verify.run import verify

__all__ = ["Report", "Row", "verify"]
