"""CUDA's own conversion functions: as its headers define them for the host, and as a GPU carries them out.

On the device they become instructions where the architecture has them; the headers promise the same results. The
headers come with the CUDA toolkit or with the package nvidia-cuda-runtime; the device's answers need nvcc and a GPU.
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

HEADERS = "CUDA headers"
DEVICE = "CUDA device"

# The formats that CUDA has functions for, in the order of `convert`'s cases
FORMATS = (
    *("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float6_e3m2fn", "float6_e2m3fn", "float4_e2m1fn"),
    "float8_e8m0fnu",
)

SOURCE = r"""
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp6.h>
#include <cuda_fp8.h>
#include <cstdio>
#include <cstdlib>
#include <vector>

#ifdef __CUDACC__
#define WHERE __device__
#else
#define WHERE
#endif

struct How { int to; bool saturate, toward_zero; };

static WHERE unsigned short bits(__half x) { return __half_raw(x).x; }
static WHERE unsigned short bits(__nv_bfloat16 x) { return __nv_bfloat16_raw(x).x; }

#define CONVERT(T, BFLOAT16, FLOAT16, FP8, FP6, FP4, E8M0)                                              \
  static WHERE unsigned short convert(T x, How how) {                                                   \
    cudaRoundMode mode = how.toward_zero ? cudaRoundZero : cudaRoundNearest;                            \
    __nv_saturation_t saturate = how.saturate ? __NV_SATFINITE : __NV_NOSAT;                            \
    switch (how.to) {                                                                                   \
      case 0: return bits(BFLOAT16(x));                                                                 \
      case 1: return bits(FLOAT16(x));                                                                  \
      case 2: return FP8(x, saturate, __NV_E4M3);                                                       \
      case 3: return FP8(x, saturate, __NV_E5M2);                                                       \
      case 4: return FP6(x, __NV_E3M2, mode);                                                           \
      case 5: return FP6(x, __NV_E2M3, mode);                                                           \
      case 6: return FP4(x, __NV_E2M1, mode);                                                           \
    }                                                                                                   \
    if (how.toward_zero) return E8M0(x, saturate, mode);                                                \
    return how.saturate ? __nv_fp8_e8m0(x).__x : E8M0(x, saturate, cudaRoundPosInf);                    \
  }

CONVERT(float, __float2bfloat16_rn, __float2half_rn, __nv_cvt_float_to_fp8, __nv_cvt_float_to_fp6,
        __nv_cvt_float_to_fp4, __nv_cvt_float_to_e8m0)
CONVERT(double, __double2bfloat16, __double2half, __nv_cvt_double_to_fp8, __nv_cvt_double_to_fp6,
        __nv_cvt_double_to_fp4, __nv_cvt_double_to_e8m0)

#ifdef __CUDACC__
template <typename T> __global__ void kernel(const T* x, unsigned short* out, size_t size, How how) {
  size_t first = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
  for (size_t i = first; i < size; i += step) out[i] = convert(x[i], how);
}

static void check(cudaError_t error) {
  if (error == cudaSuccess) return;
  fprintf(stderr, "%s\n", cudaGetErrorString(error));
  exit(1);
}

template <typename T> static void all(const std::vector<T>& x, std::vector<unsigned short>& out, How how) {
  T* given;
  unsigned short* made;
  check(cudaMalloc(&given, x.size() * sizeof(T)));
  check(cudaMalloc(&made, x.size() * sizeof *made));
  check(cudaMemcpy(given, x.data(), x.size() * sizeof(T), cudaMemcpyHostToDevice));
  kernel<<<256, 256>>>(given, made, x.size(), how);
  check(cudaGetLastError());
  check(cudaMemcpy(out.data(), made, x.size() * sizeof *made, cudaMemcpyDeviceToHost));
}
#else
template <typename T> static void all(const std::vector<T>& x, std::vector<unsigned short>& out, How how) {
  for (size_t i = 0; i < x.size(); i++) out[i] = convert(x[i], how);
}
#endif

template <typename T> static void each(How how) {
  std::vector<T> x;
  T next;
  while (fread(&next, sizeof next, 1, stdin) == 1) x.push_back(next);
  std::vector<unsigned short> out(x.size());
  all(x, out, how);
  fwrite(out.data(), sizeof out[0], out.size(), stdout);
}

int main(int, char** word) {
  How how = {atoi(word[1]), atoi(word[2]) != 0, atoi(word[3]) != 0};
  if (atoi(word[4]) == 4) each<float>(how);
  else each<double>(how);
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


def available(library: str) -> bool:
    """Whether this machine has a compiler, and the headers or a GPU."""
    if library == HEADERS:
        return shutil.which("g++") is not None and headers() is not None
    return shutil.which("nvcc") is not None and shutil.which("nvidia-smi") is not None


def version(library: str) -> str:
    """The toolkit's version, as its cuda_runtime_api.h says; of a device the GPU's name and its driver too."""
    folder = headers()
    assert folder is not None
    text = (folder / "cuda_runtime_api.h").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"#define CUDART_VERSION\s+(\d+)", text)
    assert found is not None
    toolkit = f"{int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}"
    if library == HEADERS:
        return toolkit
    words = ["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"]
    told = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[0]
    return f"{toolkit} on {told}"


@functools.cache
def program(library: str) -> str:
    """The compiled program's path."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cuda_"))
    name = "convert.cpp" if library == HEADERS else "convert.cu"
    (folder / name).write_text(SOURCE, encoding="utf-8")
    compiler = ["g++", "-O1", f"-I{headers()}"] if library == HEADERS else ["nvcc", "-O1", "-arch=native"]
    subprocess.run([*compiler, "-o", "convert", name], cwd=folder, check=True)
    return str(folder / "convert")


def encode(library: str, x: np.ndarray[Any, Any], fmt: str, saturate: bool, toward_zero: bool) -> np.ndarray[Any, Any]:
    """The codes (uint16) that CUDA gives for a float32 or float64 array."""
    words = [program(library), *map(str, (FORMATS.index(fmt), int(saturate), int(toward_zero), x.itemsize))]
    done = subprocess.run(words, input=x.tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, np.uint16)
