"""The supervised LightningModule: a composed trunk, its heads, its optimiser groups and its processor.

Source: Molmo2 sheet A7 (loss normaliser, optimiser). How it runs in several processes: docs/parallel.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torchmetrics import MeanMetric

from zoo.adaptation import NO_ADAPTERS, AdaptableModule
from zoo.backbone import Connector, LanguageModel
from zoo.batch import Batch
from zoo.controls import Control, controlled_pixels
from zoo.errors import ConfigError
from zoo.head import Head, Prediction, TrunkOutputs
from zoo.lora import LoraSettings
from zoo.model import PositionRule, VideoLanguageModel, VisionAttention
from zoo.optimisation import (
    Component,
    OptimiserSettings,
)
from zoo.padded import TakesPaddedTensors
from zoo.portable import Portable
from zoo.preprocessing.settings import InputSettings
from zoo.processor import Processor, TextTokenizer
from zoo.pruner import Pruner
from zoo.shards.sampling import FrameSampling
from zoo.vision_encoder import VisionEncoder

DEFAULT_OPTIMISER = OptimiserSettings()
DEFAULT_INPUTS = InputSettings()
PRUNERS = "model.pruners."
TOKENS = "vision_tokens"
"""Name of the mean number of vision tokens that a clip has left in the end."""


class ZooModule(TakesPaddedTensors, AdaptableModule):
    """Trains and runs a video-language model with any heads and pruners.

    Args:
        vision: Frames to patch states.
        connector: Windows of patches to vectors of the language model.
        language: The decoder.
        tokenizer: Text to ids.
        heads: What is asked of the trunk.
        pruner: Which vision tokens leave, and where; a list composes several.
        max_frames: Most frames of a clip that are shown.
        frame_rate: Frames per second while a clip is short enough.
        timestamps: Write each frame's time before it.
        inputs: Crops of images, several images, marks round frames, prompts.
        answer_weight: Token weights of answers: `code` and `paper` as Molmo2's code and paper have them, or `flat`.
        position_rule: Positions after a cut before the language model: renumbered, or kept with gaps.
        window_places: Add to each window's vector where in its frame it lies, for parts that start from nothing.
        vision_attention: Which vision tokens see each other in both directions: an example's, or an image's.
        optimiser: Rates, warm-up, decay and clipping of each component.
        lora: Components that are trained through low-rank adapters, their own weights frozen.
        controls: What else `test` is measured on: the same questions about pixels that lack what they need.
    Raises:
        ConfigError: parts that do not fit together.
    """

    def __init__(
        self,
        *,
        vision: VisionEncoder,
        connector: Connector,
        language: LanguageModel,
        tokenizer: TextTokenizer,
        heads: list[Head],
        pruner: Pruner | list[Pruner] | None = None,
        max_frames: int = 128,
        frame_rate: float = 2.0,
        timestamps: bool = True,
        inputs: InputSettings = DEFAULT_INPUTS,
        answer_weight: Literal["code", "paper", "flat"] = "code",
        position_rule: PositionRule = "dense",
        window_places: bool = False,
        vision_attention: VisionAttention = "example",
        optimiser: OptimiserSettings = DEFAULT_OPTIMISER,
        lora: LoraSettings = NO_ADAPTERS,
        controls: list[Control] = ["shuffled_frames", "blank_video"],  # noqa: B006 - jsonargparse shows it; never written to
    ) -> None:
        if tokenizer.vocab_size > language.vocab_size:
            raise ConfigError(
                f"the tokenizer has {tokenizer.vocab_size} ids, the language model {language.vocab_size} rows; "
                f"set model.language.vocab_size to at least {tokenizer.vocab_size}"
            )
        names = [head.name for head in heads]
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"heads must be given and differ in name, got {names}. List: zoo list head")
        labelling = [head.name for head in heads if head.labeller() is not None]
        if labelling and max(inputs.max_crops, inputs.eval_max_crops or 0):
            raise ConfigError(
                f"{', '.join(labelling)} labels patches of whole images and knows no crops; set model.inputs.max_crops "
                "to 0, or leave the head out"
            )
        still = [name for name in lora.components() if optimiser.of(name).learning_rate == 0]
        if still:
            raise ConfigError(
                f"model.lora adapts {', '.join(still)} and model.optimiser gives learning_rate 0; raise the rate"
            )
        pruners = [] if pruner is None else pruner if isinstance(pruner, list) else [pruner]
        model = VideoLanguageModel(
            vision=vision,
            connector=connector,
            language=language,
            pruners=pruners,
            position_rule=position_rule,
            window_places=window_places,
            vision_attention=vision_attention,
            needs=frozenset().union(*(head.needs for head in heads)),
        )
        super().__init__(model=model, heads=nn.ModuleDict({h.name: h for h in heads}), optimiser=optimiser, lora=lora)
        self.processor = Processor(
            tokenizer=tokenizer,
            renderers=tuple(head.renderer() for head in heads),
            labellers=tuple(labeller for head in heads if (labeller := head.labeller()) is not None),
            reads=frozenset().union(*(head.reads() for head in heads)),
            vocab_size=language.vocab_size,
            image_size=vision.image_size,
            grid=vision.grid,
            image_window=connector.image_window,
            video_window=connector.video_window,
            sampling=FrameSampling(max_frames=max_frames, frame_rate=frame_rate, mode=inputs.sampling),
            timestamps=timestamps,
            inputs=inputs,
            answer_weight=answer_weight,
            budgets=model.budgets,
        )
        self.controls = tuple(controls)
        stages = ("val", "test", *(f"test_{control}" for control in controls))
        with torch.device("cpu"):  # also where the weights are only shapes: counts are no weights
            self.metrics = nn.ModuleDict({f"{s}_{h.name}": h.metrics() for s in stages for h in heads})
            self.means = nn.ModuleDict({f"{s}_{w}": MeanMetric() for s in ("val", "test") for w in ("loss", TOKENS)})

    # -- optimisation -------------------------------------------------------------------------------------------------

    def components(self) -> dict[Component, list[nn.Module]]:
        """The modules of each optimiser group."""
        model = self.model
        projections = [module for module in (model.patch_projection, model.place_embedding) if module is not None]
        return {
            "vision": [model.vision],
            "connector": [model.connector, model.extra_embedding, *projections],
            "language": [model.language],
            "pruner": list(model.pruners),
            "heads": list(self.heads.values()),
        }

    def portable_parts(self) -> dict[str, Portable]:
        return {
            "vision": self.model.vision,
            "language": self.model.language,
            "tokenizer": self.processor.tokenizer,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Evaluate trained weights under another pruner than that of their run: its weights are not asked for."""
        super().on_load_checkpoint(checkpoint)
        if self._trainer is None or self.trainer.state.fn == TrainerFn.FITTING:
            return
        if "state_dict" not in checkpoint:  # of a sharded one the strategy has read the weights into their places
            return
        stored, own = checkpoint["state_dict"], self.state_dict().keys()
        of_pruners = {name for name in stored if name.startswith(PRUNERS)}
        if of_pruners.issuperset(name for name in own if name.startswith(PRUNERS)):
            for name in of_pruners - own:
                del stored[name]

    # -- steps --------------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch) -> TrunkOutputs:
        return self._with_global_weight(self.model(batch))

    def _with_global_weight(self, outputs: TrunkOutputs) -> TrunkOutputs:
        """Losses are means over the global batch: every process divides by the mean of all weight sums (sheet A7.1)."""
        if not self.has_global_batch:
            return outputs
        mean = self.mean_over_processes
        return replace(outputs, total_weight=mean(outputs.total_weight), mean_over_processes=mean)

    def _losses(self, outputs: TrunkOutputs, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, and every term by name."""
        terms: dict[str, Tensor] = {}
        total = outputs.logits.new_zeros((), dtype=torch.float32)
        for name, head in self.heads.items():
            losses = head.loss(outputs, batch)
            total = total + losses["loss"]
            terms |= {f"{name}/{term}": value for term, value in losses.items()}
        for loss in outputs.auxiliary_losses:
            total = total + loss
        if outputs.auxiliary_losses:
            terms["pruner/auxiliary_loss"] = torch.stack(list(outputs.auxiliary_losses)).sum().detach()
        return total, terms

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        outputs = self(batch)
        loss, terms = self._losses(outputs, batch)
        size = len(batch)
        # The mean over processes is the loss of the global batch, which all of them were divided by.
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=size, sync_dist=True)
        for name, value in terms.items():
            # Pruners have no loss where a batch has no frames, and a process that logs nothing cannot be waited for.
            of_head = not name.startswith("pruner/")
            self.log(f"train/{name}", value.detach(), batch_size=size, sync_dist=of_head)
        self.log("train/tokens", float(len(outputs.index)), batch_size=size)
        return loss

    def _evaluate(self, batch: Batch, stage: str) -> list[Prediction]:
        """Losses and predictions of all heads; metrics take what is scored."""
        predictions: list[Prediction] = []
        outputs = None
        for name, head in self.heads.items():
            turns = [t for t in batch.turns if t.message.head == name and t.message.is_scored]
            answered: list[Prediction] = []
            if turns:
                outputs, session = self.model.prefill(batch, turns, self.processor.tokenizer)
                answered = head.predict(session, batch)
            self.metrics[f"{stage}_{name}"].update(answered)
            predictions += answered
        if outputs is not None and stage in ("val", "test"):
            loss, _ = self._losses(outputs, batch)
            self.means[f"{stage}_loss"].update(loss, outputs.total_weight)
            if outputs.layout.num_tokens:
                self.means[f"{stage}_{TOKENS}"].update(outputs.layout.num_tokens / len(batch), len(batch))
        return predictions

    def _log_metrics(self, stage: str) -> None:
        """Log what all processes counted; each calls this once, whatever its share of the batches was."""
        prefix = stage.replace("_", "/", 1) if stage.startswith("test_") else stage
        scores: dict[str, Tensor] = {}
        for what in ("loss", TOKENS) if stage in ("val", "test") else ():
            mean = self.means[f"{stage}_{what}"]
            scores[what] = mean.compute()
            mean.reset()
        for name in self.heads:
            metric = self.metrics[f"{stage}_{name}"]
            metric.update([])  # processes without a batch take part
            found = metric.compute()
            scores |= {f"{name}/{key}": value for key, value in found.items()}
            if "accuracy" in found and name == next(iter(self.heads)):
                scores["accuracy"] = found["accuracy"]
            metric.reset()
        shown = ("loss", "accuracy") if stage == "val" else ("accuracy",)
        for name, value in scores.items():
            if not torch.isnan(value):  # nothing was counted, in any process
                self.log(f"{prefix}/{name}", value, prog_bar=name in shown, sync_dist=True)

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, object]:
        return {"predictions": self._evaluate(batch, "val")}

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, object]:
        controls: dict[str, list[Prediction]] = defaultdict(list)
        for head in self.heads.values():
            for rule, answers in head.blind_answers(batch).items():
                controls[rule] += answers
        generator = torch.Generator().manual_seed(batch_idx)
        for control in self.controls:
            changed = batch.with_pixels(controlled_pixels(batch, control, generator))
            controls[control] += self._evaluate(changed, f"test_{control}")
        return {"predictions": self._evaluate(batch, "test"), "controls": dict(controls)}

    def on_test_epoch_end(self) -> None:
        for stage in ("test", *(f"test_{control}" for control in self.controls)):
            self._log_metrics(stage)

    def predict_step(self, batch: Batch, batch_idx: int) -> list[Prediction]:
        return self.answer(batch)

    def answer(self, batch: Batch) -> list[Prediction]:
        """Predictions of every head for a batch, nothing logged."""
        predictions: list[Prediction] = []
        for name, head in self.heads.items():
            turns: Sequence = [t for t in batch.turns if t.message.head == name and t.message.is_scored]
            if turns:
                _, session = self.model.prefill(batch, turns, self.processor.tokenizer)
                predictions += head.predict(session, batch)
        return predictions
