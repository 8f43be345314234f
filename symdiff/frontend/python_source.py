"""A Python function as a formula. Its source is read by the tokenizer and the parser of the language, and never run.

    function  ::= "def" NAME "(" parameter { "," parameter } ")" [ "->" anything ] ":" body
    parameter ::= NAME [ ":" annotation ] [ "=" default ]                      # also the markers * and /
    body      ::= [ docstring ] { helper | NAME "=" expression } "return" expression

An annotation in quotes is what stands after the colon of a declaration: "n,3", "(n, 3)", "const(3)", "function"; any
other (`float`, `np.ndarray`) says nothing, and a shape without quotes is refused. Parameters are the inputs. `np.`,
`numpy.`, `math.` and `jnp.` before a listed function or `pi` are dropped; NumPy's own names (`arctan2`, `concatenate`,
`np.max`, `np.linalg.inv`) and methods (`x.sum(axis=0)`, `x.reshape(3, 2)`) are known, and in an index `np.newaxis` is
None. Positions in errors are those of the function's source, and of the file for `module.py:function`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from symdiff.errors import ParseError, ShapeError, SymdiffError, UnsupportedError, nearest, quoted
from symdiff.expr import Call, Name, walk
from symdiff.formula_data import FormulaData, Limits, Statement
from symdiff.frontend.declarations import Kind
from symdiff.frontend.parser import Parser
from symdiff.frontend.sizes import MAX_AXES
from symdiff.frontend.stream import shown
from symdiff.frontend.tokens import END, NAME, NEWLINE, STRING, Token, tokenize
from symdiff.frontend.words import METHODS, MODULES, NOT_SIZES, PYTHON_FUNCTIONS
from symdiff.ops import ARRAYS
from symdiff.shapes import Shape, shape_text

_LONG_STRING = r"""\"\"\"(?:\\.|.)*?(?:\"\"\"|\Z)|'''(?:\\.|.)*?(?:'''|\Z)"""  # an open one ends with the text
_STRING = rf"""(?s:{_LONG_STRING}|"(?:\\.|[^"\\\n])*+"?|'(?:\\.|[^'\\\n])*+'?)"""
_DEFINITION = re.compile(rf"(?m)\#[^\n]*|{_STRING}|^(?P<indent>[ \t]*)(?P<sync>async[ \t]+)?def[ \t]+(?P<name>\w+)")
_ANNOTATION = re.compile(rf"\#[^\n]*|{_STRING}|->|[\[\](){{}},=:\n]|[^\n]")
_PLAIN_STRING = re.compile(r"""[ \t]*(?:"(?P<double>[^"\\\n]*)"|'(?P<single>[^'\\\n]*)')[ \t]*(?=[,)=\n#])""")
_BLANK_LINES = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*(?:[ \t]*#[^\n]*\Z)?[ \t]*")
_LINE_END = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_BARE_SHAPE = re.compile(
    r"""[ \t]*(?P<sizes>[(\[](?:[ \t]*(?:\w+|"\w+"|'\w+')[ \t]*,)*(?:[ \t]*(?:\w+|"\w+"|'\w+'))?[ \t]*[)\]]|[0-9]+)"""
    r"""[ \t]*(?=[,)=\n#])"""
)
_ARRAY_TYPE = re.compile(r"(?i)array|tensor|matrix|list|sequence")
_SCALARS = ("float", "int")
_NOT_PLAIN = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


@dataclass(frozen=True, slots=True)
class _Definition:
    name: str
    start: int  # of its line
    indent: int
    is_async: bool


def read_function(
    function: Any,
    *,
    limits: Limits,
    shapes: Mapping[str, Shape] | None = None,
    constants: tuple[str, ...] = (),
    bound: bool = False,
) -> FormulaData:
    """The formula in the source of a live function; parameters of a `bound` one have the shapes of its arguments."""
    name = quoted(getattr(function, "__name__", "?"))
    if inspect.ismethod(function):
        raise UnsupportedError(f"{name} is a method; write a plain function of numbers")
    if not inspect.isfunction(function):
        raise UnsupportedError(f"{name} has no Python source; write a def that calls it, or give the formula as text")
    if function.__name__ == "<lambda>" or function.__code__.co_name == "<lambda>":
        raise UnsupportedError("a lambda is not read; write a def, or give the formula as text")
    if function.__code__.co_flags & _NOT_PLAIN:
        raise UnsupportedError(f"{name} is async or a generator; a formula is a plain function with one return")
    try:
        text = inspect.getsource(function.__code__)
    except (OSError, TypeError, SyntaxError, IndentationError):
        advice = "give the formula as text, or put it into a file"
        raise UnsupportedError(f"the source of {name} is not available; {advice}") from None
    code = function.__code__
    found = next((each for each in _definitions(text) if each.name == code.co_name), None)
    if found is None:
        raise UnsupportedError(f"the source of {name} has no def; give the formula as text")
    same_module = {
        key
        for key, value in function.__globals__.items()
        if inspect.isfunction(value) and value.__module__ == function.__module__
    }
    own = frozenset({*same_module, *code.co_freevars})
    parser = _FunctionParser(text, limits, found, frozenset(constants), own, bound)
    formula = parser.function(shapes or {})
    if parser.parameter_names != list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]):
        raise ParseError(f"the file of {name} has changed since the function was made; import it again")
    return formula


def read_function_text(
    text: str, name: str, *, limits: Limits, shapes: Mapping[str, Shape] | None = None, constants: tuple[str, ...] = ()
) -> FormulaData:
    """The formula in `def name` of a file's text: the last one at top level, else the only one."""
    definitions = list(_definitions(text))
    named = [each for each in definitions if each.name == name]
    top = [each for each in named if each.indent == 0]
    if not named:
        known = [each.name for each in definitions]
        raise ParseError(f"there is no function {quoted(name)}{nearest(name, known)}")
    if not top and len(named) > 1:
        raise UnsupportedError(f"there are {len(named)} functions {quoted(name)}, none of them at top level")
    found = (top or named)[-1]
    own = frozenset(each.name for each in definitions if each.indent == 0)
    part = text[found.start :]
    try:
        if found.is_async:
            raise UnsupportedError("an async function is not a formula; write a plain def", text=part, at=found.indent)
        return _FunctionParser(part, limits, replace(found, start=0), frozenset(constants), own).function(shapes or {})
    except SymdiffError as error:
        if error.line is None or error.column is None:
            raise
        starts = [0, *(match.end() for match in re.finditer("\n", part))]
        at = found.start + starts[error.line - 1] + error.column - 1
        raise type(error)(error.message, text=text, at=at) from None


def _definitions(text: str) -> Iterator[_Definition]:
    """Every `def` outside strings and comments."""
    for match in _DEFINITION.finditer(text):
        if match["name"] is not None:
            indent = len(match["indent"].expandtabs())
            yield _Definition(match["name"], match.start(), indent, match["sync"] is not None)


class _FunctionParser(Parser):
    functions = PYTHON_FUNCTIONS
    modules = MODULES
    methods = METHODS
    no_variable = "it is not a parameter; global names and closure values are not read, make it one"

    def __init__(
        self,
        text: str,
        limits: Limits,
        definition: _Definition,
        constants: frozenset[str],
        own: frozenset[str],
        bound: bool = False,
    ) -> None:
        tokens = tokenize(text, limits, start=definition.start, python=True)
        super().__init__(text, limits, tokens, constants)
        self.definition, self.own = definition, own
        self.strict = True
        self.parameter_names: list[str] = []
        self.bound = bound
        self.shapeless: set[str] = set()  # parameters annotated as arrays, of no known shape

    def function(self, shapes: Mapping[str, Shape]) -> FormulaData:
        """The whole function; `source` ends where it ends."""
        self.expect("def", "")
        self.take()
        self.expect("(", "after the function's name")
        while not self.sees(")"):
            self.parameter()
            if not self.sees(")"):
                self.expect(",", "between parameters")
        for name, shape in shapes.items():
            self.give_kind(name, self.given_kind(name, shape))
        self.take()
        end = self.body(self.colon())
        formula = self.finish()
        if not self.bound:
            self.refuse_shapeless()
        return replace(formula, source=self.text[:end].rstrip("\r\n"))

    def refuse_shapeless(self) -> None:
        """Refuse operations on a parameter that says it is an array, `X: np.ndarray`, and of what shape it does not."""
        bare = {name for name in self.shapeless if name in self.declared and not self.declared[name].shape}
        if not bare:
            return
        for part in (part for statement in self.statements for part in walk(statement.expr)):
            if not isinstance(part, Call) or part.op not in ARRAYS:
                continue
            for arg in part.args:
                if isinstance(arg, Name) and arg.id in bare:
                    example = f'annotate it {arg.id}: "n, 3" (its sizes, in quotes) or give shapes='
                    raise self.fail(f"'{arg.id}' has no shape: {example}", arg.span or 0)

    # -- parameters --------------------------------------------------------------------------------------------------

    def parameter(self) -> None:
        token = self.take()
        if token.text in ("*", "/") and (self.sees(",") or self.sees(")")):
            return  # markers: what follows is keyword-only, what precedes positional-only
        if token.text in ("*", "**"):
            found = token.text + self.peek().text
            raise self.unsupported(f"'{found}' takes any number of arguments; write every input out", token)
        if token.kind != NAME:
            raise self.fail(f"expected a parameter, found {shown(token)}", token)
        if token.text in ("self", "cls") and not self.parameter_names and self.definition.indent:
            raise self.unsupported("a method is not a formula; write a plain function of numbers", token)
        name = self.bindable(token)
        self.parameter_names.append(name)
        self.declare_kind(token, self.annotation(name) if self.sees(":") else Kind())

    def annotation(self, name: str) -> Kind:
        """A string holds what stands in a declaration; anything else (`float`) says nothing about a formula."""
        at = self.take().end
        match = _PLAIN_STRING.match(self.text, at)
        if match is None:
            self.refuse_sizes(name, at)
            self.skip_annotation(at, ",)=", depth=1)
            if _ARRAY_TYPE.search(self.text, at, self.peek().start):
                self.shapeless.add(name)
            return Kind()
        group = "double" if match["double"] is not None else "single"
        scalar = match[group].strip() in _SCALARS
        result = Kind() if scalar else self.string_kind(*match.span(group))
        self.restart(match.end(), depth=1)
        return result

    def refuse_sizes(self, name: str, at: int) -> None:
        """Refuse a shape without quotes, (3,) or ("n", 3)."""
        match = _BARE_SHAPE.match(self.text, at)
        if match is not None:
            sizes = ", ".join(re.findall(r"\w+", match["sizes"])[:MAX_AXES]) or "()"
            raise self.fail(f'a shape stands in quotes: {name}: "{sizes[:80]}"', match.start("sizes"))

    def string_kind(self, start: int, end: int) -> Kind:
        self.tokens, self.ahead = tokenize(self.text, self.limits, start=start, end=end), []
        if self.peek().text in NOT_SIZES and self.peek(1).kind == END:
            raise self.fail('an annotation in quotes is a shape: "()" for a scalar, "n" or "3" for a vector', start)
        return self.bare_kind()

    def skip_annotation(self, at: int, stops: str, depth: int = 0, quotes: bool = False) -> None:
        """Go to the first of `stops` outside brackets; there is nothing to be read on the way.

        It may begin with `quotes` where no shape is looked for.
        """
        if not quotes and self.text[at:].lstrip(" \t")[:1] in ("'", '"'):
            raise self.fail('an annotation in quotes is a shape, such as "()", "n,3" or "const()", or "function"', at)
        inside = 0
        for match in _ANNOTATION.finditer(self.text, at):
            piece = match.group()
            if inside == 0 and piece in stops:
                self.restart(match.start(), depth)
                return
            inside += (piece in "([{") - (piece in ")]}")
        raise self.fail("this annotation does not end", at)

    def restart(self, at: int, depth: int = 0) -> None:
        """Go on reading tokens at `at`."""
        self.tokens = tokenize(self.text, self.limits, start=at, depth=depth, python=True)
        self.ahead = []

    def give_kind(self, name: str, kind: Kind) -> None:
        """A shape of `shapes=` for a parameter that has none of its own."""
        given = self.declared.get(name)
        if given is None:
            raise ParseError(f"shapes=: {quoted(str(name))} is not a parameter{nearest(str(name), self.declared)}")
        if given.shape and given.shape != kind.shape:
            wanted = f", and not {shape_text(kind.shape or ())}"
            raise ShapeError(f"shapes=: '{name}' has shape {shape_text(given.shape)} in its annotation{wanted}")
        if kind.function:
            del self.declared[name]
        constant = kind.constant or given.constant
        self.declare_as(name, replace(kind, constant=constant), self.places[name], given.default)

    def colon(self) -> int:
        """`:` after the parameters, and what may stand before it; gives the offset after it."""
        if self.sees("->"):
            self.skip_annotation(self.take().end, ":", quotes=True)
        return self.expect(":", "after the parameters").end

    # -- body --------------------------------------------------------------------------------------------------------

    def body(self, at: int) -> int:
        """Statements from offset `at` to the `return`; gives the offset at which the function ends."""
        block = self.line_ends(at)
        indent = 0
        if block:
            at = self.next_line(at)
            indent = self.column(at)
        end = self.docstring() if self.peek().kind == STRING else self.body_statement(block)
        while end is not None:
            if self.text[end.start : end.end][:1] != ";" or self.line_ends(end.end):
                if not block or end.kind == END:
                    raise self.fail("a formula ends with: return EXPRESSION", end)
                at = self.next_line(end.end)
                if self.column(at) != indent:
                    raise self.fail("this line is indented otherwise than the first of the function", at)
            end = self.body_statement(block)
        return self.returned(block)

    def line_ends(self, at: int) -> bool:
        """True where nothing but a comment follows on the line."""
        return _LINE_END.match(self.text, at) is not None

    def column(self, at: int) -> int:
        """Width of what stands before offset `at` on its line."""
        return len(self.text[self.text.rfind("\n", 0, at) + 1 : at].expandtabs())

    def next_line(self, at: int) -> int:
        """Go on at the next line that is not empty; the body ends with its indentation, before any token is read."""
        start = self.after_blank_lines(at)
        if start >= len(self.text) or self.column(start) <= self.definition.indent:
            end = len(self.text[:at].rstrip())
            raise self.fail("the function has no return; a formula ends with: return EXPRESSION", end)
        self.restart(start)
        return start

    def after_blank_lines(self, at: int) -> int:
        """Offset of the first statement after `at`."""
        blank = _BLANK_LINES.match(self.text, at)
        return blank.end() if blank else at

    def docstring(self) -> Token:
        """Skip it; gives the token that ends its line."""
        token = self.take()
        if token.text[: token.text.index(token.text[-1])].lower() not in ("", "r", "u"):
            raise self.fail("strings are not part of the language", token)
        while self.peek().kind == STRING:
            self.take()
        return self.end_of_line()

    def body_statement(self, block: bool) -> Token | None:
        """One statement; gives the token that ends it, or None where it is the `return`."""
        token = self.peek()
        if token.kind == NAME and token.text == "return":
            return None
        if token.kind == NAME and token.text == "def" and block:
            self.helper()
        elif token.kind == NAME and self.sees(":", 1):
            name = self.bindable(self.take())
            self.skip_annotation(self.take().end, "=\n")
            self.expect("=", "after the annotation")
            self.assign(name, token)
        else:
            self.statement()
            if self.statements[-1].name is None:
                raise self.fail("this value goes nowhere; write NAME = ... or return ...", token)
        return self.end_of_line()

    def returned(self, block: bool) -> int:
        """`return EXPRESSION`, the last line; gives the offset at which the function ends."""
        start = self.take()
        if self.peek().kind in (NEWLINE, END):
            raise self.fail("a formula returns one expression: return EXPRESSION", start)
        expr = self.value()
        if self.sees(","):
            raise self.fail("a formula returns one expression, not a tuple", self.peek())
        last = self.statements[-1].name if self.statements else None
        if not (isinstance(expr, Name) and expr.id == last):  # `y = ...; return y` gives y itself
            self.statements.append(Statement(None, expr, (start.end, self.peek().start)))
        end = self.end_of_line()
        following = self.after_blank_lines(end.end)
        same_line = self.text[end.start : end.end][:1] == ";" and not self.line_ends(end.end)
        same_block = block and following < len(self.text) and self.column(following) > self.definition.indent
        if same_line or same_block:
            raise self.fail("nothing comes after the return; a formula has one, and it is last", following)
        return end.start

    # -- names -------------------------------------------------------------------------------------------------------

    def new_axis(self) -> bool:
        if self.peek().text in MODULES and self.peek(2).text == "newaxis":
            del self.ahead[:3]
            return True
        return super().new_axis()

    def after_helper_parameter(self) -> None:
        if self.sees(":"):
            self.skip_annotation(self.take().end, ",)=", depth=1)
        if self.sees("="):
            raise self.fail("a helper's parameters have no defaults", self.peek())

    def helper_body_start(self) -> None:
        self.colon()
        if self.peek().kind == NEWLINE:
            self.take()
        if self.peek().kind == STRING:
            self.docstring()
        self.expect("return", "in a helper: its body is one expression, def f(x): return ...")

    def function_name(self, token: Token) -> str:
        name = token.text
        if name in PYTHON_FUNCTIONS and name in self.own and name not in self.helpers:
            advice = "put its def inside under another name"
            raise self.unsupported(f"'{name}' is a function of your own here, and one of the language; {advice}", token)
        return super().function_name(token)

    def no_function(self, name: str) -> str:
        if name == self.definition.name:
            return "a formula cannot call itself"
        if name in self.own:
            return f"'{name}' is outside of the function; put its def inside, as one return expression"
        return super().no_function(name)
