"""Sheet -> the derivation that a person hands in: LaTeX article or fragment, Markdown, plain text.

A formula with arrays has a derivation of its own (`array_derivation.py`). For one of scalars: statement, forward steps,
local derivatives with the names of their gates, reverse sweep, gradient, and with a trace every number and a
finite-difference check. All three texts are made from one `Derivation`; the prose stands in the templates.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from symdiff.errors import UnsupportedError
from symdiff.ops.core import ATOM, LOOSE
from symdiff.render.array_derivation import array_latex, array_markdown, array_text
from symdiff.render.array_model import is_array_sheet
from symdiff.render.closed_form import closed_forms
from symdiff.render.context import Sheet
from symdiff.render.derivation_groups import groups_of, headed
from symdiff.render.derivation_levels import user_names
from symdiff.render.derivation_model import CHECK_DIGITS, CHECK_NOISE, Derivation, Equation, Term
from symdiff.render.derivation_options import FULL, Options
from symdiff.render.derivation_sections import LatexHeadings, MarkdownHeadings, TextHeadings, sections
from symdiff.render.derivation_table import StepTable, chunked, latex_table, markdown_table, tall
from symdiff.render.derivation_words import definitions
from symdiff.render.environment import render
from symdiff.render.figures import Figure
from symdiff.render.latex_lines import TEXT_WIDTH, width
from symdiff.render.latex_names import typewriter
from symdiff.render.latex_notation import LatexNotation
from symdiff.render.markdown_math import github_math
from symdiff.render.text_notation import TextNotation
from symdiff.render.update_latex import UpdatePage
from symdiff.render.update_model import UpdateModel
from symdiff.render.update_text import update_text
from symdiff.trace import Trace

Check = Mapping[str, tuple[Any, Any]]
_BOX = 12  # lines of one box, which cannot be broken over pages
_GATE, _GATE_WIDTH = 20, 95.0  # characters of a gate on one line, and their width in pt
_ARGUMENTS = 150.0  # pt; a longer list of arguments is left out of f(...)


def latex(
    sheet: Sheet, trace: Trace | None, *, fragment: bool = False, check: Check | None = None, options: Options = FULL
) -> str:
    """The derivation in LaTeX: an article, or a fragment without preamble that needs amsmath alone.

    Raises UnsupportedError for the style `matrix` where there are no arrays.
    """
    if _is_of_arrays(sheet, options):
        return array_latex(sheet, trace, fragment=fragment, check=check, escape=escape_tex, options=options)
    derivation = Derivation(sheet, trace, check, options)
    notation = LatexNotation(derivation)
    context = _shared(derivation, notation) | _latex_tables(derivation, notation)
    context |= {
        "title": typewriter(sheet.name),
        "plain_title": sheet.name.replace("_", " "),
        "shortened": [(notation.names[name], typewriter(name)) for name in notation.long_names],
        "conventions": [(rf"\texttt{{{escape_tex(op)}}}", escape_tex(edges)) for op, edges in derivation.conventions],
        "statement": _statement(derivation, notation),
        "heading": LatexHeadings(options.headings),
        "table": _table(derivation, notation),
        "forward": _in_groups(derivation, notation, derivation.forward, False),
        "reverse": _in_groups(derivation, notation, derivation.reverse, True),
        "box_chunks": _boxes(derivation, notation),
        "closed": _closed(derivation, notation),
        "fragment": fragment,
        "update": _update(derivation, notation, escape_tex),
    }
    body = render("latex", "fragment.tex.j2", **context)
    return body if fragment else render("latex", "derivation.tex.j2", body=body, **context)


def markdown(sheet: Sheet, trace: Trace | None, check: Check | None = None, *, options: Options = FULL) -> str:
    """The derivation in GitHub-flavoured Markdown, with $...$ mathematics.

    Raises UnsupportedError for the style `matrix` where there are no arrays.
    """
    if _is_of_arrays(sheet, options):
        return array_markdown(sheet, trace, check, options)
    derivation = Derivation(sheet, trace, check, options)
    notation, cell = LatexNotation(derivation), LatexNotation(derivation, flat=True)
    lefts, bodies = _defined(derivation, notation)
    context = _shared(derivation, notation) | {
        "title": sheet.name.replace("_", r"\_"),
        "shortened": [(notation.names[name], f"`{name}`") for name in notation.long_names],
        "conventions": [(f"`{op}`", edges.replace("*", r"\*")) for op, edges in derivation.conventions],
        "statement": [f"{left} = {notation.right(e)}" for left, e in zip(lefts, bodies, strict=True)],
        "heading": MarkdownHeadings(),
        "table": markdown_table(partial(StepTable, derivation, cell)) if "table" in sections(options) else None,
        "forward": [_cells(cell, equation) for equation in derivation.forward],
        "reverse": [_cells(cell, equation) for equation in derivation.reverse],
        "gradient": [_gradient_line(notation, equation) for equation in derivation.gradient],
        "closed": [f"{left} = {right}" for left, right in _closed_pairs(derivation, notation)],
        "locals": [
            (
                row.tag,
                row.gate,
                f"{cell.partial(row.of, row.operand, True)} = {cell.local_text(row)}",
                _shown(cell, row.figure),
            )
            for row in derivation.local_rows
        ],
        "update": _update(derivation, notation, escape_markdown, flat=True),
    }
    return github_math(render("markdown", "derivation.md.j2", **context))


def text(sheet: Sheet, trace: Trace | None, check: Check | None = None, *, options: Options = FULL) -> str:
    """The derivation in plain text of at most 80 columns, which has every style but `steps`.

    Raises UnsupportedError for that one, and for the style `matrix` where there are no arrays.
    """
    if options.style == "steps":
        raise UnsupportedError(
            "the style 'steps' is a table that is too wide for plain text; take another format (md, tex, pdf, html), "
            "or the command `symdiff trace`, which shows values and adjoints step by step"
        )
    if _is_of_arrays(sheet, options):
        return array_text(sheet, trace, check, options)
    derivation = Derivation(sheet, trace, check, options)
    notation = TextNotation(derivation)
    update = sheet.update and update_text(UpdateModel(sheet, sheet.update, trace, options.digits), lambda name: None)
    context = notation.context() | _flags(derivation) | {"update": update, "heading": TextHeadings()}
    return render("text", "derivation.txt.j2", **context)


def _is_of_arrays(sheet: Sheet, options: Options) -> bool:
    """Whether the derivation is written as for arrays: products along paths are, of numbers as well."""
    if is_array_sheet(sheet):
        return True
    if options.style == "matrix":
        raise UnsupportedError(
            "the style 'matrix' is about arrays, and every value of this formula is a number; take the style 'chain' "
            "for products of partial derivatives, or 'steps' for a table"
        )
    return options.style == "chain"


def _in_groups(
    derivation: Derivation, notation: LatexNotation, equations: list[Equation], back: bool
) -> list[tuple[str, list[list[str]]]]:
    """Alignments of a sweep, under headings where it is long."""
    groups = groups_of(derivation.primal, user_names(derivation.sheet.formula, derivation.tape))
    return headed(
        groups, equations, lambda equation: equation.tag, lambda name: f"${notation.names[name]}$", notation.block, back
    )


def _table(derivation: Derivation, notation: LatexNotation) -> dict[str, Any] | None:
    """The table of the style `steps`."""
    return latex_table(partial(StepTable, derivation, notation)) if "table" in sections(derivation.options) else None


def _update(
    derivation: Derivation, notation: LatexNotation, escape: Callable[[str], str], flat: bool = False
) -> dict[str, Any] | None:
    """The section on the update rule."""
    sheet = derivation.sheet
    if sheet.update is None:
        return None
    model = UpdateModel(sheet, sheet.update, derivation.trace, derivation.options.digits)
    letters = set(notation.names.values())  # which need no brackets
    forms = closed_forms(sheet, notation.names)
    closed = {name: (text, ATOM if text in letters else LOOSE) for name, text in forms.items()}
    page = UpdatePage(model, notation.symbols, notation.names, notation.printer.instead, closed.get, flat)
    return page.context(escape)


# -- what the LaTeX and the Markdown text share ----------------------------------------------------------------------


def _flags(derivation: Derivation) -> dict[str, Any]:
    """Which sentences and sections there are."""
    reverse = derivation.reverse
    ops = derivation.ops
    return {
        "numbers": derivation.trace is not None,
        "digits": derivation.options.digits_said,
        "shows": sections(derivation.options),
        "style": derivation.options.style,
        "by_statement": derivation.options.by_statement,
        "numbered": bool({"forward", "table"} & sections(derivation.options)),
        "has_arrays": False,
        "gradient_kind": derivation.sheet.kind == "gradient",
        "active": bool(reverse),
        "steps": len(derivation.forward),
        "shows_formula": derivation.shows_formula,
        "has_sum": "add" in ops,
        "has_product": "mul" in ops,
        "has_slots": any(equation.tag.endswith("a") for equation in reverse),
        "has_masks": derivation.has_masks,
        "has_shared": any(equation.role == "shared" for equation in reverse),
        "has_fan_out": any(equation.role == "sum" for equation in reverse),
        "has_logarithm": "log" in ops,
        "single": len(derivation.tape.wrt) == 1,
    }


def _shared(derivation: Derivation, notation: LatexNotation) -> dict[str, Any]:
    sheet = derivation.sheet
    point: Mapping[str, Any] = sheet.formula.defaults if derivation.trace is None else derivation.trace.at

    def given(name: str) -> str:
        return notation.point(name, point[name]) if name in point else notation.names[name]

    output = notation.names[derivation.output]
    named = sheet.formula.statements[-1].name is None
    return _flags(derivation) | {
        "definitions": definitions(derivation, notation),
        "output": output,
        "output_bar": notation.names.get(derivation.bars.get(derivation.output, ""), output),
        "bare": named,
        "variables": [given(name) for name in derivation.wanted],
        "bare_variables": [(notation.names[name] if derivation.trace else given(name)) for name in derivation.wanted],
        "held": [given(name) for name in derivation.held],
        "check_rows": [
            _check_row(notation, row.name, row.reverse, row.difference, row.relative) for row in derivation.check
        ],
        "worst": _worst(derivation),
    }


def _valued(notation: LatexNotation, figure: Figure) -> str:
    return ("= " if figure.exact or figure.value != figure.value else r"\approx ") + notation.number(figure)


def _shown(notation: LatexNotation, figure: Figure | None) -> str:
    return "" if figure is None else _valued(notation, figure)


def _check_row(
    notation: LatexNotation, name: str, reverse: float, difference: float, relative: float
) -> tuple[str, ...]:
    return (
        notation.names[name],
        *(
            notation.number(Figure(value, False, min(CHECK_DIGITS, notation.derivation.options.digits)))
            for value in (reverse, difference)
        ),
        _small(relative),
    )


def _small(relative: float) -> str:
    """An error with the two digits it deserves, or a bound where it is noise."""
    if relative < CHECK_NOISE or relative != relative:
        return r"\mathrm{NaN}" if relative != relative else "< 10^{-6}"
    mantissa, power = f"{relative:.1e}".split("e")
    return rf"{mantissa} \times 10^{{{int(power)}}}"


def _worst(derivation: Derivation) -> str:
    """`below $10^{-6}$`."""
    errors = [row.relative for row in derivation.check]
    if not errors or any(error != error for error in errors):
        return ""
    return f"${_small(max(errors))}$".replace("$< ", "below $")


def _defined(derivation: Derivation, notation: LatexNotation) -> tuple[list[str], list[Equation]]:
    """Left sides and equations of the statement: helpers first, then the user's lines."""
    formula = derivation.sheet.formula
    lefts, equations = [], []
    if not derivation.shows_formula:
        return [], []
    for helper in formula.helpers.values():
        arguments = ", ".join(notation.names[name] for name in helper.parameters)
        lefts.append(f"{notation.names[helper.name]}({arguments})")
        equations.append(Equation("", derivation.output, (Term(helper.body),)))
    for statement in formula.statements:
        name = statement.name or derivation.output
        arguments = ", ".join(notation.names[name] for name in formula.inputs)
        short = len(formula.statements) == 1 and width(arguments) <= _ARGUMENTS
        lefts.append(notation.names[name] + (f"({arguments})" if short else ""))
        equations.append(Equation("", name, (Term(statement.expr),)))
    return lefts, equations


def _statement(derivation: Derivation, notation: LatexNotation) -> list[list[str]]:
    lefts, equations = _defined(derivation, notation)
    return notation.block(equations, lefts)


def _latex_tables(derivation: Derivation, notation: LatexNotation) -> dict[str, Any]:
    """Rows of the table of local derivatives; a long derivative takes several rows."""
    room = TEXT_WIDTH - 30 - _GATE_WIDTH - (85 if derivation.trace is not None else 0) - 45
    rows: list[str] = []
    before = ""
    for row in derivation.local_rows:
        left = notation.partial(row.of, row.operand, True)
        lines = notation.term_lines(row.term, room - width(left) - 15)
        if width(left) + width(lines[0]) + 15 > room:
            lines = notation.term_lines(row.term, room - 40)
            cells = [left, rf"\qquad = {lines[0]}", *(rf"\qquad {{}} {line}" for line in lines[1:])]
        else:
            cells = [rf"{left} = {lines[0]}", *(rf"\qquad {{}} {line}" for line in lines[1:])]
        gate = [] if row.tag == before else textwrap.wrap(row.gate, _GATE)
        tags = [] if row.tag == before else [f"({row.tag})"]
        numbers = [""] * (len(cells) - 1) + [_shown(notation, row.figure)]
        for tag, name, cell, number in itertools.zip_longest(tags, gate, cells, numbers, fillvalue=""):
            columns = [tag, name, tall(cell)] + (
                [f"${number}$" if number else ""] if derivation.trace is not None else []
            )
            if rows and not tag:
                rows[-1] += "*"  # no page ends inside a step
            rows.append(" & ".join(columns) + r" \\")
        before = row.tag
    return {"local_rows": rows, "local_chunks": chunked(rows) if rows else []}


def _cells(notation: LatexNotation, equation: Equation) -> tuple[str, str, str]:
    tag = f"({equation.tag})" if equation.tag else ""
    body = f"{notation.names[equation.left]} {notation.sign(equation)} {notation.right(equation)}"
    return tag, body, " ".join(notation.links(equation))


def _gradient_parts(notation: LatexNotation, equation: Equation) -> tuple[str, list[str], str]:
    """Derivative; the adjoint and what it consists of; number."""
    bar = notation.derivation.bars.get(equation.left)
    left = notation.partial(notation.derivation.output, equation.left)
    return left, [*([notation.names[bar]] if bar else []), notation.right(equation)], " ".join(notation.links(equation))


def _gradient_line(notation: LatexNotation, equation: Equation) -> str:
    left, middle, links = _gradient_parts(notation, equation)
    return " ".join([left, "=", " = ".join(middle), links]).rstrip()


def _boxes(derivation: Derivation, notation: LatexNotation) -> list[list[str]]:
    r"""Lines `\frac{\partial f}{\partial x} &= \bar{x} = ... && = number`; a long sum is left to the reverse sweep."""
    rows = [_gradient_parts(notation, equation) for equation in derivation.gradient]
    if not rows:
        return []
    taken = max(width(left) for left, _, _ in rows) + max(width(links) for _, _, links in rows)
    lines = []
    for left, middle, links in rows:
        text = " = ".join(middle)
        if len(middle) > 1 and width(text) > TEXT_WIDTH - 80 - taken:
            text = middle[0]
        lines.append(f"{left} &= {text}" + (f" &&{links}" if links else ""))
    return [lines[k : k + _BOX] for k in range(0, len(lines), _BOX)]


def _closed_pairs(derivation: Derivation, notation: LatexNotation) -> list[tuple[str, str]]:
    found = closed_forms(derivation.sheet, notation.names)
    return [(notation.partial(derivation.output, name), right) for name, right in found.items()]


def _closed(derivation: Derivation, notation: LatexNotation) -> list[str]:
    """Closed forms that fit on a line."""
    return [
        f"{left} &= {right}"
        for left, right in _closed_pairs(derivation, notation)
        if width(left + right) < TEXT_WIDTH - 50
    ]


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "$": r"\$",
}
_SPECIAL |= {"^": r"\^{}", "~": r"\~{}", "<": "$<$", ">": "$>$", "|": "$|$"}


def escape_markdown(prose: str) -> str:
    """Plain text as Markdown."""
    return re.sub(r"[\\*_|]", lambda match: "\\" + match.group(), prose)


def escape_tex(prose: str) -> str:
    """Plain text as LaTeX text."""
    return re.sub(r"[\\{}_&%#$^~<>|]", lambda match: _SPECIAL[match.group()], prose)


__all__ = ["escape_markdown", "escape_tex", "latex", "markdown", "text"]
