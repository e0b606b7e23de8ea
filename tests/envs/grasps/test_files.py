"""Grasp files: what is written is read, in our layout and the public ones, and what is no grasp file says so."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from zoo.envs.grasps.files import (
    HALF_TURN,
    as_stored,
    find_grasps,
    grasps_path,
    read_grasps,
    read_index,
    write_grasps,
    write_index,
)
from zoo.errors import DataError


def poses(number, seed=0, reach_m=0.5):
    rng = np.random.default_rng(seed)
    made = np.tile(np.eye(4), (number, 1, 1))
    if number:
        made[:, :3, :3] = Rotation.random(number, rng=rng).as_matrix()
    made[:, :3, 3] = rng.uniform(-reach_m, reach_m, (number, 3))
    return made


@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 30), seed=st.integers(0, 2**32 - 1))
def test_round_trip_within_the_precision_of_float16(tmp_path_factory, number, seed):
    path = tmp_path_factory.mktemp("grasps") / "a.npz"
    made = poses(number, seed)
    write_grasps(path, made)
    read = read_grasps(path, with_twins=False)
    assert read.shape == (number, 4, 4)
    if number:
        assert np.abs(read[:, :3, 3] - made[:, :3, 3]).max() <= 2**-13  # half a step of float16 below 0.5 m
        assert np.abs(read[:, :3, :3] - made[:, :3, :3]).max() < 1e-3  # entries off by 2^-12, and orthonormal again
    np.testing.assert_allclose(
        read[:, :3, :3] @ read[:, :3, :3].transpose(0, 2, 1), np.broadcast_to(np.eye(3), (number, 3, 3)), atol=1e-12
    )
    np.testing.assert_array_equal(read, as_stored(made))
    write_grasps(path, read)
    np.testing.assert_allclose(read_grasps(path, with_twins=False), read, atol=2**-11)


def test_stored_as_the_sheet_says(tmp_path):
    path = tmp_path / "new" / "a.npz"
    write_grasps(path, poses(3))
    with np.load(path) as archive:
        assert archive.files == ["transforms"]
        assert archive["transforms"].dtype == np.float16
        assert archive["transforms"].shape == (3, 4, 4)
    assert [item.name for item in path.parent.iterdir()] == ["a.npz"]  # nothing partial is left


def test_same_grasps_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_grasps(tmp_path / name, poses(3))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_twins_exchange_the_fingers(tmp_path):
    write_grasps(tmp_path / "a.npz", poses(5))
    both = read_grasps(tmp_path / "a.npz")
    assert both.shape == (10, 4, 4)
    grasps, twins = both[:5], both[5:]
    np.testing.assert_array_equal(twins[:, :3, 2:], grasps[:, :3, 2:])  # same approach, same place
    np.testing.assert_array_equal(twins[:, :3, :2], -grasps[:, :3, :2])
    np.testing.assert_allclose(twins @ HALF_TURN, grasps)


def test_float64_without_our_touch_is_read(tmp_path):
    """The example of MolmoSpaces' tutorial: float64, one grasp from above."""
    grasp = np.diag([1.0, -1.0, -1.0, 1.0])
    np.savez(tmp_path / "grasps.npz", transforms=grasp[None])
    np.testing.assert_array_equal(read_grasps(tmp_path / "grasps.npz", with_twins=False), grasp[None])


BAD = {
    "shape": (np.eye(4), r"shape \(4, 4\), expected \(grasps, 4, 4\)"),
    "nan": (np.full((1, 4, 4), np.nan), "NaN; expected metres"),
    "millimetres": (np.eye(4)[None] + 300 * np.eye(4, k=3), "beyond 10 m"),
    "scaled": (np.diag([2.0, 2.0, 2.0, 1.0])[None], r"transforms\[0\] is no pose"),
    "mirrored": (np.stack([np.eye(4), np.diag([1.0, 1.0, -1.0, 1.0])]), r"transforms\[1\] is no pose \(and 0 more\)"),
    "last row": (np.eye(4)[None] + np.eye(4, k=-3), "is no pose"),
    "integers": (np.eye(4, dtype=np.int64)[None], "int64, expected floats"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_pose_is_refused(tmp_path, name):
    content, message = BAD[name]
    np.savez(tmp_path / "a.npz", transforms=content)
    with pytest.raises(DataError, match=message):
        read_grasps(tmp_path / "a.npz")
    if name != "integers":
        with pytest.raises(DataError, match=message):
            write_grasps(tmp_path / "b.npz", content)
        assert not (tmp_path / "b.npz").exists()


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not there; make some with `zoo grasps"):
        read_grasps(tmp_path / "a.npz")
    for content in (b"", b"nonsense", b"PK\x03\x04"):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(DataError, match="is no NPZ archive"):
            read_grasps(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", np.eye(4)[None])
    with pytest.raises(DataError, match="is no NPZ archive"):
        read_grasps(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", poses=np.eye(4)[None])
    with pytest.raises(DataError, match="holds poses, expected an array 'transforms'"):
        read_grasps(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", transforms=np.array([object()]))
    with pytest.raises(DataError, match="is no NPZ archive"):
        read_grasps(tmp_path / "c.npz")


LAYOUTS = {
    "ours": ("mug/droid/grasps.npz", "mug/droid/joint_grasps_lid.npz"),
    "thor": ("grasps/droid/mug/mug_grasps_filtered.npz", "grasps/droid/mug/lid_grasps_filtered.npz"),
    "objaverse": (
        "grasps/droid_objaverse/mug/mug_grasps_filtered.npz",
        "grasps/droid_objaverse/mug/lid_grasps_filtered.npz",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found(tmp_path, layout):
    rigid, part = LAYOUTS[layout]
    write_grasps(tmp_path / rigid, poses(1))
    write_grasps(tmp_path / part, poses(2))
    assert find_grasps([tmp_path / "other", tmp_path], "mug") == tmp_path / rigid
    assert find_grasps([tmp_path], "mug", "lid") == tmp_path / part


def test_an_index_comes_first(tmp_path):
    index = {"grasp_paths": {"droid": {"mug": "odd/place.npz"}}, "articulated_grasp_paths": {}}
    (tmp_path / "grasps_index.json").write_text(json.dumps(index))
    write_grasps(tmp_path / grasps_path("mug"), poses(1))
    write_grasps(tmp_path / "odd" / "place.npz", poses(1))
    assert find_grasps([tmp_path], "mug") == tmp_path / "odd" / "place.npz"


def test_index_lists_what_is_there(tmp_path):
    write_grasps(tmp_path / grasps_path("mug"), poses(1))
    write_grasps(tmp_path / grasps_path("box", "lid"), poses(1))
    write_grasps(tmp_path / grasps_path("mug", robot="rum"), poses(1))
    write_index(tmp_path)
    assert read_index(tmp_path) == {
        "grasp_paths": {"droid": {"mug": "mug/droid/grasps.npz"}, "rum": {"mug": "mug/rum/grasps.npz"}},
        "articulated_grasp_paths": {"droid": {"box": {"lid": "box/droid/joint_grasps_lid.npz"}}},
    }
    assert find_grasps([tmp_path], "box", "lid").is_file()


def test_what_is_nowhere_tells_where_was_looked(tmp_path):
    with pytest.raises(
        DataError, match=r"no grasps of joint 'lid' of asset 'mug'(.|\n)*joint_grasps_lid(.|\n)*zoo grasps --assets mug"
    ):
        find_grasps([tmp_path], "mug", "lid")
    with pytest.raises(DataError, match="no folder was given"):
        find_grasps([], "mug")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"grasp_paths": {"droid": ["mug"]}}', '{"grasp_paths": {"droid": {"m": 1}}}']
)
def test_an_index_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "grasps_index.json").write_text(text)
    with pytest.raises(DataError, match=r"is no JSON|expected grasp_paths"):
        find_grasps([tmp_path], "mug")
