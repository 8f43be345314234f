"""Expressions: an operator-precedence parser with its own stacks, so that depth costs memory and not C stack.

Time is linear: every token is pushed and popped once, and what is scanned at a comma or a bracket is reduced there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from symdiff.errors import DomainError, nearest, quoted
from symdiff.expr import Call, Expr, Name, Number
from symdiff.formula_data import Input, Limits
from symdiff.frontend.calls import Bracket, Calls, Operand, advice, compares
from symdiff.frontend.stream import shown
from symdiff.frontend.tokens import NAME, NUMBER, OPERATOR, STRING, Token
from symdiff.frontend.words import (
    ABSENT,
    CONSTANTS,
    ELEMENTARY,
    FUNCTIONS,
    KEYWORDS,
    METHODS,
    MODULES,
    OTHER_MODULES,
    OTHER_NAMES,
    REDUCTIONS,
    SHAPED,
    absent_message,
    keyword_message,
)
from symdiff.ops import COMPARE_OPS, COMPARISONS

_BINARY = {"+": (2, "add"), "-": (2, "sub"), "*": (3, "mul"), "/": (3, "div"), "@": (3, "matmul"), "**": (5, "pow")}
_BINARY |= {sign: (1, op) for sign, op in COMPARISONS.items()}
_UNARY, _POWER = 4, 5
_LONGEST_PATH = 12  # tokens of a.b.c
_TRANSPOSES = {"T": "transpose", "mT": "matrix_transpose"}


@dataclass(slots=True)
class _Operator:
    """Something that waits for its right operand; a plus sign has no op."""

    strength: int
    op: str
    unary: bool
    token: Token


def _nests(operator: _Operator | Bracket) -> bool:
    """Counts for the limit `depth`: brackets, signs and powers, of which any number may be open at once."""
    return isinstance(operator, Bracket) or operator.unary or operator.op == "pow"


class Expressions(Calls):
    """Reads one expression after the other; knows which names there are."""

    modules: frozenset[str] = frozenset()  # prefixes that are dropped before a listed function
    methods: Mapping[str, str] = MappingProxyType({})
    no_variable = "it is not declared"

    def __init__(self, text: str, limits: Limits, tokens: Iterator[Token], constants: frozenset[str]) -> None:
        super().__init__(text, limits, tokens)
        self.constants = constants
        self.strict = False  # with any declaration, every input is declared
        self.implicit: dict[str, Input] = {}
        self.operators: list[_Operator | Bracket] = []
        self.operands: list[Operand] = []

    def value(self) -> Expr:
        """One expression that is a number or an array, and not a comparison."""
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
            elif token.text in (".", "["):
                wants_operand = self.postfix()
            elif token.text in (",", ")", "]") and self.reduced_to_bracket(token):
                wants_operand = self.comma() if token.text == "," else self.close()
            else:
                break
        self.reduce(0)
        if self.operators:
            raise self.unclosed(self.peek())
        return self.operands.pop().expr

    def reduced_to_bracket(self, token: Token) -> bool:
        """Apply what waits; whether `token` then belongs to the innermost bracket."""
        self.reduce(0)
        if not self.operators:
            return False
        bracket = self.operators[-1]
        assert isinstance(bracket, Bracket)
        return token.text == "," or (token.text == "]") == (bracket.token.text == "[")

    # -- operands ----------------------------------------------------------------------------------------------------

    def operand(self) -> bool:
        """Read what may stand where an operand is wanted; True while one is still wanted."""
        token = self.take()
        if token.kind == NUMBER:
            self.operands.append(Operand(self.number(token), token.start, token.end))
            return False
        if token.kind == NAME:
            return self.name(token)
        if token.kind == OPERATOR and token.text in ("-", "+"):
            self.push(_Operator(_UNARY, "neg" if token.text == "-" else "", True, token))
            return True
        listing = self.may_list()
        if token.kind == OPERATOR and (token.text == "(" or (token.text == "[" and listing)):
            self.push(Bracket(token, len(self.operands), listing=listing, commas=token.text == "["))
            return True
        raise self.fail(self.unexpected(token), token)

    def may_list(self) -> bool:
        """Whether what comes next may be the list of concat([a, b])."""
        top = self.operators[-1] if self.operators else None
        if not isinstance(top, Bracket) or not top.function or len(self.operands) > top.below:
            return False
        return self.operands_of(top) < 0 and top.op not in self.abstract

    def unexpected(self, token: Token) -> str:
        """What is said of a token that stands where an operand is wanted."""
        bracket = self.bracket()
        if token.text == ")" and bracket is not None and bracket.function:
            return f"an argument of {bracket.function}() is missing"
        if token.text in (")", "]") and bracket is not None and bracket.token.end == token.start:
            return "there is nothing between these brackets"
        if token.text in ("*", "**") and bracket is not None and bracket.function:
            return "arguments are written one by one; '*' does not unpack here"
        if token.text == "[":
            return "lists are not part of the language; stack(a, b) makes an array of operands"
        if token.kind == STRING:
            return "strings are not part of the language"
        return f"expected a number, a name or a bracket, found {shown(token)}"

    def number(self, token: Token) -> Number:
        value = float(token.text)
        if math.isinf(value):
            raise DomainError("this number is too large for float64 (1.8e308)", text=self.text, at=token.start)
        return Number(value, span=(token.start, token.end))

    def name(self, token: Token) -> bool:
        start, op = token.start, ""
        if token.text in MODULES and self.sees(".") and not self.known(token.text):
            token, op = self.prefixed(token)
        elif token.text in OTHER_MODULES and self.sees(".") and not self.known(token.text):
            self.refuse_other_module(token)
        if self.sees("("):
            function = token.text if op else self.function_name(token)
            op = op or self.op_of(function)
            bracket = Bracket(self.take(), len(self.operands), function=function, op=op, start=start)
            self.push(bracket)
            return self.argument(bracket)
        self.operands.append(Operand(self.variable(token), start, token.end))
        return False

    def prefixed(self, module: Token) -> tuple[Token, str]:
        """The token after `np.` or `np.linalg.`, and the op of the function that it is."""
        distance = 3 if self.peek(1).text == "linalg" and self.sees(".", 2) else 1
        token = self.peek(distance)
        path = self.text[module.start : token.end]
        if not self.modules:
            name = OTHER_NAMES.get(token.text, token.text)
            if name in FUNCTIONS or name in CONSTANTS:
                raise self.fail(f"write {name} without '{self.text[module.start : token.start]}'", module)
            if not self.sees("(", distance + 1):
                return module, ""
        if token.kind != NAME or token.text not in (*self.functions, *CONSTANTS):
            instead = advice(token.text, self.functions) if token.text != "e" else "; write exp(1)"
            raise self.fail(f"{quoted(path)} is not a function of the language{instead}", token)
        del self.ahead[: distance + 1]
        if token.text in CONSTANTS:
            return token, ""
        if not self.sees("("):
            raise self.fail(f"{quoted(path)} is a function: write {path}(...)", token)
        return token, REDUCTIONS.get(token.text, self.functions[token.text])

    def refuse_other_module(self, module: Token) -> None:
        """Refuse `torch.nn.functional.relu(`; a path that ends otherwise is left to the rest."""
        last, distance = module, 0
        while self.sees(".", distance) and self.peek(distance + 1).kind == NAME and distance < _LONGEST_PATH:
            last, distance = self.peek(distance + 1), distance + 2
        if not self.sees("(", distance) or last.text in METHODS or last is module:
            return
        name = OTHER_NAMES.get(last.text, last.text)
        path = quoted(self.text[module.start : last.end])
        if name in FUNCTIONS:
            raise self.fail(f"{path} is not part of the language; write {name}(...)", module)
        raise self.fail(f"{path} is not part of the language{advice(name, FUNCTIONS)}", module)

    def variable(self, token: Token) -> Expr:
        name, span = token.text, (token.start, token.end)
        own = self.parameters is not None and name in self.parameters
        if name in CONSTANTS and not own:
            return Number(CONSTANTS[name], name, span)
        self.ordinary(token)
        if own or (self.parameters is None and (name in self.declared or name in self.assigned)):
            return Name(name, span)
        if name in self.helpers or name in self.abstract:
            kind = "helper" if name in self.helpers else "function"
            raise self.fail(f"'{name}' is a {kind}: write {name}(...)", token)
        if self.parameters is not None:
            near = nearest(name, self.parameters)
            raise self.fail(f"a helper sees only its parameters; pass {quoted(name)} as one{near}", token)
        if not self.strict:
            self.implicit.setdefault(name, Input(name, (), name in self.constants))
        elif name not in self.dimensions:
            near = nearest(name, [*self.declared, *self.assigned, *self.dimensions])
            raise self.fail(f"unknown name {quoted(name)}: {self.no_variable}{near}", token)
        return Name(name, span)

    def ordinary(self, token: Token) -> None:
        """Refuse Python's keywords and bare elementary functions as variables."""
        if token.text in KEYWORDS:
            raise self.fail(keyword_message(token.text), token)
        if token.text in ELEMENTARY:
            raise self.fail(f"'{token.text}' is a function: write {token.text}(...), or choose another name", token)

    # -- what follows an operand -------------------------------------------------------------------------------------

    def postfix(self) -> bool:
        """An index, a transpose or a method; True where an argument of a method is wanted."""
        token = self.take()
        target = self.operands[-1]
        if token.text == "[":
            items, closing = self.index(token)
            self.applied("index", token, closing.end, (items,))
            return False
        name = self.take()
        if name.text in _TRANSPOSES:
            self.applied(_TRANSPOSES[name.text], token, name.end)
            return False
        if name.text not in self.methods or not self.sees("("):
            raise self.fail(self.no_attribute(name, target.expr), token)
        bracket = Bracket(self.take(), len(self.operands) - 1, function=name.text, op=self.methods[name.text])
        bracket.start, bracket.method = target.start, True
        self.push(bracket)
        return False if self.sees(")") and bracket.op not in SHAPED else self.argument(bracket)

    def applied(self, op: str, place: Token, end: int, options: tuple[object, ...] = ()) -> None:
        """Put `op` of the last operand in its place."""
        target = self.operands.pop()
        self.refuse_comparison(target.expr)
        self.count(1, place)
        made = Call(op, (target.expr,), (target.start, end), options)
        self.operands.append(Operand(made, target.start, end))

    def no_attribute(self, name: Token, target: Expr) -> str:
        shown_target = target.id if isinstance(target, Name) else "..."
        if name.text in ("flatten", "ravel"):
            return f".{name.text}() is not part of the language; write reshape({shown_target}, -1)"
        if name.text in ABSENT and self.sees("("):
            return absent_message(name.text, f".{name.text}()")
        if name.text in METHODS and self.sees("("):
            more = "" if self.sees(")", 1) else ", ..."
            return f"methods are not part of the language; write {name.text}({shown_target}{more})"
        if name.text == "shape":
            return "attributes are not part of the language; a size has a name: declare X: (n, 3) and write n"
        return "attributes are not part of the language"

    # -- operators ---------------------------------------------------------------------------------------------------

    def push(self, operator: _Operator | Bracket) -> None:
        self.depth += _nests(operator)
        self.check_depth(self.depth, operator.token)
        self.operators.append(operator)

    def pop(self) -> _Operator | Bracket:
        operator = self.operators.pop()
        self.depth -= _nests(operator)
        return operator

    def bracket(self) -> Bracket | None:
        """The innermost open bracket."""
        return next((operator for operator in reversed(self.operators) if isinstance(operator, Bracket)), None)

    def unclosed(self, found: Token) -> Exception:
        if found.kind == NAME and found.text in KEYWORDS:
            return self.fail(keyword_message(found.text), found)
        if found.kind in (NUMBER, NAME, STRING) or found.text == "(":
            return self.fail(f"expected an operator, ',' or ')', found {shown(found)}; a product needs '*'", found)
        if found.text == "=":
            return self.fail("'=' inside brackets; a comparison is ==, and only in where(condition, a, b)", found)
        return self.fail(f"this bracket is not closed before {shown(found)}", self.operators[-1].token)

    def reduce(self, strength: int) -> None:
        """Apply waiting operators that bind at least as strongly as `strength`, down to the innermost bracket."""
        operators = self.operators
        while operators:
            operator = operators[-1]
            if isinstance(operator, Bracket) or operator.strength < strength:
                return
            self.pop()
            if operator.unary:
                self.apply_sign(operator)
            else:
                self.apply_operator(operator)

    def apply_sign(self, operator: _Operator) -> None:
        right = self.operands.pop()
        self.refuse_comparison(right.expr)
        expr, span = right.expr, (operator.token.start, right.end)
        if operator.op:
            self.count(1, operator.token)
            expr = Call(operator.op, (expr,), span)
        self.operands.append(Operand(expr, *span))

    def apply_operator(self, operator: _Operator) -> None:
        right, left = self.operands.pop(), self.operands.pop()
        if operator.op in COMPARE_OPS and (compares(left.expr) or compares(right.expr)):
            raise self.fail("one comparison at a time: a < b < c is not part of the language", operator.token)
        self.refuse_comparison(left.expr)
        self.refuse_comparison(right.expr)
        self.count(1, operator.token)
        span = (left.start, right.end)
        self.operands.append(Operand(Call(operator.op, (left.expr, right.expr), span), *span))

    # -- brackets ----------------------------------------------------------------------------------------------------

    def argument(self, bracket: Bracket) -> bool:
        """After the opening bracket or a comma of a call: True where an operand comes next, else the call is read."""
        given = len(self.operands) - bracket.below
        if self.wants_operand(bracket, given):
            return True
        self.finish_call(bracket, self.rest(bracket, given))
        return False

    def comma(self) -> bool:
        """A comma inside brackets; True where an operand is wanted after it."""
        token = self.take()
        bracket = self.operators[-1]
        assert isinstance(bracket, Bracket)
        if bracket.listing:
            bracket.commas = True
            return not (self.sees(")") or self.sees("]"))
        if not bracket.function:
            raise self.fail("tuples are not part of the language", token)
        if self.sees(")"):
            raise self.fail("an argument is missing after the comma", self.peek())
        return self.argument(bracket)

    def close(self) -> bool:
        """A closing bracket; no operand is wanted after it."""
        token = self.take()
        bracket = self.operators[-1]
        assert isinstance(bracket, Bracket)
        if bracket.function:
            self.finish_call(bracket, token)
            return False
        self.pop()
        if bracket.commas:
            self.close_list(token)
        else:
            self.operands[-1] = Operand(self.operands[-1].expr, bracket.token.start, token.end)
        return False

    def close_list(self, token: Token) -> None:
        call = self.operators[-1]
        assert isinstance(call, Bracket)
        call.listed = True
        if not (self.sees(",") or self.sees(")")):
            raise self.fail(f"a list stands only as the one argument of {call.function}()", token)

    def finish_call(self, bracket: Bracket, closing: Token) -> None:
        self.pop()
        args = [operand.expr for operand in self.operands[bracket.below :]]
        del self.operands[bracket.below :]
        self.operands.append(Operand(self.call(bracket, args, closing), bracket.start, closing.end))
