"""Generated code -> lines that know their steps: every line that carries out step (3) says so in its comment.

Of a file that holds the value alone as well, the function of the gradient is shown; what stands around it (header,
helpers, functions for many points) can be opened.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_COMMENT = re.compile(r"(?:#|/\*) (?=\()")
_PLACES = re.compile(r"(?:^|; )\(([0-9]+(?:'[a-z]*)?)\)")
_MARKS = {
    "python": {"gradient": r"def gradient\(", "value": r"def value\("},
    "c": {"gradient": r"/\* ---- gradient ---- \*/", "value": r"/\* ---- value ---- \*/"},
}
_ENDS = {"python": re.compile(r"(def|class) "), "c": re.compile(r"/\* ---- ")}


@dataclass(frozen=True)
class Line:
    """One line: the code, its comment, and the labels of the steps that it carries out."""

    code: str
    comment: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """Neighbouring lines; `summary` names those that a reader may leave closed, and is empty for the others."""

    lines: tuple[Line, ...]
    summary: str = ""


@dataclass(frozen=True)
class Listing:
    """A file in parts, or why there is none."""

    language: str
    parts: tuple[Part, ...] = ()
    problem: str = ""

    @property
    def steps(self) -> Collection[str]:
        """Labels of the steps that have a line."""
        return {label for part in self.parts for line in part.lines for label in line.steps}


def listing(language: str, source: str, kind: str, labels: Collection[str]) -> Listing:
    """The file `source` (python or c), in which steps with one of `labels` are looked for in the function `kind`."""
    lines = source.rstrip("\n").split("\n")
    start, end = _section(lines, language, kind)
    made = [_line(text, labels if start <= k < end else ()) for k, text in enumerate(lines)]
    tagged = [k for k, line in enumerate(made) if line.steps]
    if not tagged:
        return Listing(language, (Part(tuple(made)),))
    first, last = _function(lines, language, tagged[0], tagged[-1])
    parts = [
        Part(tuple(made[:first]), _summary(1, first, "header and helpers")),
        Part(tuple(made[first : last + 1])),
        Part(tuple(made[last + 1 :]), _summary(last + 2, len(made), "more functions")),
    ]
    return Listing(language, tuple(part for part in parts if part.lines))


def _section(lines: Sequence[str], language: str, kind: str) -> tuple[int, int]:
    """Where the function of the sweep is looked for; the whole file where it has no such mark."""
    mark = re.compile(_MARKS[language][kind])
    start = next((k for k, line in enumerate(lines) if mark.match(line)), None)
    if start is None:
        return 0, len(lines)
    end = next((k for k in range(start + 1, len(lines)) if _ENDS[language].match(lines[k])), len(lines))
    return start, end


def _function(lines: Sequence[str], language: str, first: int, last: int) -> tuple[int, int]:
    """The lines of the functions around some lines."""
    while first > 0 and (lines[first - 1] or lines[first][:1] in (" ", "\t", "{", "")):
        first -= 1
    if language == "python":
        while last + 1 < len(lines) and lines[last + 1][:1] in (" ", ""):
            last += 1
    else:
        while last + 1 < len(lines) and not lines[last].startswith("}"):
            last += 1
    while last > first and not lines[last]:
        last -= 1
    return first, last


def _line(text: str, labels: Collection[str]) -> Line:
    found = _COMMENT.search(text) if labels else None
    if found is None:
        return Line(text)
    inside = text[found.end() :]
    steps = tuple(label for label in _PLACES.findall(inside) if label in labels)
    return Line(text[: found.start()], text[found.start() :], steps) if steps else Line(text)


def _summary(first: int, last: int, what: str) -> str:
    return f"Lines {first} to {last}: {what}" if last > first else f"Line {first}: {what}"


__all__ = ["Line", "Listing", "Part", "listing"]
