"""Words that C reserves: no package and no C variable may be called so."""

C_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while".split()
)

__all__ = ["C_KEYWORDS"]
