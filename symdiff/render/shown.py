"""Objects that notebooks show: each makes its page when it is asked for it.

    Page ::= html, latex            # the same mathematics, both out of the LaTeX of a derivation
    Shown                           # an object that makes its Page

Front ends prefer text/html to text/latex. Making a page must not fail: an error becomes a line of text, because a
notebook would show its traceback. What makes the pages is `symdiff.render.notebook`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symdiff.errors import SymdiffError


@dataclass(frozen=True)
class Page:
    """What a notebook shows: HTML, and LaTeX between dollar signs ("" where there is no mathematics to show)."""

    html: str
    latex: str


class Shown:
    """An object that notebooks show as a page; `str` of it stands beside as text."""

    def _page(self) -> Page:
        raise NotImplementedError

    def _repr_html_(self) -> str | None:
        return self._repr_mimebundle_().get("text/html")

    def _repr_latex_(self) -> str | None:
        return self._repr_mimebundle_().get("text/latex")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """By media type; text alone, with the reason, where the page cannot be made."""
        try:
            page, text = self._page(), self._plain()
        except Exception as error:
            return {"text/plain": f"{self!r}\n(no page: {_reason(error)})"}
        found = {"text/html": page.html, "text/latex": page.latex, "text/plain": text}
        return {kind: content for kind, content in found.items() if content}

    def _plain(self) -> str:
        return repr(self)


def _reason(error: Exception) -> str:
    """What went wrong, on one line."""
    shown = str(error).partition("\n")[0]
    if isinstance(error, SymdiffError):
        return shown
    return f"{type(error).__name__}{': ' if shown else ''}{shown}"


__all__ = ["Page", "Shown"]
