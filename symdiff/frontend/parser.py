"""Tokens -> FormulaData: the lines of a program. Expressions and declarations have files of their own.

    program     ::= line { newline line }
    line        ::= declaration | helper | statement | nothing
    declaration ::= NAME ":" ( dims | "const" [ dims ] ) [ "=" default ]          an input
                  | NAME ":" "function" [ "(" [ dim { "," dim } ] ")" ]           an abstract function
    dims        ::= "(" [ dim { "," dim } [ "," ] ] ")" | dim                     dim ::= whole number | NAME
    default     ::= number | "[" [ default { "," default } [ "," ] ] "]"
    helper      ::= "def" NAME "(" NAME { "," NAME } ")" ":" "return" expression
    statement   ::= [ NAME "=" ] expression
    expression  ::= operators, from weak to strong:  comparison (in `where` only) | + - | * / @ | unary - | **
                    over operands
    operand     ::= number | NAME | call | "(" expression ")" | operand ".T" | operand ".mT" | operand index
    call        ::= FUNCTION "(" expression { "," expression } { "," option } ")"
                  | ( "concat" | "stack" ) "(" "[" expression { "," expression } "]" [ "," option ] ")"
                  | "reshape" "(" expression "," shape ")" | ( "zeros" | "ones" | "eye" ) "(" shape ")"
    option      ::= "axis" "=" axes | "keepdims" "=" ( "True" | "False" )         literals, always by name
    index       ::= "[" item { "," item } "]"                                     shape, axes, item: see sizes.py

A `dim` that is a name is a dimension: a size that is known when the arrays are. It stands in shapes and indices, also
as `n - 1` or `2*n`, and in expressions as a number. With any input declared, every input is; `phi: function` is
elementwise, `l: function()` gives a scalar, `m: function(n, 3)` an array of that shape, and neither needs the inputs
declared. A name in front of a bracket is a function, anywhere else a variable.

`**` groups to the right and binds more strongly than a minus sign on its left, as in Python and on paper. A new
line inside brackets, or after a backslash, does not end a statement; `;` always does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from symdiff.collector import at_rest
from symdiff.errors import nearest, quoted
from symdiff.expr import Call, Name, walk
from symdiff.formula_data import FormulaData, Helper, Limits, Statement
from symdiff.frontend.declarations import Declarations, check_name
from symdiff.frontend.stream import shown
from symdiff.frontend.tokens import END, NAME, NEWLINE, Token, tokenize
from symdiff.frontend.words import CONSTANTS
from symdiff.ops import ARRAYS, TABLE
from symdiff.shapes import Shape

HELPER_LEVELS = 100  # a helper calls a helper calls ...; later stages inline them level by level


@at_rest
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

    taken: Collection[str] = ()  # more names that no helper's op may have

    def __init__(self, text: str, limits: Limits, tokens: Iterator[Token], constants: frozenset[str]) -> None:
        super().__init__(text, limits, tokens, constants)
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
        if name in self.functions:
            raise self.fail(f"'{name}' is a function of the language; choose another name for the helper", name_token)
        parameters = self.helper_parameters()
        self.helper_body_start()
        before, self.parameters = self.steps, parameters
        body = self.value()
        self.parameters = None
        self.define(name, Helper(self.fresh_op(name), tuple(parameters), body, (name_token.start, self.peek().start)))
        self.cost[self.helpers[name].name], self.steps = self.steps - before, before
        if self.levels[self.helpers[name].name] > HELPER_LEVELS:
            raise self.fail(f"helpers that call helpers more than {HELPER_LEVELS} deep; use statements", name_token)

    def fresh_op(self, name: str) -> str:
        """The op of a helper's calls: `def add(a, b)` is not the op of a plus sign."""
        while name in TABLE or name in ARRAYS or name in self.arities or name in self.taken:
            name += "_"
        return name

    def define(self, name: str, helper: Helper) -> None:
        called = [part.op for part in walk(helper.body) if isinstance(part, Call) and part.op in self.levels]
        self.helpers[name] = helper
        self.levels[helper.name] = 1 + max((self.levels[other] for other in called), default=0)
        self.arities[helper.name] = len(helper.parameters)

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
            self.check_default(given)
        for name, function in self.abstract.items():
            self.check_result(name, function.shape or ())
        helpers = {helper.name: helper for helper in self.helpers.values()}
        statements = tuple(self.statements)
        return FormulaData(self.text, tuple(inputs.values()), helpers, statements, self.limits, self.abstract)

    def check_result(self, name: str, shape: Shape) -> None:
        """The shape of what a function gives is known from the shapes of the inputs."""
        for size in shape:
            if size in self.declared:
                raise self.fail(
                    f"'{size}' is an input, and cannot be a dimension of '{name}' as well", self.places[name]
                )
            if isinstance(size, str) and size not in self.dimensions:
                near = nearest(size, self.dimensions)
                message = f"'{name}' gives an array of size '{size}', which occurs in the shape of no input{near}"
                raise self.fail(message, self.places[name])


def _first_use(statement: Statement, name: str) -> int | None:
    """Where an undeclared name appears in a statement."""
    spans = (part.span for part in walk(statement.expr) if isinstance(part, Name) and part.id == name)
    return next((span[0] for span in spans if span), None)
