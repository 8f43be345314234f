r"""LaTeX mathematics as a tree: what our notations and SymPy's printer write, and nothing else.

`parse_math` knows a closed list of commands (math_signs.py). One that is not on it is an internal error: whoever lets a
notation write a new command adds it there, and the tests over all documents say where it is missing.
"""

from __future__ import annotations

import re

from symdiff.errors import UnsupportedError
from symdiff.render.math_nodes import (
    PRIME,
    Bar,
    Brace,
    Fenced,
    Figures,
    Fraction,
    Frame,
    Grid,
    Large,
    Letter,
    Name,
    Node,
    Root,
    Row,
    Scripts,
    Sign,
    Space,
    Spill,
    Words,
)
from symdiff.render.math_signs import FENCES, FUNCTIONS, GREEK, NEGATED, SIGNS, SIZES, SPACES

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|[0-9]+(?:\.[0-9]+)?|.", re.DOTALL)
_DEEPEST = 100  # groups inside of each other; TeX gives up at a few hundred, browsers at 512 elements
_GRIDS = frozenset("pmatrix bmatrix matrix smallmatrix cases aligned array substack align* alignat*".split())


class UnknownMarkError(LookupError):
    """A template or a notation writes what the reader of our LaTeX does not know; a mistake in symdiff."""


def parse_math(latex: str) -> Row:
    """The tree of a formula without its dollar signs.

    Raises UnknownMarkError for a command that no notation of ours writes, and UnsupportedError for brackets nested more
    deeply than a page can show.
    """
    reader = _Reader(latex)
    row = reader.row()
    if reader.at < len(reader.tokens):
        raise UnknownMarkError(f"{reader.tokens[reader.at]!r} closes nothing in {latex[:200]!r}")
    return row


class _Reader:
    """The tokens of one formula and the place in them."""

    def __init__(self, latex: str) -> None:
        self.tokens: list[str] = _TOKEN.findall(latex)
        self.latex = latex
        self.at = 0
        self.depth = 0

    # -- rows ---------------------------------------------------------------------------------------------------------

    def row(self, ends: frozenset[str] = frozenset()) -> Row:
        """Everything up to the end of the group, the cell, or the text; what ends it is left standing."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise UnsupportedError(f"mathematics nested more than {_DEEPEST} levels deep cannot be laid out")
        items: list[Node] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token in ends or token in ("}", r"\end", r"\right"):
                break
            self.at += 1
            if token == r"\displaystyle":
                items.append(Large(self.row(ends)))
                break
            node = self.atom(token)
            if node is not None:
                items.append(self.scripted(node))
        self.depth -= 1
        return Row(tuple(_merged(items)))

    def atom(self, token: str) -> Node | None:
        """What the token begins; None for what shows nothing."""
        if token.isspace():
            return Space(0.0, glue=True)
        if token[0].isdigit():
            return Figures(token)
        if token == "{":
            return self.braced()
        if token in "_^'":
            self.at -= 1
            return Row(())
        if token in SIGNS:
            return Sign(*SIGNS[token])
        if token in SPACES:
            return Space(SPACES[token])
        if len(token) == 1 and token.isascii() and token.isalpha():
            return Letter(token)
        if token in GREEK:
            return Letter(GREEK[token], "upright" if token[1].isupper() else "italic")
        if token in FUNCTIONS:
            return Name(FUNCTIONS[token], limits=token in (r"\max", r"\min", r"\det"))
        return self.command(token)

    def command(self, token: str) -> Node:
        """A command with arguments."""
        if token in SIZES:
            return self.sized(token)
        maker = _COMMANDS.get(token)
        if maker is None:
            raise self.unknown(token)
        found: Node = maker(self)
        return found

    def unknown(self, what: str) -> UnknownMarkError:
        """The error for something new, with the formula that has it."""
        return UnknownMarkError(f"{what!r} is not known to math_tree.py; it stands in {self.latex[:200]!r}")

    def scripted(self, base: Node) -> Node:
        """The base with its indices, exponents and primes."""
        sub: Node | None = None
        above: list[Node] = []
        while True:
            place = self.at
            while self.at < len(self.tokens) and self.tokens[self.at].isspace():
                self.at += 1
            token = self.tokens[self.at] if self.at < len(self.tokens) else ""
            if token == "'":
                self.at += 1
                above.append(PRIME)
            elif token == "^":
                self.at += 1
                above.append(self.argument())
            elif token == "_" and sub is None:
                self.at += 1
                sub = self.argument()
            else:
                self.at = place  # a blank in front of something else counts
                break
        if sub is None and not above:
            return base
        if isinstance(base, Brace):
            return Brace(base.body, sub)
        return Scripts(base, sub, _single(above) if above else None)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def next(self) -> str:
        """The next token that is not a blank."""
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        if self.at >= len(self.tokens):
            raise self.unknown("the end of the formula")
        self.at += 1
        return self.tokens[self.at - 1]

    def argument(self) -> Node:
        """A group, or the one token that is the argument."""
        token = self.next()
        if token == "{":
            return self.group()
        if token[0].isdigit() and len(token) > 1:  # TeX takes one digit
            self.tokens[self.at - 1 : self.at] = [token[0], token[1:]]
        node = self.atom(token[0] if token[0].isdigit() else token)
        return Row(()) if node is None else node

    def group(self) -> Node:
        """The inside of braces that are open already."""
        row = self.row()
        if self.next() != "}":
            raise self.unknown("an open brace")
        return _single(list(row.items))

    def braced(self) -> Node:
        """Braces in a row make one ordinary atom of what they hold."""
        inside = self.group()
        return Sign(inside.text, "ord", inside.size) if isinstance(inside, Sign) else inside

    def raw(self) -> str:
        r"""The text between braces, as it is written, with \_ and its like as the characters they are."""
        if self.next() != "{":
            raise self.unknown("a missing brace")
        found: list[str] = []
        while self.at < len(self.tokens) and self.tokens[self.at] != "}":
            token = self.tokens[self.at]
            if token.startswith("\\"):
                if token[1:] not in set("_#%&$ "):
                    raise self.unknown(f"{token} in a text")
                token = token[1:]
            found.append(token)
            self.at += 1
        self.at += 1
        return "".join(found)

    def fence(self) -> str:
        r"""A bracket behind \left, \right or \bigl."""
        token = self.next()
        if token not in FENCES:
            raise self.unknown(f"{token} as a bracket")
        return FENCES[token]

    def sized(self, token: str) -> Node:
        kind, size = SIZES[token]
        return Sign(self.fence(), kind, size)

    def fenced(self) -> Node:
        left = self.fence()
        body = self.row()
        if self.next() != r"\right":
            raise self.unknown(r"\left without \right")
        return Fenced(left, body, self.fence())

    def root(self) -> Node:
        degree: Node | None = None
        if self.at < len(self.tokens) and self.tokens[self.at] == "[":
            self.at += 1
            degree = self.row(frozenset("]"))
            self.at += 1
        return Root(self.argument(), degree)

    def negated(self) -> Node:
        token = self.next()
        if token not in NEGATED:
            raise self.unknown(rf"\not{token}")
        return Sign(NEGATED[token], "rel")

    def boxed_text(self) -> Node:
        r"""`\rlap{$\displaystyle x$}`."""
        if self.next() != "{" or self.next() != "$":
            raise self.unknown(r"\rlap without a formula")
        body = self.row(frozenset("$"))
        if self.next() != "$" or self.next() != "}":
            raise self.unknown(r"an open \rlap")
        return Spill(body)

    # -- grids --------------------------------------------------------------------------------------------------------

    def environment(self) -> Node:
        kind = self.raw()
        if kind not in _GRIDS:
            raise self.unknown(f"the environment {kind}")
        if kind in ("alignat*", "array"):
            self.raw()
        grid = self.rows(kind.rstrip("*"), r"\end")
        if self.raw() != kind:
            raise self.unknown(f"the end of {kind}")
        return grid

    def substack(self) -> Node:
        if self.next() != "{":
            raise self.unknown(r"\substack without braces")
        return self.rows("substack", "}")

    def rows(self, kind: str, end: str) -> Grid:
        """Rows up to the end, which is taken away."""
        rows: list[tuple[Row, ...]] = []
        tags: list[str | None] = []
        cells: list[Row] = []
        tag: str | None = None
        while True:
            cells.append(self.row(frozenset(("&", r"\\", r"\tag"))))
            token = self.next()
            if token == r"\tag":
                tag = self.raw().replace("$", "")
                self.row(frozenset(("&", r"\\")))
                token = self.next()
            if token == "&":
                continue
            rows.append(tuple(cells))
            tags.append(tag)
            cells, tag = [], None
            if token == end:
                break
            if token != r"\\":
                raise self.unknown(f"{token} in {kind}")
            self.skip_gap()
        if len(rows) > 1 and all(not cell.items for cell in rows[-1]):  # a line end behind the last row
            rows.pop()
            tags.pop()
        return Grid(kind, tuple(rows), tuple(tags))

    def skip_gap(self) -> None:
        r"""The star and the room of `\\*[4pt]`."""
        if self.tokens[self.at : self.at + 1] == ["*"]:
            self.at += 1
        if self.tokens[self.at : self.at + 1] == ["["]:
            while self.tokens[self.at] != "]":
                self.at += 1
            self.at += 1


def _is_glue(node: Node) -> bool:
    return isinstance(node, Space) and node.glue


def _single(items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else Row(tuple(items))


def _merged(items: list[Node]) -> list[Node]:
    """Without blanks at the ends and beside other room."""
    found: list[Node] = []
    for k, item in enumerate(items):
        if _is_glue(item) and (not found or k + 1 == len(items) or isinstance(items[k + 1], Space)):
            continue
        if _is_glue(item) and isinstance(found[-1], Space):
            continue
        found.append(item)
    return found


_COMMANDS = {
    r"\frac": lambda r: Fraction(r.argument(), r.argument()),
    r"\tfrac": lambda r: Fraction(r.argument(), r.argument(), small=True),
    r"\sqrt": _Reader.root,
    r"\bar": lambda r: Bar(r.argument()),
    r"\overline": lambda r: Bar(r.argument(), wide=True),
    r"\underbrace": lambda r: Brace(r.argument(), None),
    r"\boxed": lambda r: Frame(r.argument()),
    r"\mathit": lambda r: Letter(r.raw(), "word"),
    r"\mathrm": lambda r: Letter(r.raw(), "upright"),
    r"\mathbf": lambda r: Letter(r.raw(), "bold"),
    r"\text": lambda r: Words(r.raw()),
    r"\operatorname": lambda r: Name(r.raw()),
    r"\left": _Reader.fenced,
    r"\not": _Reader.negated,
    r"\rlap": _Reader.boxed_text,
    r"\begin": _Reader.environment,
    r"\substack": _Reader.substack,
}
