/* The CPU's own arithmetic with its flags, one operation at a time; compiled by tests/cpu.py. */
#include <fenv.h>
#include <math.h>
#include <stddef.h>

#pragma STDC FENV_ACCESS ON

static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD};

/* inexact 1, underflow 2, overflow 4, divide by zero 8, invalid 16 */
static unsigned char raised(void) {
  int found = fetestexcept(FE_ALL_EXCEPT);
  return !!(found & FE_INEXACT) | !!(found & FE_UNDERFLOW) << 1 | !!(found & FE_OVERFLOW) << 2 |
         !!(found & FE_DIVBYZERO) << 3 | !!(found & FE_INVALID) << 4;
}

#define OPERATE(NAME, REAL, SQRT, FMA)                                                                          \
  void NAME(int operation, int mode, size_t count, const REAL *x, const REAL *y, const REAL *z, REAL *out,      \
            unsigned char *flags) {                                                                             \
    fenv_t before;                                                                                              \
    fegetenv(&before);                                                                                          \
    fesetround(modes[mode]);                                                                                    \
    for (size_t i = 0; i < count; i++) {                                                                        \
      volatile REAL a = x[i], b = y[i], c = z[i], result;                                                       \
      feclearexcept(FE_ALL_EXCEPT);                                                                             \
      switch (operation) {                                                                                      \
        case 0: result = a + b; break;                                                                          \
        case 1: result = a - b; break;                                                                          \
        case 2: result = a * b; break;                                                                          \
        case 3: result = a / b; break;                                                                          \
        case 4: result = FMA(a, b, c); break;                                                                   \
        default: result = SQRT(a);                                                                              \
      }                                                                                                         \
      flags[i] = raised();                                                                                      \
      out[i] = result;                                                                                          \
    }                                                                                                           \
    fesetenv(&before);                                                                                          \
  }

OPERATE(operate_float32, float, sqrtf, fmaf)
OPERATE(operate_float64, double, sqrt, fma)
