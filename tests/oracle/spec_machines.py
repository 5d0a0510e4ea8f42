"""What machines do that exact rules leave open: part of the executable specification, in plain steps."""


def compiled(case, rounded, bits, signed, rule):
    """An integer's code as a C compiler for x86-64 gets it: cvttss2si to 32 or 64 bits, of which the low ones are kept.

    `case`: of `tests.oracle.spec`; `rounded`: its magnitude, rounded; `rule`: "c_x86_64", or "c_x86_64_long": always 64
    bits.
    """
    by_int32 = rule == "c_x86_64" and bits <= 31 + signed
    number = -rounded if case.negative else rounded
    indefinite = -(2 ** (31 if by_int32 else 63))
    if bits == 64 and not signed and case.kind != "nan" and not case.negative:
        # from 2^63 up: 2^63 is subtracted before and flipped in after
        return number if case.kind == "finite" and number < 2**64 else 0
    if case.kind in ("nan", "infinite") or not indefinite <= number < -indefinite:
        number = indefinite
    return number % 2**bits
