"""The documents of a program: its derivation in every form, and its graph.

What renders them is imported when the first one is asked for: it is most of symdiff, and a kernel needs none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from symdiff.errors import UnsupportedError, quoted
from symdiff.pipeline.base import DType, Steps
from symdiff.render.derivation_options import Headings, Level, Options, Style
from symdiff.render.shown import Page, Shown
from symdiff.trace import Trace, refuse_abstract

if TYPE_CHECKING:
    from symdiff.render.notebook import DerivationView
    from symdiff.render.pdf import Engine


class Documents(Steps, Shown):
    """The part of a program that is read."""

    def __str__(self) -> str:
        from symdiff.render.trace_text import tape_text

        return tape_text(self.tape.steps)

    def _page(self) -> Page:
        return self.show()._page()

    def show(self, at: Mapping[str, Any] | None = None, *, folded: bool = True, **options: Any) -> DerivationView:
        """The derivation as an object that notebooks show, with numbers where `at` is given: statement and gradient,
        with every step behind a heading that opens, or all of it where not `folded`. Options as for `latex`.

        Of more than 200 steps there is the number of steps alone. Raises what `latex` raises.
        """
        from symdiff.render.notebook import DerivationView, is_short, program_words

        latex = self.latex(at, **options) if is_short(self.primal) and is_short(self.tape) else None
        what = program_words(self.primal, self.wrt)
        return DerivationView(what, latex, lambda: self.text(at, **options), folded=folded)

    def source(self, language: str = "python", *, name: str = "formula", dtype: DType = "float64") -> str:
        """Generated text: `python` (NumPy module), `c` (C99) or `h` (its header)."""
        if language == "python":
            from symdiff.render.python import python_module

            return python_module(self._code_sheet(name, dtype))
        if language in ("c", "h"):
            from symdiff.render.c import c_module

            made = c_module(self._code_sheet(name, dtype))
            return made.source if language == "c" else made.header
        raise UnsupportedError(f"no language {quoted(language)}; there are python, c and h")

    def latex(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        fragment: bool = False,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
        headings: Headings = "section",
    ) -> str:
        """The derivation in LaTeX, a whole article or a fragment that needs amsmath alone; with numbers where `at` is
        given.

        style     full (everything), steps (a table of the steps), chain (products of partial derivatives along the
                  paths), matrix (index rules, then matrix notation; UnsupportedError for a formula of numbers)
        digits    significant digits of the numbers, 1 to 17
        level     `step`: a line per elementary step; `statement`: a line per statement of the formula
        headings  section, paragraph or none: what the sections are called in your document; none of them is numbered
                  by TeX

        Raises SymdiffError for options that there are not, and for an `at` that does not fit.
        """
        from symdiff.render import derivation

        trace, check = self._numbers(at)
        options = Options(style, digits, level, headings)
        return derivation.latex(self.sheet(name), trace, fragment=fragment, check=check, options=options)

    def markdown(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
    ) -> str:
        """The derivation in GitHub-flavoured Markdown; options as for `latex`."""
        from symdiff.render import derivation

        trace, check = self._numbers(at)
        return derivation.markdown(self.sheet(name), trace, check, options=Options(style, digits, level))

    def text(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
    ) -> str:
        """The derivation for a terminal of 80 columns; options as for `latex`, and UnsupportedError for the style
        `steps`.
        """
        from symdiff.render import derivation

        trace, check = self._numbers(at)
        return derivation.text(self.sheet(name), trace, check, options=Options(style, digits, level))

    def pdf(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
        engine: Engine = "auto",
    ) -> bytes:
        """The derivation as PDF. Options as for `latex`.

        engine  tex (pdflatex), typst (the Python package, extra `pdf`), or auto: TeX where it is found, else Typst

        Raises BuildError where there is no such engine, and says how to get one.
        """
        from symdiff.render.pdf import pdf

        return pdf(self.latex(at, name=name, style=style, digits=digits, level=level), engine)

    def html(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        fragment: bool = False,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
    ) -> str:
        """One page that needs nothing else and no network: derivation, graph, Python, C and the state of all adjoints,
        which the reader steps through. With `fragment` the derivation alone, as HTML for the inside of a page of your
        own. Options as for `latex`.

        Raises UnsupportedError for a page of more than 1,000 steps, and what `latex` raises.
        """
        from symdiff.render import derivation, html_body, html_page

        if not fragment:
            html_page.refuse_long(self.primal)
        trace, check = self._numbers(at)
        sheet, options = self.sheet(name), Options(style, digits, level)
        latex = derivation.latex(sheet, trace, fragment=True, check=check, options=options)
        if fragment:
            return html_body.body(latex)
        sources = {language: self._source_or_why(language, name) for language in ("python", "c")}
        return html_page.page(sheet, trace, latex=latex, sources=sources, options=options)

    def _source_or_why(self, language: str, name: str) -> str | UnsupportedError:
        """Generated code, or why there is none: a function is abstract."""
        try:
            refuse_abstract(self.tape)
            return self.source(language, name=name)
        except UnsupportedError as error:
            return error

    def graph(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        format: Literal["svg", "tikz", "dot", "pdf"] = "svg",  # the name that people expect
        scheme: bool = False,
        level: Level = "step",
        fragment: bool = False,
        name: str = "formula",
    ) -> str | bytes:
        """The computation graph, laid out from left to right; where `at` is given with the value above every edge and
        the adjoint that it sends back below it. The PDF is bytes, everything else text.

        format    svg, tikz (LaTeX), dot (graphviz lays it out), or pdf (through TeX with TikZ, else Typst)
        scheme    instead the layers of neurons of a network, where the formula is one
        level     `step`: a node per elementary step; `statement`: a node per statement of the formula
        fragment  TikZ for a document of your own, which loads tikz

        Raises UnsupportedError for a graph of more nodes than anybody can read, for the scheme of what is no layered
        network and for options that there are not, BuildError for a PDF without TeX and Typst, and what `trace` raises
        for an `at` that does not fit.
        """
        from symdiff.render.graph import drawing

        numbers = None if at is None else Trace(self.tape, self.data.scalar_point(at))
        return drawing(self.sheet(name), numbers, format, scheme=scheme, level=level, fragment=fragment)

    def _numbers(self, at: Mapping[str, Any] | None) -> tuple[Trace | None, dict[str, tuple[float, float]] | None]:
        from symdiff.verify.finite import finite_differences

        if at is None:
            return None, None
        numbers = Trace(self.tape, self.data.scalar_point(at))
        return numbers, finite_differences(numbers)


__all__ = ["Documents"]
