"""Probes: the script that `fpemu probe` writes, its recordings of torch's results, and their reading."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import fpemu as fe
from fpemu.files.boundary import Budget
from fpemu.verification.audits import probe, probe_template, recordings
from fpemu.verification.audits.probe_script import ProbePlan, recorded_name
from fpemu.verification.audits.recordings import _codes_by_rule, is_recording
from fpemu.verification.claims import Claim

PEERS = Path(__file__).parents[1] / "peers"
STUB = PEERS / "stub_torch.py"
CPU = PEERS / "torch_cpu.probe"  # torch 2.13.0's CPU kernels, on an x86-64 with AVX-512
FORMATS = ("float8_e4m3fn", "bfloat16")
OPERATIONS = ("cast", "add", "exp", "tanh", "sigmoid")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """A script that records a few casts and operations."""
    path = tmp_path_factory.mktemp("probe") / "probe.py"
    probe(path, FORMATS, OPERATIONS, per_cell=1, random=100)
    return path


def run(script, folder, *words, stub=True, **environment):
    """Run a script, with the stub for torch."""
    if stub:
        (folder / "torch").mkdir(exist_ok=True)
        (folder / "torch" / "__init__.py").write_text(STUB.read_text())
        environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, str(script), *words]
    return subprocess.run(
        command, cwd=folder, env={"PATH": "", **environment}, capture_output=True, text=True, check=False
    )


def edited(path, change):
    """A copy of a recording with its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    copy = path.with_name("edited.probe")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return copy


def about_edited(path, change, tidy=False):
    """A copy of a recording with a changed description and a correct hash; `tidy`: without unused members."""

    def of(members):
        about = json.loads(members[probe_template.HEAD_MEMBER])
        change(about)
        members[probe_template.HEAD_MEMBER] = json.dumps(about).encode()
        members[probe_template.HASH_MEMBER] = hashlib.sha256(members[probe_template.HEAD_MEMBER]).hexdigest().encode()
        for name in [name for name in members if tidy and len(name) == 64 and name not in json.dumps(about)]:
            del members[name]

    return edited(path, of)


# -- the script -------------------------------------------------------------------------------------------------------


def test_the_script_is_old_python_and_needs_torch_alone(script):
    tree = ast.parse(script.read_text(), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"torch"}
    assert script.stat().st_size < 100_000


def test_what_is_asked():
    claims = ProbePlan().claims
    assert len(claims) == 83
    assert all(recorded_name(claim) == name for name, claim in claims.items())
    casts = {name for name, claim in claims.items() if claim.operation == "cast"}
    assert {"float64 to float32", "int64 to bfloat16", "float8_e8m0fnu to float32"} < casts
    assert {claim.operation for claim in claims.values()} == set(probe_template.CALLS)
    assert list(ProbePlan(["e5m2"], ["encode"]).claims) == [
        *(f"{source} to float8_e5m2" for source in ("float32", "float64", "float16", "bfloat16")),
        "float8_e5m2 to float32",
    ]
    assert list(ProbePlan(operations=["+"]).claims) == ["add of float16", "add of bfloat16", "add of float32"]
    with pytest.raises(ValueError, match="torch has none of these operations for float6_e3m2fn"):
        ProbePlan(["float6_e3m2fn"])
    with pytest.raises(ValueError, match=r"torch has no operation 'ad': .*did you mean"):
        ProbePlan(operations=["ad"])
    with pytest.raises(ValueError, match="unknown format"):
        ProbePlan(["float17x"])
    with pytest.raises(TypeError, match="formats must be a sequence"):
        ProbePlan("float16")
    with pytest.raises(TypeError, match="an operation is a name"):
        ProbePlan(operations=[1])


def test_a_script_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "probe.py"
    with pytest.raises(ValueError, match="random must be"):
        probe(path, ["bfloat16"], ["add"], random=-1)
    assert list(tmp_path.iterdir()) == []


def test_the_same_script_for_a_seed(tmp_path):
    first, again, other = (tmp_path / f"{name}.py" for name in ("first", "again", "other"))
    for path, seed in ((first, 3), (again, 3), (other, 4)):
        names = probe(path, ["bfloat16"], ["add", "exp"], per_cell=0, random=10, seed=seed)
    assert again.read_bytes() == first.read_bytes() != other.read_bytes()
    plan = json.loads(probe_template.decompress(_constant(again, "PLAN")))
    assert plan["inputs"] == {"per cell": 0, "random": 10, "seed": 3}
    assert [item["name"] for item in plan["items"]] == names
    assert len(probe_template.decompress(_constant(again, "INPUTS"))) == max(
        stop for item in plan["items"] for batch in item["batches"] for _, stop in batch.get("operands", [[0, 0]])
    )


def _constant(script, name):
    (found,) = (
        node.value.value
        for node in ast.parse(script.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )
    return found


def test_inputs_by_rule_are_the_same_on_both_sides():
    for fmt, rule in (
        ("bfloat16", {"shift": 0, "count": 1 << 16, "add": [0]}),
        ("float32", {"shift": 16, "count": 1 << 16, "add": [0, 1, 0xFFFF]}),
    ):
        found = fe.dtype(fmt)
        codes = np.frombuffer(probe_template.codes_by_rule(rule, found.bits // 8), found.code_dtype)
        assert np.array_equal(codes, _codes_by_rule(rule, found, Budget("x.probe", 1 << 20)))
        assert len(set(codes.tolist())) == codes.size  # no input twice
    assert set(codes.tolist()) >= {0x3F80FFFF, 0x3F810000, 0x3F810001}


def test_integers_beside_ties(script):
    """Some inputs in the plan are ties of bfloat16, some become ties in float32, by rational arithmetic."""
    plan = json.loads(probe_template.decompress(_constant(script, "PLAN")))
    (item,) = (each for each in plan["items"] if each["name"] == "int64 to bfloat16")
    ((start, stop),) = item["batches"][0]["operands"]
    numbers = np.frombuffer(probe_template.decompress(_constant(script, "INPUTS"))[start:stop], np.int64).tolist()

    def is_tie(number):
        scaled = Fraction(abs(number), 1 << max(abs(number).bit_length() - 9, 0))
        return scaled.denominator == 1 and scaled.numerator % 2 == 1 and abs(number) >= 256

    ties = {number for number in numbers if is_tie(number)}
    assert len({number.bit_length() for number in ties}) == 63 - 8
    assert sum({number - 1, number + 1} <= set(numbers) for number in ties) > 300
    beside = [number for number in numbers if not is_tie(number) and is_tie(int(np.float32(number)))]
    assert len(beside) > 100


# -- running it -------------------------------------------------------------------------------------------------------


def test_no_device_is_said(script, tmp_path):
    done = run(script, tmp_path)
    assert done.returncode == 1
    assert "no device: torch 0.1+stub finds no accelerator" in done.stderr
    assert "probe.py --device cpu" in done.stderr
    done = run(script, tmp_path, "--device", "cuda:7")
    assert done.returncode == 1
    assert "no device 'cuda:7' for torch 0.1+stub: RuntimeError: no stub of cuda:7" in done.stderr
    assert "and more" not in done.stderr
    done = run(script, tmp_path, "-o", "nowhere/recording.probe")
    assert done.returncode == 1
    assert "nowhere: no such folder" in done.stderr
    done = run(probe_template.__file__, tmp_path)
    assert "write it with `fpemu probe -o probe.py`" in done.stderr
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libgpu.so')")
    done = run(script, tmp_path, stub=False, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "torch is needed, and cannot be imported: libgpu.so" in done.stderr
    assert not list(tmp_path.glob("*.probe"))


@pytest.fixture(scope="module")
def recording(script, tmp_path_factory):
    """The recording of the stub, which interrupts the script at tanh."""
    folder = tmp_path_factory.mktemp("recording")
    done = run(script, folder, STUB_ACCELERATOR="stub")
    assert done.returncode == 130, done.stderr
    assert "[1/" in done.stdout
    assert 'bfloat16 to float16: not there: RuntimeError: "copy_" not implemented for Half\n' in done.stdout
    assert "tanh of bfloat16: interrupted" in done.stdout
    return folder / "recording.probe"


def test_a_device_that_lacks_things_is_recorded(recording):
    found = recordings(recording)
    assert str(found).startswith("A Stub (stub, 9.0), torch 0.1+stub, 20")
    assert found.about["fpemu"] == fe.__version__
    assert found.absent == {
        "bfloat16 to float16": 'RuntimeError: "copy_" not implemented for Half',
        "exp of bfloat16": "TypeError: returned float32 of shape (65536,)",
        "tanh of bfloat16": "not run: interrupted",
        "sigmoid of bfloat16": "not run: interrupted",
    }
    assert found.calls["add of bfloat16"] == "torch.add(x, y)"
    assert found.calls["bfloat16 to float16"] == "x.to(torch.float16)"
    assert "float16 to bfloat16" in found  # this direction it has
    assert repr(found).startswith(f"<{len(found)} recordings in")
    assert is_recording(recording)
    assert [path.name for path in recording.parent.glob("*probe*")] == ["recording.probe"]


def test_the_script_vouches_for_itself(recording, script):
    assert recordings(recording).about["script"] == hashlib.sha256(script.read_bytes()).hexdigest()


def test_replayed_answers_are_ml_dtypes(recording):
    """The stub computes with it; its casts from float64 and integers go through float32."""
    found = recordings(recording)
    audits = {name: fe.audit(item) for name, item in found.items()}
    twice = {"float64 to bfloat16", "float64 to float8_e4m3fn", "int32 to bfloat16", "int64 to bfloat16"}
    assert {name for name, each in audits.items() if not each.passed} == twice
    assert {audits[name].cause for name in twice} == {"through=float32"}
    assert {audits[name].distance for name in twice} == {1}
    held = {name: fe.audit(found[name], found[name].claim.replaced(through="float32")) for name in twice}
    assert all(each.passed for each in held.values())
    assert audits["bfloat16 to float8_e4m3fn"].checked == 1 << 16
    assert audits["float32 to float8_e4m3fn"].checked > 3 << 16
    assert "inputs (as recorded)" in str(audits["add of bfloat16"])


def test_a_torch_without_a_type(tmp_path):
    path = tmp_path / "probe.py"
    probe(path, ["float8_e8m0fnu"], ["cast"], per_cell=0, random=10)
    done = run(path, tmp_path, "--device", "cpu", "-o", "cpu.probe")
    assert done.returncode == 1  # nothing was recorded
    assert "cpu.probe: 0 recorded, 5 not there" in done.stdout
    found = recordings(tmp_path / "cpu.probe")
    assert len(found) == 0
    assert found.absent["float32 to float8_e8m0fnu"] == "TypeError: torch 0.1+stub has no float8_e8m0fnu"


# -- reading it -------------------------------------------------------------------------------------------------------


def test_truncated_recordings_are_refused(recording, tmp_path):
    whole = recording.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path = tmp_path / "cut.probe"
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.probe: not a recording, or a truncated one"):
            recordings(path)
        assert is_recording(path)
    path = tmp_path / "cut.zip"
    path.write_bytes(whole[:100])
    assert is_recording(path)


def test_damaged_bytes_are_refused(recording, tmp_path):
    whole = recording.read_bytes()
    path = tmp_path / "damaged.probe"
    for place in np.random.default_rng(0).integers(0, len(whole), 40).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            found = recordings(path)
        except ValueError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
        else:  # a date or an attribute in the zip file's directory: all that counts is as it was
            assert found.about == recordings(recording).about
            assert all(
                np.array_equal(a.result, b.result)
                for name in found
                for a, b in zip(found[name], recordings(recording)[name], strict=True)
            )


def test_edited_recordings_are_refused(recording):
    def swap(members):
        first, second = list(members)[1:3]
        members[first], members[second] = members[second], members[first]

    def lose(members):
        del members[probe_template.HASH_MEMBER]

    def rename(members):
        members[probe_template.HEAD_MEMBER] = members[probe_template.HEAD_MEMBER].replace(b"A Stub", b"A Slab")

    for change, words in (
        (swap, "do not match their hash: the file was edited"),
        (lose, "it has no sha256"),
        (rename, "recording.json does not fit its hash: the file was edited"),
        (
            lambda members: members.update({hashlib.sha256(b"x").hexdigest(): b"x"}),
            "1 undescribed members",
        ),
        (lambda members: members.pop(list(members)[1]), "not a recording: KeyError"),
    ):
        with pytest.raises(ValueError, match=words):
            recordings(edited(recording, change))


def test_what_a_recording_tells_is_text(recording):
    """All printed fields of a recording exist and are texts, so that printing cannot fail; names are unique."""

    def twice(about):
        about["items"].append(about["items"][0])

    with pytest.raises(ValueError, match="two of its items have the same name"):
        recordings(about_edited(recording, twice))
    with zipfile.ZipFile(recording) as archive:
        told = json.loads(archive.read(probe_template.HEAD_MEMBER))
    assert told["absent"]
    places = [["fpemu"], *(["machine", word] for word in ("device name", "device", "torch", "date"))]
    places += [["items", 0, word] for word in ("name", "call")] + [
        ["absent", 0, word] for word in ("name", "call", "why")
    ]
    for *above, word in places:
        for wrong in (None, 3, [], {}, "gone"):

            def change(about, above=above, word=word, wrong=wrong):
                for key in above:
                    about = about[key]
                about.pop(word) if wrong == "gone" else about.update({word: wrong})

            copy = about_edited(recording, change)
            with pytest.raises(ValueError, match=f"has no text '{word}'") as error:
                recordings(copy)
            assert str(error.value).startswith(str(copy))
    for wrong in (None, 3, [], ""):
        with pytest.raises(ValueError, match="its machine has no text 'device name'"):
            recordings(about_edited(recording, lambda about, wrong=wrong: about.update(machine=wrong)))


def test_descriptions_that_mean_nothing_are_refused(recording):
    def first(**changes):
        return lambda about: about["items"][0].update(changes)

    def operation(about):
        about["items"][0]["claim"]["operation"] = "cat"

    def shorter(about):
        about["items"][0]["batches"][0]["result"] = about["items"][0]["batches"][1]["result"]

    def endless(about):
        about["items"][0]["batches"][1]["rule"]["count"] = 1 << 60

    def other(about):
        about["kind"] = "fpemu recording 2"

    for change, words in (
        (operation, "no operation 'cat'"),
        (shorter, "the numbers of operands and results differ"),
        (endless, "no rule of inputs"),
        (other, "of another version"),
        (first(batches=[{}]), "not a recording: KeyError"),
        (first(claim=None), "not a recording: TypeError"),
    ):
        with pytest.raises(ValueError, match=words):
            recordings(about_edited(recording, change))


# -- torch ------------------------------------------------------------------------------------------------------------

SATURATES = "infinity=saturate, overflow=saturate"
EXPECTED = {
    "float32 to float8_e4m3fn": SATURATES,
    "bfloat16 to float8_e4m3fn": SATURATES,
    "float64 to float8_e4m3fn": f"{SATURATES}, through=float32",
    "float64 to float8_e5m2": "through=float32",
    "float32 to float8_e5m2": None,
    "float8_e5m2 to float32": None,
}


def causes(found):
    return {name: fe.audit(item).cause for name, item in found.items() if name in EXPECTED}


def test_what_torchs_cpu_kernels_answered():
    """Recorded once with `python probe.py --device cpu`; the results follow torch's profile."""
    found = recordings(CPU)
    assert found.machine["torch"] == "2.13.0+cpu"
    assert len(found) == 10
    assert causes(found) == EXPECTED
    for name, item in found.items():
        claim = item.claim
        assert claim is not None
        torchs = Claim.of("cast", operands=claim.operands, result=claim.result, profile="torch-2.14")
        assert fe.audit(item, torchs).passed, name


def test_torchs_cpu_kernels_live(script, tmp_path):
    torch = pytest.importorskip("torch")
    done = run(script, tmp_path, "--device", "cpu", stub=False)
    assert done.returncode == 0, done.stderr
    found = recordings(tmp_path / "recording.probe")
    assert found.machine["torch"] == str(torch.__version__)
    assert not found.absent
    new = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 12)
    for name, item in found.items():
        claim = item.claim
        if claim.operation in ("cast", "add"):
            torchs = Claim.of(
                claim.operation,
                operands=claim.operands,
                result=claim.result,
                profile="torch-2.14" if new else "torch-2.11",
            )
            assert fe.audit(item, torchs).passed, name
    assert fe.audit(found["int64 to bfloat16"]).cause == "through=float32"
    # The bits that torch gives here, asked in another way
    (batch,) = found["bfloat16 to float8_e4m3fn"]
    codes = batch.operands[0][::-1].copy()
    values = torch.from_numpy(codes.view(np.int16)).view(torch.bfloat16).to(torch.float8_e4m3fn)
    assert np.array_equal(values.view(torch.uint8).numpy(), batch.result[::-1])


# -- an NVIDIA H200, torch 2.11.0, CUDA 13.0 --------------------------------------------------------------------------

H200 = {
    "h200_casts.probe": {
        f"float64 to float8_{kind}": "through=float32" for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")
    },
    "h200_bfloat16.probe": {"fma of bfloat16": "through=float32"},
}


@pytest.mark.parametrize("name", H200)
def test_what_an_h200_answered(name):
    """Its casts and operations agree with fpemu, unless they round to float32 on the way, which the audit reports."""
    found = {item: fe.audit(answers) for item, answers in recordings(PEERS / name).items()}
    assert {item: audited.cause for item, audited in found.items() if not audited.passed} == H200[name]
    assert sum(audited.checked for audited in found.values()) > 70_000


def test_the_profile_torch_2_11_has_an_h200s_casts():
    """Values of all, from float64 too."""
    for answers in recordings(PEERS / "h200_casts.probe").values():
        if "float8" in answers.claim.result.name:
            assert fe.audit(answers, answers.claim.replaced(through="float32")).passed
            own = fe.profile("torch-2.11").for_codes(answers.claim.result.codes_key)
            assert (own.through.value, own.overflow.value) == ("float32", "standard")
