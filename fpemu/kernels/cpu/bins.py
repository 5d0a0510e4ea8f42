"""A faster way into a codebook than bisection: equal bins along the numbers, with at most one threshold in each."""

from numpy import int32

from fpemu.kernels.cpu.fast_casts import float_environment_is_standard
from fpemu.kernels.jit import loop


@loop
def fpu_is_standard(probe):
    """Whether the FPU rounds as IEEE 754 has it by default; `probe` as the core takes it."""
    return float_environment_is_standard(probe)


@loop
def bins_array(x, ends, below, thresholds, results, specials, probe, out):
    """Floats to what a codebook gives: False, and nothing done, where the FPU is unfit.

    `ends`: the numbers that all others are held to, and how many bins there are in a unit.  A number's bin is
    (x - lowest) times that, as the FPU rounds it, which never falls as x grows: so thresholds in lower bins are below
    x, those in higher ones above.  `below`: for each bin the thresholds in lower ones; `thresholds`: the one in it, or
    infinity; a number beyond it is above.  `results`: for each number of thresholds below.  `specials`: what a NaN,
    +infinity and -infinity give.
    """
    if not float_environment_is_standard(probe):
        return False
    lowest, highest, scale = ends[0], ends[1], ends[2]
    for i in range(x.size):
        number = x[i]
        held = number if number > lowest else lowest  # NaN too
        held = held if held < highest else highest
        place = int32((held - lowest) * scale)
        interval = below[place] + (1 if held > thresholds[place] else 0)
        result = results[interval]
        result = result if number == number else specials[0]
        if abs(number) > highest:
            beyond = number - number != 0  # an infinity
            result = (specials[1] if number > 0 else specials[2]) if beyond else result
        out[i] = result
    return True
