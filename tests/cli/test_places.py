"""Questions, points, counts and tracks learnt together from clips and pictures, measured and asked, in small."""

import json
import tarfile
from pathlib import Path

import pytest
import yaml

RECIPE = """
seed_everything: 7
model:
  class_path: vlm
  init_args:
    vision: {class_path: vit-tiny, init_args: {hidden_size: 64, num_blocks: 2, num_heads: 2, stem_channels: 32}}
    connector: {class_path: attention_pool, init_args: {head_dim: 32, norm_output: true, image_window: [3, 3]}}
    language: {class_path: qwen3-tiny, init_args: {hidden_size: 64, num_layers: 2, num_heads: 2, vocab_size: 768}}
    tokenizer: {class_path: words, init_args: {places: true}}
    heads:
      - {class_path: qa, init_args: {max_questions: 4, max_new_tokens: 4}}
      - {class_path: pointing, init_args: {max_questions: 3, max_new_tokens: 60, constrained: true}}
      - {class_path: counting, init_args: {max_questions: 2, max_new_tokens: 60, constrained: true}}
      - {class_path: tracking, init_args: {max_questions: 2, max_new_tokens: 100, constrained: true}}
    window_places: true
    max_frames: 6
    frame_rate: 2.0
    optimiser:
      method: muon
      vision: {learning_rate: 4.0e-3, warmup_steps: 5}
      connector: {learning_rate: 2.0e-3, warmup_steps: 5}
      language: {learning_rate: 2.0e-3, warmup_steps: 5}
    controls: []
data:
  class_path: shards
  init_args:
    path: {clips: 1.0, stills: 1.0}
    generator:
      clips:
        class_path: tabletop
        init_args: {train_clips: 12, val_clips: 1, test_clips: 2, samples_per_shard: 12}
      stills:
        class_path: tabletop_stills
        init_args: {train_images: 12, val_images: 1, test_images: 2, samples_per_shard: 12}
    batch_size: 4
trainer: {max_steps: 30, log_every_n_steps: 1, limit_val_batches: 0, num_sanity_val_steps: 0, callbacks: [run_report]}
"""
HEADS = ("qa", "pointing", "counting", "tracking")


def losses(folder: Path, head: str) -> list[float]:
    rows = (folder / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index(f"train/{head}/cross_entropy")
    return [float(cell) for row in rows[1:] if (cell := row.split(",")[column])]


@pytest.mark.slow
@pytest.mark.render
def test_four_heads_learn_together_and_answers_are_drawn(zoo, tmp_path):
    recipe = tmp_path / "places.yaml"
    recipe.write_text(RECIPE)
    assert yaml.safe_load(RECIPE)["trainer"]["max_steps"] == 30
    fitted = zoo("fit", "--config", recipe)
    assert fitted.code == 0, fitted.err
    (run,) = tmp_path.glob("runs/**/metrics.csv")
    # Batches hold different shares of the heads' tokens, so the sum is compared.
    total = [sum(step) for step in zip(*(losses(run.parent, head) for head in HEADS), strict=True)]
    assert len(total) == 30
    assert sum(total[-10:]) < 0.8 * sum(total[:10])
    tested = zoo("test", "--config", recipe, "--ckpt_path", run.parent)
    assert tested.code == 0, tested.err
    for scored in ("counting: accuracy", "pointing: precision", "tracking: precision", "ground: precision"):
        assert scored in tested.out
    with tarfile.open(next((tmp_path / "clips" / "test").glob("*.tar"))) as shard:
        member = next(member for member in shard.getmembers() if member.name.endswith("mp4"))
        (tmp_path / "clip.mp4").write_bytes(shard.extractfile(member).read())
    asked = zoo("ask", "Mark the objects.", "clip.mp4", "--checkpoint", run.parent, "--json", "--constrained")
    assert asked.code == 0, asked.err
    told = json.loads(asked.out.strip().splitlines()[-1])
    assert told["dropped"] == {}
    assert (tmp_path / told["frames"]).is_file()
