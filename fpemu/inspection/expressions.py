"""Arithmetic expressions as text, read into their parts: nothing is carried out here."""

from __future__ import annotations

import ast
import dataclasses
import re
from typing import Any, NamedTuple

from fpemu.formats.facts.literals import Literal, is_code, read
from fpemu.formats.lookup import near
from fpemu.inspection.operations import ALIASES, OPERATIONS, SYMBOLS, Operation

__all__ = ["Call", "ExpressionError", "Number", "Part", "Place", "Variable", "Written", "parse"]

LONGEST = 1000  # characters of an expression
DEEPEST = 150  # operations within operations

ALLOWED = (
    "allowed are + - * / **, parentheses, numbers (0.1, 1e-3, 0x1.8p-3), codes (0x3C, 0b101), inf, nan, and "
    f"functions: {', '.join(sorted(OPERATIONS))}"
)
# What may be a number or a code, for `fpemu.formats.facts.literals` to read; 0x1e-3 is a difference
_NUMBER = re.compile(r"(?<![\w.])(?:0x[\w.]*(?:(?<=p)[+-]\w+)?|\.?\d[\w.]*(?:(?<=e)[+-]\w+)?)", re.IGNORECASE)
_BINARY: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


class ExpressionError(ValueError):
    """What is wrong in an expression, and where.

    Parameters
    ----------
    message, text : str
    start, end : int
        The place in the text.
    hint : str
        What is allowed.
    """

    def __init__(self, message: str, text: str, start: int, end: int, hint: str = "") -> None:
        start = min(start, len(text))
        self.start, self.end = start, max(end, start + 1)
        super().__init__(f"{message}\n  {text}\n  {' ' * start}{'^' * (self.end - start)}" + f"\n{hint}" * bool(hint))


class Place(NamedTuple):
    """From which character of an expression to which."""

    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Number:
    """A number written out."""

    place: Place
    value: Literal


@dataclasses.dataclass(frozen=True)
class Written:
    """A code written out."""

    place: Place
    code: int


@dataclasses.dataclass(frozen=True)
class Variable:
    """A name that stands for an operand."""

    place: Place
    name: str


@dataclasses.dataclass(frozen=True)
class Call:
    """An operation of other parts; `symbol` is how it is written, "" for a function."""

    place: Place
    operation: Operation
    arguments: tuple[Part, ...]
    symbol: str = ""


Part = Number | Written | Variable | Call


def parse(text: str, names: tuple[str, ...] = ()) -> Part:
    """Read an expression; nothing is carried out, and nothing is contracted.

    Parameters
    ----------
    text : str
        + - * / **, parentheses, numbers, codes, and functions of `fpemu`.
    names : tuple of str
        Names that may stand for operands.

    Returns
    -------
    Number, Written, Variable or Call
        The whole; its operands are in it.

    Raises
    ------
    ExpressionError
        A ValueError that points at what cannot be read and says what is allowed.

    Examples
    --------
    >>> from fpemu.inspection.expressions import parse
    >>> parse("1 + 2 * x", names=("x",)).operation.name
    'add'
    >>> parse("2 ^ 3")
    Traceback (most recent call last):
    ...
    fpemu.inspection.expressions.ExpressionError: '^' is no operation here: a power is written **
      2 ^ 3
        ^
    """
    return _Reader(text, names).whole()


class _Reader:
    """Reads by Python's own grammar, with every number replaced by a name of its length, to keep its digits."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self.text = text = re.sub(r"\s", " ", text)
        self.names = names
        if not text.strip():
            raise ExpressionError("an empty expression", text, 0, 1, ALLOWED)
        if len(text) > LONGEST:
            raise ExpressionError(f"an expression has {LONGEST} characters at most", text[:40] + "…", 40, 41)
        for place, letter in enumerate(text):
            if not letter.isascii() or not letter.isprintable():
                raise self.wrong(f"{letter!r} cannot be read", place, place + 1, ALLOWED)
        self.numbers = {found.start(): found for found in _NUMBER.finditer(text)}

    def wrong(self, message: str, start: int, end: int, hint: str = "") -> ExpressionError:
        return ExpressionError(message, self.text, start, end, hint)

    def whole(self) -> Part:
        masked = list(self.text)
        for found in self.numbers.values():
            masked[found.start() : found.end()] = "_" * len(found[0])
        plain = "".join(masked)
        for place, letter in enumerate(plain):  # what is left of a number that is none
            if letter.isdigit() and not re.search(r"[A-Za-z_]\w*$", plain[:place]):
                word = re.match(r"[\w.]*", self.text[place:])
                assert word is not None
                raise self.wrong(
                    f"{word[0]!r} is no number: write 0.1, 1e-3, 0x1.8p-3, or a code, 0x3C", place, place + 1
                )
        indent = len(plain) - len(plain.lstrip())
        try:
            return self.part(ast.parse(plain[indent:], mode="eval").body, indent, 0)
        except SyntaxError as error:
            start = min(max((error.offset or 1) - 1 + indent, 0), len(self.text))
            if plain.rstrip()[-1] in "+-*/,":  # something is missing
                start = len(plain.rstrip())
            where = "at the end" if not self.text[start:].strip() else "here"
            raise self.wrong(f"this cannot be read {where}", start, start + 1, ALLOWED) from None
        except (RecursionError, MemoryError):
            raise self.wrong(f"more than {DEEPEST} operations within one another", 0, 1) from None

    def part(self, node: Any, shift: int, depth: int) -> Part:
        depth += 1
        if depth > DEEPEST:
            raise RecursionError
        place = Place(node.col_offset + shift, node.end_col_offset + shift)
        if isinstance(node, ast.Name):
            return self.name(place)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self.part(node.operand, shift, depth)
            if isinstance(node.op, ast.UAdd):
                return inner
            if isinstance(inner, Number):
                return Number(place, inner.value.negated())
            return Call(place, OPERATIONS["negative"], (inner,), "-")
        if isinstance(node, ast.BinOp):
            left, right = self.part(node.left, shift, depth), self.part(node.right, shift, depth)
            symbol = _BINARY.get(type(node.op))
            if symbol is None:
                between = self.text[_end(node.left) + shift : node.right.col_offset + shift]
                wrong = between.strip(" ()")
                start = _end(node.left) + shift + between.index(wrong)
                hint = {"^": "a power is written **", "%": "write fmod(x, y) or remainder(x, y)"}.get(wrong)
                words = f"{wrong!r} is no operation here" + f": {hint}" * (hint is not None)
                raise self.wrong(words, start, start + len(wrong), ALLOWED * (hint is None))
            return Call(place, OPERATIONS[SYMBOLS[symbol]], (left, right), symbol)
        if isinstance(node, ast.Call):
            return self.call(node, place, shift, depth)
        raise self.wrong("this is no arithmetic", *place, ALLOWED)

    def call(self, node: ast.Call, place: Place, shift: int, depth: int) -> Part:
        start, end = node.func.col_offset + shift, _end(node.func) + shift
        name = self.text[start:end]
        if not isinstance(node.func, ast.Name) or start in self.numbers:
            raise self.wrong(f"{name!r} is no function", start, end, ALLOWED)
        operation = OPERATIONS.get(ALIASES.get(name, name))
        if operation is None:
            raise self.wrong(f"no function {name!r}{near(name, [*OPERATIONS, *ALIASES])}", start, end, ALLOWED)
        if node.keywords:
            raise self.wrong("operands have no names here", node.keywords[0].col_offset + shift, place.end - 1)
        if len(node.args) != operation.operands:
            count = f"{operation.operands} operand{'s' * (operation.operands > 1)}"
            raise self.wrong(f"{name} takes {count}, not {len(node.args)}", *place)
        return Call(place, operation, tuple(self.part(argument, shift, depth) for argument in node.args))

    def name(self, place: Place) -> Part:
        found = self.numbers.get(place.start)
        if found is not None:
            return self.number(found, place)
        name = self.text[slice(*place)]
        if name.lower() in ("inf", "infinity", "nan"):
            return Number(place, read(name))
        if name in self.names:
            return Variable(place, name)
        if name in OPERATIONS or name in ALIASES:
            raise self.wrong(f"{name!r} is a function: write {name}(...)", *place)
        names = f"; the operands' names are {', '.join(self.names)}" * bool(self.names)
        raise self.wrong(f"unknown name {name!r}{names}{near(name, [*OPERATIONS, *ALIASES])}", *place, ALLOWED)

    def number(self, found: re.Match[str], place: Place) -> Part:
        if is_code(found[0]):
            return Written(place, int(found[0], 0))
        try:
            return Number(place, read(found[0]))
        except ValueError as error:
            raise self.wrong(f"{error}; a code, 0x3C", *place) from None


def _end(node: ast.expr) -> int:
    return node.end_col_offset or 0
