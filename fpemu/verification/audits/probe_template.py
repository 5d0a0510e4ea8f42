"""Record a device's results of casts and operations, with torch; `fpemu probe` writes this script with its inputs.

Run it on the device's machine; it needs only Python 3.9 and torch:

    python probe.py [--device cuda] [-o recording.probe]

Inputs go to the device as integers and are viewed as numbers there; results come back as integers.  The recording is a
zip file: recording.json describes the machine, the items and torch's calls; further members are inputs (unless a rule
describes them) and results, as little-endian integers; the last member is a hash.  On any machine, `fpemu audit
--recorded recording.probe` checks it.
"""

from __future__ import annotations

import argparse
import array
import base64
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
import zipfile
import zlib
from typing import Any

# The plan and the inputs, compressed; inserted by `fpemu probe`
PLAN = ""
INPUTS = ""

# fpemu's operation -> torch's function
CALLS = {
    **{"cast": "to", "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "fma": "addcmul"},
    **{name: name for name in ("fmod", "sqrt", "exp", "exp2", "log", "log2", "sin", "cos", "tanh")},
    **{name: name for name in ("sigmoid", "erf", "rsqrt", "reciprocal")},
}
# bytes -> types of array and torch
INTEGERS = {1: ("B", "uint8"), 2: ("H", "int16"), 4: ("I", "int32"), 8: ("Q", "int64")}
HEAD_MEMBER, HASH_MEMBER = "recording.json", "sha256"  # the first and the last member
RECORDING_KIND = "fpemu recording 1"


def decompress(text: str) -> bytes:
    """Decode and decompress a text."""
    return zlib.decompress(base64.b64decode(text))


def codes_by_rule(rule: dict[str, Any], size: int) -> bytes:
    """The codes that a rule describes: `count` consecutive numbers, shifted, plus each number in "add" in turn."""
    codes = array.array(INTEGERS[size][0])
    for added in rule["add"]:
        codes.extend((number << rule["shift"]) + added for number in range(rule["count"]))
    return to_little_endian(codes.tobytes(), size)


def to_little_endian(raw: bytes, size: int) -> bytes:
    """Convert integers between this machine's byte order and little-endian order."""
    codes = array.array(INTEGERS[size][0])
    codes.frombytes(raw)
    if sys.byteorder == "big":
        codes.byteswap()
    return codes.tobytes()


def torch_type(torch: Any, name: str) -> Any:
    """Torch's type for a format's name."""
    if not hasattr(torch, name):
        raise TypeError(f"torch {torch.__version__} has no {name}")
    return getattr(torch, name)


def call_of(claim: dict[str, str]) -> str:
    """Torch's call as source text."""
    name, count = CALLS[claim["operation"]], sum(key.startswith("operand ") for key in claim)
    if name == "to":
        return f"x.to(torch.{claim['result']})"
    return "torch.addcmul(z, x, y)" if name == "addcmul" else f"torch.{name}({', '.join('xyz'[:count])})"


def run_on_device(torch: Any, device: Any, claim: dict[str, str], operands: list[bytes]) -> bytes:
    """Run an operation on the device; operands and results are little-endian codes."""
    values = []
    for number, raw in enumerate(operands, 1):
        kind = torch_type(torch, claim[f"operand {number}"])
        size = torch.empty(0, dtype=kind).element_size()
        codes = torch.frombuffer(bytearray(to_little_endian(raw, size)), dtype=getattr(torch, INTEGERS[size][1]))
        values.append(codes.to(device).view(kind))
    kind = torch_type(torch, claim["result"])
    name = CALLS[claim["operation"]]
    if name == "to":
        result = values[0].to(kind)
    elif name == "addcmul":
        result = torch.addcmul(values[2], values[0], values[1])
    else:
        result = getattr(torch, name)(*values)
    if result.dtype != kind or result.shape != values[0].shape:
        raise TypeError(f"returned {result.dtype} of shape {tuple(result.shape)}")
    size = result.element_size()
    codes = result.view(getattr(torch, INTEGERS[size][1])).cpu()
    return to_little_endian(bytes(codes.view(torch.uint8).tolist()), size)


# -- the device -------------------------------------------------------------------------------------------------------


def accelerator(torch: Any) -> str | None:
    """The accelerator that torch finds, or None."""
    module = getattr(torch, "accelerator", None)  # from torch 2.6 on
    if module is not None and module.is_available():
        return str(module.current_accelerator())
    for name in ("cuda", "xpu", "mps"):
        module = getattr(torch, name, None)
        if name == "mps":
            module = getattr(getattr(torch, "backends", None), "mps", None)
        if module is not None and hasattr(module, "is_available") and module.is_available():
            return name
    return None


def query(thing: Any, path: str, *given: Any) -> Any:
    """A nested attribute of torch, or its return value if it is callable; None if it is missing or raises."""
    try:
        for name in path.split("."):
            thing = getattr(thing, name)
        answer = thing(*given) if callable(thing) else thing
    except Exception:  # torch's errors differ by machine
        return None
    if isinstance(answer, tuple):
        return ".".join(map(str, answer))
    return answer if answer is None or isinstance(answer, (bool, int)) else str(answer)


def processor() -> str:
    """The CPU's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def driver() -> str | None:
    """The version of NVIDIA's driver."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def machine(torch: Any, device: Any) -> dict[str, Any]:
    """Describe the machine, and torch's settings, without changing them."""
    kind = device.type
    if kind == "cpu":
        name, capability = processor(), query(torch, "backends.cpu.get_cpu_capability")
    else:
        name = query(torch, f"{kind}.get_device_name", device) or kind
        capability = query(torch, f"{kind}.get_device_capability", device)
    settings = (
        "backends.cuda.matmul.allow_tf32",
        "backends.cudnn.allow_tf32",
        "get_float32_matmul_precision",
        "are_deterministic_algorithms_enabled",
        "get_num_threads",
    )
    return {
        "device": str(device),
        "device name": name,
        "capability": capability,
        "torch": str(torch.__version__),
        "cuda": query(torch, "version.cuda"),
        "hip": query(torch, "version.hip"),
        "cudnn": query(torch, "backends.cudnn.version"),
        "driver": driver() if kind == "cuda" else None,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "settings": {f"torch.{path}": query(torch, path) for path in settings},
    }


# -- the recording ----------------------------------------------------------------------------------------------------


def record(torch: Any, device: Any, item: dict[str, Any], inputs: bytes, members: dict[str, bytes]) -> dict[str, Any]:
    """Run one item of the plan; results become members, named by their hashes."""
    claim, batches = item["claim"], []
    new = {}

    def put(raw: bytes) -> str:
        name = hashlib.sha256(raw).hexdigest()
        new[name] = raw
        return name

    count = 0
    for batch in item["batches"]:
        size = batch["size"]
        if "rule" in batch:
            operands = [codes_by_rule(batch["rule"], size)]
            recorded = {"rule": batch["rule"]}
        else:
            operands = [inputs[start:stop] for start, stop in batch["operands"]]
            recorded = {"operands": [put(raw) for raw in operands]}
        batches.append({**recorded, "result": put(run_on_device(torch, device, claim, operands))})
        count += len(operands[0]) // size
    members.update(new)  # not before every batch has succeeded
    return {"name": item["name"], "claim": claim, "call": call_of(claim), "inputs": count, "batches": batches}


def write_recording(path: str, about: dict[str, Any], members: dict[str, bytes]) -> None:
    """Write the recording, whole or not at all."""
    target = os.path.realpath(path)
    # The name is chosen before the file exists, so that an interrupt leaves no file behind.
    hidden = f".{os.path.basename(target)[:40]}.{os.urandom(6).hex()}.tmp"
    temporary = os.path.join(os.path.dirname(target), hidden)
    try:
        head = json.dumps(about, indent=1).encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(HEAD_MEMBER, head)
                for name, raw in members.items():
                    archive.writestr(name, raw)
                archive.writestr(HASH_MEMBER, hashlib.sha256(head).hexdigest())
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0o077)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def choose_device(torch: Any, wanted: str | None) -> Any:
    """The device to use; a SystemExit explains why there is none."""
    name = wanted or accelerator(torch)
    if name is None:
        raise SystemExit(
            f"no device: torch {torch.__version__} finds no accelerator on this machine.  To use the CPU: "
            f"python {os.path.basename(sys.argv[0])} --device cpu"
        )
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.int32).to(device).cpu()
    except Exception as error:  # torch's errors differ by device
        first = str(error).splitlines()[0] if str(error) else ""
        raise SystemExit(f"no device {name!r} for torch {torch.__version__}: {type(error).__name__}: {first}") from None
    return device


def main() -> int:
    """Run all items of the plan, and write the recording."""
    parser = argparse.ArgumentParser(description="Records results of a device, for fpemu audit --recorded FILE")
    parser.add_argument("--device", help="cuda, cuda:1, xpu, mps, cpu; default: the accelerator that torch finds")
    parser.add_argument("-o", "--output", default="recording.probe", help="default: recording.probe")
    given = parser.parse_args()
    if not PLAN:
        raise SystemExit("this script has no plan and no inputs: write it with `fpemu probe -o probe.py`")
    folder = os.path.dirname(os.path.realpath(given.output))
    if not os.path.isdir(folder):
        raise SystemExit(f"{folder}: no such folder")
    try:
        import torch
    except ImportError as error:
        raise SystemExit(f"torch is needed, and cannot be imported: {error}") from None
    device = choose_device(torch, given.device)
    plan, inputs = json.loads(decompress(PLAN)), decompress(INPUTS)
    with open(__file__, "rb") as own:
        script = hashlib.sha256(own.read()).hexdigest()
    about = {"kind": RECORDING_KIND, "machine": machine(torch, device), "fpemu": plan["fpemu"], "script": script}
    about["inputs"] = plan["inputs"]
    print(f"{about['machine']['device name']}, torch {torch.__version__}: {len(plan['items'])} items", flush=True)
    items: list[dict[str, Any]] = []
    absent: list[dict[str, Any]] = []
    members: dict[str, bytes] = {}
    status = 0
    for number, item in enumerate(plan["items"], 1):
        why = "not run: interrupted"
        if not status:
            print(f"[{number}/{len(plan['items'])}] {item['name']}: ", end="", flush=True)
            try:
                items.append(record(torch, device, item, inputs, members))
                print(f"{items[-1]['inputs']:,} results", flush=True)
                continue
            except KeyboardInterrupt:
                status = 130
                print("interrupted", flush=True)
            except Exception as error:  # an operation that torch or the device lacks is recorded as absent
                first = str(error).strip().splitlines()[0] if str(error).strip() else ""
                why = f"{type(error).__name__}: {first}"
                print(f"not there: {why}", flush=True)
        absent.append({"name": item["name"], "claim": item["claim"], "call": call_of(item["claim"]), "why": why})
    about["items"], about["absent"] = items, absent
    write_recording(given.output, about, members)
    print(f"{given.output}: {len(items)} recorded, {len(absent)} not there")
    return status or (0 if items else 1)


if __name__ == "__main__":
    sys.exit(main())
