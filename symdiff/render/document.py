r"""The LaTeX of our derivations as a tree, out of which HTML, Typst and notebooks are made, so that all say the same.

    Document ::= Block*
    Block    ::= Section | Paragraph | ItemList | Table | Display
    Inline   ::= Text | Bold | Emph | Code | Math

`read` understands what templates/latex/ writes and nothing else: a closed subset, not TeX. A command that it does not
know is an UnknownMarkError, so a template that learns a new one fails a test and not a reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from symdiff.render.document_model import (
    Block,
    Bold,
    Cell,
    Code,
    Display,
    Document,
    Emph,
    Inline,
    ItemList,
    Math,
    Paragraph,
    Row,
    Section,
    Table,
    Text,
)
from symdiff.render.math_tree import UnknownMarkError

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\n[ \t]*\n\s*|``|''|--|\s+|[^\\\s`'${}&~^_#%-]+|.", re.DOTALL)
_SILENT = {r"\begingroup", r"\endgroup", r"\allowdisplaybreaks", r"\sloppy", r"\noindent"}
_SETTINGS = (r"\setlength", r"\renewcommand")  # two arguments each, about spaces
_LEVELS = {r"\section*": 1, r"\subsection*": 1, r"\subsubsection*": 2}
_RULES = {r"\toprule", r"\midrule", r"\bottomrule", r"\hline", r"\endhead", r"\endfoot"}
_PIECES = {"``": "\u201c", "''": "\u201d", "'": "\u2019", "--": "\u2013", "~": "\u00a0", "\\\\": " ", r"\quad": " "}
_PIECES |= {rf"\{sign}": sign for sign in "_#%&${} "}
_PIECES |= {r"\textbackslash": "\\", r"\textasciitilde": "~", r"\textasciicircum": "^", r"\ldots": "…", r"\dots": "…"}
_DISPLAYS = {"align*": "align", "alignat*": "alignat", "aligned": "align"}
_ROW_END = re.compile(r"\\\\(\*)?(?:\[([0-9.]+)pt\])?")
_TAG = re.compile(r"\\tag\{([^{}]*)\}")
_SPILL = re.compile(r"(.*?)\\rlap\{\$\\displaystyle (.*)\$\}", re.DOTALL)
_BOXED = re.compile(r"\s*\\boxed\{\s*\\begin\{aligned\}(.*)\\end\{aligned\}\s*\}\s*", re.DOTALL)
_ASIDE = re.compile(r"^(?:%.*|\\csname @[a-z]+\\endcsname.*)(?:\n|$)", re.MULTILINE)  # comments, places of displays
_ARTICLE = re.compile(r"\\begin\{document\}(.*)\\end\{document\}", re.DOTALL)
_TITLE = re.compile(r"\\begin\{flushleft\}(.*?)\\end\{flushleft\}", re.DOTALL)


def read(latex: str) -> Document:
    """The tree of a fragment, or of an article with its title.

    Raises UnknownMarkError for anything that templates/latex/ does not write.
    """
    latex = _ASIDE.sub("", latex)
    article = _ARTICLE.search(latex)
    body = article[1] if article else latex
    head = _TITLE.search(body) if article else None
    lines: list[tuple[Inline, ...]] = []
    if head is not None:
        body = body[head.end() :]
        lines = [_Reader(line).title() for line in re.split(r"\\\\(?:\[[^]]*\])?", head[1])]
    title, subtitle = [*lines, (), ()][:2]
    return Document(tuple(_Reader(body).blocks()), title, subtitle)


class _Reader:
    """The tokens of a text and the place in them."""

    def __init__(self, latex: str) -> None:
        self.tokens: list[str] = _TOKEN.findall(latex)
        self.at = 0

    def unknown(self, what: str) -> UnknownMarkError:
        """The error for something new, with what stands around it."""
        near = "".join(self.tokens[max(self.at - 12, 0) : self.at + 12])
        return UnknownMarkError(f"{what!r} is not known to document.py; it stands in {near!r}")

    # -- blocks -------------------------------------------------------------------------------------------------------

    def blocks(self) -> Iterator[Block]:
        """Everything up to the end."""
        parts: list[Inline] = []
        heading: tuple[Inline, ...] = ()
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if not self.is_block(token):
                parts += self.inline(token)
                continue
            if _trimmed(parts):
                yield Paragraph(_trimmed(parts), heading)
                heading = ()
            parts = []
            self.at += 1
            if token == r"\paragraph*":
                heading = self.argument()
            elif token in _LEVELS:
                yield self.section(_LEVELS[token])
            elif token == r"\[":
                yield _plain(self.until(r"\]"))
            elif token == r"\begin":
                yield self.environment(self.raw())
            elif token in _SETTINGS:
                self.raw(), self.raw()
        if _trimmed(parts):
            yield Paragraph(_trimmed(parts), heading)

    def is_block(self, token: str) -> bool:
        """Whether a paragraph ends here."""
        if token in (r"\begin", r"\[", r"\paragraph*", *_SETTINGS) or token in _LEVELS or token in _SILENT:
            return True
        return token.isspace() and token.count("\n") > 1

    def section(self, level: int) -> Section:
        source = self.raw()
        number, mark, title = source.partition(r"\quad ")
        return Section(number if mark else "", _inline(title if mark else source), level)

    def environment(self, kind: str) -> Block:
        if kind == "center":
            block = self.centred()
        elif kind in _DISPLAYS:
            if kind == "alignat*":
                self.raw()
            return Display(_DISPLAYS[kind], _rows(self.inside(kind)))
        elif kind == "itemize":
            block = self.items()
        elif kind in ("longtable", "tabular"):
            block = self.table(kind)
        else:
            raise self.unknown(f"the environment {kind}")
        return block

    def centred(self) -> Block:
        inside = _Reader(self.inside("center"))
        found = list(inside.blocks())
        if len(found) != 1 or not isinstance(found[0], Table):
            raise self.unknown("what is centred and not one table")
        return found[0]

    def items(self) -> ItemList:
        _, *items = self.inside("itemize").split(r"\item ")
        return ItemList(tuple(_inline(item) for item in items))

    def table(self, kind: str) -> Table:
        if kind == "longtable" and self.next() == "[c]":
            pass
        columns = self.raw().replace("@{}", "")
        if set(columns) - set("lcr"):
            raise self.unknown(f"the columns {columns}")
        header: tuple[tuple[Inline, ...], ...] = ()
        rows: list[tuple[tuple[Inline, ...], ...]] = []
        joined: list[bool] = []
        follows = False
        for source, end in _split_rows(self.inside(kind)):
            for rule in _RULES:
                source = source.replace(rule, "")
            if not source.strip():
                continue
            cells = tuple(_inline(cell) for cell in _split_cells(source))
            if not header:
                header = cells
                continue
            rows.append(cells)
            joined.append(follows)
            follows = end is not None and end[1] is not None
        return Table(tuple(columns), header, tuple(rows), tuple(joined), kind == "longtable")

    # -- words --------------------------------------------------------------------------------------------------------

    def inline(self, token: str) -> list[Inline]:
        """What one token of a paragraph begins."""
        self.at += 1
        if token == "$":
            return [_math(self.until("$"))]
        if token in (r"\textbf", r"\emph"):
            return [(Bold if token == r"\textbf" else Emph)(self.argument())]
        if token == r"\texttt":
            return [Code("".join(_letters(part) for part in _Reader(self.raw()).words()))]
        if token == r"\raisebox":  # a line of its own height in a table
            source = self.raise_box()
            return list(_inline(source))
        if token == r"\allowbreak":
            return [Text("\u200b")]
        if token == "{" and self.tokens[self.at : self.at + 1] == ["}"]:
            self.at += 1
            return []
        if token in _PIECES:
            return [Text(_PIECES[token])]
        if token.startswith("\\") or token in "{}&^_#%":
            raise self.unknown(token)
        return [Text(" " if token.isspace() else token)]

    def words(self) -> list[Inline]:
        """All tokens as inline parts."""
        found: list[Inline] = []
        while self.at < len(self.tokens):
            found += self.inline(self.tokens[self.at])
        return found

    def title(self) -> tuple[Inline, ...]:
        r"""`{\LARGE words}`."""
        source = "".join(self.tokens).strip()
        match = re.fullmatch(r"\{\\(?:LARGE|large) (.*)\}", source, re.DOTALL)
        if match is None:
            raise self.unknown("a title without a size")
        return _inline(match[1])

    def argument(self) -> tuple[Inline, ...]:
        return _inline(self.raw())

    # -- places in the source -----------------------------------------------------------------------------------------

    def next(self) -> str:
        if self.at >= len(self.tokens):
            raise self.unknown("the end of the text")
        self.at += 1
        return self.tokens[self.at - 1]

    def raw(self) -> str:
        """The source between braces."""
        if self.next() != "{":
            raise self.unknown("a missing brace")
        start, depth = self.at, 1
        while depth:
            token = self.next()
            depth += (token == "{") - (token == "}")
        return "".join(self.tokens[start : self.at - 1])

    def until(self, end: str) -> str:
        start = self.at
        while self.next() != end:
            pass
        return "".join(self.tokens[start : self.at - 1])

    def inside(self, kind: str) -> str:
        r"""The source up to the \end of an environment that is open."""
        start = self.at
        while True:
            place = self.at
            if self.next() == r"\end" and self.tokens[self.at : self.at + 1] == ["{"] and self.raw() == kind:
                return "".join(self.tokens[start:place])

    def raise_box(self) -> str:
        """The last argument, past the height that it is given."""
        self.raw()
        while "".join(self.tokens[self.at : self.at + 1]).startswith("["):
            while not self.next().endswith("]"):
                pass
        return self.raw()


def _inline(source: str) -> tuple[Inline, ...]:
    return _trimmed(_Reader(source).words())


def _trimmed(parts: list[Inline]) -> tuple[Inline, ...]:
    """Neighbouring words in one part, one blank for several, none at the ends."""
    found: list[Inline] = []
    for part in parts:
        if isinstance(part, Text) and found and isinstance(found[-1], Text):
            part = Text(found.pop().text + part.text)  # type: ignore[union-attr]
        found.append(part)
    found = [Text(re.sub(" +", " ", part.text)) if isinstance(part, Text) else part for part in found]
    if found and isinstance(found[0], Text):
        found[0] = Text(found[0].text.lstrip(" "))
    if found and isinstance(found[-1], Text):
        found[-1] = Text(found[-1].text.rstrip(" "))
    return tuple(part for part in found if part != Text(""))


def _letters(part: Inline) -> str:
    if not isinstance(part, Text):
        raise UnknownMarkError(f"{part} stands in typewriter letters")
    return part.text


def _math(source: str) -> Math:
    shown = source.strip()
    large = shown.startswith(r"\displaystyle")
    return Math(shown.removeprefix(r"\displaystyle").strip(), large)


# -- displays ---------------------------------------------------------------------------------------------------------


def _plain(source: str) -> Display:
    boxed = _BOXED.fullmatch(source)
    if boxed is not None:
        return Display("align", _rows(boxed[1]), boxed=True)
    return Display("plain", (Row((Cell(source.strip()),)),))


def _rows(source: str) -> tuple[Row, ...]:
    return tuple(_row(line, end) for line, end in _split_rows(source) if line.strip())


def _row(source: str, end: re.Match[str] | None) -> Row:
    tag = _TAG.search(source)
    cells = tuple(_cell(cell) for cell in _split_cells(_TAG.sub("", source).replace(r"\notag", "")))
    gap = float(end[2]) if end is not None and end[2] else 0.0
    return Row(cells, tag[1].replace("$", "") if tag else None, gap, joined=end is not None and end[1] is not None)


def _cell(source: str) -> Cell:
    spill = _SPILL.fullmatch(source.strip())
    if spill is not None:
        return Cell(f"{spill[1].strip()} {spill[2].strip()}".strip(), spills=True)
    return Cell(source.strip())


_LEVEL = re.compile(r"\\begin\{|\\end\{|\\\\(?:\*)?(?:\[[0-9.]+pt\])?|\\.|[{}&]", re.DOTALL)


def _outside(source: str) -> Iterator[re.Match[str]]:
    """The ends of rows and cells that do not belong to something inside."""
    depth = 0
    for match in _LEVEL.finditer(source):
        token = match[0]
        if token in (r"\begin{", r"\end{"):
            depth += 1 if token == r"\begin{" else -1
            depth += 1  # the brace of its name
        elif token in "{}":
            depth += 1 if token == "{" else -1
        elif depth == 0 and (token == "&" or token.startswith("\\\\")):
            yield match


def _split_rows(source: str) -> list[tuple[str, re.Match[str] | None]]:
    found: list[tuple[str, re.Match[str] | None]] = []
    start = 0
    for match in _outside(source):
        if match[0] != "&":
            found.append((source[start : match.start()], _ROW_END.fullmatch(match[0])))
            start = match.end()
    return [*found, (source[start:], None)]


def _split_cells(source: str) -> list[str]:
    places = [match.start() for match in _outside(source) if match[0] == "&"]
    starts, ends = [0, *(place + 1 for place in places)], [*places, len(source)]
    return [source[a:b] for a, b in zip(starts, ends, strict=True)]


__all__ = [
    "Block",
    "Bold",
    "Cell",
    "Code",
    "Display",
    "Document",
    "Emph",
    "Inline",
    "ItemList",
    "Math",
    "Paragraph",
    "Row",
    "Section",
    "Table",
    "Text",
    "read",
]
