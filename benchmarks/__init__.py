"""symdiff beside other tools, interleaved: `python -m benchmarks all` makes everything under `results/`.

__main__    one thread for everybody, then one of the runs
everything  all runs, each in a process of its own, then the figure and the verdict

scalars     the run on formulas of numbers: check every contestant against 50 digits, then time them in turn
formulas    its five formulas, as texts of the formula language, and where their points are drawn from
contestant  what a contestant is; peers, frameworks: one class each; by_hand: the formulas in NumPy by hand
matrices/   the run on formulas of matrices: problems, contestants, report
building    the run on imports and on the way from text to a gradient that can be called
growth      the run on long programs
transformer the run on a training step of a Transformer of scalars; autograds: its contestants

claims      what must be shown, and how the results tell; verdict: each with its bound, holds or not
against     a run beside an earlier one: what got slower
figure      the results as a picture
command     what the command lines share
timing      one sample after the other, all contestants in turn
table       measurements as Markdown tables of ratios and as JSON, with the facts of the machine
"""
