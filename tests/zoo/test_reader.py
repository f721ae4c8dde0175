"""Checkpoints are read without executing them, and what lies about itself is refused by name."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinserve.errors import CheckpointError
from twinserve.zoo.convert import Chosen, convert
from twinserve.zoo.reader import read_checkpoint

ZOO = Path(__file__).parents[1] / "data/zoo"
CHECKPOINTS = sorted(ZOO.glob("*.pth"))
FADING = ZOO / "zoo_pgan_16_fading.pth"
FOUR = struct.pack("<4f", 1, 2, 3, 4)

Write = Callable[[bytes], Path]


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.stem)
def test_a_published_checkpoint_has_its_configuration_and_three_networks(path: Path) -> None:
    checkpoint = read_checkpoint(path)
    assert set(checkpoint.networks) == {"netG", "netD", "avgG"}
    assert checkpoint.config["dimOutput"] == 3
    assert list(checkpoint.network("netG")) == list(checkpoint.network("avgG"))


def test_numbers_come_out_as_they_were_written(handmade: ModuleType, write: Write) -> None:
    checkpoint = read_checkpoint(write(handmade.zipped(handmade.tiny())))
    array = checkpoint.network("netG")["weight"].array()
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 2], [3, 4]]


def test_strides_and_offsets_are_followed(handmade: ModuleType, write: Write) -> None:
    view = handmade.tensor(shape=(2, 1), strides=(2, 99), offset=1)
    checkpoint = read_checkpoint(write(handmade.zipped(handmade.tiny(netG={"w": view}))))
    assert checkpoint.network("netG")["w"].array().tolist() == [[2], [4]]


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("DoubleStorage", struct.pack("<4d", 1.5, 2, 3, 4), 1.5),
        ("HalfStorage", struct.pack("<4e", 1.5, 2, 3, 4), 1.5),
        ("BFloat16Storage", struct.pack("<4H", 0x3FC0, 0, 0, 0), 1.5),
        ("LongStorage", struct.pack("<4q", -7, 2, 3, 4), -7),
        ("IntStorage", struct.pack("<4i", -7, 2, 3, 4), -7),
        ("ShortStorage", struct.pack("<4h", -7, 2, 3, 4), -7),
        ("CharStorage", struct.pack("<4b", -7, 2, 3, 4), -7),
        ("ByteStorage", bytes([200, 2, 3, 4]), 200),
        ("BoolStorage", bytes([1, 0, 0, 1]), 1),
    ],
)
def test_every_kind_of_number_is_read(
    handmade: ModuleType, write: Write, kind: str, data: bytes, expected: float
) -> None:
    content = handmade.tiny(netG={"w": handmade.tensor(kind=kind)})
    checkpoint = read_checkpoint(write(handmade.zipped(content, {"data/0": data})))
    assert checkpoint.network("netG")["w"].array()[0, 0] == expected


def test_a_file_from_a_big_endian_machine_is_turned_round(
    handmade: ModuleType, write: Write
) -> None:
    entries = {"data/0": struct.pack(">4f", 1, 2, 3, 4), "byteorder": b"big"}
    checkpoint = read_checkpoint(write(handmade.zipped(handmade.tiny(), entries)))
    assert checkpoint.network("netG")["weight"].array().tolist() == [[1, 2], [3, 4]]
    entries["byteorder"] = b"middle"
    with pytest.raises(CheckpointError, match="neither little nor big"):
        read_checkpoint(write(handmade.zipped(handmade.tiny(), entries)))


def test_the_older_container_is_read_as_well(handmade: ModuleType, write: Write) -> None:
    path = write(handmade.streamed(handmade.tiny(), {"0": (4, FOUR)}))
    assert read_checkpoint(path).network("netG")["weight"].array().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "builtins.eval", "builtins.getattr", "torch.load", "torch.Tensor",
     "subprocess.Popen", "twinserve.cli.main", "models.utils.config.updateConfig", "numpy.load"],
)  # fmt: skip
@pytest.mark.parametrize("spelling", ["call", "object", "stack", "inst", "extension"])
def test_what_is_pickled_is_never_executed_and_refused_by_name(
    handmade: ModuleType, write: Write, tmp_path: Path, name: str, spelling: str
) -> None:
    command = f"touch {tmp_path}/executed"
    module, _, last = name.rpartition(".")
    evil = {
        "call": handmade.Call(name, (command,)),
        "object": handmade.Call(name, (command,), {"a": 1}, new=True),
        "stack": handmade.Raw(
            handmade.encoded(module) + handmade.encoded(last) + b"\x93"
            + handmade.encoded((command,)) + b"R"
        ),
        "inst": handmade.Raw(b"(" + handmade.encoded(command) + f"i{module}\n{last}\n".encode()),
        "extension": handmade.Raw(b"\x82\x01"),
    }[spelling]  # fmt: skip
    content = handmade.tiny(netG={"weight": handmade.tensor(), "evil": evil})
    for data in (handmade.zipped(content), handmade.streamed(content, {"0": (4, FOUR)})):
        with pytest.raises(CheckpointError, match="EXT1" if spelling == "extension" else last):
            read_checkpoint(write(data))
    assert not (tmp_path / "executed").exists()


def test_an_object_that_executes_when_unpickled_by_python_does_nothing(
    handmade: ModuleType, write: Write, tmp_path: Path
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (exec, (f"open({str(tmp_path / 'executed')!r}, 'w')",))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(CheckpointError):
            read_checkpoint(write(handmade.zipped(pickle.dumps(Evil(), protocol))))
    assert not (tmp_path / "executed").exists()


def test_a_known_name_cannot_be_bent_into_something_else(
    handmade: ModuleType, write: Write
) -> None:
    """Python's own reader would set attributes of a class or function through BUILD."""
    for bent in (
        handmade.Raw(handmade.encoded(handmade.Name("collections.OrderedDict")) + b"}b"),
        handmade.Raw(handmade.encoded(handmade.Name(handmade.CONFIG_CLASS)) + b"}b"),
        handmade.Raw(handmade.encoded(handmade.Name("torch.FloatStorage")) + b")R"),
        handmade.Raw(handmade.encoded(handmade.tensor()) + b"}b"),
        handmade.Call("collections.OrderedDict", (1, 2, 3)),
        handmade.Call("torch._utils._rebuild_tensor_v2", ([1, 2], 0, (2,), (1,))),
        handmade.Call(handmade.CONFIG_CLASS, (1,), new=True),
        handmade.Call(handmade.CONFIG_CLASS, (), [1, 2], new=True),
    ):
        with pytest.raises(CheckpointError):
            read_checkpoint(write(handmade.zipped(handmade.tiny(extra=bent))))


def test_attributes_of_the_configuration_are_only_kept(handmade: ModuleType, write: Write) -> None:
    values = {"alpha": 0.25, "__class__": "x", "__init__": 3}
    content = handmade.tiny(config=handmade.config(**values))
    assert read_checkpoint(write(handmade.zipped(content))).config == values


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": 5}, "16 bytes, the pickle claims 20"),
        ({"length": 2**40}, "the pickle claims"),
        ({"length": -1}, "names a storage"),
        ({"length": True}, "names a storage"),
        ({"length": 4.0}, "names a storage"),
        ({"key": "missing"}, "no entry data/missing"),
        ({"shape": (3, 2)}, "outside storage"),
        ({"offset": 1}, "outside storage"),
        ({"strides": (3, 1)}, "outside storage"),
        ({"shape": (10**5, 10**5), "strides": (0, 0)}, "outside storage"),
        ({"shape": (10**30,), "strides": (0,)}, "a side of more than"),
        ({"shape": (0, 10**30), "strides": (0, 0)}, "a side of more than"),
        ({"offset": -1}, "negative"),
        ({"strides": (-2, 1)}, "negative"),
        ({"shape": (-2, -2)}, "negative"),
        ({"shape": (2,)}, "1 sizes and 2 strides"),
        ({"shape": (1,) * 9, "strides": (1,) * 9}, "9 sizes"),
        ({"shape": ("a", 2)}, "other than whole numbers"),
        ({"offset": "0"}, "other than whole numbers"),
        ({"shape": None}, "other than whole numbers"),
        ({"kind": "UntypedStorage"}, "torch.UntypedStorage"),
    ],
)
def test_a_tensor_that_lies_is_refused(
    handmade: ModuleType, write: Write, options: dict[str, Any], said: str
) -> None:
    content = handmade.tiny(netG={"w": handmade.tensor(**options)})
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(write(handmade.zipped(content)))


@pytest.mark.parametrize(
    "identity",
    [(), ("storage",), ("module", 1, 2, 3, 4), "0", None, 7, ("storage", "x", "0", "cpu", 4),
     ("storage", ["a"], "0", "cpu", 4), ("storage", 3, 0, "cpu", 4)],
)  # fmt: skip
def test_a_persistent_id_of_another_shape_is_refused(
    handmade: ModuleType, write: Write, identity: Any
) -> None:
    content = handmade.tiny(netG={"w": handmade.Persistent(identity)})
    with pytest.raises(CheckpointError, match="names a storage in a way"):
        read_checkpoint(write(handmade.zipped(content)))


def test_two_descriptions_of_one_storage_are_refused(handmade: ModuleType, write: Write) -> None:
    content = handmade.tiny(netG={"a": handmade.tensor(), "b": handmade.tensor(length=3)})
    with pytest.raises(CheckpointError, match="in two ways"):
        read_checkpoint(write(handmade.zipped(content)))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (b"\x80\x02.", "stack is empty|one value"),
        (b"\x80\x02}}.", "one value"),
        (b"\x80\x02}", "damaged"),
        (b"\x80\x02h\x07.", "remembers no value 7"),
        (b"\x80\x02q\x00.", "nothing to remember"),
        (b"\x80\x02(q\x00.", "nothing to remember"),
        (b"\x80\x02t.", "mark is missing"),
        (b"\x80\x02(R.", "mark is out of place"),
        (b"\x80\x02Nu.", "mark is missing"),
        (b"\x80\x02N(NNu.", "which takes nothing|as a key"),
        (b"\x80\x02}(Nu.", "key without a value"),
        (b"\x80\x02}((tNu.", "as a key"),
        (b"\x80\x02}NNs.", "as a key"),
        (b"\x80\x02NNa.", "which takes nothing"),
        (b"\x80\x02X\xff\xff\xff\xff.", "damaged"),
        (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "damaged"),
        (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "damaged"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "damaged"),
        (b"L" + b"9" * 6000 + b"L\n.", "damaged"),
        (b"I1\n.", "INT"),
        (b"\x80\x02Vos\n.", "UNICODE"),
        (b"\x80\x02}2.", "DUP"),
        (b"\x80\x02X\x01\x00\x00\x00\xff.", "damaged"),
        (b"\xff\xfe.", "damaged"),
        (b"", "damaged"),
        (b"\x80\x02N.", "NoneType"),
        (b"\x80\x02}.", "not PyTorch's dict"),
        (b"\x80\x02)Nb.", "takes nothing"),
        (b"\x80\x02NN\x93.", "other than strings"),
        (b"\x80\x02NNR.", "without a tuple"),
        (b"\x80\x02N)R.", "calls a value of type NoneType"),
    ],
)
def test_a_damaged_pickle_is_refused(
    handmade: ModuleType, write: Write, code: bytes, said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(write(handmade.zipped(code)))


def test_depth_and_cycles_cost_nothing(handmade: ModuleType, write: Write) -> None:
    """Python's reader crashes where such a tuple becomes a key; nothing here recurses."""
    deep = b")" + b"\x85" * 300_000
    itself = b"]q\x09h\x09a"  # a list in itself
    doubled = b")" + b"q\x05h\x05\x86" * 300  # 2**300 leaves, if anyone walked them
    for code in (deep, itself, doubled):
        content = handmade.tiny(config=handmade.config(depthScale0=handmade.Raw(code)))
        checkpoint = read_checkpoint(write(handmade.zipped(content)))
        checkpoint.networks["avgG"] = {
            "formatLayer.weight": checkpoint.network("netG")["weight"],
            "groupScale0.0.weight": checkpoint.network("netG")["weight"],
        }
        with pytest.raises(CheckpointError, match="its config has no dimOutput"):
            convert(checkpoint)
        key = handmade.Raw(b"}" + code + b"Ns")
        with pytest.raises(CheckpointError, match="as a key"):
            read_checkpoint(write(handmade.zipped(handmade.tiny(extra=key))))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1], "holds a list"),
        ({"a": 1, "b": 2}, "it holds a, b"),
        ({"config": {}}, "it holds config"),
        ({"netG": {}}, "it holds netG"),
        ({"config": 1, "netG": {}}, "it holds config, netG"),
        ({"config": {}, "netG": 3}, "its netG is a int"),
        ({"config": {}, "netG": {"a": 3}}, "holds a int under 'a'"),
        ({"config": {}, "netG": {3: 3}}, "under '3'"),
    ],
)
def test_other_content_is_named(
    handmade: ModuleType, write: Write, content: Any, said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(write(handmade.zipped(content, {})))


def test_a_plain_state_dict_is_named_as_one(handmade: ModuleType, write: Write) -> None:
    content = {"conv.weight": handmade.tensor()}
    with pytest.raises(CheckpointError, match=r"it holds conv\.weight"):
        read_checkpoint(write(handmade.zipped(content)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"PK", "damaged or truncated zip"),
        (b"PK\x03\x04" + b"\0" * 100, "damaged or truncated zip"),
        (b"hello, world", "not a file that torch.save wrote"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "not a file that torch.save wrote"),
        (b"\x80\x02N.", "not a file that torch.save wrote"),
        (b"\x80\x02", "damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(write: Write, data: bytes, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(write(data))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.pth cannot be read: No such file"):
        read_checkpoint(tmp_path / "nothing.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match=r"no data\.pkl"):
        read_checkpoint(path)


def test_a_zip_bomb_is_refused_before_it_is_opened(handmade: ModuleType, write: Write) -> None:
    bomb = handmade.zipped(
        handmade.tiny(), {"data/0": b"\0" * (64 << 20)}, compression=zipfile.ZIP_DEFLATED
    )
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"is compressed; torch\.save never compresses"):
        read_checkpoint(write(bomb))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(handmade: ModuleType, write: Write) -> None:
    path = write(handmade.zipped(handmade.tiny()))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/data/0", FOUR)
    with pytest.raises(CheckpointError, match="two entries of one name"):
        read_checkpoint(path)


def test_an_entry_that_is_not_where_it_is_said_to_be_is_refused(
    handmade: ModuleType, write: Write
) -> None:
    data = handmade.zipped(handmade.tiny())
    place = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)  # the directory's second
    moved = bytearray(data)
    moved[place + 42 : place + 46] = struct.pack("<I", 3)
    with pytest.raises(CheckpointError, match="no header where it should be"):
        read_checkpoint(write(bytes(moved)))


def test_an_entry_that_claims_more_than_the_file_has_is_refused(
    handmade: ModuleType, write: Write
) -> None:
    content = handmade.tiny(netG={"w": handmade.tensor(length=2**28)})
    data = bytearray(handmade.zipped(content))
    place = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[place + 20 : place + 28] = struct.pack("<II", 2**30, 2**30)
    with pytest.raises(CheckpointError, match="ends after the file does"):
        read_checkpoint(write(bytes(data)))


def test_a_changed_weight_is_noticed(handmade: ModuleType, write: Write) -> None:
    data = bytearray(handmade.zipped(handmade.tiny()))
    data[data.index(FOUR)] ^= 1
    assert zlib.crc32(FOUR)
    with pytest.raises(CheckpointError, match="archive/data/0 is damaged"):
        read_checkpoint(write(bytes(data)))


@pytest.mark.parametrize(
    ("storages", "changes", "said"),
    [
        ({"0": (5, FOUR)}, {}, "has 5 elements, the pickle claims 4"),
        ({"0": (-4, FOUR)}, {}, "has -4 elements"),
        ({"0": (4, FOUR[:-1])}, {}, "claims 16 bytes where 15 are left"),
        ({"0": (4, FOUR)}, {"keys": []}, "does not fit its tensors"),
        ({"0": (4, FOUR)}, {"keys": ["1"]}, "does not fit its tensors"),
        ({"0": (4, FOUR)}, {"keys": ["0", "0"]}, "does not fit its tensors"),
        ({"0": (4, FOUR)}, {"keys": ["0", 3]}, "does not fit its tensors"),
        ({"0": (4, FOUR)}, {"keys": 3}, "does not fit its tensors"),
        ({"0": (4, FOUR)}, {"magic": 7}, "not a file that torch.save wrote"),
        ({"0": (4, FOUR)}, {"protocol": 1002}, "protocol is 1002"),
        ({"0": (4, FOUR)}, {"protocol": "x" * 10**6}, "protocol is x"),
    ],
)
def test_a_stream_that_lies_is_refused(
    handmade: ModuleType, write: Write, storages: Any, changes: Any, said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(write(handmade.streamed(handmade.tiny(), storages, **changes)))


def test_a_truncated_file_is_refused_wherever_it_was_cut(
    handmade: ModuleType, write: Write
) -> None:
    for data in (
        handmade.zipped(handmade.tiny()),
        handmade.streamed(handmade.tiny(), {"0": (4, FOUR)}),
    ):
        for end in range(len(data)):
            with pytest.raises(CheckpointError):
                read_checkpoint(write(data[:end]))


def test_a_huge_claim_allocates_nothing(handmade: ModuleType, write: Write) -> None:
    content = handmade.tiny(netG={"w": handmade.tensor(length=2**50)})
    tracemalloc.start()
    for data in (
        handmade.zipped(content),
        handmade.streamed(content, {"0": (2**50, FOUR)}),
        handmade.zipped(b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"abc."),
    ):
        with pytest.raises(CheckpointError):
            read_checkpoint(write(data))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.fixture(scope="module")
def originals(handmade: ModuleType) -> list[bytes]:
    return [FADING.read_bytes(), handmade.as_stream(FADING.read_bytes())]


def test_both_containers_hold_the_same(originals: list[bytes], write: Write) -> None:
    first, second = (
        {k: t.array() for k, t in read_checkpoint(write(data)).network("avgG").items()}
        for data in originals
    )
    assert list(first) == list(second)
    assert all(np.array_equal(first[name], second[name]) for name in first)


@given(
    st.integers(0, 1),
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "end", "any"]), st.integers(0, 10**9), st.integers(1, 255)
        ),
        min_size=1,
        max_size=6,
    ),
)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_flipped_bytes_raise_nothing_but_a_checkpoint_error(
    originals: list[bytes], write: Write, container: int, flips: list[tuple[str, int, int]]
) -> None:
    """Of a whole published checkpoint in either container, up to its import."""
    damaged = bytearray(originals[container])
    # Most of the file is weights; the pickle, at the beginning, and the directory matter more.
    parts = {"begin": (0, 9_900), "end": (len(damaged) - 8_000, 8_000), "any": (0, len(damaged))}
    for part, place, mask in flips:
        first, length = parts[part]
        damaged[first + place % length] ^= mask
    with suppress(CheckpointError):
        convert(read_checkpoint(write(bytes(damaged))), Chosen.AVERAGED)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_pickle_raises_nothing_but_a_checkpoint_error(
    handmade: ModuleType, write: Write, code: bytes
) -> None:
    with pytest.raises(CheckpointError):
        read_checkpoint(write(handmade.zipped(b"\x80\x02" + code)))
