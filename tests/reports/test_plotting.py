"""Pictures show the values of the formats, and drawing needs no display."""

import io
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import fpemu as fe
from fpemu.reports.plotting import Binades, error_curve, number_line, range_lines, report_picture

pytest.importorskip("matplotlib")

MANY = [
    ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn"],
    ["float8_e5m2", "float6_e2m3fn", "float4_e2m1fn", "nf4", "int4", "uint8", "float8_e8m0fnu"],
    ["binary16p1se", "float8_e4m3fn", "q0.15"],
    ["int64"],
    [fe.IntFormat("large", bits=8, fraction_bits=-90)],
    [fe.FloatFormat("beyond float64", bits=8, precision=4, bias=-3000)],
    [fe.TableFormat("of one sign", [-1.0, -2.0])],
    [fe.FloatFormat("no normals", 3, 2, bias=0, infinities=True)],
]


def png(figure):
    with io.BytesIO() as stream:
        figure.savefig(stream, format="png")
        return stream.getvalue()


@pytest.mark.parametrize("formats", MANY, ids=str)
@pytest.mark.parametrize("draw", [number_line, error_curve])
def test_every_kind_of_format_can_be_drawn(formats, draw):
    assert png(draw(formats)).startswith(b"\x89PNG")
    assert len(range_lines(formats)) == len(formats) + 2


def drawn(axis):
    """The positions of the ticks in each row."""
    return [{round(x, 6) for (x, _), _ in lines.get_segments()} for lines in axis.collections]


def test_a_number_line_shows_every_value():
    _, values = number_line(["float4_e2m1fn", "int4", "float8_e5m2"]).axes
    assert [label.get_text() for label in values.get_yticklabels()] == ["float4_e2m1fn", "int4", "float8_e5m2"]
    e2m1, int4, e5m2 = drawn(values)
    assert e2m1 == {0, 0.5, 1, 1.5, 2, 3, 4, 6}
    assert int4 == {0, 1, 2, 3, 4, 5, 6}
    every = [v for v in fe.dtype("float8_e5m2").values() if 0 <= v <= 6]
    assert e5m2 == {round(v, 6) for v in every}


def test_what_lies_too_close_is_thinned_out():
    _, values = number_line(["float16"]).axes
    (places,) = drawn(values)
    assert 1500 < len(places) <= 2001


def test_ranges_reach_from_the_smallest_to_the_largest():
    ranges, _ = number_line(["float8_e4m3fn", "int8"]).axes
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ranges.patches]
    assert bars[:2] == [(-9, -6), (-6, pytest.approx(math.log2(448)))]
    assert bars[3] == (0, pytest.approx(math.log2(127)))


def test_ranges_as_text():
    lines = range_lines(["float16", "float8_e4m3fn", "int8"], width=40)
    assert lines[0].count("░") / lines[0].count("█") == pytest.approx(10 / 30, abs=0.05)
    # 2^-24 to 2^16 on 40 characters: a binade each
    assert lines[1] == "float8_e4m3fn  " + " " * 15 + "░" * 3 + "█" * 15
    assert lines[2] == "int8" + " " * 11 + " " * 24 + "█" * 7
    assert lines[4].split() == ["2^-24", "2^-16", "2^-8", "2^0", "2^8", "2^16"]
    for place, power in ((0, -24), (24, 0)):
        assert lines[3][15 + place] == "┴"
        assert lines[4][15 + place :].startswith(f"2^{power}")
    plain = range_lines(["float16"], ascii_only=True)
    assert all(line.isascii() for line in plain)


def test_error_curves_show_half_an_ulp():
    figure = error_curve(["bfloat16", "float8_e4m3fn"], low=-20, high=12)
    bf16, e4m3 = (patch.get_data() for patch in figure.axes[0].patches)
    np.testing.assert_allclose(bf16.values, 2.0**-8, rtol=0.05)
    edges = e4m3.edges[:-1]
    np.testing.assert_allclose(e4m3.values[(edges >= -6) & (edges < 8)], 2.0**-4, rtol=0.1)
    np.testing.assert_allclose(e4m3.values[edges < -10], 1)  # all become zero
    assert e4m3.values[-1] == pytest.approx(1 - 448 / 4096, rel=0.1)  # saturated


def test_no_formats():
    for draw in (number_line, error_curve):
        with pytest.raises(ValueError, match="one format or more"):
            draw([])


def test_binades_are_counted():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2000) * np.exp2(rng.integers(-1100, 900, 2000))
    binades = Binades()
    binades.update(x[:700].reshape(7, 100))
    binades.update(x[700:].astype(np.float64))
    binades.update(np.array([np.inf, np.nan, 0.0]))
    expected = {}
    for value in x[x != 0]:
        exponent = math.frexp(value)[1] - 1
        expected[exponent] = expected.get(exponent, 0) + 1
    assert binades.counts() == expected


@pytest.mark.parametrize("x", [np.linspace(-3, 5, 1000), np.zeros(3), np.array([1e-300, 1e300])])
@pytest.mark.parametrize("scale", [None, "absmax"])
def test_a_reports_picture(x, scale):
    binades = Binades()
    binades.update(x)
    figure = report_picture(fe.report(x, ["bfloat16", "int8"], scale), binades)
    assert png(figure).startswith(b"\x89PNG")
    bars, errors = figure.axes
    assert sum(bar.get_height() for bar in bars.patches) == pytest.approx(1 if x.any() else 0)
    assert len(errors.patches) == 2


def test_matplotlib_is_loaded_to_draw_alone():
    code = (
        "import sys, fpemu.reports.plotting as p; p.range_lines(['int8']); assert 'matplotlib' not in sys.modules;"
        "p.number_line(['int8']); assert 'matplotlib' in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
