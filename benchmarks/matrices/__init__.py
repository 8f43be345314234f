"""Formulas of matrices, value and gradient by all weights: `python -m benchmarks matrices`.

problems   the formulas, their sizes, their data, and the bare matrix products that value and gradient need
by_hand    their values and gradients written by hand in NumPy
peers      one class per contestant
run        the run: check all contestants against one another, then time them in turn
report     the table and the JSON
"""
