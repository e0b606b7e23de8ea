"""The LightningModule of policies that are no language models: they imitate recorded episodes, and act.

Source: sheet spoc_ring_holodeck_graspmolmo 1.10 (loss, optimiser, scores) and 2.6. How it runs in several processes:
docs/parallel.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryAveragePrecision

from zoo import sharding
from zoo.acting import ModulePolicy
from zoo.component_module import ComponentModule
from zoo.errors import ConfigError
from zoo.optimisation import Component, PolicyOptimiserSettings
from zoo.policy_batch import PolicyBatch
from zoo.policy_head import IGNORED, PolicyHead
from zoo.policy_model import PolicyModel, PolicyOutputs, distinct
from zoo.policy_processor import PolicyProcessor, Resize
from zoo.policy_target import cell_shares, in_view, is_missing, shown_shares, target_loss
from zoo.policy_trunk import PolicyTrunk
from zoo.portable import Portable
from zoo.text_encoder import TextEncoder
from zoo.vision_encoder import VisionEncoder

DEFAULT_OPTIMISER = PolicyOptimiserSettings()

STAGES = ("val", "test")

AP_THRESHOLDS = 100
"""Of the average precision of patches, which are too many to be kept one by one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepPrediction:
    """What a policy would have done in a recorded window.

    Args:
        key: Of the episode.
        task: Name of its task.
        goal: What the robot was told.
        first_step: Step of the episode that the window begins with.
        chosen: Likeliest action of each step.
        expert: The expert's.
    """

    key: str
    task: str
    goal: str
    first_step: int
    chosen: tuple[int, ...]
    expert: tuple[int, ...]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> StepPrediction:
        """Stay as it is: Lightning moves whatever a step returns."""
        return self


class PolicyModule(ComponentModule):
    """Trains a policy to do what an expert did, and acts with it.

    Args:
        vision: Pictures to patch states.
        text: Instructions to token states.
        trunk: Steps to states.
        head: States to actions.
        picture_size: (width, height) of pictures as they are recorded and rendered, pixels; null where episodes differ.
        resize: How pictures become as large as the vision encoder takes: `bicubic` without regard to their aspect, or
            `pad` to a square before.
        crop_columns: Columns cut off each side of a picture before it is resized.
        target_weight: Of the loss that asks every patch whether it shows the target, for encoders that start from
            nothing; 0 asks nothing.
        vision_gradient_share: Share of a batch's pictures, drawn anew each time, from whose encoding the vision encoder
            learns; what is seen of the others is given on as it is. Steps of an episode look much alike, and a backward
            pass costs twice what seeing costs.
        optimiser: Rates, warm-up, decay and clipping of each component.
    Raises:
        ConfigError: parts that do not fit together.
    """

    def __init__(
        self,
        *,
        vision: VisionEncoder,
        text: TextEncoder,
        trunk: PolicyTrunk,
        head: PolicyHead,
        picture_size: tuple[int, int] | None = None,
        resize: Resize = "bicubic",
        crop_columns: int = 0,
        target_weight: float = 0.0,
        vision_gradient_share: float = 1.0,
        optimiser: PolicyOptimiserSettings = DEFAULT_OPTIMISER,
    ) -> None:
        if target_weight < 0:
            raise ConfigError(f"model.target_weight is {target_weight}, expected 0 or more")
        if target_weight and not (optimiser.vision.learning_rate or optimiser.text.learning_rate):
            raise ConfigError(
                f"model.target_weight {target_weight} teaches the encoders where the target is, and both are frozen; "
                "set it to 0, or raise model.optimiser.vision.learning_rate"
            )
        if target_weight and picture_size is None:
            raise ConfigError(
                f"model.target_weight {target_weight} asks where targets are, and boxes are in pixels of recorded "
                "pictures; give their (width, height) as model.picture_size"
            )
        if text.frozen and optimiser.text.learning_rate:
            raise ConfigError(
                f"model.text is frozen and model.optimiser.text.learning_rate is {optimiser.text.learning_rate}; say "
                "frozen: false, or give it the rate 0"
            )
        model = PolicyModel(
            vision=vision,
            text=text,
            trunk=trunk,
            head=head,
            teaches_target=target_weight > 0,
            vision_gradient_share=vision_gradient_share,
        )
        super().__init__(model=model, optimiser=optimiser)
        self.target_weight = target_weight
        self.picture_size = None if picture_size is None else tuple(picture_size)
        inputs = trunk.inputs
        self.processor = PolicyProcessor(
            cameras=inputs.cameras,
            image_size=tuple(vision.image_size),
            action_ids=inputs.actions,
            has_in_hand=inputs.has_in_hand,
            boxes_per_camera=max(inputs.boxes_per_camera, int(target_weight > 0)),
            resize=resize,
            crop_columns=crop_columns,
            choosable=head.choosable,
            knows_body=inputs.knows_body,
        )
        with torch.device("cpu"):  # also where the weights are only shapes: counts are no weights
            self.metrics = nn.ModuleDict({stage: head.metrics() for stage in STAGES})
            terms = ("loss", "action_loss", *(["target_loss"] if target_weight else []))
            self.losses = nn.ModuleDict(
                {stage: nn.ModuleDict({term: MeanMetric() for term in terms}) for stage in STAGES}
            )
            self.found = nn.ModuleDict()  # how well patches that show what a goal names are told from others
            if target_weight:
                self.found.update({stage: BinaryAveragePrecision(thresholds=AP_THRESHOLDS) for stage in STAGES})

    # -- components ---------------------------------------------------------------------------------------------------

    def components(self) -> dict[Component, list[nn.Module]]:
        model = self.model
        return {
            "vision": [model.vision],
            "text": [model.text],
            "trunk": [model.trunk],
            "head": [model.head] if model.target is None else [model.head, model.target],
        }

    def idle(self) -> tuple[nn.Module, ...]:
        return self.model.vision.idle()

    def portable_parts(self) -> dict[str, Portable]:
        return {"vision": self.model.vision, "text": self.model.text}

    def sharded_parts(self) -> tuple[nn.Module, ...]:
        return (self.model,)

    def shard(self) -> None:
        sharding.shard(self.model, self.device_mesh, units=self.model.units())

    # -- steps --------------------------------------------------------------------------------------------------------

    def forward(self, batch: PolicyBatch) -> PolicyOutputs:
        return self.model(batch)

    def _losses(self, outputs: PolicyOutputs, batch: PolicyBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, and every term by name; means over the steps of the batches of all processes."""
        total_steps = self.mean_over_processes((batch.actions != IGNORED).sum().float())
        terms = self.model.head.loss(outputs.logits, batch.actions, total_steps)
        total = terms.pop("loss")
        terms = {"action_loss": total, **terms}
        if outputs.target_logits is not None:
            shares, asked = self._shown(batch)
            terms["target_loss"] = target_loss(outputs.target_logits, shares, batch.valid_mask, total_steps, asked)
            total = total + self.target_weight * terms["target_loss"]
        return total, terms

    def _shown(self, batch: PolicyBatch) -> tuple[Tensor, Tensor | None]:
        """What patches show of the goals that they were asked for, and of which of these that is known.

        Where pictures tell of several categories, a goal that names none of them is not asked about.
        """
        grid = tuple(self.model.vision.grid)
        if batch.shows is None:
            boxes = batch.boxes[:, :, :, 0]
            shares = cell_shares(in_view(boxes, self.picture_size, self.processor), is_missing(boxes), grid)
            return shares.unsqueeze(1), None
        firsts, _ = distinct(batch.goals)
        bits = torch.tensor(
            [[_bit(own, batch.category[first]) for first in firsts] for own in batch.categories],
            device=batch.shows.device,
        )
        return shown_shares(batch.shows, bits, grid), bits >= 0

    def training_step(self, batch: PolicyBatch, batch_idx: int) -> Tensor:
        outputs = self(batch)
        loss, terms = self._losses(outputs, batch)
        size = len(batch)
        # The mean over processes is the loss of the global batch, which all of them were divided by.
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=size, sync_dist=True)
        for name, value in terms.items():
            self.log(f"train/{name}", value.detach(), batch_size=size, sync_dist=True)
        self.log("train/steps", batch.valid_mask.sum().float(), batch_size=size)
        return loss

    def _evaluate(self, batch: PolicyBatch, stage: str) -> None:
        outputs = self(batch)
        loss, terms = self._losses(outputs, batch)
        for name, mean in self.losses[stage].items():
            mean.update(loss if name == "loss" else terms[name], (batch.actions != IGNORED).sum())
        self.metrics[stage].update(outputs.logits.argmax(-1), batch.actions)
        if outputs.target_logits is not None:
            shares, asked = self._shown(batch)
            is_known = batch.valid_mask.unsqueeze(1) if asked is None else batch.valid_mask[:, None] & asked[..., None]
            found, shown = (x[is_known].flatten() for x in (outputs.target_logits.sigmoid(), shares > 0.5))
            self.found[stage].update(found, shown.int())

    def _log_metrics(self, stage: str) -> None:
        """Log what all processes counted; each calls this once, whatever its share of the batches was."""
        losses = {name: mean.compute() for name, mean in self.losses[stage].items()}
        scores = {**losses, **self.metrics[stage].compute()}
        if stage in self.found:
            scores["target_average_precision"] = self.found[stage].compute()
            self.found[stage].reset()
        for counted in (*self.losses[stage].values(), self.metrics[stage]):
            counted.reset()
        for name, value in scores.items():
            # All processes have the same value; Lightning would warn of each that is not told to be averaged.
            self.log(f"{stage}/{name}", value, prog_bar=name in ("loss", "f1_weighted"), sync_dist=True)

    def validation_step(self, batch: PolicyBatch, batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def test_step(self, batch: PolicyBatch, batch_idx: int) -> None:
        self._evaluate(batch, "test")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def predict_step(self, batch: PolicyBatch, batch_idx: int) -> list[StepPrediction]:
        chosen = self(batch).logits.argmax(-1)
        lengths = batch.valid_mask.sum(1).tolist()
        return [
            StepPrediction(
                key=batch.keys[row],
                task=batch.tasks[row],
                goal=batch.goals[row],
                first_step=int(batch.time_ids[row, 0]),
                chosen=tuple(chosen[row, :length].tolist()),
                expert=tuple(batch.actions[row, :length].tolist()),
            )
            for row, length in enumerate(lengths)
        ]

    # -- acting -------------------------------------------------------------------------------------------------------

    def policy(self, *, max_steps: int = 1000) -> ModulePolicy:
        """A policy over the weights as they are, which are not copied.

        Args:
            max_steps: Steps that an episode can have.
        """
        return ModulePolicy(self.model, self.processor, picture_size=self.picture_size, max_steps=max_steps)


def _bit(categories: tuple[str, ...], category: str | None) -> int:
    """Number of a category among those of a row; negative where it is none of them."""
    return categories.index(category) if category in categories else -1
