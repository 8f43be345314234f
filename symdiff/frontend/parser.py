"""Tokens -> FormulaData: an operator-precedence parser with its own stacks, so that depth costs memory and not C stack.

    program     ::= line { newline line }
    line        ::= declaration | helper | statement | nothing
    declaration ::= NAME ":" [ "const" ] dims [ "=" number ]
    dims        ::= "(" [ dim { "," dim } [ "," ] ] ")" | dim          dim ::= whole number | NAME
    helper      ::= "def" NAME "(" NAME { "," NAME } ")" ":" "return" expression
    statement   ::= [ NAME "=" ] expression
    expression  ::= operators, from weak to strong:  comparison (in `where` only) | + - | * / | unary - | **
                    over numbers, names, FUNCTION "(" expression { "," expression } ")", "(" expression ")"

`**` groups to the right and binds more strongly than a minus sign on its left, as in Python and on paper.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from symdiff.errors import DomainError, ParseError, UnsupportedError, nearest, quoted
from symdiff.expr import Call, Expr, Name, Number, Span, is_constant, walk
from symdiff.formula import FormulaData, Helper, Input, Limits, Shape, Statement
from symdiff.frontend.tokens import END, NAME, NEWLINE, NUMBER, OPERATOR, Token, tokenize
from symdiff.ops import COMPARE_OPS, COMPARISONS, PUBLIC, TABLE

_BINARY = {"+": (2, "add"), "-": (2, "sub"), "*": (3, "mul"), "/": (3, "div"), "**": (5, "pow")}
_BINARY |= {sign: (1, op) for sign, op in COMPARISONS.items()}
_UNARY_STRENGTH, _POWER_STRENGTH = 4, 5
_CONSTANTS = {"pi": math.pi}
_ELEMENTARY = frozenset({"sin", "cos", "tan", "exp", "log", "sqrt", "where", "tanh", "sinh", "cosh", "max", "min", "abs"})
_KEYWORDS = frozenset(keyword.kwlist)
_TENSOR = frozenset(
    "sum mean prod amax amin norm norm1 norm2 dot outer trace det logdet inv solve cholesky diag eye zeros ones concat stack "
    "reshape softmax logsumexp cumsum".split()
)
_OTHER_NAMES = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "fabs": "abs", "power": "pow", "tgamma": "gamma", "gammaln": "lgamma",
    "loggamma": "lgamma", "psi": "digamma", "swish": "silu", "expit": "sigmoid", "logistic": "sigmoid", "sgn": "sign",
    "fmax": "max", "fmin": "min", "heaviside": "where",
}  # fmt: skip
MAX_POLYGAMMA_ORDER = 64


def parse(
    text: str,
    *,
    limits: Limits | None = None,
    shapes: Mapping[str, Shape] | None = None,
    constants: Iterable[str] = (),
    modules: tuple[str, ...] = (),
) -> FormulaData:
    """The formula in `text`. Raises ParseError, DomainError or UnsupportedError with the place.

    `shapes` and `constants` stand for declarations; `modules` are prefixes (`np`) that are dropped before a listed function.
    """
    return _Parser(text, limits or Limits(), shapes or {}, frozenset(constants), frozenset(modules)).program()


@dataclass(slots=True)
class _Operator:
    strength: int
    op: str  # "" for a bracket
    unary: bool
    token: Token
    function: str = ""  # for the bracket of a call: whose
    operands: int = 0  # for a bracket: operands on the stack below it


class _Parser:
    def __init__(
        self, text: str, limits: Limits, shapes: Mapping[str, Shape], constants: frozenset[str], modules: frozenset[str]
    ) -> None:
        self.text, self.limits, self.modules = text, limits, modules
        self.tokens = tokenize(text, limits)
        self.ahead: list[Token] = []
        self.declared: dict[str, Input] = {
            name: Input(name, tuple(shape), name in constants) for name, shape in shapes.items()
        }
        self.constants = constants
        self.strict = bool(shapes)  # with any declaration, every input is declared
        self.helpers: dict[str, Helper] = {}
        self.statements: list[Statement] = []
        self.assigned: dict[str, int] = {}
        self.parameters: frozenset[str] | None = None  # inside a helper: the only names there are
        self.implicit: dict[str, Input] = {}

    # -- tokens ------------------------------------------------------------------------------------------------------

    def peek(self, distance: int = 0) -> Token:
        while len(self.ahead) <= distance:
            self.ahead.append(next(self.tokens, None) or Token(END, "", len(self.text), len(self.text)))
        return self.ahead[distance]

    def take(self) -> Token:
        token = self.peek()
        del self.ahead[0]
        return token

    def fail(self, message: str, token: Token | Span | int) -> ParseError:
        at = token.start if isinstance(token, Token) else token if isinstance(token, int) else token[0]
        return ParseError(message, text=self.text, at=at)

    def expect(self, text: str, why: str) -> Token:
        token = self.take()
        if token.text != text or token.kind not in (OPERATOR, NAME):
            raise self.fail(f"expected '{text}' {why}, found {_shown(token)}", token)
        return token

    def end_of_line(self) -> None:
        token = self.take()
        if token.kind not in (NEWLINE, END):
            raise self.fail(f"expected the end of the statement, found {_shown(token)}{_advice(token)}", token)

    # -- lines -------------------------------------------------------------------------------------------------------

    def program(self) -> FormulaData:
        while self.peek().kind != END:
            if self.peek().kind == NEWLINE:
                self.take()
                continue
            self.line()
        return self.finish()

    def line(self) -> None:
        first, second = self.peek(), self.peek(1)
        if first.kind == NAME and first.text == "def":
            self.helper()
        elif first.kind == NAME and second.text == ":" and second.kind == OPERATOR:
            self.declaration()
        else:
            self.statement()
        self.end_of_line()

    def statement(self) -> None:
        first, second = self.peek(), self.peek(1)
        if self.statements and self.statements[-1].name is None:
            raise self.fail("only the last statement may be without a name; write NAME = ... before it", self.statements[-1].span)
        name = None
        if second.kind == OPERATOR and second.text == "=":
            name = self.bindable(self.take())
            self.take()
        elif first.kind == NAME and second.text == ",":
            raise self.fail("one name at a time: tuples are not part of the language", second)
        start = self.peek()
        expr = self.expression()
        if isinstance(expr, Call) and expr.op in COMPARE_OPS:
            raise self.fail("a comparison stands only as the condition of where(condition, a, b)", expr.span or start)
        if self.peek().text == "=" and self.peek().kind == OPERATOR:
            raise self.fail("the left side of '=' is one name", start)
        if name is not None:
            self.assigned[name] = first.start
        self.statements.append(Statement(name, expr, (first.start, self.peek().start)))

    def bindable(self, token: Token) -> str:
        """A name that a statement, a declaration or a helper may bind."""
        name = token.text
        if token.kind != NAME:
            raise self.fail(f"expected a name, found {_shown(token)}", token)
        self.ordinary(token)
        if name in _CONSTANTS:
            raise self.fail(f"'{name}' is a constant of the language and cannot be assigned", token)
        if name in self.assigned:
            raise self.fail(f"'{name}' is assigned twice; give the second value a name of its own", token)
        if name in self.declared:
            raise self.fail(f"'{name}' is an input already; give this value a name of its own", token)
        if name in self.implicit:
            raise self.fail(f"'{name}' is used before it is assigned", self.first_use(name))
        if name in self.helpers:
            raise self.fail(f"'{name}' is a helper already", token)
        return name

    def first_use(self, name: str) -> int:
        """Where an undeclared name appeared first."""
        for statement in self.statements:
            for part in walk(statement.expr):
                if isinstance(part, Name) and part.id == name and part.span:
                    return part.span[0]
        return 0

    def ordinary(self, token: Token) -> None:
        """Refuse Python's keywords and bare elementary functions as variables."""
        if token.text in _KEYWORDS:
            raise self.fail(f"'{token.text}' is a keyword and not part of the language", token)
        if token.text in _ELEMENTARY:
            raise self.fail(f"'{token.text}' is a function: write {token.text}(...), or choose another name", token)

    def helper(self) -> None:
        self.take()
        name_token = self.take()
        name = self.bindable(name_token)
        if name in PUBLIC or name in _TENSOR:
            raise self.fail(f"'{name}' is a function of the language; choose another name for the helper", name_token)
        self.expect("(", "after the helper's name")
        parameters: list[str] = []
        while self.peek().text != ")":
            token = self.take()
            if token.kind != NAME:
                raise self.fail(f"a parameter is a plain name, found {_shown(token)}", token)
            self.ordinary(token)
            if token.text in parameters or token.text in _CONSTANTS:
                raise self.fail(f"'{token.text}' cannot be a parameter here", token)
            parameters.append(token.text)
            if self.peek().text != ")":
                self.expect(",", "between parameters")
        if not parameters:
            raise self.fail("a helper has at least one parameter", self.peek())
        self.take()
        self.expect(":", "after the parameters")
        while self.peek().kind == NEWLINE:
            self.take()
        self.expect("return", "in a helper: its body is one expression")
        self.parameters = frozenset(parameters)
        body = self.expression()
        self.parameters = None
        self.helpers[name] = Helper(name, tuple(parameters), body, (name_token.start, self.peek().start))

    # -- declarations ------------------------------------------------------------------------------------------------

    def declaration(self) -> None:
        token = self.take()
        if token.text in self.declared:
            raise self.fail(f"'{token.text}' is declared twice", token)
        name = self.bindable(token)
        self.take()
        if self.statements:
            raise self.fail(f"declare '{name}' before the first statement", token)
        constant = self.peek().text == "const" or name in self.constants
        if self.peek().text == "const":
            self.take()
            shape = self.shape() if self.peek().text == "(" else ()
        elif self.peek().text == "function":
            raise UnsupportedError("abstract functions are not supported yet; write a helper def", text=self.text, at=token.start)
        else:
            shape = self.shape()
        default = self.default() if self.peek().text == "=" else None
        self.declared[name] = Input(name, shape, constant, default)
        self.strict = True

    def shape(self) -> Shape:
        if self.peek().text != "(":
            return (self.dimension(),)
        self.take()
        sizes: list[int | str] = []
        while self.peek().text != ")":
            sizes.append(self.dimension())
            if self.peek().text != ")":
                self.expect(",", "between the sizes of a shape")
        self.take()
        return tuple(sizes)

    def dimension(self) -> int | str:
        token = self.take()
        if token.kind == NUMBER and token.text.isdigit() and len(token.text) < 10:
            return int(token.text)
        if token.kind == NAME and token.text not in _KEYWORDS and self.peek().text != "(":
            return token.text
        raise self.fail(f"a size is a whole number or a name, such as x: (), x: 3 or X: (n, 3); found {_shown(token)}", token)

    def default(self) -> float:
        self.take()
        start = self.peek()
        if start.text == "[":
            raise UnsupportedError("arrays are not supported yet", text=self.text, at=start.start)
        expr = self.expression()
        if not is_constant(expr):
            raise self.fail("a default is a number", start)
        from symdiff.ops.evaluate import constant_value

        value = constant_value(expr)
        if not math.isfinite(value):
            raise DomainError(f"a default must be a finite number, not {value}", text=self.text, at=start.start)
        return value

    # -- expressions -------------------------------------------------------------------------------------------------

    def expression(self) -> Expr:
        """One expression, up to a token that cannot continue it."""
        operators: list[_Operator] = []
        operands: list[Expr] = []
        wants_operand = True
        while True:
            token = self.peek()
            if wants_operand:
                wants_operand = self.operand(operators, operands)
            elif token.kind == OPERATOR and token.text in _BINARY:
                self.take()
                strength, op = _BINARY[token.text]
                self.reduce(operators, operands, strength + (strength == _POWER_STRENGTH))
                self.push(operators, _Operator(strength, op, False, token))
                wants_operand = True
            elif token.text == "," and token.kind == OPERATOR and self.bracket(operators) is not None:
                wants_operand = self.comma(operators, operands)
            elif token.text == ")" and token.kind == OPERATOR and self.bracket(operators) is not None:
                self.take()
                self.close(operators, operands, token)
            else:
                break
        self.reduce(operators, operands, 0)
        if operators:
            raise self.fail("this bracket is not closed", operators[-1].token)
        return operands[0]

    def push(self, operators: list[_Operator], operator: _Operator) -> None:
        if len(operators) >= self.limits.depth:
            raise self.fail(f"nested more than {self.limits.depth} deep; raise the limit `depth`, or use statements", operator.token)
        operators.append(operator)

    def operand(self, operators: list[_Operator], operands: list[Expr]) -> bool:
        """Read what may stand where an operand is wanted; True while one is still wanted."""
        token = self.take()
        if token.kind == NUMBER:
            operands.append(self.number(token))
            return False
        if token.kind == NAME:
            return self.name(token, operators, operands)
        if token.text == "(":
            self.push(operators, _Operator(0, "", False, token, "", len(operands)))
            return True
        if token.text in ("-", "+"):
            self.push(operators, _Operator(_UNARY_STRENGTH, "neg" if token.text == "-" else "", True, token))
            return True
        raise self.fail(self.unexpected(token, operators), token)

    def unexpected(self, token: Token, operators: list[_Operator]) -> str:
        bracket = self.bracket(operators)
        if token.text == ")" and bracket is not None and bracket.function:
            return f"an argument of {bracket.function}() is missing"
        if token.text == "[":
            return "lists are not part of the language"
        if token.kind == END and not operators and not self.statements:
            return "expected a formula, found the end of the text"
        return f"expected a number, a name or a bracket, found {_shown(token)}"

    def number(self, token: Token) -> Number:
        value = float(token.text)
        if math.isinf(value):
            raise DomainError("this number is too large for float64 (1.8e308)", text=self.text, at=token.start)
        return Number(value, span=(token.start, token.end))

    def name(self, token: Token, operators: list[_Operator], operands: list[Expr]) -> bool:
        if token.text in self.modules and self.peek().text == ".":
            self.take()
            token = self.take()
            called = self.peek().text == "(" and _function_name(token.text) in PUBLIC
            if token.kind != NAME or not (called or token.text in _CONSTANTS):
                raise self.fail(f"{_shown(token)} is not a function of the language", token)
        if self.peek().text == "." and self.peek().kind == OPERATOR:
            raise self.fail("attributes are not part of the language for scalars", self.peek())
        if self.peek().text == "(":
            opening = self.take()
            name = self.function_name(token)
            self.push(operators, _Operator(0, "", False, opening, name, len(operands)))
            return True
        operands.append(self.variable(token))
        return False

    def function_name(self, token: Token) -> str:
        name = token.text
        if name in self.helpers:
            return name
        if name in _KEYWORDS:
            raise self.fail(f"'{name}' is a keyword and not part of the language", token)
        if self.modules:
            name = _function_name(name)
        if name in PUBLIC:
            return name
        if name in _TENSOR:
            raise UnsupportedError(f"{name}() works on arrays, which are not supported yet", text=self.text, at=token.start)
        if name in self.assigned or name in self.declared or (self.parameters and name in self.parameters):
            raise self.fail(f"'{name}' is a variable, not a function; write {name}*(...) for a product", token)
        advice = f"; did you mean '{_OTHER_NAMES[name]}'?" if name in _OTHER_NAMES else ""
        raise self.fail(
            f"unknown function {quoted(name)}{advice or nearest(name, [*PUBLIC, *self.helpers])}", token
        )

    def variable(self, token: Token) -> Expr:
        name, span = token.text, (token.start, token.end)
        if name in _CONSTANTS and not (self.parameters and name in self.parameters):
            return Number(_CONSTANTS[name], name, span)
        self.ordinary(token)
        if self.parameters is not None:
            if name not in self.parameters:
                raise self.fail(
                    f"a helper sees only its parameters; pass {quoted(name)} as one{nearest(name, self.parameters)}", token
                )
        elif name in self.helpers:
            raise self.fail(f"'{name}' is a helper: write {name}(...)", token)
        elif name not in self.declared and name not in self.assigned:
            if self.strict:
                known = [*self.declared, *self.assigned]
                raise self.fail(f"unknown name {quoted(name)}: it is not declared{nearest(name, known)}", token)
            self.implicit.setdefault(name, Input(name, (), name in self.constants))
        return Name(name, span)

    def bracket(self, operators: list[_Operator]) -> _Operator | None:
        """The innermost open bracket."""
        return next((operator for operator in reversed(operators) if not operator.op and not operator.unary), None)

    def reduce(self, operators: list[_Operator], operands: list[Expr], strength: int) -> None:
        """Apply waiting operators that bind at least as strongly as `strength`, down to the innermost bracket."""
        while operators and (operators[-1].op or operators[-1].unary) and operators[-1].strength >= strength:
            operator = operators.pop()
            if operator.unary:
                operand = operands.pop()
                if operator.op:
                    self.refuse_comparison(operand)
                    operand = Call("neg", (operand,), (operator.token.start, _end(operand)))
                operands.append(operand)
                continue
            right = operands.pop()
            left = operands.pop()
            if operator.op in COMPARE_OPS and any(isinstance(a, Call) and a.op in COMPARE_OPS for a in (left, right)):
                raise self.fail("one comparison at a time: a < b < c is not part of the language", operator.token)
            if operator.op not in COMPARE_OPS:
                self.refuse_comparison(left)
                self.refuse_comparison(right)
            operands.append(Call(operator.op, (left, right), (_start(left), _end(right))))

    def refuse_comparison(self, expr: Expr) -> None:
        if isinstance(expr, Call) and expr.op in COMPARE_OPS:
            raise self.fail("a comparison stands only as the condition of where(condition, a, b)", expr.span or 0)

    def comma(self, operators: list[_Operator], operands: list[Expr]) -> bool:
        """A comma inside brackets; False where it was a trailing one."""
        token = self.take()
        self.reduce(operators, operands, 0)
        bracket = operators[-1]
        if not bracket.function:
            raise self.fail("tuples are not part of the language", token)
        if self.peek().text == ")":
            raise self.fail("an argument is missing after the comma", self.peek())
        if self.peek().kind == NAME and self.peek(1).text == "=" and self.peek(1).kind == OPERATOR:
            raise self.fail(f"{bracket.function}() takes no keyword arguments", self.peek())
        return True

    def close(self, operators: list[_Operator], operands: list[Expr], token: Token) -> None:
        self.reduce(operators, operands, 0)
        bracket = operators.pop()
        args = operands[bracket.operands :]
        del operands[bracket.operands :]
        if not bracket.function:
            operands.append(args[0])
            return
        operands.append(self.call(bracket, args, token))

    def call(self, bracket: _Operator, args: list[Expr], closing: Token) -> Call:
        name = bracket.function
        start = bracket.token.start - len(name)
        helper = self.helpers.get(name)
        op = name if helper else PUBLIC[name]
        wanted = len(helper.parameters) if helper else TABLE[op].operands
        if len(args) != wanted:
            if name in ("max", "min") and len(args) == 1:
                raise UnsupportedError(
                    f"{name} of one array is not supported yet; {name}(a, b) compares two", text=self.text, at=start
                )
            plural = "argument" if wanted == 1 else "arguments"
            raise self.fail(f"{name}() takes {wanted} {plural}, not {len(args)}", start)
        for index, arg in enumerate(args):
            is_condition = isinstance(arg, Call) and arg.op in COMPARE_OPS
            if op == "where" and index == 0:
                if not is_condition:
                    raise self.fail("the condition of where() is one comparison, such as x < 0", arg_start(arg, start))
            elif is_condition:
                self.refuse_comparison(arg)
        if op == "polygamma":
            self.check_order(args[0], start)
        return Call(op, tuple(args), (start, closing.end))

    def check_order(self, order: Expr, start: int) -> None:
        whole = isinstance(order, Number) and order.value.is_integer() and 0 <= order.value <= MAX_POLYGAMMA_ORDER
        if not whole:
            raise self.fail(
                f"the order of polygamma(order, x) is a whole number from 0 to {MAX_POLYGAMMA_ORDER}, written as a literal",
                arg_start(order, start),
            )

    # -- the whole ---------------------------------------------------------------------------------------------------

    def finish(self) -> FormulaData:
        if not self.statements:
            raise self.fail("expected a formula, found the end of the text", len(self.text))
        for name in self.constants:
            if name not in self.declared and name not in self.implicit:
                raise self.fail(f"constants=: {quoted(name)} is not an input{nearest(name, self.implicit)}", 0)
        inputs = tuple(self.declared.values()) if self.strict else tuple(self.implicit.values())
        if not inputs:
            raise self.fail("a formula has at least one input; this one has none", 0)
        for given in inputs:
            if given.shape:
                raise UnsupportedError(
                    f"'{given.name}' has shape {given.shape}; arrays are not supported yet, declare scalars: {given.name}: ()"
                )
        return FormulaData(self.text, inputs, self.helpers, tuple(self.statements), self.limits)


def _function_name(name: str) -> str:
    """NumPy's and math's other names for listed functions, accepted where a module prefix is."""
    return name if name in PUBLIC else _OTHER_NAMES.get(name, name)


def arg_start(expr: Expr, default: int) -> int:
    """Offset at which `expr` begins."""
    span = getattr(expr, "span", None)
    return span[0] if span else default


def _start(expr: Expr) -> int:
    return arg_start(expr, 0)


def _end(expr: Expr) -> int:
    span = getattr(expr, "span", None)
    return span[1] if span else 0


def _shown(token: Token) -> str:
    if token.kind == END:
        return "the end of the text"
    return "the end of the line" if token.kind == NEWLINE else quoted(token.text)


def _advice(token: Token) -> str:
    if token.kind in (NUMBER, NAME) or token.text == "(":
        return "; a product needs '*', and one statement ends with a new line or ';'" if token.text not in _KEYWORDS else ""
    return ""


__all__ = ["parse"]
