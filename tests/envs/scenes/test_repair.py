"""Repair: takes away what the gates blame and what rested on it, and nothing else."""

from box_house import LIBRARIES, house, thing

from zoo.envs.scenes.repair import Removal, repair, without


def names(scene) -> list[str]:
    return [item.name for item in scene.objects]


def test_a_sound_scene_is_left_alone():
    scene = house([thing("table", "table", 2.0, 2.0), thing("mug", "mug", 2.0, 2.0, 0.75, support="table")])
    done = repair(scene, LIBRARIES)
    assert done.scene == scene
    assert done.removed == ()
    assert done.report.passed


def test_each_fault_takes_its_own_object():
    scene = house(
        [
            thing("table", "table", 2.0, 1.0),
            thing("mug", "mug", 2.0, 1.0, 0.75, support="table"),
            thing("walled", "cabinet", 0.1, 3.0),  # a fixed thing in a wall
            thing("passenger", "mug", 0.2, 3.0, 0.5, support="walled"),
            thing("crate", "crate", 2.0, 3.3),
            thing("ball", "ball", 2.2, 3.3),  # in the crate
            thing("small", "cabinet", 6.0, 1.0, scale=0.4),
            thing("stuck", "mug", 6.0, 1.0, 0.048, support="small"),
            thing("cabinet", "cabinet", 6.0, 3.0),
            thing("blocker", "crate", 6.52, 3.0),
        ]
    )
    done = repair(scene, LIBRARIES)
    assert names(done.scene) == ["table", "mug", "crate", "small", "cabinet"]
    gates = {removal.object: removal.gate for removal in done.removed}
    assert gates == {
        "walled": "intersection",
        "passenger": "intersection",
        "ball": "intersection",
        "stuck": "lift",
        "blocker": "articulation",
    }
    reasons = {removal.object: removal.reason for removal in done.removed}
    assert "inside 'west'" in reasons["walled"]
    assert reasons["passenger"] == "rested on 'walled', which was removed"
    assert "stuck inside 'small'" in reasons["stuck"]
    assert reasons["blocker"].startswith("blocks 'cabinet/slide'")
    assert done.report.passed
    assert names(scene)[2] == "walled"  # what was given is as it was


def test_what_rests_on_what_is_gone_goes_all_the_way_up():
    scene = house(
        [
            thing("table", "table", 2.0, 1.0),
            thing("crate", "crate", 2.0, 1.0, 0.75, support="table"),
            thing("mug", "mug", 2.0, 1.0, 1.15, support="crate"),
            thing("other", "mug", 1.0, 3.0),
        ]
    )
    left, gone = without(scene, [Removal(object="table", gate="stability", reason="drifted")])
    assert names(left) == ["other"]
    assert [removal.object for removal in gone] == ["table", "crate", "mug"]
    assert {removal.gate for removal in gone} == {"stability"}


def test_a_fault_without_a_culprit_stays_in_the_report():
    scene = house([thing("mug", "mug", 2.0, 2.0), thing("crate", "crate", 2.0, 2.0, 0.1, support="mug")])
    done = repair(scene, LIBRARIES)
    assert done.removed == ()
    assert [finding.object for finding in done.report.failures] == ["mug"]
