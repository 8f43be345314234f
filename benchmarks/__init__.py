"""symdiff's kernels beside other tools, in one interleaved run: `python -m benchmarks`.

formulas   the five formulas, as texts of the formula language, and where their points are drawn from
peers      one class per contestant
table      the measurements as a Markdown table of ratios and as JSON
__main__   the run: check every contestant against 50 digits, then time them in turn
"""
