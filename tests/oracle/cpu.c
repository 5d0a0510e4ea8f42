/* The CPU's own arithmetic with its flags, one operation at a time; compiled by tests/oracle/cpu.py. */
#include <fenv.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#pragma STDC FENV_ACCESS ON

static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD};

/* inexact 1, underflow 2, overflow 4, divide by zero 8, invalid 16 */
static unsigned char raised(void) {
  int found = fetestexcept(FE_ALL_EXCEPT);
  return !!(found & FE_INEXACT) | !!(found & FE_UNDERFLOW) << 1 | !!(found & FE_OVERFLOW) << 2 |
         !!(found & FE_DIVBYZERO) << 3 | !!(found & FE_INVALID) << 4;
}

#ifdef __x86_64__
#include <immintrin.h>

#define FLUSH 0x8040 /* of MXCSR: flush to zero, denormals are zeros */

static void start(int mode, int flush) {
  fesetround(modes[mode]);
  if (flush)
    _mm_setcsr(_mm_getcsr() | FLUSH);
}
#else
static void start(int mode, int flush) {
  fesetround(modes[mode]);
}
#endif

/* Each of `count` results of statements, which set `result` from elements i, with its flags. */
#define LOOP(RESULT, ...)               \
  fenv_t before;                        \
  fegetenv(&before);                    \
  start(mode, flush);                   \
  for (size_t i = 0; i < count; i++) {  \
    volatile RESULT result;             \
    __VA_ARGS__                         \
    flags[i] = raised();                \
    out[i] = result;                    \
  }                                     \
  fesetenv(&before);

#define OPERATE(NAME, REAL, SQRT, FMA)                                                                          \
  void NAME(int operation, int mode, int flush, size_t count, const REAL *x, const REAL *y, const REAL *z,      \
            REAL *out, unsigned char *flags) {                                                                  \
    LOOP(REAL, {                                                                                                \
      volatile REAL a = x[i], b = y[i], c = z[i];                                                               \
      feclearexcept(FE_ALL_EXCEPT);                                                                             \
      switch (operation) {                                                                                      \
        case 0: result = a + b; break;                                                                          \
        case 1: result = a - b; break;                                                                          \
        case 2: result = a * b; break;                                                                          \
        case 3: result = a / b; break;                                                                          \
        case 4: result = FMA(a, b, c); break;                                                                   \
        default: result = SQRT(a);                                                                              \
      }                                                                                                         \
    })                                                                                                          \
  }

OPERATE(operate_float32, float, sqrtf, fmaf)
OPERATE(operate_float64, double, sqrt, fma)

#define COMPARE(NAME, REAL)                                                                                     \
  void NAME(int operation, int mode, int flush, size_t count, const REAL *x, const REAL *y,                     \
            unsigned char *out, unsigned char *flags) {                                                         \
    LOOP(unsigned char, {                                                                                       \
      volatile REAL a = x[i], b = y[i];                                                                         \
      feclearexcept(FE_ALL_EXCEPT);                                                                             \
      switch (operation) {                                                                                      \
        case 0: result = a == b; break;                                                                         \
        case 1: result = a != b; break;                                                                         \
        case 2: result = a < b; break;                                                                          \
        case 3: result = a <= b; break;                                                                         \
        case 4: result = a > b; break;                                                                          \
        default: result = a >= b;                                                                               \
      }                                                                                                         \
    })                                                                                                          \
  }

COMPARE(compare_float32, float)
COMPARE(compare_float64, double)

#ifdef __x86_64__
/* One conversion instruction each, which rounds as MXCSR says. */
#define CONVERT(NAME, SOURCE, RESULT, TARGET, EXPRESSION)                                                       \
  __attribute__((target(TARGET))) void NAME(int mode, int flush, size_t count, const SOURCE *x, RESULT *out,    \
                                            unsigned char *flags) {                                             \
    LOOP(RESULT, {                                                                                              \
      volatile SOURCE a = x[i];                                                                                 \
      feclearexcept(FE_ALL_EXCEPT);                                                                             \
      result = EXPRESSION;                                                                                      \
    })                                                                                                          \
  }

CONVERT(convert_float64_float32, double, float, "sse2", _mm_cvtss_f32(_mm_cvtsd_ss(_mm_setzero_ps(), _mm_set_sd(a))))
CONVERT(convert_float32_float64, float, double, "sse2", _mm_cvtsd_f64(_mm_cvtss_sd(_mm_setzero_pd(), _mm_set_ss(a))))
CONVERT(convert_float32_int32, float, int32_t, "sse2", _mm_cvtss_si32(_mm_set_ss(a)))
CONVERT(convert_float32_int64, float, int64_t, "sse2", _mm_cvtss_si64(_mm_set_ss(a)))
CONVERT(convert_float64_int32, double, int32_t, "sse2", _mm_cvtsd_si32(_mm_set_sd(a)))
CONVERT(convert_float64_int64, double, int64_t, "sse2", _mm_cvtsd_si64(_mm_set_sd(a)))
CONVERT(convert_int32_float32, int32_t, float, "sse2", _mm_cvtss_f32(_mm_cvtsi32_ss(_mm_setzero_ps(), a)))
CONVERT(convert_int64_float64, int64_t, double, "sse2", _mm_cvtsd_f64(_mm_cvtsi64_sd(_mm_setzero_pd(), a)))
CONVERT(convert_float32_float16, float, uint16_t, "f16c",
        (uint16_t)_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(a), _MM_FROUND_CUR_DIRECTION)))
CONVERT(convert_float16_float32, uint16_t, float, "f16c", _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(a))))
CONVERT(integral_float32, float, float, "sse4.1",
        _mm_cvtss_f32(_mm_round_ss(_mm_setzero_ps(), _mm_set_ss(a), _MM_FROUND_CUR_DIRECTION)))
CONVERT(integral_float64, double, double, "sse4.1",
        _mm_cvtsd_f64(_mm_round_sd(_mm_setzero_pd(), _mm_set_sd(a), _MM_FROUND_CUR_DIRECTION)))

#define EXTREMUM(NAME, REAL, LOW, HIGH)                                                                         \
  void NAME(int operation, int mode, int flush, size_t count, const REAL *x, const REAL *y, REAL *out,          \
            unsigned char *flags) {                                                                             \
    LOOP(REAL, {                                                                                                \
      volatile REAL a = x[i], b = y[i];                                                                         \
      feclearexcept(FE_ALL_EXCEPT);                                                                             \
      result = operation ? HIGH : LOW;                                                                          \
    })                                                                                                          \
  }

EXTREMUM(extremum_float32, float, _mm_cvtss_f32(_mm_min_ss(_mm_set_ss(a), _mm_set_ss(b))),
         _mm_cvtss_f32(_mm_max_ss(_mm_set_ss(a), _mm_set_ss(b))))
EXTREMUM(extremum_float64, double, _mm_cvtsd_f64(_mm_min_sd(_mm_set_sd(a), _mm_set_sd(b))),
         _mm_cvtsd_f64(_mm_max_sd(_mm_set_sd(a), _mm_set_sd(b))))

int has_half(void) { return __builtin_cpu_supports("f16c") && __builtin_cpu_supports("sse4.1"); }
int has_fma(void) { return __builtin_cpu_supports("fma"); }
#endif
