"""Tokens -> FormulaData: the lines of a program. Expressions and declarations have files of their own.

    program     ::= line { newline line }
    line        ::= declaration | helper | statement | nothing
    declaration ::= NAME ":" ( dims | "const" [ dims ] ) [ "=" number ]
    dims        ::= "(" [ dim { "," dim } [ "," ] ] ")" | dim          dim ::= whole number | NAME
    helper      ::= "def" NAME "(" NAME { "," NAME } ")" ":" "return" expression
    statement   ::= [ NAME "=" ] expression
    expression  ::= operators, from weak to strong:  comparison (in `where` only) | + - | * / | unary - | **
                    over numbers, names, FUNCTION "(" expression { "," expression } ")", "(" expression ")"

`**` groups to the right and binds more strongly than a minus sign on its left, as in Python and on paper. A new
line inside brackets, or after a backslash, does not end a statement; `;` always does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from symdiff.errors import nearest, quoted
from symdiff.expr import Call, Name, walk
from symdiff.formula import FormulaData, Helper, Input, Limits, Shape, Statement
from symdiff.frontend.declarations import Declarations, check_name
from symdiff.frontend.stream import shown
from symdiff.frontend.tokens import END, NAME, NEWLINE, Token, tokenize
from symdiff.frontend.words import ARRAY_FUNCTIONS, CONSTANTS
from symdiff.ops import TABLE

_HELPER_LEVELS = 100  # a helper calls a helper calls ...; later stages inline them level by level


def parse(
    text: str,
    *,
    limits: Limits | None = None,
    shapes: Mapping[str, Shape] | None = None,
    constants: Iterable[str] = (),
) -> FormulaData:
    """The formula in `text`. Raises ParseError, DomainError or UnsupportedError with the place.

    `shapes` and `constants` stand for declarations.
    """
    limits = limits or Limits()
    parser = Parser(text, limits, tokenize(text, limits), frozenset(constants))
    parser.given_shapes(shapes or {})
    return parser.program()


class Parser(Declarations):
    """Reads a program line by line."""

    def __init__(self, text: str, limits: Limits, tokens: Iterator[Token], constants: frozenset[str]) -> None:
        super().__init__(text, limits, tokens, constants)
        self.places: dict[str, int] = {}
        self.statements: list[Statement] = []
        self.levels: dict[str, int] = {}  # how deep a helper's calls of helpers go

    def program(self) -> FormulaData:
        while self.peek().kind != END:
            if self.peek().kind == NEWLINE:
                self.take()
                continue
            self.line()
        return self.finish()

    def line(self) -> None:
        first = self.peek()
        if first.kind == NAME and first.text == "def":
            self.helper()
        elif first.kind == NAME and self.sees(":", 1):
            self.declaration()
        else:
            self.statement()
        self.end_of_line()

    def statement(self) -> None:
        first = self.peek()
        if self.statements and self.statements[-1].name is None:
            place = self.statements[-1].span
            raise self.fail("only the last statement may be without a name; write NAME = ... before it", place)
        name = None
        if first.kind == NAME and self.sees("=", 1):
            name = self.bindable(self.take())
            self.refuse_used(name, first)
            self.take()
        elif first.kind == NAME and self.sees(",", 1):
            raise self.fail("one name at a time: tuples are not part of the language", self.peek(1))
        self.assign(name, first)

    def assign(self, name: str | None, first: Token) -> None:
        """The right side, and the statement."""
        expr = self.value()
        if self.sees("="):
            raise self.fail("the left side of '=' is one name; a comparison is ==", first)
        self.statements.append(Statement(name, expr, (first.start, self.peek().start)))
        if name is not None:
            self.refuse_used(name, first)  # its own value
            self.assigned[name] = first.start

    def refuse_used(self, name: str, place: Token) -> None:
        """A name is assigned before it is used."""
        if name in self.implicit:
            uses = (_first_use(statement, name) for statement in self.statements)
            used = next((at for at in uses if at is not None), place.start)
            raise self.fail(f"'{name}' is used before it is assigned", used)

    # -- helpers -----------------------------------------------------------------------------------------------------

    def helper(self) -> None:
        self.take()
        name_token = self.take()
        name = self.bindable(name_token)
        self.refuse_used(name, name_token)
        if name in self.functions or name in ARRAY_FUNCTIONS:
            raise self.fail(f"'{name}' is a function of the language; choose another name for the helper", name_token)
        parameters = self.helper_parameters()
        self.helper_body_start()
        before, self.parameters = self.steps, parameters
        body = self.value()
        self.parameters = None
        called = [part.op for part in walk(body) if isinstance(part, Call) and part.op in self.levels]
        level = 1 + max((self.levels[other] for other in called), default=0)
        if level > _HELPER_LEVELS:
            raise self.fail(f"helpers that call helpers more than {_HELPER_LEVELS} deep; use statements", name_token)
        op = name
        while op in TABLE or op in self.levels:  # `def add(a, b)` is not the op of a plus sign
            op += "_"
        self.helpers[name] = Helper(op, tuple(parameters), body, (name_token.start, self.peek().start))
        self.cost[op], self.steps, self.levels[op] = self.steps - before, before, level

    def helper_parameters(self) -> dict[str, None]:
        self.expect("(", "after the helper's name")
        parameters: dict[str, None] = {}
        while not self.sees(")"):
            token = self.take()
            if token.kind != NAME:
                raise self.fail(f"a parameter is a plain name, found {shown(token)}", token)
            self.ordinary(token)
            if token.text in parameters or token.text in CONSTANTS:
                raise self.fail(f"'{token.text}' cannot be a parameter here", token)
            parameters[token.text] = None
            self.after_helper_parameter()
            if not self.sees(")"):
                self.expect(",", "between parameters")
        if not parameters:
            raise self.fail("a helper has at least one parameter", self.peek())
        self.take()
        return parameters

    def after_helper_parameter(self) -> None:
        """Where a Python function may have an annotation."""

    def helper_body_start(self) -> None:
        self.expect(":", "after the parameters")
        while self.peek().kind == NEWLINE and self.text[self.peek().start] != ";":
            self.take()
        self.expect("return", "in a helper: its body is one expression, def f(x): return ...")

    # -- the whole ---------------------------------------------------------------------------------------------------

    def finish(self) -> FormulaData:
        if not self.statements:
            raise self.fail("expected a formula, found the end of the text", len(self.text))
        inputs = self.declared if self.strict else self.implicit
        for name in self.constants:
            if name not in inputs:
                check_name(name, "constants=")
                raise self.fail(f"constants=: {quoted(name)} is not an input{nearest(name, inputs)}", 0)
        if not inputs:
            raise self.fail("a formula has at least one input; this one has none", 0)
        for given in inputs.values():
            self.check_shape(given)
        helpers = {helper.name: helper for helper in self.helpers.values()}
        return FormulaData(self.text, tuple(inputs.values()), helpers, tuple(self.statements), self.limits)

    def check_shape(self, given: Input) -> None:
        if given.shape:
            shape = ", ".join(map(str, given.shape)) + "," * (len(given.shape) == 1)
            raise self.later(
                f"'{given.name}' has shape ({shape}); arrays come in a later version, a scalar is {given.name}: ()",
                self.places[given.name],
            )


def _first_use(statement: Statement, name: str) -> int | None:
    """Where an undeclared name appears in a statement."""
    spans = (part.span for part in walk(statement.expr) if isinstance(part, Name) and part.id == name)
    return next((span[0] for span in spans if span), None)
