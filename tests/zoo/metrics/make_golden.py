"""Write golden.json: what other people's code says about random tracks and masks.

Needs TrackEval 1.3.0 (HOTA, J&F) with scikit-image and OpenCV, and pycocotools 2.0.11 (run lengths), none of which the
tests need. It also compares many more cases than it writes, and prints the largest difference.

Run: python tests/zoo/metrics/make_golden.py
"""

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco
from trackeval.metrics import HOTA, JAndF

from zoo.metrics.segmentation import mask_scores
from zoo.metrics.tracking import hota
from zoo.run_lengths import decode, encode

HALF = 9  # place of the threshold 0.5 among TrackEval's
WRITTEN, COMPARED = 24, 1000


def random_tracks(generator):
    objects, tracks, frames = generator.integers(1, 6), generator.integers(1, 6), generator.integers(1, 9)
    density, present = generator.uniform(0.1, 0.9), generator.uniform(0.3, 1.0)
    data = {"true_ids": [], "predicted_ids": [], "similarity": []}
    for _ in range(frames):
        here = np.flatnonzero(generator.random(objects) < present)
        there = np.flatnonzero(generator.random(tracks) < present)
        data["true_ids"].append(here)
        data["predicted_ids"].append(there)
        data["similarity"].append(generator.random((len(here), len(there))) < density)
    return data


def theirs_hota(data):
    _, true = np.unique(np.concatenate(data["true_ids"]), return_inverse=True)
    _, said = np.unique(np.concatenate(data["predicted_ids"]), return_inverse=True)
    cut = [np.cumsum([len(ids) for ids in data[name]])[:-1] for name in ("true_ids", "predicted_ids")]
    result = HOTA().eval_sequence(
        {
            "num_gt_ids": len(set(true)),
            "num_tracker_ids": len(set(said)),
            "num_gt_dets": len(true),
            "num_tracker_dets": len(said),
            "gt_ids": np.split(true, cut[0]),
            "tracker_ids": np.split(said, cut[1]),
            "similarity_scores": [similarity.astype(float) for similarity in data["similarity"]],
        }
    )
    return {ours: float(result[name][HALF]) for ours, name in (("hota", "HOTA"), ("det_a", "DetA"), ("ass_a", "AssA"))}


def random_masks(generator, objects, frames, size):
    """Blobs that drift, touch the edge, vanish at times."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    masks = np.zeros((objects, frames, *size), bool)
    for one in masks:
        centre, speed = generator.uniform(0, size), generator.normal(0, 3, 2)
        radius = generator.uniform(2, min(size) / 3, 2)
        for frame in one:
            if generator.random() < 0.85:
                frame[:] = (((rows, columns) - centre[:, None, None]) ** 2 / radius[:, None, None] ** 2).sum(0) < 1
            centre = centre + speed
    return masks


def theirs_j_and_f(predicted, true):
    encoded = [
        [[coco.encode(np.asfortranarray(frame, np.uint8)) for frame in frames] for frames in masks.swapaxes(0, 1)]
        for masks in (predicted, true)
    ]
    ids = [[np.arange(len(masks))] * masks.shape[1] for masks in (predicted, true)]
    result = JAndF().eval_sequence(
        {
            "num_timesteps": true.shape[1],
            "num_tracker_ids": len(predicted),
            "num_gt_ids": len(true),
            "tracker_dets": encoded[0],
            "gt_dets": encoded[1],
            "tracker_ids": ids[0],
            "gt_ids": ids[1],
        }
    )
    return {ours: float(result[name]) for ours, name in (("j", "J-Mean"), ("f", "F-Mean"), ("j_and_f", "J&F"))}


def difference(ours, theirs):
    return max(abs(ours[name] - theirs[name]) for name in theirs)


def main():
    generator = np.random.default_rng(7)
    golden = {"hota": [], "masks": [], "run_lengths": []}
    worst = dict.fromkeys(golden, 0.0)
    for case in range(COMPARED):
        data = random_tracks(generator)
        if not any(map(len, data["true_ids"])) or not any(map(len, data["predicted_ids"])):
            continue
        theirs = theirs_hota(data)
        worst["hota"] = max(worst["hota"], difference(hota(**data), theirs))
        if case < WRITTEN:
            lists = {name: [array.astype(int).tolist() for array in arrays] for name, arrays in data.items()}
            golden["hota"].append({"tracks": lists, "scores": theirs})
    for case in range(COMPARED // 10):
        size, frames = tuple(generator.integers(20, 60, 2)), int(generator.integers(4, 7))
        true = random_masks(generator, int(generator.integers(1, 4)), frames, size)
        said = random_masks(generator, int(generator.integers(1, 4)), frames, size)
        if case % 2:  # near to the truth, so that contours agree in part
            said = np.roll(true, generator.integers(-2, 3, 2), axis=(2, 3))[generator.permutation(len(true))]
        theirs = theirs_j_and_f(said, true)
        ours = mask_scores(dict(enumerate(said)), dict(enumerate(true)), objects="matched").scores
        worst["masks"] = max(worst["masks"], difference(ours, theirs))
        if case < WRITTEN // 2:
            masks = [[[encode(frame) for frame in frames] for frames in masks] for masks in (said, true)]
            golden["masks"].append({"predicted": masks[0], "true": masks[1], "scores": theirs})
        for frame in (*true[0], *(generator.random((3, *size)) < generator.random((3, 1, 1)))):
            rle = coco.encode(np.asfortranarray(frame, np.uint8))
            theirs = {"size": list(map(int, rle["size"])), "counts": rle["counts"].decode()}
            worst["run_lengths"] += float(encode(frame) != theirs or (decode(theirs) != frame).any())
            if case < WRITTEN // 6:
                golden["run_lengths"].append({"rle": theirs, "rows": ["".join(map(str, row)) for row in frame * 1]})
    print("largest difference, and number of run lengths that differ:", worst)
    (Path(__file__).parent / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
