"""The simple form: whatever travels comes back, and bytes are those of the package openpi-client."""

from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zoo.envs.serving import openpi
from zoo.errors import DataError

DTYPES = ["?", "|u1", "<i2", "<i8", ">u4", "<f2", "<f4", ">f8"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)
SCALARS = st.sampled_from([np.float32(1.5), np.uint8(255), np.int64(-3), np.bool_(True), np.float16(0.25)])
CONTENTS = st.dictionaries(st.text(), ARRAYS | SCALARS | st.text() | st.integers(-(2**63), 2**63), max_size=5)

CONTENT = {"prompt": "go", "state": np.arange(2, dtype=np.float32), "n": np.uint8(7)}
GOLDEN = (
    "83a670726f6d7074a2676fa5737461746584c40b5f5f6e6461727261795f5fc3c40464617461c408000000000000803fc405"
    "6474797065a33c6634c40573686170659102a16e83c40d5f5f6e7067656e657269635f5fc3c4046461746107c40564747970"
    "65a37c7531"
)
"""`openpi_client.msgpack_numpy.packb(CONTENT).hex()` of openpi-client 0.1.2."""


@given(CONTENTS)
def test_what_is_sent_arrives(content):
    got = openpi.unpack(openpi.pack(content))
    assert list(got) == list(content)
    for name, value in content.items():
        assert np.asarray(got[name]).dtype == np.asarray(value).dtype
        np.testing.assert_array_equal(got[name], value)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_do_anything_else(data):
    with suppress(DataError):
        assert isinstance(openpi.unpack(data), dict)  # 0x80 is an empty map


def test_bytes_of_the_package():
    assert openpi.pack(CONTENT).hex() == GOLDEN
    assert openpi.unpack(bytes.fromhex(GOLDEN))["n"].dtype == np.uint8


@given(CONTENTS)
def test_bytes_of_the_package_where_it_is_installed(content):
    theirs = pytest.importorskip("openpi_client.msgpack_numpy", reason="openpi-client 0.1.2 wants numpy below 2")
    assert openpi.pack(content) == theirs.packb(content)
    assert theirs.unpackb(openpi.pack(content)).keys() == content.keys()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([1, 2], "expected a map with names"),
        ({b"raw": 1}, "expected a map with names"),
        ({"x": {b"__ndarray__": True, b"data": b"ab", b"dtype": "<f4", b"shape": [1]}}, "holds 2 bytes"),
        ({"x": {b"__ndarray__": True, b"data": b"ab", b"dtype": "O", b"shape": [1]}}, "only bool, integers and floats"),
        ({"x": {b"__npgeneric__": True, b"data": "ab", b"dtype": "<f4"}}, "holds str"),
        ({"x": {b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"}}, "holds 300"),
        ({"x": {b"__npgeneric__": True, b"data": 3, b"dtype": "|S3"}}, "only bool, integers and floats"),
    ],
)
def test_nonsense(content, match):
    with pytest.raises(DataError, match=match):
        openpi.unpack(msgpack.packb(content))


@pytest.mark.parametrize("value", [np.array([None]), np.zeros(2, complex), np.array(["a"]), {3}])
def test_what_cannot_travel(value):
    with pytest.raises(DataError, match="do not travel"):
        openpi.pack({"x": value})
