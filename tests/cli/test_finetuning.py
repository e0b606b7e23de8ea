"""The commands of docs/finetune.md, one after the other, on a tiny checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.cli import main
from zoo.shards.encode import encode_jpg

TINY = {
    "vision": {
        "class_path": "vit-tiny",
        "init_args": {"hidden_size": 32, "num_blocks": 1, "num_heads": 1, "stem_channels": 16, "image_size": 32},
    },
    "connector": {"class_path": "attention_pool", "init_args": {"head_dim": 16}},
    "language": {"class_path": "qwen3-tiny", "init_args": {"hidden_size": 32, "num_layers": 1, "num_heads": 1}},
    "tokenizer": "words",
    "heads": [{"class_path": "qa", "init_args": {"max_new_tokens": 2}}],
}
QUICK = ("--trainer.max_steps=2", "--trainer.val_check_interval=2", "--trainer.accelerator=cpu")
QUIET = ("--data.num_workers=0", "--trainer.enable_progress_bar=false")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """`base`, a checkpoint, and `mine.jsonl`, questions about twenty pictures."""
    monkeypatch.chdir(tmp_path)
    zoo.from_recipe({"class_path": "vlm", "init_args": TINY}).save_pretrained("base")
    rows = []
    for number in range(20):
        Path(f"{number}.jpg").write_bytes(encode_jpg(np.full((32, 32, 3), 12 * number, np.uint8)))
        rows.append({"image": f"{number}.jpg", "question": "Is it dark?", "answer": "yes" if number < 10 else "no"})
    Path("mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_a_checkpoint_is_adapted_tested_and_merged(folder):
    assert main(["convert", "data", "mine.jsonl", "--out=data/mine", "--test_share=0.2", "--workers=0"]) == 0
    own = ("--data.path=data/mine", "--data.generator=null")
    assert main(["fit", "--config=molmo2/lora", "--ckpt_path=base", *own, *QUICK, *QUIET]) == 0
    run = Path("runs/molmo2/lora/version_0")
    assert main(["test", f"--config={run}/config.yaml", "--ckpt_path=last", *QUIET]) == 0
    assert main(["convert", "checkpoint", str(run), "--out=mine-merged", "--merge"]) == 0
    base, merged = (zoo.from_pretrained(name).state_dict() for name in ("base", "mine-merged"))
    assert set(base) == set(merged)
    changed = {name.split(".")[1] for name, tensor in base.items() if not tensor.equal(merged[name])}
    assert changed == {"language", "connector", "extra_embedding"}  # adapters folded in, the rest trained; no vision
    assert main(["ask", "Is it dark?", "3.jpg", "--checkpoint=mine-merged"]) == 0
