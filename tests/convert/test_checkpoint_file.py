"""Reading published weights: every container, and files that mean harm."""

import argparse
import collections
import datetime
import io
import json
import os
import pickle
import re
import resource
import struct
import sys
import uuid
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import jaxsr
from jaxsr.convert import read_checkpoint
from jaxsr.convert.matlab_file import read_mat
from jaxsr.errors import InputError

FILES = Path(__file__).parent / "files"

# What files/make_files.py put into every file.
WEIGHTS = {
    "conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1) / 4 - 0.5,
    "conv.bias": np.array([0.25, -1], np.float32),
    "norm.weight": np.ones(2, np.float32),
    "norm.bias": np.zeros(2, np.float32),
    "norm.running_mean": np.zeros(2, np.float32),
    "norm.running_var": np.ones(2, np.float32),
    "norm.num_batches_tracked": np.array(0),
}


def zip_archive(content: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """Returns PyTorch's zip container around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
        for key, numbers in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", numbers)
    return file.getvalue()


def legacy_container(content: bytes) -> bytes:
    """Returns PyTorch's older container around a pickle without storages."""
    head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    pickles = [pickle.dumps(value, protocol=2) for value in head]
    return b"".join([*pickles, content, pickle.dumps([], protocol=2)])


CONTAINERS = {"zip": zip_archive, "legacy": legacy_container}


@pytest.mark.parametrize(
    "name", sorted(path.name for path in FILES.glob("*.pth")), ids=lambda name: name
)
def test_read_checkpoint_torch_file(name):
    arrays = read_checkpoint(FILES / name)
    # The moving average in params_ema.pth is one more everywhere, to tell it apart.
    more = 1 if name == "params_ema.pth" else 0
    assert set(arrays) == set(WEIGHTS)
    for key, expected in WEIGHTS.items():
        np.testing.assert_array_equal(arrays[key], expected + more, err_msg=key)
        half = name.startswith("half") and expected.dtype == np.float32
        assert arrays[key].dtype == (np.float16 if half else expected.dtype), key


def test_read_checkpoint_numpy_and_safetensors(tmp_path):
    np.savez(tmp_path / "weights.npz", **WEIGHTS)
    safetensors.numpy.save_file(WEIGHTS, tmp_path / "weights.safetensors")
    for name in ("weights.npz", "weights.safetensors"):
        arrays = read_checkpoint(tmp_path / name)
        assert set(arrays) == set(WEIGHTS)
        for key, expected in WEIGHTS.items():
            np.testing.assert_array_equal(arrays[key], expected, err_msg=key)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that cannot be read")
@pytest.mark.parametrize("suffix", [".pth", ".npz", ".mat", ".safetensors"])
def test_a_read_error_names_the_file(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    path.symlink_to("/proc/self/mem")  # opens, and gives EIO at byte 0
    with pytest.raises(OSError, match=re.escape(str(path))):
        jaxsr.load(path)


def test_read_checkpoint_matlab_file(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    cells = np.empty((1, 2), object)
    cells[0, :] = [np.ones((3, 3, 1, 4)), np.full((3, 3, 4), 2.0)]
    params = [{"name": "stem_f", "value": np.eye(3)}, {"name": "stem_b", "value": 1.5}]
    scipy_io.savemat(tmp_path / "cells.mat", {"model": {"weight": cells}})
    scipy_io.savemat(
        tmp_path / "dag.mat",
        {
            "net": {
                "params": np.array(
                    [(entry["name"], entry["value"]) for entry in params],
                    [("name", object), ("value", object)],
                )
            }
        },
    )
    arrays = read_checkpoint(tmp_path / "cells.mat")
    assert {key: value.shape for key, value in arrays.items()} == {
        "model.weight.0": (3, 3, 1, 4),
        "model.weight.1": (3, 3, 4),
    }
    arrays = read_checkpoint(tmp_path / "dag.mat")
    assert set(arrays) == {"stem_f", "stem_b"}
    np.testing.assert_array_equal(arrays["stem_f"], np.eye(3))


class Calls:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(marker: Path) -> dict[str, bytes]:
    """Returns pickles; unpickling any of them creates the file `marker`."""
    shell = f"touch {marker}"
    python = f"open({str(marker)!r}, 'w').close()"
    touch = f"S{shell!r}\n".encode()
    return {
        "reduce": pickle.dumps({"weight": Calls(os.system, shell)}, protocol=2),
        "protocol_4": pickle.dumps([Calls(os.system, shell)], protocol=4),
        "eval": pickle.dumps((1, Calls(eval, python)), protocol=2),
        "exec": pickle.dumps(Calls(exec, python), protocol=0),
        "instance": b"(" + touch + b"ios\nsystem\n.",
        "object": b"(cos\nsystem\n" + touch + b"o.",
        "dotted_name": b"\x80\x04\x8c\x07zipfile\x8c\x09os.system\x93"
        + touch
        + b"\x85R.",
        "getattr": (
            b"c__builtin__\ngetattr\n(c__builtin__\n__import__\n(S'os'\ntRS'system'\ntR("
            + touch
            + b"tR."
        ),
        # A state that brings its own __setstate__, then a second state for it.
        "setstate": (
            b"\x80\x02cargparse\nNamespace\n)\x81}S'__setstate__'\ncos\nsystem\nsb"
            + touch
            + b"b."
        ),
        "inside_tensor": (
            b"ccollections\nOrderedDict\n((lcos\nsystem\n(" + touch + b"tR0tR."
        ),
    }


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("attack", attacks(Path()))
def test_read_checkpoint_malicious_pickle(attack, container, tmp_path):
    marker = tmp_path / "executed"
    content = attacks(marker)[attack]
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTAINERS[container](content))
    with pytest.raises(InputError, match="weights.pth: ") as refusal:
        read_checkpoint(path)
    assert "\n" not in str(refusal.value)
    assert not marker.exists()
    pickle.loads(content)  # the attack is real: the ordinary unpickler falls for it
    assert marker.exists()


def test_read_checkpoint_malicious_pickle_says_refused(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(zip_archive(attacks(tmp_path / "executed")["reduce"]))
    with pytest.raises(InputError, match=r"refused, nothing was run: .*posix.system"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "name",
    [
        b"collections\nOrderedDict",
        b"torch._utils\n_rebuild_tensor_v2",
        b"torch\nFloatStorage",
    ],
)
def test_read_checkpoint_state_given_to_reader(name, tmp_path):
    """What later files are read with cannot be changed by an earlier file."""
    path = tmp_path / "weights.pth"
    for state in (b"}S'_function'\nNs", b"N}S'_function'\nNs\x86"):
        path.write_bytes(zip_archive(b"\x80\x02c" + name + b"\n" + state + b"b."))
        with pytest.raises(InputError):
            read_checkpoint(path)
    assert read_checkpoint(FILES / "state_dict_zip.pth")


def tensor_pickle(numel: int, offset: int, shape: tuple, strides: tuple) -> bytes:
    """Returns the pickle of {"weight": a float tensor over the storage "0"}."""

    def integers(values: tuple) -> str:
        return "(" + "".join(f"I{value}\n" for value in values) + "t"

    return (
        "}S'weight'\nctorch._utils\n_rebuild_tensor_v2\n"
        "((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n"
        f"I{numel}\ntQI{offset}\n{integers(shape)}{integers(strides)}I00\nNtRs."
    ).encode()


def test_read_checkpoint_tensor_by_hand(tmp_path):
    numbers = np.arange(6, dtype="<f4")
    content = tensor_pickle(6, 1, (2, 2), (1, 2))
    (tmp_path / "weights.pth").write_bytes(
        zip_archive(content, {"0": numbers.tobytes()})
    )
    array = read_checkpoint(tmp_path / "weights.pth")["weight"]
    np.testing.assert_array_equal(array, [[1, 3], [2, 4]])


@pytest.mark.parametrize(
    ("numel", "offset", "shape", "strides"),
    [
        (6, 0, (7,), (1,)),  # one number too many
        (6, 1, (6,), (1,)),
        (6, 0, (3, 3), (2, 1)),
        (7, 0, (7,), (1,)),  # the pickle promises more than the storage has
        (6, -1, (2,), (1,)),  # before its storage
        (6, 0, (2,), (-1,)),
        (6, 0, (-2,), (1,)),
        (6, 0, (2,), (1, 1)),
        (6, 0, (10**6, 10**6), (0, 0)),  # terabytes from one number
        (-1, 0, (2,), (1,)),
    ],
)
def test_read_checkpoint_tensor_beyond_storage(numel, offset, shape, strides, tmp_path):
    content = tensor_pickle(numel, offset, shape, strides)
    path = tmp_path / "weights.pth"
    path.write_bytes(zip_archive(content, {"0": bytes(24)}))
    with pytest.raises(InputError, match="weights.pth: "):
        read_checkpoint(path)


def test_read_checkpoint_module_containing_itself(tmp_path):
    # A net whose state names itself as its own submodule.
    content = b"\x80\x02cnet\nNet\n)\x81q\x00}S'_modules'\n}S'inner'\nh\x00ssb."
    path = tmp_path / "module.pth"
    path.write_bytes(zip_archive(content))
    with pytest.raises(InputError, match="expected tensors by name, found none"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["state_dict_zip.pth", "state_dict_legacy.pth"])
def test_read_checkpoint_cut_short(name, tmp_path):
    whole = (FILES / name).read_bytes()
    path = tmp_path / name
    for length in range(1, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=f"{name}: "):
            read_checkpoint(path)


@pytest.mark.parametrize("name", ["state_dict_zip.pth", "state_dict_legacy.pth"])
def test_read_checkpoint_damaged_byte(name, tmp_path):
    """Whatever byte is wrong: either one clear error, or arrays (of wrong numbers)."""
    whole = (FILES / name).read_bytes()
    path = tmp_path / name
    for i in range(0, len(whole), 7):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :])
        try:
            arrays = read_checkpoint(path)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert all(isinstance(array, np.ndarray) for array in arrays.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>Sign in</html>", "a web page"),
        (b"\n  <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (pickle.dumps({"weight": [1.0]}), "a pickle that is not by torch.save"),
        (b"\x89HDF\r\n\x1a\n" + bytes(8), "HDF5"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64", "HDF5"),
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "damaged or cut short"),
        (b"PK\x03\x04 and no archive behind it", "damaged or cut short"),
        (struct.pack("<Q", 40) + b'{"weight": no JSON', "not a readable safetensors"),
        (b"\x00\x01\x02\x03", "a file of unknown kind, expected weights"),
        (zip_archive(pickle.dumps({"epoch": 3}, protocol=2)), "found none"),
        (zip_archive(b"\x80\x02K\x01."), "found none"),
        (zip_archive(tensor_pickle(6, 0, (6,), (1,))), "'archive/data/0' is missing"),
        (legacy_container(tensor_pickle(6, 0, (6,), (1,))), "storage '0' is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_read_checkpoint_not_weights(content, message, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_checkpoint(path)
    assert str(error.value).startswith(f"{path}: ")


def test_read_checkpoint_missing_file(tmp_path):
    with pytest.raises(InputError, match="absent.pth: no such file"):
        read_checkpoint(tmp_path / "absent.pth")


def test_read_checkpoint_several_networks(tmp_path):
    tensor = tensor_pickle(6, 0, (6,), (1,))[:-1].decode()
    content = f"}}S'generator'\n{tensor}sS'critic'\n{tensor}s.".encode()
    path = tmp_path / "gan.pth"
    path.write_bytes(zip_archive(content, {"0": bytes(24)}))
    with pytest.raises(InputError, match="one set of weights, got critic, generator"):
        read_checkpoint(path)


def test_read_checkpoint_compressed_archive(tmp_path):
    """A few kilobytes that unpack to gigabytes are refused unread."""
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle(10**6, 0, (10**6,), (1,)))
        archive.writestr("archive/data/0", bytes(4 * 10**6))
    with pytest.raises(InputError, match="expected uncompressed entries"):
        read_checkpoint(path)


def _nested_twice(times: int) -> bytes:
    """Returns opcodes of a tuple that holds one twice, which holds one twice, ..."""
    notes = [b"(h" + bytes([k]) + b"h" + bytes([k]) + b"tq" for k in range(times)]
    return b")q\0" + b"".join(
        b"0" + note + bytes([k + 1]) for k, note in enumerate(notes)
    )


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize(
    "content, message",
    [
        # 16 GB for the table of notes.
        (b"\x80\x02]r\xff\xff\xff\x7f.", "notes an object under the number 2147483647"),
        # A process that dies while it hashes.
        (b"\x80\x02}(" + b")" + b"\x85" * 10**6 + b"Nu.", "holds a tuple .* deep"),
        # One that hashes for years.
        (b"\x80\x02}(" + _nested_twice(60) + b"Nu.", "holds a tuple of 1048575 parts"),
        # 10 GB of names.
        (b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".", "found none"),
    ],
    ids=["notes", "deep tuple", "wide tuple", "deep list"],
)
def test_read_checkpoint_pickle_bomb(content, message, container, tmp_path):
    path = tmp_path / "bomb.pth"
    path.write_bytes(container(content))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=message):
        read_checkpoint(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2**19  # kilobytes


def test_read_checkpoint_tensors_that_share_a_storage(tmp_path):
    """Tied weights are read; a thousand names for a gigabyte are not."""
    size = 2**20

    def content(count: int) -> bytes:
        tensor = (
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n"
            b"FloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuJ"
            + struct.pack("<i", size)
            + b"tQK\0J"
            + struct.pack("<i", size)
            + b"\x85K\x01\x85\x89NtR"
        )
        names = [b"X\x06\0\0\0" + b"%06d" % k for k in range(count)]
        return b"\x80\x02}(" + b"".join(name + tensor for name in names) + b"u."

    path = tmp_path / "a.pth"
    path.write_bytes(zip_archive(content(2), {"0": bytes(4 * size)}))
    assert {a.shape for a in read_checkpoint(path).values()} == {(size,)}
    path.write_bytes(zip_archive(content(300), {"0": bytes(4 * size)}))
    with pytest.raises(InputError, match="its tensors are larger than the file"):
        read_checkpoint(path)


def test_read_checkpoint_object_arrays(tmp_path):
    np.savez(tmp_path / "weights.npz", weight=np.array([{}], object))
    with pytest.raises(InputError, match="not a readable .npz file"):
        read_checkpoint(tmp_path / "weights.npz")


# GLOBAL and REDUCE opcodes of things that training scripts leave in checkpoints.
HARMLESS = {
    "path": Path("runs/a"),
    "date": datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC),
    "array": np.arange(3.0),
    "scalar": np.float64(0.5),
    "type": np.dtype(">f4"),
    "options": argparse.Namespace(lr=1e-4, save=Path("x")),
    "random": np.random.RandomState(0).get_state(),
    "set": {1, 2},
    "counter": collections.Counter("ab"),
    "uuid": uuid.UUID(int=1),
}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_read_checkpoint_beside_harmless_objects(name, protocol, tmp_path):
    path = tmp_path / "weights.pth"
    thing = pickle.dumps(HARMLESS[name], protocol=protocol)[:-1]
    tensor = tensor_pickle(6, 0, (6,), (1,))[:-1]
    content = (
        b"\x80" + bytes([protocol]) + b"}S'args'\n" + _without_frame(thing) + b"s"
        b"S'state_dict'\n}S'weight'\n" + tensor + b"ss."
    )
    path.write_bytes(zip_archive(content, {"0": bytes(24)}))
    np.testing.assert_array_equal(read_checkpoint(path)["weight"], np.zeros(6))


def _without_frame(content: bytes) -> bytes:
    """Returns a pickle without its head, to be put into another one."""
    return content[11:] if content[2:3] == b"\x95" else content[2:]


def test_read_checkpoint_of_a_training_script(tmp_path):
    """Numbers before the weights, and an optimiser's tensors behind them."""
    whole = tensor_pickle(6, 0, (6,), (1,)).decode()
    tensor = whole[whole.index("weight'\n") + 8 : -2]
    momentum = f"}}S'state'\n}}I0\n}}S'exp_avg'\n{tensor}sS'step'\n{tensor}sss"
    weights = f"}}S'a.weight'\n{tensor}sS'a.bias'\n{tensor}s"
    content = f"}}S'loss'\n{tensor}sS'net'\n}}S'sd'\n{weights}ssS'opt'\n{momentum}s."
    path = tmp_path / "last.pth"
    path.write_bytes(zip_archive(content.encode(), {"0": bytes(24)}))
    assert set(read_checkpoint(path)) == {"a.weight", "a.bias"}


def test_read_checkpoint_unknown_numbers(tmp_path):
    head = {"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}
    text = json.dumps(head).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    with pytest.raises(InputError, match="w holds numbers as F8_E4M3, expected one of"):
        read_checkpoint(path)
    content = tensor_pickle(6, 0, (6,), (1,)).replace(b"FloatStorage", b"Float8Storage")
    path.write_bytes(zip_archive(content, {"0": bytes(24)}))
    with pytest.raises(InputError, match="holds numbers as .*Float8Storage, which are"):
        read_checkpoint(path)


def test_read_checkpoint_npz_bomb(tmp_path):
    """A few megabytes that unpack to gigabytes are refused unread."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("w.npy", "w") as file:
            shape = {"descr": "<f4", "fortran_order": False, "shape": (3 * 2**27,)}
            np.lib.format.write_array_header_1_0(file, shape)
            for _ in range(3 * 2**5):
                file.write(bytes(2**24))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"unpacks to 1\.6 GB, expected at most 1\.1"):
        read_checkpoint(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2**17  # kilobytes


def test_read_checkpoint_npz_that_promises_more_than_it_holds(tmp_path):
    path = tmp_path / "weights.npz"
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("w.npy", "w") as file:
            shape = {"descr": "<f4", "fortran_order": False, "shape": (2**33,)}
            np.lib.format.write_array_header_1_0(file, shape)
    with pytest.raises(InputError, match=r"damaged, w\.npy holds 128 bytes"):
        read_checkpoint(path)


def test_read_checkpoint_matlab_file_that_crashes_its_reader(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    path = tmp_path / "a.mat"
    scipy_io.savemat(path, {"w": np.zeros((3, 3))})
    content = bytearray(path.read_bytes())
    content[128 + bytes(content[128:]).rfind(b"\x09\0\0\0")] = 0x49
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mat: damaged or cut short.*crashed"):
        read_checkpoint(path)


def test_read_checkpoint_matlab_file_by_packages_of_pythonpath(tmp_path, monkeypatch):
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "a.mat", {"w": np.zeros((3, 3))})
    # What Python imports at its start, where it finds it.
    note = f"open({str(tmp_path / 'seen')!r}, 'w').close()"
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "sitecustomize.py").write_text(note)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    assert read_checkpoint(tmp_path / "a.mat")["w"].shape == (3, 3)
    assert (tmp_path / "seen").exists()


def test_read_checkpoint_matlab_bomb(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    path = tmp_path / "bomb.mat"
    scipy_io.savemat(path, {"w": np.zeros((2**12, 2**12))}, do_compression=True)
    assert path.stat().st_size < 2**18
    with pytest.raises(InputError, match=r"unpacks to more than the 0\.0336 GB"):
        read_mat(path, largest=2**25)
    assert read_checkpoint(path)["w"].shape == (2**12, 2**12)
