"""symdiff's kernels beside other tools, interleaved: `python -m benchmarks` and `python -m benchmarks matrices`.

__main__   one thread for everybody, then one of the two runs
scalars    the run on formulas of numbers: check every contestant against 50 digits, then time them in turn
formulas   its five formulas, as texts of the formula language, and where their points are drawn from
peers      its contestants, one class each
matrices/  the run on formulas of matrices: problems, contestants, report
timing     one sample after the other, all contestants in turn
table      measurements as Markdown tables of ratios and as JSON, with the facts of the machine
"""
