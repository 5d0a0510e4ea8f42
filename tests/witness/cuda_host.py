"""CUDA's own conversion functions, as its headers define them for the host, compiled with the machine's C++ compiler.

On the device the same functions become instructions where the architecture has them; the headers promise the same
results.  The headers come with the CUDA toolkit or with the pip package nvidia-cuda-runtime.
"""

from __future__ import annotations

import functools
import importlib.util
import pathlib
import re
import shutil
import subprocess
import tempfile
from typing import Any

import numpy as np

LIBRARY = "CUDA headers"

SOURCE = r"""
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp6.h>
#include <cuda_fp8.h>
#include <cstdio>
#include <string>

static unsigned short bits(__half x) { return __half_raw(x).x; }
static unsigned short bits(__nv_bfloat16 x) { return __nv_bfloat16_raw(x).x; }

#define CONVERT(NAME, T, BFLOAT16, FLOAT16, FP8, FP6, FP4, E8M0)                                        \
  static unsigned short NAME(T x, std::string to, __nv_saturation_t saturate, std::string rounding) {   \
    cudaRoundMode mode = rounding == "toward_zero" ? cudaRoundZero : cudaRoundNearest;                  \
    if (to == "bfloat16") return bits(BFLOAT16(x));                                                     \
    if (to == "float16") return bits(FLOAT16(x));                                                       \
    if (to == "float8_e4m3fn") return FP8(x, saturate, __NV_E4M3);                                      \
    if (to == "float8_e5m2") return FP8(x, saturate, __NV_E5M2);                                        \
    if (to == "float6_e3m2fn") return FP6(x, __NV_E3M2, mode);                                          \
    if (to == "float6_e2m3fn") return FP6(x, __NV_E2M3, mode);                                          \
    if (to == "float4_e2m1fn") return FP4(x, __NV_E2M1, mode);                                          \
    if (mode == cudaRoundZero) return E8M0(x, saturate, mode);                                          \
    return saturate == __NV_SATFINITE ? __nv_fp8_e8m0(x).__x : E8M0(x, saturate, cudaRoundPosInf);      \
  }

CONVERT(from_float, float, __float2bfloat16_rn, __float2half_rn, __nv_cvt_float_to_fp8, __nv_cvt_float_to_fp6,
        __nv_cvt_float_to_fp4, __nv_cvt_float_to_e8m0)
CONVERT(from_double, double, __double2bfloat16, __double2half, __nv_cvt_double_to_fp8, __nv_cvt_double_to_fp6,
        __nv_cvt_double_to_fp4, __nv_cvt_double_to_e8m0)

template <typename T, typename F> static void each(F convert, char** word) {
  __nv_saturation_t saturate = std::string(word[2]) == "satfinite" ? __NV_SATFINITE : __NV_NOSAT;
  std::string to = word[1], rounding = word[3];
  T x;
  while (fread(&x, sizeof x, 1, stdin) == 1) {
    unsigned short code = convert(x, to, saturate, rounding);
    fwrite(&code, sizeof code, 1, stdout);
  }
}

int main(int, char** word) {
  if (std::string(word[4]) == "float32") each<float>(from_float, word);
  else each<double>(from_double, word);
}
"""


@functools.cache
def headers() -> pathlib.Path | None:
    """The folder of CUDA's headers, None without one."""
    folders = sorted(pathlib.Path("/usr/local").glob("cuda*/include"))
    nvidia = importlib.util.find_spec("nvidia")
    for place in nvidia.submodule_search_locations or [] if nvidia else []:
        folders += sorted(pathlib.Path(place).glob("c*/include"))
    return next((f for f in folders if (f / "cuda_fp6.h").exists() and (f / "cuda_bf16.h").exists()), None)


def available() -> bool:
    """Whether this machine has a C++ compiler and the headers."""
    return shutil.which("g++") is not None and headers() is not None


def version() -> str:
    """The toolkit's version, as its cuda.h or cuda_runtime_api.h says."""
    folder = headers()
    assert folder is not None
    text = (folder / "cuda_runtime_api.h").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"#define CUDART_VERSION\s+(\d+)", text)
    assert found is not None
    return f"{int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}"


@functools.cache
def program() -> str:
    """The compiled program's path."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cuda_host_"))
    (folder / "convert.cpp").write_text(SOURCE, encoding="utf-8")
    subprocess.run(["g++", "-O1", f"-I{headers()}", "-o", "convert", "convert.cpp"], cwd=folder, check=True)
    return str(folder / "convert")


def encode(x: np.ndarray[Any, Any], fmt: str, saturation: str, rounding: str) -> np.ndarray[Any, Any]:
    """The codes (uint16) that CUDA gives for a float32 or float64 array."""
    words = [program(), fmt, saturation, rounding, str(x.dtype)]
    done = subprocess.run(words, input=x.tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, np.uint16)
