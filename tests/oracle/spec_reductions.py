"""The specification of sums and dot products: exact integers, no code shared with fpemu."""

from __future__ import annotations

import numpy as np

import fpemu as fe
from tests.oracle import spec
from tests.oracle.compare import profile
from tests.oracle.spec import Number
from tests.oracle.spec_arithmetic import (
    INVALID,
    KEPT,
    NAN,
    multiply,
    operate,
    product,
    raised,
    signals,
    signed,
    sticky,
    unbounded,
)
from tests.oracle.spec_values import read

ONE = Number("finite", False, 1, 0)


def term(x, y):
    """The exact product of two numbers, and whether it is invalid."""
    if "nan" in (x.kind, y.kind):
        return NAN, signals(x) or signals(y)
    if "infinite" in (x.kind, y.kind):
        number, flags = multiply(x, y)
        return number, flags != 0
    return product(x, y), False


def total(pairs, rules, mean=False):
    """The exact sum of products (with `mean` divided by their number): (a number, flags)."""
    toward_negative, subnormals = rules.rounding is fe.Rounding.TOWARD_NEGATIVE, rules.subnormals_in.value
    terms = [term(read(x, subnormals), read(y, subnormals)) for x, y in pairs]
    wrong = any(invalid for _, invalid in terms)
    numbers = [number for number, _ in terms]
    if wrong or any(n.kind == "nan" for n in numbers):
        return NAN, INVALID * wrong
    signs = {n.negative for n in numbers if n.kind == "infinite"}
    if signs or (mean and not numbers):
        return (Number("infinite", signs.pop()), 0) if len(signs) == 1 else (NAN, INVALID)
    lowest = min((n.exponent for n in numbers), default=0)
    exact = sum(significand << (exponent - lowest) for significand, exponent in map(signed, numbers))
    if exact == 0:
        signs = {n.negative for n in numbers}
        return Number("finite", toward_negative if len(signs) == 2 else signs == {True}, 0, 0), 0
    if not mean:
        return Number("finite", exact < 0, *sticky(abs(exact), lowest)), 0
    up = KEPT + len(numbers).bit_length()
    quotient, rest = divmod(abs(exact) << up, len(numbers))
    return Number("finite", exact < 0, *sticky(quotient, lowest - up, rest != 0)), 0


def rounded(found, target, rules, random_bits=None):
    """Codes and flags of (number, flags), each rounded to a format."""
    numbers = [number for number, _ in found]
    flags = np.array([happened for _, happened in found], np.uint8)
    rules = rules.replace(subnormals_in="keep")
    into = spec.target(target, rules)
    known = spec.classify(numbers, into)
    codes = spec.encode(known, target, rules, random_bits)
    if target.kind != "float" or not target.signed or isinstance(rules.rounding, fe.Stochastic):
        return codes, None
    wide = unbounded(target)
    beyond = spec.target(wide, profile(wide, rounding=rules.rounding))
    before = rules.tininess.value == "before"
    for i, (number, place) in enumerate(zip(numbers, known.index.tolist(), strict=True)):
        if number.kind == "finite" and number.significand:
            flags[i] |= raised(number, known.cases[place], into, beyond, before)
    return codes, flags


class Steps:
    """Sums of rows (lists of pairs of numbers), each step rounded; `words(row, place)`: a step's random integer."""

    def __init__(self, rows, fmt, rules, products, words=None):
        self.rows, self.fmt, self.rules, self.products, self.words = rows, fmt, rules, products, words
        self.flags = np.zeros(len(rows), np.uint8)
        self.running = []

    def do(self, name, operands, place):
        """One operation in all rows: `operands` holds the numbers of each row."""
        toward_negative = self.rules.rounding is fe.Rounding.TOWARD_NEGATIVE
        subnormals = self.rules.subnormals_in.value
        found = [operate(name, list(given), toward_negative, subnormals) for given in operands]
        randoms = None
        if self.words is not None:
            randoms = np.array([self.words(row, place) for row in range(len(self.rows))], np.uint64)
        codes, flags = rounded(found, self.fmt, self.rules, randoms)
        if flags is not None:
            self.flags |= flags
        return [spec.decode(code, self.fmt) for code in codes.tolist()]

    def alone(self, k):
        return self.do("multiply", [row[k] for row in self.rows], 2 * k)

    def joined(self, left, right, k):
        return self.do("add", zip(left, right, strict=True), 2 * k + 1)

    def sequential(self, start, stop):
        """By index."""
        sums = self.alone(start)
        self.running.append((sums, self.flags.copy()))
        for k in range(start + 1, stop):
            if self.products == "rounded":
                sums = self.joined(sums, self.alone(k), k)
            else:
                given = [(*row[k], acc) for row, acc in zip(self.rows, sums, strict=True)]
                sums = self.do("fma", given, 2 * k + 1)
            self.running.append((sums, self.flags.copy()))
        return sums

    def blocks(self, size, length):
        """Runs, and then their sums."""
        sums = None
        for start in range(0, length, size):
            part = self.sequential(start, min(start + size, length))
            sums = part if sums is None else self.joined(sums, part, start)
        return sums

    def pairwise(self, start, stop):
        """Neighbours in pairs, then the sums: the last cut is at the largest power of two."""
        if stop - start == 1:
            return self.alone(start)
        middle = start + (1 << ((stop - start - 1).bit_length() - 1))
        left, right = self.pairwise(start, middle), self.pairwise(middle, stop)
        return self.joined(left, right, middle)

    def sums(self, summation, length):
        if summation == "pairwise":
            return self.pairwise(0, length)
        return self.blocks(length if summation == "sequential" else summation, length)
