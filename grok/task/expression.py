"""Expressions in x and y: from text to a tree.

Grammar (blanks are free; · × ÷ − and superscripts such as ² or ⁻¹ are read as * * / - and ^2, ^-1):

    expression = sum [ "if" operand ["is"] ("odd" | "even") "else" expression ]
    sum        = product { ("+" | "-") product }
    product    = signed { "*" signed | "/" signed | power }
    signed     = { "-" } power
    power      = atom [ "^" exponent ]        exponent = ["-"] integer, in parentheses or not
    atom       = "x" | "y" | integer | "(" expression ")"

Products with and without "*" bind alike. With "/" they run from left to right: x/yx is (x/y)x.
-x^2 is -(x^2). A number multiplies from the left only: x2 could mean 2x or x^2, so it is an error.
"""

import re
from typing import NamedTuple

from grok.experiment import GrokError

MAX_LENGTH = 500  # of an expression, in characters
MAX_DEPTH = 50  # of parentheses and else branches, far from the interpreter's recursion limit
MAX_EXPONENT = 10_000


# Nodes of the tree. A `column` counts from 1 and points into the text as the user wrote it.


class Number(NamedTuple):
    value: int
    column: int


class Operand(NamedTuple):
    name: str


class Power(NamedTuple):
    """base^exponent; a division is a power -1."""

    base: "Node"
    exponent: int
    column: int


class Product(NamedTuple):
    factors: tuple["Node", ...]


class Sum(NamedTuple):
    """The sum of sign·term; `column` is that of its first sign."""

    signed_terms: tuple[tuple[int, "Node"], ...]
    column: int


class Conditional(NamedTuple):
    """`then` where `operand` has the parity (0: even, 1: odd), `otherwise` elsewhere."""

    then: "Node"
    operand: str
    parity: int
    otherwise: "Node"
    column: int


Node = Number | Operand | Power | Product | Sum | Conditional


class Token(NamedTuple):
    kind: str  # "number", "operand", "end", or the text itself
    text: str
    column: int


TOKENS = re.compile(
    r"(?P<number>[0-9]+)|(?P<operand>[xy])|(?P<literal>if|else|is|odd|even|[-+*/^()])"
    r"|(?P<superscript>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|(?P<blank>\s+)|(?P<unknown>.)"
)
ASCII_SYMBOLS = str.maketrans("·×÷−", "**/-")
ASCII_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
ATOM = "x, y, a number or '('"


def mistake(expression: str, column: int, what: str) -> GrokError:
    """The error that tells what is wrong at a position of an expression."""
    return GrokError(f"operation {expression!r}, position {column}: {what}")


def tokenize(expression: str) -> list[Token]:
    """The tokens of an expression, closed by one of kind "end"."""
    tokens = []
    for match in TOKENS.finditer(expression.translate(ASCII_SYMBOLS)):
        kind, text, column = str(match.lastgroup), match[0], match.start() + 1
        if kind == "unknown":
            found = expression[column - 1]
            what = f"expected x, y, a number, '(' or an operator, found {found!r}"
            raise mistake(expression, column, what)
        if kind == "superscript":
            minus = [Token("-", text, column)] if text[0] == "⁻" else []
            digits = text.lstrip("⁻").translate(ASCII_DIGITS)
            tokens += [Token("^", text, column), *minus, Token("number", digits, column)]
        elif kind != "blank":
            tokens.append(Token(text if kind == "literal" else kind, text, column))
    return [*tokens, Token("end", "", len(expression) + 1)]


def parse(expression: str) -> Node:
    """The syntax tree of an expression.

    Raises GrokError that names the position and what was expected there.
    """
    if len(expression) > MAX_LENGTH:
        raise GrokError(
            f"operation of {len(expression)} characters is too long: at most {MAX_LENGTH} are read"
        )
    return Parser(expression).parse()


class Parser:
    """Recursive descent; each method reads one rule of the grammar in the module's docstring."""

    def __init__(self, expression: str):
        self.expression = expression
        self.tokens = tokenize(expression)
        self.next = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.next]

    def accept(self, *kinds: str) -> Token | None:
        """The next token, taken, if it is of one of these kinds."""
        token = self.token
        if token.kind not in kinds:
            return None
        self.next += 1
        return token

    def expect(self, what: str, *kinds: str) -> Token:
        token = self.accept(*kinds)
        if token is None:
            found = repr(self.token.text) if self.token.text else "the end"
            raise mistake(self.expression, self.token.column, f"expected {what}, found {found}")
        return token

    def parse(self) -> Node:
        node = self.conditional()
        if self.token.kind == "number":
            found = self.token.text
            what = f"expected an operator before {found!r}: write 2x or x^2, not x2"
            raise mistake(self.expression, self.token.column, what)
        self.expect("an operator, another factor, 'if' or the end", "end")
        return node

    def conditional(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            what = f"nested too deeply: at most {MAX_DEPTH} levels are read"
            raise mistake(self.expression, self.token.column, what)
        node = self.sum()
        if token := self.accept("if"):
            operand = self.expect("x or y after 'if'", "operand").text
            self.accept("is")
            parity = int(self.expect("'odd' or 'even'", "odd", "even").kind == "odd")
            self.expect("'else'", "else")
            node = Conditional(node, operand, parity, self.conditional(), token.column)
        self.depth -= 1
        return node

    def sum(self) -> Node:
        signed_terms, columns = [(1, self.product())], []
        while token := self.accept("+", "-"):
            signed_terms.append((-1 if token.kind == "-" else 1, self.product()))
            columns.append(token.column)
        return Sum(tuple(signed_terms), columns[0]) if columns else signed_terms[0][1]

    def product(self) -> Node:
        factors = [self.signed()]
        while True:
            if self.accept("*"):
                factors.append(self.signed())
            elif token := self.accept("/"):
                factors.append(Power(self.signed(), -1, token.column))
            elif self.token.kind in ("operand", "("):
                factors.append(self.power())
            else:
                return Product(tuple(factors)) if len(factors) > 1 else factors[0]

    def signed(self) -> Node:
        column, sign = self.token.column, 1
        while self.accept("-"):
            sign = -sign
        node = self.power()
        return node if sign == 1 else Sum(((-1, node),), column)

    def power(self) -> Node:
        base = self.atom()
        if token := self.accept("^"):
            return Power(base, self.exponent(), token.column)
        return base

    def exponent(self) -> int:
        parenthesis = self.accept("(")
        sign = -1 if self.accept("-") else 1
        number = self.expect("a whole number as exponent", "number")
        if parenthesis:
            self.expect("')'", ")")
        if int(number.text) > MAX_EXPONENT:
            what = f"exponent is too large: at most {MAX_EXPONENT} is read"
            raise mistake(self.expression, number.column, what)
        return sign * int(number.text)

    def atom(self) -> Node:
        token = self.expect(ATOM, "operand", "number", "(")
        if token.kind == "operand":
            return Operand(token.text)
        if token.kind == "number":
            return Number(int(token.text), token.column)
        node = self.conditional()
        self.expect("')'", ")")
        return node
