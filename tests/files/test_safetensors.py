"""Our reader of safetensors beside the package itself: what it refuses we refuse, what it writes we read."""

import contextlib
import json
import math
import random
import warnings

import numpy as np
import pytest

import fpemu as fe
from fpemu.files.data_files import open_arrays
from fpemu.files.safetensors import TYPE_BITS, WORD_FORMATS

TENSOR = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.safetensors"


@pytest.fixture(scope="module")
def accepts():
    """Whether safetensors itself reads a file's bytes."""
    package = pytest.importorskip("safetensors")

    def ask(data):
        try:
            package.deserialize(data)
        except package.SafetensorError:
            return False
        return True

    return ask


# -- what is refused: each with what safetensors 0.8 says of it -------------------------------------------------------

NAMED = {"a": TENSOR}
REFUSED = {
    "hole": ({"a": TENSOR, "b": {**TENSOR, "data_offsets": [5, 9]}}, 9, "b: bytes 5 to 9 leave a hole"),
    "overlap": ({"a": TENSOR, "b": {**TENSOR, "data_offsets": [2, 6]}}, 6, "b: bytes 2 to 6 overlap those of a"),
    "same place": ({"a": TENSOR, "b": TENSOR}, 4, "b: bytes 0 to 4 overlap"),
    "trailing bytes": (NAMED, 5, "1 bytes follow the last tensor's"),
    "bytes without tensors": ({}, 1, "1 bytes follow"),
    "missing bytes": (NAMED, 3, "are not at bytes 0 to 4"),
    "a name twice": (
        b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}',
        4,
        "the name 'a' occurs twice",
    ),
    "a field twice": (
        b'{"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}',
        2,
        "'dtype' occurs twice",
    ),
    "metadata twice": (b'{"__metadata__":{},"__metadata__":{}}', 0, "occurs twice"),
    "metadata of numbers": ({**NAMED, "__metadata__": {"x": 1}}, 4, "is not a map of texts"),
    "metadata in a list": ({**NAMED, "__metadata__": []}, 4, "is not a map of texts"),
    "a float in a shape": (b'{"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}', 2, "are not at bytes"),
    "minus zero in a shape": (b'{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}', 0, "-0 is not an integer"),
    "true in a shape": (b'{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', 1, "are not at bytes"),
    "a huge shape": ({"a": {"dtype": "U8", "shape": [1 << 40] * 2, "data_offsets": [0, 0]}}, 0, "too many elements"),
    "a shape of 66 bits": ({"a": {"dtype": "F64", "shape": [1 << 61], "data_offsets": [0, 0]}}, 0, "are not at bytes"),
    "an integer of 65 bits": (
        b'{"a":{"dtype":"U8","shape":[0,18446744073709551616],"data_offsets":[0,0]}}',
        0,
        "64 bits",
    ),
    "three offsets": ({"a": {**TENSOR, "data_offsets": [0, 4, 4]}}, 4, "are not at bytes"),
    "offsets backwards": ({"a": {"dtype": "U8", "shape": [0], "data_offsets": [4, 0]}}, 0, "are not at bytes"),
    "half a byte": ({"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}, 2, "are not at bytes"),
    "a type that is none": ({"a": {**TENSOR, "dtype": "F2"}}, 4, "elements of type 'F2'; there are BOOL"),
    "no type": ({"a": {"shape": [4], "data_offsets": [0, 4]}}, 4, "a tensor has dtype, shape and data_offsets"),
    "null for a tensor": ({"a": None}, 0, "a tensor has"),
    "half a character": (b'{"\\ud800":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2, "damaged"),
    "no UTF-8": (b'{"\xff":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2, "damaged"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 0, "damaged"),
    "nulls after the header": (b"{}\x00\x00", 0, "damaged"),
    "NaN": (b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"z":NaN}}', 2, "NaN is not a number in JSON"),
    "beyond float64": (b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"z":1e999}}', 2, "beyond float64"),
    "deep": (b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"z":%s}}' % (b"[" * 200 + b"]" * 200), 2, "deep"),
    "very deep": (b"[" * 100_000 + b"]" * 100_000, 0, "deep"),
    "deep and no JSON": (b"[" * 100_000, 0, "deep"),
    "a list": (b"[1]", 0, "not a map of names"),
    "no JSON": (b"{", 0, "damaged"),
    "nothing": (b"", 0, "damaged"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(path, what, request):
    header, size, message = REFUSED[what]
    data = file_of(header, bytes(size))
    path.write_bytes(data)
    for call in (fe.load, open_arrays):
        with pytest.raises(ValueError, match=message) as error:
            call(path)
        assert str(error.value).startswith(str(path))
    assert not request.getfixturevalue("accepts")(data)


@pytest.mark.parametrize("length", [0, 3, 7])
def test_files_too_short_for_a_length(path, length, accepts):
    path.write_bytes(bytes(length))
    with pytest.raises(ValueError, match=f"^{path}: not a safetensors file"):
        fe.load(path)
    assert not accepts(bytes(length))


@pytest.mark.parametrize("length", [3, 1 << 31, (1 << 64) - 1, 100_000_001])
def test_lengths_that_do_not_fit(path, length, accepts):
    path.write_bytes(data := length.to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match=f"^{path}: not a safetensors file"):
        fe.load(path)
    assert not accepts(data)


READ = {
    "null metadata, as MLX writes it": ({**NAMED, "__metadata__": None}, 4),
    "empty metadata": ({**NAMED, "__metadata__": {}}, 4),
    "blanks before and after": (b'  {"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}} \n\t', 2),
    "empty tensors anywhere between": (
        {
            "a": {**TENSOR, "shape": [0], "data_offsets": [0, 0]},
            "b": TENSOR,
            "c": {**TENSOR, "shape": [3, 0], "data_offsets": [4, 4]},
        },
        4,
    ),
    "not aligned": (
        {
            "a": {**TENSOR, "shape": [1], "data_offsets": [0, 1]},
            "b": {"dtype": "F32", "shape": [], "data_offsets": [1, 5]},
        },
        5,
    ),
    "nothing": ({}, 0),
    "in another order": ({"b": {**TENSOR, "data_offsets": [4, 8]}, "a": TENSOR}, 8),
}


@pytest.mark.parametrize("what", READ)
def test_what_is_read(path, what, accepts):
    header, size = READ[what]
    data = file_of(header, bytes(range(size)))
    path.write_bytes(data)
    told = json.loads(header) if isinstance(header, bytes) else header
    names = [name for name in told if name != "__metadata__"]
    found = fe.load(path)
    assert list(found) == names
    assert all(list(np.shape(found[name])) == told[name]["shape"] for name in names)
    assert [stored.name for stored in open_arrays(path)] == names
    assert accepts(data)


# -- types ------------------------------------------------------------------------------------------------------------


def bytes_of(word, size):
    return size * TYPE_BITS[word] // 8


def test_every_word_of_the_package(path, accepts):
    """Ours are its words, no more and no fewer, with its sizes."""
    package = pytest.importorskip("safetensors")
    with pytest.raises(package.SafetensorError) as error:
        package.deserialize(file_of({"a": {**TENSOR, "dtype": "none"}}, bytes(4)))
    listed = str(error.value).partition("expected one of ")[2].partition(" at line")[0]
    assert {word.strip("` ") for word in listed.split(",")} == set(TYPE_BITS)
    for word in TYPE_BITS:
        for extra in (-1, 0, 1):
            size = bytes_of(word, 8) + extra
            assert accepts(file_of({"a": {"dtype": word, "shape": [8], "data_offsets": [0, size]}}, bytes(size))) == (
                not extra
            )


@pytest.mark.parametrize("word", WORD_FORMATS)
def test_types_of_formats(path, word):
    fmt = fe.dtype(WORD_FORMATS[word])
    rng = np.random.default_rng(3)
    codes = (rng.integers(0, 1 << 62, (3, 8)) & ((1 << fmt.bits) - 1 & (1 << 62) - 1)).astype(fmt.code_dtype)
    data = fe.pack(codes.reshape(-1), fmt).tobytes()
    assert len(data) == bytes_of(word, codes.size)
    path.write_bytes(file_of({"a": {"dtype": word, "shape": [3, 8], "data_offsets": [0, len(data)]}}, data))
    found = fe.load(path)["a"]
    (stored,) = open_arrays(path)
    if isinstance(found, fe.Array):
        assert found.format == fmt
        np.testing.assert_array_equal(found.codes, codes)
    else:
        assert str(found.dtype) == WORD_FORMATS[word]
        np.testing.assert_array_equal(found.view(codes.dtype), codes)
    for size in (1, 3, 5, 1000):
        pieces = list(stored.chunks(size))
        assert max(piece.size for piece in pieces) <= size
        np.testing.assert_array_equal(np.concatenate(pieces).view(codes.dtype), codes.reshape(-1))
    for even in (codes, codes[:, :3]):  # 9 codes of 4 or 6 bits do not fill bytes
        fe.save(path, a=fe.Array(even, fmt))
        again = fe.load(path)["a"]
        assert again.format == fmt
        np.testing.assert_array_equal(again.codes, even)
    assert path.read_bytes().count(b'"U8"') == (TYPE_BITS[word] < 8 or word == "U8")


def test_a_type_without_a_format_is_named_and_the_others_load(path):
    header = {"z": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}, "a": {**TENSOR, "data_offsets": [8, 12]}}
    path.write_bytes(file_of(header, bytes(12)))
    with pytest.warns(UserWarning, match=f"^{path}, z, left out: elements of type C64"):
        assert list(fe.load(path)) == ["a"]
    with pytest.warns(UserWarning, match="z, left out"):
        assert [stored.name for stored in open_arrays(path)] == ["a"]
    assert fe.load(path, "a").shape == (4,)
    for call in (lambda: fe.load(path, "z"), lambda: open_arrays(path, member="z")):
        with pytest.raises(ValueError, match=f"^{path}, z: elements of type C64: fpemu has no format for it"):
            call()


def test_one_tensor_by_name(path, monkeypatch):
    """Its bytes alone are mapped, and another's unknown type is no hindrance."""
    rng = np.random.default_rng(1)
    arrays = {f"layer.{k}": rng.standard_normal((k, 4)).astype(np.float32) for k in range(5)}
    fe.save(path, **arrays, q=fe.quantize(np.ones((2, 32), np.float32), "mxfp4"), e=fe.array([1.0], "e4m3"))
    mapped, memmap = [], np.memmap

    def noted(*args):
        mapped.append(args[4])
        return memmap(*args)

    monkeypatch.setattr(np, "memmap", noted)
    np.testing.assert_array_equal(fe.load(path, "layer.3"), arrays["layer.3"])
    assert mapped == [(48,)]
    assert isinstance(fe.load(path, "q"), fe.Quantized)
    assert fe.load(path, "e").format == fe.dtype("e4m3")
    with pytest.raises(ValueError, match=f"^{path}: no array 'layer.9'; there are layer.0, .*did you mean"):
        fe.load(path, "layer.9")
    path.write_bytes(file_of({"n": {**TENSOR, "dtype": "F2"}, "a": {**TENSOR, "data_offsets": [4, 8]}}, b"12345678"))
    assert fe.load(path, "a").tolist() == list(b"5678")
    with pytest.raises(ValueError, match="elements of type 'F2'"):
        fe.load(path, "n")


# -- held to the package ----------------------------------------------------------------------------------------------


NAMES = [
    "bool",
    "complex64",
    "float4_e2m1fn_x2",
    *(name for word, name in WORD_FORMATS.items() if TYPE_BITS[word] >= 8),
]


def test_what_it_writes_is_read(path):
    package = pytest.importorskip("safetensors")
    rng = random.Random(11)
    for _ in range(200):
        tensors, wanted, kept = {}, {}, []
        for place in range(rng.randrange(6)):
            kind = rng.choice(NAMES)
            bits = {"bool": 8, "complex64": 64, "float4_e2m1fn_x2": 8}.get(kind) or fe.dtype(kind).bits
            shape = [rng.randrange(4) for _ in range(rng.randrange(4))] or [1]
            size = math.prod(shape) * bits // 8
            kept.append(data := np.frombuffer(rng.randbytes(size + 1), np.uint8))
            name = rng.choice(["w", "layer.0.weight", "é", '"', "\\u", "a b", "\u2028", ""]) + str(place)
            tensors[name] = package.TensorSpec(dtype=kind, shape=shape, data_ptr=data.ctypes.data, data_len=size)
            if kind != "complex64":
                wanted[name] = list(tensors[name].shape)
        metadata = rng.choice([None, {"format": "pt"}, {"a": '{"b": [1]}'}])
        path.write_bytes(package.serialize(tensors, metadata))
        unknown = len(wanted) < len(tensors)
        with pytest.warns(UserWarning, match="left out") if unknown else contextlib.nullcontext():
            found = fe.load(path)
        assert {name: list(np.shape(x)) for name, x in found.items()} == wanted


def outcome(path):
    try:
        return fe.load(path)
    except ValueError as error:
        return error


def test_what_it_refuses_is_refused(path, accepts):
    """Valid files with bytes changed, cut, doubled and put elsewhere; none that it refuses is read."""
    rng = random.Random(23)
    base = [
        file_of(
            {**NAMED, "b": {"dtype": "F4", "shape": [2, 4], "data_offsets": [4, 8]}, "__metadata__": {"k": "v"}},
            bytes(8),
        ),
        file_of(
            {
                "x": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
                "y": {"dtype": "F32", "shape": [], "data_offsets": [8, 12]},
            },
            bytes(12),
        ),
    ]
    read = refused = 0
    for _ in range(4000):
        data = bytearray(rng.choice(base))
        header = 8 + data[0]
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            place = rng.randrange(header)
            match rng.randrange(5):
                case 0:
                    data[place] ^= 1 << rng.randrange(8)
                case 1:
                    data[place] = rng.choice(b'0123456789[]{},:"- \\eUFu.')
                case 2:
                    del data[place : place + rng.randrange(1, 4)]
                case 3:
                    data[place:place] = data[(start := rng.randrange(header)) : start + rng.randrange(1, 9)]
                case _:
                    data[len(data) :] = bytes(rng.randrange(3))
        if rng.random() < 0.5 and len(data) > 8:  # a length that fits again
            data[:8] = max(0, data.rfind(b"}") - 7).to_bytes(8, "little")
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = outcome(path)
        if isinstance(found, ValueError):
            assert str(found).startswith(str(path))
            refused += 1
        else:
            read += 1
            assert accepts(bytes(data)), bytes(data)
    assert read > 100
    assert refused > 1000


def test_what_we_write_it_reads(path, accepts):
    package = pytest.importorskip("safetensors")
    arrays = {word: fe.Array(np.zeros((2, 4), fe.dtype(name).code_dtype), name) for word, name in WORD_FORMATS.items()}
    fe.save(path, **arrays, truth=np.array([True]), empty=np.zeros((0, 3)), odd=fe.Array([1, 2, 3], "float4_e2m1fn"))
    told = {name: tensor["dtype"] for name, tensor in package.deserialize(path.read_bytes())}
    assert told == {**{word: word for word in WORD_FORMATS}, "truth": "BOOL", "empty": "F64", "odd": "U8"}
