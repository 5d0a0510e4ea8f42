"""Parse arithmetic expressions into trees; without evaluating them."""

from __future__ import annotations

import ast
import dataclasses
import re
from typing import Any, NamedTuple

from fpemu.formats.facts.literals import Literal, is_code, read
from fpemu.formats.lookup import near
from fpemu.inspection.operations import ALIASES, OPERATIONS, SYMBOLS, Operation

__all__ = [
    "CodeNode",
    "ExpressionError",
    "Node",
    "NumberNode",
    "OperationNode",
    "TextRange",
    "VariableNode",
    "parse_expression",
]

MAX_LENGTH = 1000  # characters
MAX_DEPTH = 150  # nested operations

ALLOWED = (
    "allowed are + - * / **, parentheses, numbers (0.1, 1e-3, 0x1.8p-3), codes (0x3C, 0b101), inf, nan, and "
    f"functions: {', '.join(sorted(OPERATIONS))}"
)
# What may be a number or a code, to be read by `fpemu.formats.facts.literals`; 0x1e-3 is a difference
_NUMBER = re.compile(r"(?<![\w.])(?:0x[\w.]*(?:(?<=p)[+-]\w+)?|\.?\d[\w.]*(?:(?<=e)[+-]\w+)?)", re.IGNORECASE)
_BINARY: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


class ExpressionError(ValueError):
    """An expression that cannot be read or evaluated; the message points at the characters.

    Parameters
    ----------
    message, text : str
    start, end : int
        The range of characters in the text.
    hint : str
        The allowed input.
    """

    def __init__(self, message: str, text: str, start: int, end: int, hint: str = "") -> None:
        start = min(start, len(text))
        self.start, self.end = start, max(end, start + 1)
        super().__init__(f"{message}\n  {text}\n  {' ' * start}{'^' * (self.end - start)}" + f"\n{hint}" * bool(hint))


class TextRange(NamedTuple):
    """The characters of an expression that a node comes from."""

    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class NumberNode:
    """A literal number."""

    extent: TextRange
    value: Literal


@dataclasses.dataclass(frozen=True)
class CodeNode:
    """A literal code."""

    extent: TextRange
    code: int


@dataclasses.dataclass(frozen=True)
class VariableNode:
    """The name of an operand."""

    extent: TextRange
    name: str


@dataclasses.dataclass(frozen=True)
class OperationNode:
    """An operation on other nodes; `symbol`: its infix or prefix symbol, "" for a function call."""

    extent: TextRange
    operation: Operation
    arguments: tuple[Node, ...]
    symbol: str = ""


Node = NumberNode | CodeNode | VariableNode | OperationNode


def parse_expression(text: str, names: tuple[str, ...] = ()) -> Node:
    """Parse an expression into a tree; no operations are contracted.

    Parameters
    ----------
    text : str
        + - * / **, parentheses, numbers, codes, and functions of `fpemu`.
    names : tuple of str
        The allowed names of operands.

    Returns
    -------
    NumberNode, CodeNode, VariableNode or OperationNode
        The root of the tree.

    Raises
    ------
    ExpressionError
        A ValueError whose message points at the first error and lists the allowed input.

    Examples
    --------
    >>> from fpemu.inspection.expressions import parse_expression
    >>> parse_expression("1 + 2 * x", names=("x",)).operation.name
    'add'
    >>> parse_expression("2 ^ 3")
    Traceback (most recent call last):
    ...
    fpemu.inspection.expressions.ExpressionError: '^' is not an operation here: a power is written **
      2 ^ 3
        ^
    """
    return _Parser(text, names).tree()


class _Parser:
    """A parser that uses Python's grammar; it replaces numbers by names of equal length to preserve all digits."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self.text = text = re.sub(r"\s", " ", text)
        self.names = names
        if not text.strip():
            raise ExpressionError("the expression is empty", text, 0, 1, ALLOWED)
        if len(text) > MAX_LENGTH:
            raise ExpressionError(f"an expression must have at most {MAX_LENGTH} characters", text[:40] + "…", 40, 41)
        for index, letter in enumerate(text):
            if not letter.isascii() or not letter.isprintable():
                raise self.error(f"{letter!r} cannot be read", index, index + 1, ALLOWED)
        self.numbers = {match.start(): match for match in _NUMBER.finditer(text)}

    def error(self, message: str, start: int, end: int, hint: str = "") -> ExpressionError:
        return ExpressionError(message, self.text, start, end, hint)

    def tree(self) -> Node:
        masked = list(self.text)
        for match in self.numbers.values():
            masked[match.start() : match.end()] = "_" * len(match[0])
        plain = "".join(masked)
        for index, letter in enumerate(plain):  # a digit left over is part of a malformed number
            if letter.isdigit() and not re.search(r"[A-Za-z_]\w*$", plain[:index]):
                word = re.match(r"[\w.]*", self.text[index:])
                assert word is not None
                raise self.error(
                    f"{word[0]!r} is not a number: use 0.1, 1e-3, 0x1.8p-3, or a code, 0x3C", index, index + 1
                )
        indent = len(plain) - len(plain.lstrip())
        try:
            return self.node(ast.parse(plain[indent:], mode="eval").body, indent, 0)
        except SyntaxError as error:
            start = min(max((error.offset or 1) - 1 + indent, 0), len(self.text))
            if plain.rstrip()[-1] in "+-*/,":  # something is missing
                start = len(plain.rstrip())
            where = "at the end" if not self.text[start:].strip() else "here"
            raise self.error(f"this cannot be read {where}", start, start + 1, ALLOWED) from None
        except (RecursionError, MemoryError):
            raise self.error(f"more than {MAX_DEPTH} operations are nested", 0, 1) from None

    def node(self, node: Any, shift: int, depth: int) -> Node:
        depth += 1
        if depth > MAX_DEPTH:
            raise RecursionError
        extent = TextRange(node.col_offset + shift, node.end_col_offset + shift)
        if isinstance(node, ast.Name):
            return self.name(extent)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self.node(node.operand, shift, depth)
            if isinstance(node.op, ast.UAdd):
                return inner
            if isinstance(inner, NumberNode):
                return NumberNode(extent, inner.value.negated())
            return OperationNode(extent, OPERATIONS["negative"], (inner,), "-")
        if isinstance(node, ast.BinOp):
            left, right = self.node(node.left, shift, depth), self.node(node.right, shift, depth)
            symbol = _BINARY.get(type(node.op))
            if symbol is None:
                between = self.text[_end(node.left) + shift : node.right.col_offset + shift]
                wrong = between.strip(" ()")
                start = _end(node.left) + shift + between.index(wrong)
                hint = {"^": "a power is written **", "%": "write fmod(x, y) or remainder(x, y)"}.get(wrong)
                words = f"{wrong!r} is not an operation here" + f": {hint}" * (hint is not None)
                raise self.error(words, start, start + len(wrong), ALLOWED * (hint is None))
            return OperationNode(extent, OPERATIONS[SYMBOLS[symbol]], (left, right), symbol)
        if isinstance(node, ast.Call):
            return self.call(node, extent, shift, depth)
        raise self.error("this is not arithmetic", *extent, ALLOWED)

    def call(self, node: ast.Call, extent: TextRange, shift: int, depth: int) -> Node:
        start, end = node.func.col_offset + shift, _end(node.func) + shift
        name = self.text[start:end]
        if not isinstance(node.func, ast.Name) or start in self.numbers:
            raise self.error(f"{name!r} is not a function", start, end, ALLOWED)
        operation = OPERATIONS.get(ALIASES.get(name, name))
        if operation is None:
            raise self.error(f"no function {name!r}{near(name, [*OPERATIONS, *ALIASES])}", start, end, ALLOWED)
        if node.keywords:
            raise self.error("operands cannot be passed by name", node.keywords[0].col_offset + shift, extent.end - 1)
        if len(node.args) != operation.operands:
            count = f"{operation.operands} operand{'s' * (operation.operands > 1)}"
            raise self.error(f"{name} takes {count}, not {len(node.args)}", *extent)
        return OperationNode(extent, operation, tuple(self.node(argument, shift, depth) for argument in node.args))

    def name(self, extent: TextRange) -> Node:
        match = self.numbers.get(extent.start)
        if match is not None:
            return self.number(match, extent)
        name = self.text[slice(*extent)]
        if name.lower() in ("inf", "infinity", "nan"):
            return NumberNode(extent, read(name))
        if name in self.names:
            return VariableNode(extent, name)
        if name in OPERATIONS or name in ALIASES:
            raise self.error(f"{name!r} is a function: write {name}(...)", *extent)
        names = f"; the operands' names are {', '.join(self.names)}" * bool(self.names)
        raise self.error(f"unknown name {name!r}{names}{near(name, [*OPERATIONS, *ALIASES])}", *extent, ALLOWED)

    def number(self, match: re.Match[str], extent: TextRange) -> Node:
        if is_code(match[0]):
            return CodeNode(extent, int(match[0], 0))
        try:
            return NumberNode(extent, read(match[0]))
        except ValueError as error:
            raise self.error(f"{error}; a code, 0x3C", *extent) from None


def _end(node: ast.expr) -> int:
    return node.end_col_offset or 0
