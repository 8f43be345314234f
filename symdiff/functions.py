"""Every op of the table as a function, over floats, symbols, Scalars and arrays of them.

>>> from symdiff.functions import exp, where
>>> where(exp(0.0) > 0.5, 2.0, 3.0)
2.0

On floats a function gives the number that generated NumPy code computes, bit for bit; about the exponent of `pow`, and
about NumPy's own functions on arrays of symbols, see `symdiff.programs.functions`, where they are made.
"""

from symdiff.programs.functions import *  # noqa: F403  # its __all__, which is ours
from symdiff.programs.functions import __all__ as __all__
