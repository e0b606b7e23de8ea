from zoo.report.rollouts import write_rollout_report

SUMMARY = {
    "policy": "<random>",
    "benchmark": "mini",
    "digest": "abcdef0123456789",
    "num_episodes": 5,
    "num_scored": 4,
    "tasks": [
        {
            "task": "pick",
            "episodes": 4,
            "success_at_end": 0.25,
            "ci95": [0.05, 0.72],
            "success_oracle": 0.5,
            "ci95_oracle": [0.15, 0.85],
            "failures": {"horizon": 2, "nan_action": 1},
        }
    ],
}


def result(index, **more):
    return {"index": index, "task": "pick", "category": "mug", "success_at_end": False, "steps": 7, **more}


def test_what_the_page_tells(tmp_path):
    (tmp_path / "1.mp4").write_bytes(b"not much of a video")
    results = [result(0, success_at_end=True), result(1, failure="nan_action", detail="an action is <nan>")]
    page = write_rollout_report(tmp_path, SUMMARY, results, {1: tmp_path / "1.mp4"}).read_text()
    for text in ("25.0 %", "5.0 to 72.0", "50.0 %", "horizon 2, nan_action 1", "1 without a result yet"):
        assert text in page
    assert "fails: nan_action after 7 steps" in page
    assert "&lt;random&gt; on mini" in page
    assert "<random>" not in page
    assert "<nan>" not in page
    assert "data:video/mp4;base64" in page


def test_without_videos(tmp_path):
    page = write_rollout_report(tmp_path, SUMMARY, [result(0, failure="horizon")], {}).read_text()
    assert "Rollouts" not in page
