"""One self-contained page: formula, graph, derivation, code and the state of every adjoint, to step through.

Everything is in the text of the page, final values included, so it can be read without JavaScript and printed; the
script (templates/html/page.js) shows and hides what is there. The page asks nothing of any network, and its content
security policy forbids it to.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from symdiff.errors import UnsupportedError
from symdiff.render.context import Sheet
from symdiff.render.derivation_options import Options
from symdiff.render.environment import environment, template_root
from symdiff.render.graph_model import graph
from symdiff.render.graph_scene import scene
from symdiff.render.graph_svg import svg
from symdiff.render.html_body import SEED, body
from symdiff.render.html_code import Listing, listing
from symdiff.render.html_steps import START, Frame, Sweep
from symdiff.tape import Tape
from symdiff.trace import Trace

MOST_STEPS = 1_000
_BESIDE = 64  # letters in the longest line of a formula that leaves room for the inputs beside it
_TITLES = {"python": "Python", "c": "C"}
_INLINE = "This step has no line of its own here: the passes have worked it into other lines."
_SEEDED = "The adjoint of the value is 1, which needs no line."
_UNTOLD = "The derivation shows no line of its own for this step."
_PART = "This step is a part of a statement, which has one line for all of them."


def page(
    sheet: Sheet,
    trace: Trace | None,
    *,
    latex: str,
    sources: Mapping[str, str | UnsupportedError],
    options: Options,
) -> str:
    """The page of a program.

    latex    the derivation, of which HTML is made
    sources  by `python` and `c` the generated code, or why there is none
    options  of the derivation

    Raises UnsupportedError for more than 1,000 steps, which nobody steps through.
    """
    refuse_long(sheet.people)
    sweep = Sweep(sheet, trace, options.digits)
    labels = frozenset(frame.key for frame in sweep.frames) - {START, SEED}
    listings = [_listing(language, source, sheet.kind, labels) for language, source in sources.items()]
    derivation = body(latex)
    drawing, problem = _graph(sheet, trace)
    script = _asset("page.js")
    return environment("html").get_template("page.html.j2").render(
        title=sheet.name,
        gradient=sheet.kind == "gradient",
        formula="\n".join(sheet.formula_lines),
        beside=all(len(line) <= _BESIDE for line in sheet.formula_lines),
        numbers=trace is not None,
        adjoints=sweep.changes_adjoints,
        shapes=any(row.shape for row in sweep.rows.values()),
        inputs=[row for row in sweep.rows.values() if row.kind in ("input", "constant")],
        rows=list(sweep.rows.values()),
        last=len(sweep.frames) - 1,
        graph=drawing,
        graph_problem=problem,
        derivation=Markup(derivation),
        by_statement=options.by_statement,
        listings=[{"of": made, "title": _TITLES[made.language]} for made in listings],
        style=Markup(derivation_css() + _asset("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=_data(sweep, derivation, listings, _PART if options.by_statement else _UNTOLD),
    )  # fmt: skip


def refuse_long(tape: Tape) -> None:
    """Raise UnsupportedError for more than 1,000 forward steps."""
    steps = len(tape.primal)
    if steps > MOST_STEPS:
        raise UnsupportedError(
            f"a page to step through would have {steps:,} forward steps, and {MOST_STEPS:,} is where it stops being "
            "usable; the other formats (text, md, tex) take longer formulas"
        )


def derivation_css() -> str:
    """The style sheet of what `html_body.body` writes; it sets nothing outside of `.symdiff-derivation`."""
    return _asset("derivation.css")


def _asset(name: str) -> str:
    return (template_root() / "html" / name).read_text("utf-8")


def _graph(sheet: Sheet, trace: Trace | None) -> tuple[Markup, str]:
    """The drawing, or why there is none."""
    try:
        return Markup(svg(scene(graph(sheet, trace)))), ""
    except UnsupportedError as error:
        return Markup(""), error.headline


def _listing(language: str, source: str | UnsupportedError, kind: str, labels: frozenset[str]) -> Listing:
    if isinstance(source, UnsupportedError):
        return Listing(language, problem=source.headline)
    return listing(language, source, kind, labels)


# -- data for the script ----------------------------------------------------------------------------------------------


def _data(sweep: Sweep, derivation: str, listings: list[Listing], untold: str) -> Markup:
    """The frames as JSON that no text in it can end: `<`, `>` and `&` are written as escapes."""
    notes = {str(note.n): note.text for note in sweep.sheet.code.notes}
    shown = {made.language: made.steps for made in listings if not made.problem}
    frames = []
    for frame in sweep.frames:
        absent = {language: _why(frame, notes) for language, steps in shown.items() if not _has(frame, steps)}
        told = f'data-step="{Markup.escape(frame.key)}"' in derivation or f'data-local="{frame.step}"' in derivation
        if not told and frame.kind != START:
            absent["derivation"] = untold
        frames.append(frame.json(absent))
    text = json.dumps({"frames": frames}, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _has(frame: Frame, steps: Any) -> bool:
    return frame.kind == START or frame.key in steps


def _why(frame: Frame, notes: Mapping[str, str]) -> str:
    """Why a step has no line in the code."""
    if frame.key == SEED:
        return _SEEDED
    note = notes.get(frame.step)
    return _INLINE if note is None else f"The passes have left this step out of the code: {note}."


__all__ = ["MOST_STEPS", "derivation_css", "page", "refuse_long"]
