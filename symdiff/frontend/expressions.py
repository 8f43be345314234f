"""Expressions: an operator-precedence parser with its own stacks, so that depth costs memory and not C stack.

Time is linear: every token is pushed and popped once, and what is scanned at a comma or a bracket is reduced there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from symdiff.errors import DomainError, nearest, quoted
from symdiff.expr import Call, Expr, Name, Number
from symdiff.formula import Helper, Input, Limits
from symdiff.frontend.stream import Stream, end_of, shown, start_of
from symdiff.frontend.tokens import NAME, NUMBER, OPERATOR, STRING, Token
from symdiff.frontend.words import (
    ADVICE,
    ARRAY_FUNCTIONS,
    CONSTANTS,
    ELEMENTARY,
    KEYWORDS,
    MAX_POLYGAMMA_ORDER,
    keyword_message,
)
from symdiff.ops import COMPARE_OPS, COMPARISONS, PUBLIC, TABLE

_BINARY = {"+": (2, "add"), "-": (2, "sub"), "*": (3, "mul"), "/": (3, "div"), "**": (5, "pow")}
_BINARY |= {sign: (1, op) for sign, op in COMPARISONS.items()}
_UNARY, _POWER = 4, 5
_A_COMPARISON = "a comparison stands only as the condition of where(condition, a, b)"


@dataclass(slots=True)
class _Operator:
    """Something that waits for its right operand, or for its closing bracket (`op` and `unary` unset)."""

    strength: int
    op: str
    unary: bool
    token: Token
    function: str = ""  # of the bracket of a call: whose
    operands: int = 0  # of a bracket: operands on the stack below it

    @property
    def bracket(self) -> bool:
        return not self.op and not self.unary

    @property
    def nests(self) -> bool:
        """Counts for the limit `depth`: brackets, signs and powers, of which any number may be open at once."""
        return self.bracket or self.unary or self.op == "pow"


class Expressions(Stream):
    """Reads one expression after the other; knows which names there are."""

    functions: Mapping[str, str] = PUBLIC
    modules: frozenset[str] = frozenset()  # prefixes that are dropped before a listed function
    no_variable = "it is not declared"

    def __init__(self, text: str, limits: Limits, tokens: Iterator[Token], constants: frozenset[str]) -> None:
        super().__init__(text, limits, tokens)
        self.constants = constants
        self.strict = False  # with any declaration, every input is declared
        self.declared: dict[str, Input] = {}
        self.implicit: dict[str, Input] = {}
        self.dimensions: set[str] = set()
        self.assigned: dict[str, int] = {}
        self.helpers: dict[str, Helper] = {}  # by the name that the text gives; the Helper's own is that of its calls
        self.cost: dict[str, int] = {}  # elementary steps of a helper, the helpers that it calls inlined
        self.parameters: dict[str, None] | None = None  # inside a helper: the only names there are
        self.steps = 0  # elementary steps so far, helpers inlined
        self.operators: list[_Operator] = []
        self.operands: list[Expr] = []
        self.depth = 0

    def value(self) -> Expr:
        """One expression that is a number, and not a comparison."""
        expr = self.expression()
        self.refuse_comparison(expr)
        return expr

    def expression(self) -> Expr:
        """One expression, up to a token that cannot continue it."""
        wants_operand = True
        while True:
            if wants_operand:
                wants_operand = self.operand()
                continue
            token = self.peek()
            if token.kind != OPERATOR:
                break
            if token.text in _BINARY:
                self.take()
                strength, op = _BINARY[token.text]
                self.reduce(strength + (strength == _POWER))
                self.push(_Operator(strength, op, False, token))
                wants_operand = True
            elif token.text == "," and self.bracket() is not None:
                self.comma()
                wants_operand = True
            elif token.text == ")" and self.bracket() is not None:
                self.take()
                self.close(token)
            else:
                break
        self.reduce(0)
        if self.operators:
            raise self.unclosed(self.peek())
        return self.operands.pop()

    # -- operands ----------------------------------------------------------------------------------------------------

    def operand(self) -> bool:
        """Read what may stand where an operand is wanted; True while one is still wanted."""
        token = self.take()
        if token.kind == NUMBER:
            self.operands.append(self.number(token))
            return False
        if token.kind == NAME:
            return self.name(token)
        if token.kind == OPERATOR and token.text == "(":
            self.push(_Operator(0, "", False, token, "", len(self.operands)))
            return True
        if token.kind == OPERATOR and token.text in ("-", "+"):
            self.push(_Operator(_UNARY, "neg" if token.text == "-" else "", True, token))
            return True
        raise self.fail(self.unexpected(token), token)

    def unexpected(self, token: Token) -> str:
        """What is said of a token that stands where an operand is wanted."""
        bracket = self.bracket()
        if token.text == ")" and bracket is not None and bracket.function:
            return f"an argument of {bracket.function}() is missing"
        if token.text == ")" and bracket is not None and bracket.token.end == token.start:
            return "there is nothing between these brackets"
        if token.text in ("*", "**") and bracket is not None and bracket.function:
            return "arguments are written one by one; '*' does not unpack here"
        if token.text == "[":
            return "lists are not part of the language"
        if token.kind == STRING:
            return "strings are not part of the language"
        return f"expected a number, a name or a bracket, found {shown(token)}"

    def number(self, token: Token) -> Number:
        value = float(token.text)
        if math.isinf(value):
            raise DomainError("this number is too large for float64 (1.8e308)", text=self.text, at=token.start)
        return Number(value, span=(token.start, token.end))

    def name(self, token: Token) -> bool:
        if token.text in self.modules and token.text not in self.declared and self.sees("."):
            token = self.prefixed(token)
        if self.sees("."):
            self.attribute(token)
        if self.sees("("):
            name = self.function_name(token)
            self.push(_Operator(0, "", False, self.take(), name, len(self.operands)))
            self.refuse_keyword_argument()
            return True
        self.operands.append(self.variable(token))
        return False

    def prefixed(self, module: Token) -> Token:
        """The token after `np.`, which must be a listed function or constant."""
        self.take()
        token = self.take()
        if token.kind == NAME and (token.text in CONSTANTS or token.text in ARRAY_FUNCTIONS):
            return token
        if token.kind != NAME or token.text not in self.functions or not self.sees("("):
            advice = _advice(token.text, self.functions) if token.text != "e" else "; write exp(1)"
            raise self.fail(f"{quoted(f'{module.text}.{token.text}')} is not a function of the language{advice}", token)
        return token

    def attribute(self, token: Token) -> None:
        following = self.peek(1)
        if following.text == "T":
            raise self.later("the transpose '.T' works on arrays, which come in a later version", self.peek())
        if token.text in ("np", "numpy", "math", "jnp") and following.text in PUBLIC:
            raise self.fail(f"write {following.text} without '{token.text}.'", token)
        raise self.fail("attributes are not part of the language", self.peek())

    def refuse_keyword_argument(self) -> None:
        """After `(` or `,` of a call."""
        if self.peek().kind == NAME and self.sees("=", 1):
            name = self.operators[-1].function
            advice = "; a comparison is ==" if name == "where" else ""
            raise self.fail(f"{name}() takes no keyword arguments{advice}", self.peek())

    def function_name(self, token: Token) -> str:
        name = token.text
        if name in self.helpers:
            return name
        if name in KEYWORDS:
            raise self.fail(keyword_message(name), token)
        if name in self.functions:
            return name
        if name in ARRAY_FUNCTIONS:
            raise self.later(f"{name}() works on arrays, which come in a later version", token)
        if name in CONSTANTS:
            raise self.fail(f"'{name}' is a constant, not a function; write {name}*(...) for a product", token)
        if name in self.assigned or name in self.declared or (self.parameters and name in self.parameters):
            raise self.fail(f"'{name}' is a variable, not a function; write {name}*(...) for a product", token)
        raise self.fail(self.no_function(name), token)

    def no_function(self, name: str) -> str:
        return f"unknown function {quoted(name)}{_advice(name, {**self.functions, **self.helpers})}"

    def variable(self, token: Token) -> Expr:
        name, span = token.text, (token.start, token.end)
        if name in CONSTANTS and not (self.parameters and name in self.parameters):
            return Number(CONSTANTS[name], name, span)
        self.ordinary(token)
        if self.parameters is not None:
            if name not in self.parameters:
                advice = nearest(name, self.parameters)
                raise self.fail(f"a helper sees only its parameters; pass {quoted(name)} as one{advice}", token)
        elif name in self.declared or name in self.assigned:
            pass
        elif name in self.helpers:
            raise self.fail(f"'{name}' is a helper: write {name}(...)", token)
        elif not self.strict:
            if name not in self.implicit:
                self.implicit[name] = Input(name, (), name in self.constants)
        elif name not in self.dimensions:
            known = [*self.declared, *self.assigned]
            raise self.fail(f"unknown name {quoted(name)}: {self.no_variable}{nearest(name, known)}", token)
        return Name(name, span)

    def ordinary(self, token: Token) -> None:
        """Refuse Python's keywords and bare elementary functions as variables."""
        if token.text in KEYWORDS:
            raise self.fail(keyword_message(token.text), token)
        if token.text in ELEMENTARY:
            raise self.fail(f"'{token.text}' is a function: write {token.text}(...), or choose another name", token)

    # -- operators ---------------------------------------------------------------------------------------------------

    def push(self, operator: _Operator) -> None:
        self.depth += operator.nests
        if self.depth > self.limits.depth:
            raise self.fail(
                f"nested more than {self.limits.depth} deep; raise the limit `depth`, or use statements", operator.token
            )
        self.operators.append(operator)

    def pop(self) -> _Operator:
        operator = self.operators.pop()
        self.depth -= operator.nests
        return operator

    def bracket(self) -> _Operator | None:
        """The innermost open bracket."""
        return next((operator for operator in reversed(self.operators) if operator.bracket), None)

    def unclosed(self, found: Token) -> Exception:
        bracket = self.operators[-1]
        if found.kind == NAME and found.text in KEYWORDS:
            return self.fail(keyword_message(found.text), found)
        if found.text in ("@", "["):
            what = "the matrix product '@'" if found.text == "@" else "indexing"
            return self.later(f"{what} works on arrays, which come in a later version", found)
        if found.kind in (NUMBER, NAME, STRING) or found.text == "(":
            return self.fail(f"expected an operator, ',' or ')', found {shown(found)}; a product needs '*'", found)
        if found.text == "=":
            return self.fail("'=' inside brackets; a comparison is ==, and only in where(condition, a, b)", found)
        return self.fail(f"this bracket is not closed before {shown(found)}", bracket.token)

    def reduce(self, strength: int) -> None:
        """Apply waiting operators that bind at least as strongly as `strength`, down to the innermost bracket."""
        operators, operands = self.operators, self.operands
        while operators and not operators[-1].bracket and operators[-1].strength >= strength:
            operator = self.pop()
            right = operands.pop()
            if operator.unary:
                self.refuse_comparison(right)
                if operator.op:
                    self.count(1, operator.token)
                    right = Call("neg", (right,), (operator.token.start, end_of(right)))
                operands.append(right)
                continue
            left = operands.pop()
            if operator.op in COMPARE_OPS and (_compares(left) or _compares(right)):
                raise self.fail("one comparison at a time: a < b < c is not part of the language", operator.token)
            self.refuse_comparison(left)
            self.refuse_comparison(right)
            self.count(1, operator.token)
            operands.append(Call(operator.op, (left, right), (start_of(left), end_of(right))))

    def refuse_comparison(self, expr: Expr) -> None:
        if _compares(expr):
            raise self.fail(_A_COMPARISON, start_of(expr))

    def count(self, steps: int, place: Token) -> None:
        """Add to the elementary steps of the text; a tower of helpers can need more than there is memory."""
        self.steps += steps
        if self.steps > self.limits.steps:
            raise self.fail(f"more than {self.limits.steps} elementary steps; raise the limit `steps`", place)

    def comma(self) -> None:
        """A comma inside brackets."""
        token = self.take()
        self.reduce(0)
        bracket = self.operators[-1]
        if not bracket.function:
            raise self.fail("tuples are not part of the language", token)
        if self.sees(")"):
            raise self.fail("an argument is missing after the comma", self.peek())
        self.refuse_keyword_argument()
        wanted = self.arguments(bracket.function)
        if len(self.operands) - bracket.operands >= wanted:
            raise self.wrong_count(bracket, f"more than {wanted}")

    def close(self, token: Token) -> None:
        self.reduce(0)
        bracket = self.pop()
        if not bracket.function:
            return
        args = self.operands[bracket.operands :]
        del self.operands[bracket.operands :]
        self.operands.append(self.call(bracket, args, token))

    def arguments(self, name: str) -> int:
        helper = self.helpers.get(name)
        return len(helper.parameters) if helper else TABLE[self.functions[name]].operands

    def wrong_count(self, bracket: _Operator, found: str) -> Exception:
        name, start = bracket.function, bracket.token
        wanted = self.arguments(name)
        if name in ("max", "min") and found == "1":
            return self.later(f"{name} of one array comes in a later version; {name}(a, b) compares two numbers", start)
        if name in ("max", "min", "hypot", "maximum", "minimum"):
            advice = f"; nest them: {name}({name}(a, b), c)"
        else:
            advice = "; write log(x)/log(base)" if name == "log" else ""
        return self.fail(f"{name}() takes {wanted} argument{'s' * (wanted != 1)}, not {found}{advice}", start)

    def call(self, bracket: _Operator, args: list[Expr], closing: Token) -> Call:
        name = bracket.function
        helper = self.helpers.get(name)
        op = helper.name if helper else self.functions[name]
        start = self.text.rfind(name, 0, bracket.token.start)
        if len(args) != self.arguments(name):
            raise self.wrong_count(bracket, str(len(args)))
        if op == "where" and not _compares(args[0]):
            raise self.fail("the condition of where() is one comparison, such as x < 0", start_of(args[0], start))
        for arg in args[op == "where" :]:
            self.refuse_comparison(arg)
        if op == "polygamma":
            self.check_order(args[0], start)
        self.count(self.cost.get(op, 1), bracket.token)
        return Call(op, tuple(args), (start, closing.end))

    def check_order(self, order: Expr, start: int) -> None:
        whole = isinstance(order, Number) and order.value.is_integer() and 0 <= order.value <= MAX_POLYGAMMA_ORDER
        if not whole:
            range_ = f"a whole number from 0 to {MAX_POLYGAMMA_ORDER}, written as a literal"
            raise self.fail(f"the order of polygamma(order, x) is {range_}", start_of(order, start))


def _compares(expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.op in COMPARE_OPS


def _advice(name: str, known: Mapping[str, object]) -> str:
    return f"; did you mean '{ADVICE[name]}'?" if name in ADVICE else nearest(name, known)
