"""Which sections a derivation has in each style, and their headings, which are counted as they are written."""

from __future__ import annotations

from symdiff.render.derivation_options import Options
from symdiff.render.text_notation import filled

_FULL = ("forward", "rules", "locals", "reverse", "collected", "boxes", "chains", "elements", "closed", "check")
_BY_STATEMENT = ("forward", "reverse", "boxes", "chains", "closed", "check")
_STYLES = {
    "steps": ("table", "boxes"),
    "chain": ("forward", "chains", "boxes"),
    "matrix": ("forward", "rules", "collected", "boxes"),
}


def sections(options: Options) -> frozenset[str]:
    """Names of the sections between the statement and the update rule, which are always there."""
    if options.style == "full":
        return frozenset(_BY_STATEMENT if options.by_statement else _FULL)
    more = ("reverse",) if options.style == "chain" and options.by_statement else ()  # to which factors refer
    return frozenset((*_STYLES[options.style], *more))


class LatexHeadings:
    r"""`\subsection*{2\quad Forward sweep}`, without a number of TeX's own, so that nothing is counted twice."""

    def __init__(self, kind: str) -> None:
        self.kind, self.number = kind, 0

    def __call__(self, title: str) -> str:
        """The next section."""
        self.number += 1
        if self.kind == "section":
            return rf"\subsection*{{{self.number}\quad {title}}}"
        return rf"\paragraph*{{{title}.}}" if self.kind == "paragraph" else ""

    def minor(self, title: str) -> str:
        """A heading inside a section."""
        return "" if self.kind == "none" else rf"\paragraph*{{{title}.}}"


class MarkdownHeadings:
    """`## 2. Forward sweep`."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, title: str) -> str:
        """The next section."""
        self.number += 1
        return f"## {self.number}. {title}"

    def minor(self, title: str) -> str:
        """A heading inside a section."""
        return f"**{title}.**"


class TextHeadings:
    """`2. Forward sweep`."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, title: str) -> str:
        """The next section."""
        self.number += 1
        return "\n".join(filled(f"{self.number}. {title}", 3, 0))

    def minor(self, title: str) -> str:
        """A heading inside a section."""
        return "\n".join(filled(f"{title}:", 4, 2))


__all__ = ["LatexHeadings", "MarkdownHeadings", "TextHeadings", "sections"]
