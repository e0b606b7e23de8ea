"""What token pruners left of a few clips: looked at with the module's own trunk, drawn into the run folder."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from zoo import registry
from zoo.datamodules.preparation import materialise, plan
from zoo.model import TrunkPass, VideoLanguageModel
from zoo.processor import Processor
from zoo.pruner import Pruner, Site
from zoo.report.pruning import DROPPED, KEPT, MERGED, KeptPatches, sheet, video
from zoo.shards.decode import decode_sample, media_kind
from zoo.shards.reader import Sample


def pruned_trunk(pl_module: LightningModule) -> VideoLanguageModel | None:
    """The trunk of a module that has pruners."""
    model = getattr(pl_module, "model", None)
    return model if isinstance(model, VideoLanguageModel) and len(model.pruners) else None


def what_was_kept(
    trainer: Trainer, pl_module: LightningModule, samples: Mapping[str, Sample]
) -> dict[str, KeptPatches]:
    """Run the trunk over each clip among the samples, asked what a test would ask; the module must be evaluating.

    Args:
        trainer: Knows the precision.
        pl_module: Whose trunk has pruners.
        samples: By key.
    Returns:
        By key; nothing of images and text, or where nothing can leave before an answer is generated.
    """
    model, processor, kept = pruned_trunk(pl_module), pl_module.processor, {}
    for key, sample in samples.items():
        planned = plan(sample, processor, seed=0, epoch=0, training=False) if media_kind(sample) == "video" else None
        if planned is None:
            continue
        batch = processor.collate([materialise(planned, processor, labels=False)]).to(pl_module.device)
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            done = model.run(batch)
        if done.pruning.layouts:
            kept[key] = kept_patches(done, pruners_text(model.pruners))
    return kept


def kept_patches(done: TrunkPass, pruners: str) -> KeptPatches:
    """What became of every patch of one clip.

    Args:
        done: Of a batch of that clip alone.
        pruners: Who acted, in words.
    """
    layout = done.layout
    is_own = layout.windows[layout.patch] == layout.window_of_token[layout.token]
    state = torch.full((layout.alive.numel(),), DROPPED, dtype=torch.uint8, device=layout.device)
    state[layout.patch] = torch.where(is_own, KEPT, MERGED).to(torch.uint8)
    return KeptPatches(
        pruners=pruners,
        state=state.view(layout.alive.shape).cpu().numpy(),
        windows=layout.windows_per_frame,
        entered=done.window_layout.tokens_per_frame,
        remaining=layout.tokens_per_frame,
        scores={str(site): seen.paint(scores).cpu().numpy() for site, (seen, scores) in done.pruning.scores.items()},
    )


def pruners_text(pruners: Sequence[Pruner]) -> str:
    """`random at vit.block[0]`; of a pruner that acts in many blocks the first and the last."""
    return "; ".join(f"{_name(pruner)} at {_places(pruner.sites())}" for pruner in pruners if pruner.sites())


def _name(pruner: Pruner) -> str:
    kind = type(pruner)
    component = registry.by_class_path(f"{kind.__module__}.{kind.__qualname__}", Pruner.kind)
    return kind.__name__ if component is None else component.name


def _places(sites: Sequence[Site]) -> str:
    runs = [list(group) for _, group in groupby(sites, key=lambda site: site.stage)]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def draw_kept(folder: Path, stem: str, sample: Sample, kept: KeptPatches, processor: Processor) -> dict[str, Any]:
    """Write `<stem>.kept.png` and `<stem>.kept.mp4`, and return what a report reads about them.

    Args:
        folder: Of the run.
        stem: Of the files, below that folder.
        sample: The clip, encoded.
        kept: What was left of it.
        processor: Which chose the shown frames.
    """
    clip = decode_sample(sample, processor.sampling_of(sample, training=False))
    times_s = clip.times_s.tolist()
    files = {"sheet": f"{stem}.kept.png", "video": f"{stem}.kept.mp4"}
    sheet(clip.frames, times_s, kept).save(folder / files["sheet"], optimize=True)
    (folder / files["video"]).write_bytes(video(clip.frames, times_s, kept))
    return files | {"times_s": times_s} | kept.counts()
