"""Question -> what the page shows, as plain dictionaries. Runs in a worker.

error    {message, line, column, length}: what is wrong with the formula, and where (from 1; null without a place)
inputs   of the formula, with shapes; functions that nothing is known of
fields   name -> what is wrong with the value that was typed; missing: names that have none
parts    what is shown, by name (`_PARTS`), and why some of it could not be made: notes
numbers  the trace
"""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symdiff import pipeline
from symdiff.errors import SymdiffError
from symdiff.pipeline import Formula, Program
from symdiff.serve import values
from symdiff.serve.bounds import FORMULA, Bounds
from symdiff.serve.question import Question
from symdiff.shapes import shape_text

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9.]+|\*\*|==|[<>!]=|.")
_RAISE = re.compile(r"raise the limit `(\w+)`(?:, or )?")
_UNBOUND = re.compile(r"; bind it to one with a formula: .*")
_DATE = (1980, 1, 1, 0, 0, 0)  # of files in a ZIP file: the same formula gives the same bytes

_NOWHERE = {"line": None, "column": None, "length": None}

# What is shown -> how it is made of the program, the point (None without numbers), the name and the options of a
# derivation.
_Make = Callable[[Program, Mapping[str, Any] | None, str, dict[str, Any]], str]
_PARTS: dict[str, _Make] = {
    "html": lambda program, at, name, options: program.html(at, name=name, **options),
    "graph": lambda program, at, name, options: str(program.graph(at, name=name, level=options["level"])),
    "latex": lambda program, at, name, options: program.latex(at, name=name, **options),
    "fragment": lambda program, at, name, options: program.latex(at, name=name, fragment=True, **options),
    "markdown": lambda program, at, name, options: program.markdown(at, name=name, **options),
    "python": lambda program, _at, name, _options: program.source("python", name=name),
    "c": lambda program, _at, name, _options: program.source("c", name=name),
    "h": lambda program, _at, name, _options: program.source("h", name=name),
}


def answer(question: Question, bounds: Bounds) -> dict[str, Any]:
    """What the page shows for a question; what is wrong with the formula is part of the answer."""
    try:
        formula = pipeline.formula(question.text, limits=FORMULA)
        told = _told(formula)
    except SymdiffError as error:
        return {"error": _error(error, question.text)}
    try:
        program = _program(formula, question)
    except SymdiffError as error:
        return {**told, "error": _error(error, question.text)}
    if question.want == "values":
        return {**told, **_suggested(program)}
    at, asked = _point(formula, question.values)
    if question.want == "package":
        return _package(program, question.name, at)
    return {**told, **asked, **_shown(program, at, question, bounds)}


def _told(formula: Formula) -> dict[str, Any]:
    inputs = [
        {
            "name": name,
            "shape": shape_text(shape),
            "rank": len(shape),
            "constant": name in formula.constants,
            "default": values.text_of(formula.defaults[name]) if name in formula.defaults else None,
        }
        for name, shape in formula.inputs.items()
    ]
    return {"inputs": inputs, "functions": list(formula.data.functions)}


def _program(formula: Formula, question: Question) -> Program:
    """The program of the question; every way to name a file is closed."""
    pipeline.package_directory(question.name)
    bindings = {
        name: text.strip()
        for name, text in question.bindings.items()
        if text.strip() and name in formula.data.functions
    }
    for name, text in bindings.items():
        if text.startswith("@"):
            raise SymdiffError(f"binding of {name}: this page reads no files; write the function's name or its def")
    formula = formula.bind(**bindings)
    if question.wrt is None:
        return formula.gradient()
    return formula.gradient(question.wrt) if question.wrt else formula.value()


# -- numbers -----------------------------------------------------------------------------------------------------------


def _point(formula: Formula, typed: Mapping[str, str]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The point where every input has a value, else None; and what is wrong or missing."""
    at, fields, missing = {}, {}, []
    for name, shape in formula.inputs.items():
        text = typed.get(name, "").strip()
        if text:
            try:
                at[name] = values.value(text, len(shape))
            except SymdiffError as error:
                fields[name] = error.message
        elif name not in formula.defaults:
            missing.append(name)
    return (None if fields or missing else at), {"fields": fields, "missing": missing}


def _suggested(program: Program) -> dict[str, Any]:
    try:
        point = program.example_point()
    except SymdiffError as error:
        return {"notes": {"numbers": _words(error)}}
    given = {name: np.round(np.asarray(found, float), 2).tolist() for name, found in point.items()}
    return {"values": {name: values.text_of(found) for name, found in given.items()}}


def _trace(program: Program, at: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    view = program.trace(at)
    found = [*view.numbers.inputs, *view.numbers.nodes]
    count = sum(np.size(node.value) for node in found)
    if count > bounds.numbers:
        raise SymdiffError(f"the trace has {count} numbers; this page shows at most {bounds.numbers}")
    return view.json()


# -- what is shown -----------------------------------------------------------------------------------------------------


def _shown(program: Program, at: dict[str, Any] | None, asked: Question, bounds: Bounds) -> dict[str, Any]:
    notes: dict[str, str] = {}
    numbers = None
    if at is not None:
        try:
            numbers = _trace(program, at, bounds)
        except SymdiffError as error:  # arrays that do not fit together, a function that is not bound
            notes["numbers"], at = _words(error), None
    parts, options = {}, {"style": asked.style, "level": asked.level, "digits": asked.digits}
    for part, make in _PARTS.items():
        try:
            parts[part] = make(program, at, asked.name, options)
        except SymdiffError as error:
            notes[part] = _words(error)
    return {"parts": parts, "notes": notes, "numbers": numbers}


def _package(program: Program, name: str, at: dict[str, Any] | None) -> dict[str, Any]:
    try:
        files = program.files(name, at=at)
    except SymdiffError as error:
        return {"notes": {"package": _words(error)}}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(f"{name}/{path}", _DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text.encode("utf-8"))
    return {"package": base64.b64encode(made.getvalue()).decode("ascii")}


# -- errors ------------------------------------------------------------------------------------------------------------


def _words(error: SymdiffError) -> str:
    text = _RAISE.sub(r"the command line takes more with --limit \1=N; here, ", error.message).removeprefix("at: ")
    return _UNBOUND.sub("; say below the inputs what it is, such as tanh", text)


def _error(error: SymdiffError, text: str) -> dict[str, Any]:
    """Where it is in `text`, and how many characters are to be marked: the word that begins there."""
    line, column, lines = error.line, error.column, text.split("\n")
    if error.headline.startswith("'binding of "):
        return {"message": error.headline, **_NOWHERE}
    if line is None or column is None or line > len(lines):  # in the text of a binding, which follows the formula's
        return {"message": _words(error), **_NOWHERE}
    word = _TOKEN.match(lines[line - 1], column - 1)
    return {"message": _words(error), "line": line, "column": column, "length": len(word[0]) if word else 1}


__all__ = ["answer"]
