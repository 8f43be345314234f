"""The derivation of an array formula: LaTeX article or fragment, Markdown, plain text.

Statement with shapes, forward sweep, the rule of every kind of step in index and in matrix notation, local derivatives,
reverse sweep, gradient, the gradient as products of partial derivatives, small arrays element by element, and with a
trace every number and a finite-difference check. The prose stands in the templates.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from symdiff.ops.core import LOOSE
from symdiff.render.array_chains import ChainWriter
from symdiff.render.array_grids import GridWriter
from symdiff.render.array_model import ArrayModel, Check, CheckLine, Line
from symdiff.render.array_page import ArrayPage
from symdiff.render.array_table import ArrayTable
from symdiff.render.array_text import ArrayText
from symdiff.render.array_words import latex_definitions
from symdiff.render.context import Sheet
from symdiff.render.derivation_groups import groups_of, headed
from symdiff.render.derivation_model import CHECK_DIGITS, CHECK_NOISE
from symdiff.render.derivation_options import FULL, Options
from symdiff.render.derivation_sections import LatexHeadings, MarkdownHeadings, sections
from symdiff.render.derivation_table import Layout, Table, chunked, latex_table, markdown_table, tall
from symdiff.render.environment import render
from symdiff.render.figures import decimal
from symdiff.render.latex_names import typewriter
from symdiff.render.markdown_math import github_math
from symdiff.render.mathematics import bracketed, signed, ten
from symdiff.render.update_latex import UpdatePage
from symdiff.render.update_model import UpdateModel
from symdiff.tape import SEED
from symdiff.trace import Trace

_BOX = 8  # lines of one box
_INDICATOR = re.compile(r"\[[^\[\]]* (?:>|<|=|\\le|\\ge|\\ne) [^\[\]]*\]")


def array_latex(
    sheet: Sheet, trace: Trace | None, *, fragment: bool, check: Check | None, escape: Any, options: Options = FULL
) -> str:
    """The derivation in LaTeX; `escape` makes plain text safe."""
    model = ArrayModel(sheet, trace, check, options)
    page = ArrayPage(model)
    context = _context(model, page, escape, latex_table) | {
        "title": typewriter(sheet.name),
        "plain_title": sheet.name.replace("_", " "),
        "shortened": [(page.names[name], typewriter(name)) for name in page.long_names],
        "conventions": [(rf"\texttt{{{escape(op)}}}", escape(edges)) for op, edges in model.conventions],
        "symbols": [(_cell(symbol), shape, kind) for symbol, shape, kind in page.symbol_rows()],
        "fragment": fragment,
        "heading": LatexHeadings(options.headings),
    }
    context["update"] = _update(model, page, context, escape)
    body = render("latex", "array.tex.j2", **context)
    return body if fragment else render("latex", "derivation.tex.j2", body=body, **context)


def array_markdown(sheet: Sheet, trace: Trace | None, check: Check | None, options: Options = FULL) -> str:
    """The derivation in GitHub-flavoured Markdown."""
    model = ArrayModel(sheet, trace, check, options)
    page = ArrayPage(model, flat=True)

    def plain(prose: str) -> str:
        return prose.replace("*", r"\*").replace("|", r"\|")

    context = _context(model, page, plain, markdown_table) | {
        "title": sheet.name.replace("_", r"\_"),
        "shortened": [(page.names[name], f"`{name}`") for name in page.long_names],
        "conventions": [(f"`{op}`", plain(edges)) for op, edges in model.conventions],
        "heading": MarkdownHeadings(),
        "forward": _cells(page, model.forward),
        "reverse": _cells(page, [line for line in model.reverse if line.role != SEED]),
        "boxes": [_flat_lines(line) for line in page.boxes()],
        "collected": [_flat_lines(_unlapped(line)) for line in page.collected()],
        "chains": [{"rows": _flat_chain(item["rows"]), "note": item["note"]} for item in context_chains(page, model)],
    }
    context["update"] = _update(model, page, context, lambda prose: plain(prose).replace("_", r"\_"))
    return github_math(render("markdown", "array.md.j2", **context))


def array_text(sheet: Sheet, trace: Trace | None, check: Check | None, options: Options = FULL) -> str:
    """The derivation in plain text of at most 80 columns."""
    return render("text", "array.txt.j2", **ArrayText(ArrayModel(sheet, trace, check, options)).context())


def context_chains(page: ArrayPage, model: ArrayModel) -> list[dict[str, Any]]:
    """Products of partial derivatives, where there is a gradient."""
    return ChainWriter(page).chains() if model.active else []


def _context(
    model: ArrayModel,
    page: ArrayPage,
    escape: Any,
    tabled: Callable[[Callable[[Layout | None], Table]], dict[str, Any]],
) -> dict[str, Any]:
    shows = sections(model.options)
    lines = [line for line in model.reverse if line.role != SEED] if model.active and "reverse" in shows else []
    forward, reverse = _in_groups(model, page, model.forward, False), _in_groups(model, page, lines, True)
    rules = page.rules() if model.active and "rules" in shows else []
    locals_ = page.local_rows() if model.active and "locals" in shows else []
    collected = page.collected() if model.active else []
    boxes = page.boxes() if model.is_gradient and model.wanted else []
    chains = context_chains(page, model) if "chains" in shows else []
    statement = page.statement()
    table = ArrayTable(page) if "table" in shows else None
    content = " ".join(
        itertools.chain(
            *(part for _, blocks in forward for part in blocks),
            *(part for _, blocks in reverse for part in blocks),
            *statement,
            *(rule["rows"] for rule in rules),
            (row[2] for row in locals_),
            collected,
            boxes,
            *(cell for node in table.nodes() for cell in node.cells) if table else (),
            (row.replace(r"\delta_", "") for item in chains for row in item["rows"]),  # a delta that is defined there
        )
    )
    rows = [rf"({tag}) & {tall(body)} & ${shape}$ \\" for tag, _, body, shape in _once(locals_)]
    return {
        "numbers": model.trace is not None,
        "gradient_kind": model.is_gradient,
        "active": model.active,
        "steps": len(model.forward),
        "statement": statement,
        "output": page.output,
        "output_bar": page.names.get(model.bars.get(model.output, ""), page.output),
        "symbols": page.symbol_rows(),
        "dims": [page.names[name] for name in model.tape.dims],
        "functions": _functions(model, page),
        "has_vectors": any(len(given.shape) == 1 for given in model.tape.inputs),
        "has_stacks": any(len(step.shape) > 2 for step in model.tape.steps),
        "has_indicators": _INDICATOR.search(content) is not None,
        "definitions": latex_definitions(content, page.marks.kronecker, "index" in model.ops),
        "has_logarithm": r"\log" in content,
        "forward": forward,
        "rules": [rule | {"title": _capital(escape(rule["title"])), "words": escape(rule["words"])} for rule in rules],
        "locals": _once(locals_),
        "local_chunks": chunked(rows) if rows else [],
        "local_rows": rows,
        "reverse": reverse,
        "has_slots": any(line.tag.endswith("a") for line in model.reverse),
        "has_fan_out": any(line.role == "sum" for line in model.reverse),
        "has_shared": any(line.role == "shared" for line in model.reverse),
        "collected": collected,
        "boxes": boxes,
        "box_chunks": [boxes[k : k + _BOX] for k in range(0, len(boxes), _BOX)],
        "chains": chains,
        "elements": GridWriter(page).elements() if "elements" in shows else {},
        "shows": shows,
        "table": None if table is None else tabled(partial(ArrayTable, page)),
        "style": model.options.style,
        "by_statement": model.options.by_statement,
        "numbered": bool({"forward", "table"} & shows),
        "has_arrays": page.has_arrays,
        "digits": model.options.digits_said,
        "check_rows": [row for line in model.check for row in _check_rows(page, line)],
        "worst": _worst(model),
        "single": len(model.tape.wrt) == 1,
    }


def _in_groups(model: ArrayModel, page: ArrayPage, lines: list[Line], back: bool) -> list[tuple[str, list[list[str]]]]:
    """Alignments of a sweep, under headings where it is long."""
    groups = groups_of(model.primal, model.named)
    return headed(groups, lines, lambda line: line.tag, lambda name: f"${page.names[name]}$", page.block, back)


def _update(
    model: ArrayModel, page: ArrayPage, context: Mapping[str, Any], escape: Callable[[str], str]
) -> dict[str, Any] | None:
    """The section on the update rule."""
    sheet = model.sheet
    if sheet.update is None:
        return None
    printer = replace(page.printer, names=page.adjoint_names())

    def put_in(name: str) -> tuple[str, int] | None:
        terms = model.collected.get(name)
        if not terms:
            return None
        return printer.piece(terms[0]) if len(terms) == 1 else (" ".join(page.joined(printer, terms, 1e9)), LOOSE)

    update = UpdateModel(sheet, sheet.update, model.trace, model.options.digits)
    written = UpdatePage(update, page.symbols, page.names, page.printer.instead, put_in, page.flat)
    return written.context(escape)


def _cell(symbol: str) -> str:
    """A symbol in a table: with air where its value is a matrix."""
    return tall(symbol) if r"\begin" in symbol else f"${symbol}$"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _once(rows: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Without a second row of the same contents, which a step with the same operand twice would give."""
    return list(dict.fromkeys(rows))


def _functions(model: ArrayModel, page: ArrayPage) -> list[tuple[str, bool, str]]:
    """Abstract functions: name, whether elementwise, shape of the result."""
    return [
        (
            page.names[name],
            function.shape is None,
            f"an array of shape ${page.shape(function.shape)}$" if function.shape else "a number",
        )
        for name, function in model.sheet.formula.functions.items()
    ]


def _cells(page: ArrayPage, lines: Any) -> list[tuple[str, str, str, str]]:
    """Tag, equation, shape and numbers of a line, for a Markdown table."""
    found = []
    for line in lines:
        sign = r"\leftarrow" if line.sign == "<-" else "="
        body = f"{page.names[line.left]} {sign} {' '.join(page.right(line, 1e9))}"
        shape = page.shape(page.model.shapes.get(line.left, ()))
        number = "" if line.value is None else page.flat_value(line.value)
        found.append((f"({line.tag})" if line.tag else "", body, shape, number))
    return found


def _flat_lines(line: str) -> str:
    """An aligned equation on one line."""
    text = line.replace(r" \\*" + "\n", " ").replace(r" \\" + "\n", " ")
    return " ".join(text.replace("&&", r"\qquad").replace(r"& \qquad {}", "").replace("&", "").split())


def _unlapped(line: str) -> str:
    return re.sub(r"\\rlap\{\$\\displaystyle (.*)\$\}", r"\1", line)


def _flat_chain(rows: list[str]) -> list[str]:
    return [
        " ".join(row.replace(r"& \qquad \quad {}", "").replace(r"& \quad {}", "").replace("&", "").split())
        for row in _joined(rows)
    ]


def _joined(rows: list[str]) -> list[str]:
    """Rows that go on put behind the row that they belong to."""
    found: list[str] = []
    for row in rows:
        if row.startswith("&") and found:
            found[-1] += " " + row
        else:
            found.append(row)
    return found


def _check_rows(page: ArrayPage, line: CheckLine) -> list[tuple[str, str, str, str]]:
    """Rows of one variable: some components, and the largest relative difference."""
    rows: list[tuple[str, str, str, str]] = []
    for k, (place, reverse, difference) in enumerate(line.samples):
        name = page.names[line.name]
        index = ",".join(str(p + 1) for p in place)
        shown = f"{bracketed(name) if '_' in name else name}_{{{index}}}" if place else name
        a, b = (
            signed(*decimal(value, False, min(CHECK_DIGITS, page.model.options.digits)))[0]
            for value in (reverse, difference)
        )
        rows.append((shown, a, b, _small(line.relative) if k == len(line.samples) - 1 else ""))
    return rows


def _small(relative: float) -> str:
    if relative < CHECK_NOISE or relative != relative:
        return r"\mathrm{NaN}" if relative != relative else "< 10^{-6}"
    mantissa, power = f"{relative:.1e}".split("e")
    return ten(mantissa, int(power))


def _worst(model: ArrayModel) -> str:
    errors = [line.relative for line in model.check]
    if not errors or any(error != error for error in errors):
        return ""
    return f"${_small(max(errors))}$".replace("$< ", "below $")


__all__ = ["array_latex", "array_markdown", "array_text"]
