"""A policy trunk of three parts: fusion of a step, what is added to it, and a decoder over steps.

Source: sheet spoc_ring_holodeck_graspmolmo 1.5 and 2.4. SPOC, its variants and RING differ in the parts alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zoo.backbones.policy.body import BodyEmbedding
from zoo.backbones.policy.fusion import Fusion
from zoo.backbones.policy.goal import Goal, GoalAdapter
from zoo.backbones.policy.step_embedding import AS_RELEASED, StepEmbedding, StepScales
from zoo.backbones.policy.temporal_decoder import TemporalDecoder
from zoo.policy_trunk import PolicyCache, PolicySteps, PolicyTrunk, TrunkInputs


class FusionTrunk(PolicyTrunk):
    """Fuse each step with the goal, add previous action, hand and time, decode over steps.

    Args:
        inputs: What it wants to be shown.
        goal: Brings the instruction to the trunk's width.
        fusion: Cameras, goal and boxes of a step to one vector.
        decoder: Vectors of the steps to states.
        scales: Of what is added to a step.
    """

    def __init__(
        self,
        *,
        inputs: TrunkInputs,
        goal: GoalAdapter,
        fusion: Fusion,
        decoder: TemporalDecoder,
        scales: StepScales = AS_RELEASED,
    ) -> None:
        super().__init__(inputs=inputs, hidden_size=decoder.hidden_size)
        self.goal = goal
        self.fusion = fusion
        self.step_embedding = StepEmbedding(inputs=inputs, hidden_size=decoder.hidden_size, scales=scales)
        self.target_projection = None
        if inputs.target_grid is not None:
            rows, columns = inputs.target_grid
            self.target_projection = nn.Linear(len(inputs.cameras) * rows * columns, decoder.hidden_size)
        self.body = None
        if inputs.knows_body:
            self.body = BodyEmbedding(cameras=inputs.cameras, hidden_size=decoder.hidden_size)
        self.decoder = decoder

    def encode(self, steps: PolicySteps) -> Tensor:
        fused, goal = self._fused(steps)
        return self.decoder(fused, goal)

    def new_cache(self, *, num_slots: int, max_steps: int = 1000) -> PolicyCache:
        return self.decoder.new_cache(num_slots=num_slots, max_steps=max_steps)

    def encode_step(self, steps: PolicySteps, cache: PolicyCache, slots: Sequence[int]) -> Tensor:
        fused, goal = self._fused(steps)
        return self.decoder.step(fused, goal, cache, slots)

    def _fused(self, steps: PolicySteps) -> tuple[Tensor, Goal]:
        """(batch, time, channels) of every step by itself, and the goal."""
        goal = self.goal(steps.text)
        fused = self._fused_steps(steps, goal) + self.step_embedding(steps)
        if self.target_projection is not None:
            fused = fused + self.target_projection(steps.target_map.flatten(2).to(fused.dtype))
        if self.body is not None:
            fused = fused + self.body(steps.embodiment.to(fused.dtype)).unsqueeze(1)
        return fused, goal

    def _fused_steps(self, steps: PolicySteps, goal: Goal) -> Tensor:
        """(batch, time, channels); padding, where a mask tells it, costs nothing and gets 0."""
        mask = steps.valid_mask
        if mask is None or bool(mask.all()):
            return self.fusion(steps.patches, goal, steps.boxes)
        rows = mask.nonzero()[:, 0]  # the row of every real step
        goals = Goal(
            tokens=goal.tokens[rows], mask=None if goal.mask is None else goal.mask[rows], pooled=goal.pooled[rows]
        )
        boxes = None if steps.boxes is None else steps.boxes[mask].unsqueeze(1)
        real = self.fusion(steps.patches[mask].unsqueeze(1), goals, boxes).squeeze(1)
        fused = real.new_zeros(*mask.shape, real.shape[-1])
        fused[mask] = real
        return fused
