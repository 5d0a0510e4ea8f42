"""Products of quantized matrices, against sums of fractions of what ml_dtypes decodes."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from tests.cases import float_environment
from tests.oracle.spec_values import decode as spec_decode

PAIRS = ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp4", "mxint8", "nvfp4", "nf4_64", "fp8_e4m3_1x128"]
WHOLE = ["absmax_int8", "zeropoint_int8", "zeropoint_uint4", "fp8_e5m2_tensor", "fp8_e4m3_row", "int8_channel"]
SINGLE = (24, -149, Fraction(2) ** 128)


def rounded(x, fmt=SINGLE):
    """A fraction rounded to nearest even: to float32, or to so many digits, quanta, and less than so much."""
    precision, quantum, limit = fmt
    if x == 0:
        return Fraction(0)
    size = abs(x)
    exponent = size.numerator.bit_length() - size.denominator.bit_length() - precision
    while size / Fraction(2) ** exponent >= 2**precision:
        exponent += 1
    while size / Fraction(2) ** exponent < 2 ** (precision - 1):
        exponent -= 1
    unit = Fraction(2) ** max(exponent, quantum)
    found = round(size / unit) * unit  # Python's round is to even
    assert found < limit
    return found if x > 0 else -found


def numbers_of(codes, fmt):
    """The fractions that codes mean, by other people's decoders; nf4 and fixed point by hand."""
    if isinstance(fmt, fe.IntFormat):
        wide = codes.astype(np.int64)
        if fmt.signed:
            wide = np.where(wide >= 1 << (fmt.bits - 1), wide - (1 << fmt.bits), wide)
        values = wide / 2.0**fmt.fraction_bits
    elif isinstance(fmt, fe.TableFormat):
        values = np.array(fmt.entries)[codes]
    elif fmt.name == "float32":
        values = codes.view(np.float32)
    else:
        values = codes.view(getattr(ml_dtypes, fmt.name))
    return np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(values)


def terms(q, axis):
    """Elements less zero points, and scales without the second level's, both for each element."""
    elements = numbers_of(q.codes, q.scheme.element)
    nested = isinstance(q.second_scale, fe.Quantized)
    scales = scales_of_scales(q) if nested else numbers_of(q.scales, q.scheme.scale)
    zeros = np.zeros(q.scales.shape, int) if q.zero_points is None else q.zero_points
    for place, (step, length) in enumerate(zip(q.layout.block_shape, q.shape, strict=True)):
        scales = np.repeat(scales, step, axis=place).take(range(length), axis=place)
        zeros = np.repeat(zeros, step, axis=place).take(range(length), axis=place)
    return elements - zeros, scales


def scales_of_scales(q):
    """Scales that are quantized themselves: code times scale plus offset, rounded once to float32."""
    level = q.second_scale
    codes = numbers_of(level.codes, level.scheme.element)
    scales = np.repeat(numbers_of(level.scales, level.scheme.scale), level.layout.block_shape[0])[: codes.size]
    exact = codes * scales + Fraction(level.offset)
    return np.vectorize(rounded, otypes=[object])(exact).reshape(q.scales.shape)


def expected(qa, qb, accumulate="exact", final=SINGLE):
    """The product by its definition."""
    (a, of_a), (b, of_b) = terms(qa, 1), terms(qb, 0)
    one, other = (Fraction(q.second_scale) if isinstance(q.second_scale, float) else 1 for q in (qa, qb))
    second = one * other
    out = np.empty((a.shape[0], b.shape[1]), object)
    step = (qa.layout.block_shape[1], qb.layout.block_shape[0])
    starts = sorted({place for place in range(a.shape[1]) if place % step[0] == 0 or place % step[1] == 0})
    for i, j in np.ndindex(out.shape):
        total = None
        for start, stop in zip(starts, [*starts[1:], a.shape[1]], strict=True):
            term = sum((a[i, k] * b[k, j] for k in range(start, stop)), Fraction(0)) * of_a[i, start] * of_b[start, j]
            if accumulate == "exact":
                total = term if total is None else total + term
            else:
                total = rounded(term) if total is None else rounded(total + rounded(term))
        out[i, j] = rounded((total or Fraction(0)) * second, final)
    return out


def assert_same(found, fractions):
    assert found.shape == fractions.shape
    for got, exact in zip(found.flat, fractions.flat, strict=True):
        assert Fraction(float(got)) == exact


def operands(name, seed, k=96, wide=1.0):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((3, k)), rng.standard_normal((k, 4))
    a *= np.exp(wide * rng.standard_normal(a.shape))
    scheme = fe.scheme(name)
    b_scheme = scheme.replace(axis=1 if scheme.block == "channel" else 0)
    x, y = a.astype(np.float32), b.astype(np.float32)
    return fe.quantize(x, scheme, pad=True), fe.quantize(y, b_scheme, pad=True)


@pytest.mark.parametrize("accumulate", ["exact", "float32"])
@pytest.mark.parametrize("name", [*PAIRS, *WHOLE])
def test_by_definition(name, accumulate):
    for seed, wide in ((0, 1.0), (1, 6.0)):
        qa, qb = operands(name, seed, wide=wide)
        found = fe.quantized_matmul(qa, qb, accumulate=accumulate)
        assert found.dtype == np.float32
        assert_same(found, expected(qa, qb, accumulate))


@pytest.mark.parametrize("accumulate", ["exact", "float32"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("mxfp8", "nvfp4"),
        ("int8_channel", "mxfp4"),
        ("nf4_64", "zeropoint_int4"),
        ("int4_group",) * 2,
        ("bnb_nf4", "bnb_fp4"),
        ("bnb_nf4", "nvfp4"),
    ],
)
def test_two_schemes(left, right, accumulate):
    qa, qb = operands(left, 2)[0], operands(right, 3)[1]
    assert_same(fe.quantized_matmul(qa, qb, accumulate=accumulate), expected(qa, qb, accumulate))


@pytest.mark.parametrize("element", ["float6_e3m2fn", "float8_e5m2", "int4"])
@pytest.mark.parametrize("block", ["row", 16])
def test_two_levels_of_many_digits(element, block):
    scheme = fe.ScaledFormat(element, block, "float32", second_level="float32")
    rng = np.random.default_rng(7)
    qa = fe.quantize(rng.standard_normal((3, 48)).astype(np.float32), scheme)
    qb = fe.quantize(rng.standard_normal((48, 2)).astype(np.float32), scheme, axis=0)
    qa.second_scale, qb.second_scale = float(np.float32(1 / 3)), float(np.float32(0.7))
    found = fe.quantized_matmul(qa, qb, result="float64")  # scales are near float32's largest
    assert_same(found, expected(qa, qb, final=(53, -1074, Fraction(2) ** 1024)))


def test_scales_of_scales_as_a_tool_decodes_them_multiply():
    # One block, whose scale is 3: bitsandbytes rounds its product and its sum; here both are exact.
    x = np.full((1, 64), 3.0, np.float32)
    qa = fe.quantize(x, "bnb_nf4", profile="bitsandbytes")
    qb = fe.quantize(x.T, "bnb_nf4", profile="bitsandbytes", axis=0)
    assert fe.quantized_matmul(qa, qb).tolist() == [[64 * 9]]
    (scale,) = qa.scale_values.reshape(-1)
    assert (scale, qa.offset) == (3, None)


def test_tiles_and_scales_across():
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 5, 12))
    qa = fe.quantize(a, fe.scheme("fp8_e4m3_128x128").replace(block=(2, 4)), pad=True)
    for scheme in (fe.scheme("int8_channel").replace(axis=0), fe.scheme("fp8_e4m3_128x128").replace(block=(8, 3))):
        qb = fe.quantize(b.T, scheme, pad=True)
        for accumulate in ("exact", "float32"):
            assert_same(fe.quantized_matmul(qa, qb, accumulate=accumulate), expected(qa, qb, accumulate))


def test_a_long_sum_of_extreme_integers():
    k = 3000
    a, b = np.full((1, k), -128), np.full((k, 1), -128)
    b[1::2] = 127
    scheme = fe.ScaledFormat("int16", "tensor", zero_point="int16", scale_rule="minmax")
    qa = fe.quantize(a * 250.0, scheme, scales=1.0, zero_points=32767)
    qb = fe.quantize(b * 250.0, scheme, scales=1.0, zero_points=-32768)
    assert_same(fe.quantized_matmul(qa, qb), expected(qa, qb))
    ours = fe.quantized_matmul(qa, qb, result="int64")[0, 0]  # -32000 and 31750 keep; what is negative in b becomes 0
    assert ours == -128 * 250 * 127 * 250 * (k // 2)


def int8(numbers):
    """Integers with the scale 1."""
    return fe.quantize(np.asarray(numbers, float), "absmax_int8", scales=1.0)


def test_cancellation_and_ties():
    a = [[127, 127, 1], [127, 1, -127]]
    b = [[127, 2], [-127, 4], [1, 127]]
    assert fe.quantized_matmul(int8(a), int8(b)).tolist() == [[1, 889], [127 * 127 - 254, 254 + 4 - 127 * 127]]
    ties = fe.quantized_matmul(int8([[16, 8]]), int8([[16, 17], [0, 0]]), result="float8_e5m2")
    assert ties.tolist() == [[256, 256]]  # 272 lies between 256 and 320
    tie = fe.quantized_matmul(int8([[1, 1]]), int8([[8, 16], [1, 2]]), result="float8_e5m2")  # 9: 8 or 10; 18: 16 or 20
    assert tie.tolist() == [[8, 16]]
    up = fe.quantized_matmul(int8([[1, 1]]), int8([[8], [1]]), result="float8_e5m2", rounding="toward_positive")
    assert up.tolist() == [[10]]
    # The exact sum is a tie; a bit below it breaks it.
    large = fe.quantize([[2.0**24, 1.0, 2.0**-20]], "mxfp8_e5m2", block=1)
    ones = fe.quantize(np.ones((3, 1)), "mxfp8_e5m2", block=1, axis=0)
    assert fe.quantized_matmul(large, ones).tolist() == [[2.0**24 + 2]]
    assert fe.quantized_matmul(large, ones, accumulate="float32").tolist() == [[2.0**24]]
    zero = fe.quantized_matmul(int8([[3, -3]]), int8([[5], [5]]))
    assert zero.tolist() == [[0]]
    assert not np.signbit(fe.quantized_matmul(int8([[-0.0, 0]]), int8([[5], [-5]]))).any()


def test_overflow_and_integers():
    a, b = int8([[127] * 4]), int8([[127]] * 4)
    assert fe.quantized_matmul(a, b, result="int32").tolist() == [[4 * 127 * 127]]
    assert fe.quantized_matmul(a, b, result="int16").tolist() == [[32767]]
    assert fe.quantized_matmul(a, b, result="int16", overflow="wrap").tolist() == [[4 * 127 * 127 - 65536]]
    big = fe.quantize([[448.0 * 2.0**100]], "fp8_e4m3_row", scales=2.0**100)
    tall = fe.quantize([[448.0 * 2.0**100]], "fp8_e4m3_row", axis=0, scales=2.0**100)
    assert fe.quantized_matmul(big, tall).tolist() == [[np.inf]]
    assert fe.quantized_matmul(big, tall, accumulate="float32", result="float64").tolist() == [[np.inf]]
    assert fe.quantized_matmul(big, tall, result="float64").tolist() == [[448.0**2 * 2.0**200]]


def test_a_result_in_another_format():
    qa, qb = operands("nvfp4", 5)
    for name, fmt in {"bfloat16": (8, -133, Fraction(2) ** 128), "float16": (11, -24, Fraction(65520))}.items():
        assert_same(fe.quantized_matmul(qa, qb, result=name), expected(qa, qb, final=fmt))
        assert_same(
            fe.quantized_matmul(qa, qb, accumulate="float32", result=name), expected(qa, qb, "float32", final=fmt)
        )


def test_stochastic_results_are_one_of_both_neighbours():
    qa, qb = operands("mxfp4", 6)
    ends = [
        fe.quantized_matmul(qa, qb, result="bfloat16", rounding=f"toward_{end}") for end in ("negative", "positive")
    ]
    made = [fe.quantized_matmul(qa, qb, result="bfloat16", rounding="stochastic", rng=seed) for seed in range(20)]
    assert all(((m == ends[0]) | (m == ends[1])).all() for m in made)
    assert len({m.tobytes() for m in made}) > 1
    again = fe.quantized_matmul(qa, qb, result="bfloat16", rounding="stochastic", rng=3)
    assert again.tobytes() == made[3].tobytes()


@pytest.mark.parametrize("accumulate", ["exact", "float32"])
class TestSpecials:
    def test_nan_scales_make_their_blocks_nan(self, accumulate):
        x = np.ones((3, 64), np.float32)
        x[1, 40] = np.nan
        found = fe.quantized_matmul(
            fe.quantize(x, "mxfp4"), fe.quantize(np.ones((64, 2)), "mxfp4", axis=0), accumulate=accumulate
        )
        assert np.isnan(found).tolist() == [[False] * 2, [True] * 2, [False] * 2]
        assert (found[[0, 2]] == 64).all()

    def test_infinite_elements(self, accumulate):
        scheme = fe.ScaledFormat("float8_e5m2", 2, "float8_e8m0fnu", "floor")
        qa = fe.quantize(np.ones((5, 4)), scheme)
        qb = fe.quantize(np.array([[1, -1, 0]] * 4, float), scheme.replace(axis=0))
        inf, minus, nan = fe.encode([np.inf, -np.inf, np.nan], "float8_e5m2", overflow="infinity")
        qa.codes[0, 0], qa.codes[1, 3], qa.codes[2, 1] = inf, minus, nan
        qa.codes[3, 0], qa.codes[3, 3] = inf, minus
        found = fe.quantized_matmul(qa, qb, accumulate=accumulate)
        np.testing.assert_array_equal(
            found,
            [
                [np.inf, -np.inf, np.nan],
                [-np.inf, np.inf, np.nan],
                [np.nan] * 3,
                [np.nan] * 3,
                [4, -4, 0],
            ],
        )

    def test_infinity_times_infinity_counts_once(self, accumulate):
        scheme = fe.ScaledFormat("float8_e5m2", "tensor")
        qa, qb = fe.quantize(np.ones((1, 2)), scheme), fe.quantize(np.ones((2, 2)), scheme)
        inf, minus = fe.encode([np.inf, -np.inf], "float8_e5m2", overflow="infinity")
        qa.codes[0, 0], qb.codes[0, 0], qb.codes[0, 1] = inf, inf, minus
        assert fe.quantized_matmul(qa, qb, accumulate=accumulate).tolist() == [[np.inf, -np.inf]]

    def test_a_scale_of_zero(self, accumulate):
        qa, qb = fe.quantize(np.zeros((2, 16)), "nvfp4"), fe.quantize(np.ones((16, 2)), "nvfp4", axis=0)
        assert fe.quantized_matmul(qa, qb, accumulate=accumulate).tolist() == [[0, 0], [0, 0]]

    @pytest.mark.parametrize("shape", [(0, 32, 2), (2, 0, 3), (2, 32, 0)])
    def test_empty(self, accumulate, shape):
        m, k, n = shape
        qa, qb = fe.quantize(np.ones((m, k)), "mxfp4"), fe.quantize(np.ones((k, n)), "mxfp4", axis=0)
        found = fe.quantized_matmul(qa, qb, accumulate=accumulate)
        assert (found.shape, found.any()) == ((m, n), False)


def test_the_specification_decodes_alike():
    for name in ("float8_e4m3fn", "float4_e2m1fn"):
        fmt = fe.dtype(name)
        codes = np.arange(0x7E if fmt.bits == 8 else 16, dtype=np.uint8)
        for code, value in zip(codes, numbers_of(codes, fmt), strict=True):
            number = spec_decode(int(code), fmt)
            assert Fraction(number.significand) * Fraction(2) ** number.exponent == abs(value) or number.negative


def test_wrong_arguments():
    q = fe.quantize(np.ones((32, 32)), "mxfp4")
    with pytest.raises(TypeError, match="qb must be a Quantized, not ndarray"):
        fe.quantized_matmul(q, np.ones((32, 32)))
    with pytest.raises(ValueError, match="qa must have 2 dimensions, not 1"):
        fe.quantized_matmul(q[0], q)
    with pytest.raises(ValueError, match=r"\(32, 32\) and \(64, 32\) do not fit"):
        fe.quantized_matmul(q, fe.quantize(np.ones((64, 32)), "mxfp4"))
    with pytest.raises(ValueError, match="accumulate must be 'exact' or a float format, not 'exakt'"):
        fe.quantized_matmul(q, q, accumulate="exakt")
    with pytest.raises(ValueError, match="float format, not int32"):
        fe.quantized_matmul(q, q, accumulate="int32")
    with pytest.raises(ValueError, match="unknown format"):
        fe.quantized_matmul(q, q, result="float33")
    doubles = fe.quantize(np.ones((2, 2)), fe.ScaledFormat("float64", 2))
    with pytest.raises(ValueError, match="elements must be exact in float32"):
        fe.quantized_matmul(doubles, doubles)
    wide = fe.quantize(np.ones((2, 2)), fe.ScaledFormat("int8", 2, "float64"))
    with pytest.raises(ValueError, match="scales must be exact in float32"):
        fe.quantized_matmul(wide, wide)
    many = fe.quantize(np.ones((2, 2)), fe.ScaledFormat("int32", 2))
    with pytest.raises(ValueError, match="are not exact in float64"):
        fe.quantized_matmul(many, many)
    endless = fe.quantize(np.ones((2, 2)), "absmax_int8")
    endless.scales[...] = np.array(np.inf, np.float32).view(np.uint32)
    with pytest.raises(ValueError, match="a scale is infinite"):
        fe.quantized_matmul(endless, endless)


@float_environment.needed
def test_subnormal_elements_under_modes():
    """bfloat16's numbers near its end are subnormal in float32 too."""
    a = fe.quantize(np.ones((1, 4), np.float32), fe.ScaledFormat("bfloat16", "tensor"), scales=1.0)
    a.codes[...] = [1, 2, 0x7F, 0x80]  # times 2^-133
    b = fe.quantize(np.float32([[1], [2], [4], [8]]), "absmax_int8", scales=1.0)
    with float_environment.changed("denormals_are_zero"):
        found = fe.quantized_matmul(a, b, result="float64")
    assert found == (1 + 2 * 2 + 4 * 0x7F + 8 * 0x80) * 2.0**-133
