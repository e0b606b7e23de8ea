"""Random steps of the sizes that a policy trunk wants, and cuts of them."""

from dataclasses import replace

import torch

from zoo.embodiment import NUM_EMBODIMENT
from zoo.policy_trunk import IN_HAND_PADDING, PolicySteps, TrunkInputs
from zoo.text_encoder import TextFeatures

OPTIONAL = ("in_hand", "boxes", "target_map", "valid_mask")


def random_text(inputs: TrunkInputs, *, batch: int, tokens: int = 3) -> TextFeatures:
    return TextFeatures(
        states=torch.randn(batch, tokens, inputs.text_channels),
        attention_mask=torch.ones(batch, tokens, dtype=torch.bool),
        pooled=torch.randn(batch, inputs.text_channels),
    )


def random_steps(
    inputs: TrunkInputs, *, batch: int, time: int, grid: tuple[int, int] = (2, 3), text: TextFeatures | None = None
) -> PolicySteps:
    shape, cameras = (batch, time), len(inputs.cameras)
    boxes = None
    if inputs.boxes_per_camera:
        boxes = 100 * torch.rand(*shape, cameras, inputs.boxes_per_camera, 5)
    return PolicySteps(
        patches=torch.randn(*shape, cameras, inputs.patch_channels, *grid),
        text=text or random_text(inputs, batch=batch),
        previous_actions=torch.randint(inputs.actions.count, shape),
        time_ids=torch.arange(time).expand(shape),
        in_hand=torch.randint(IN_HAND_PADDING + 1, shape) if inputs.has_in_hand else None,
        boxes=boxes,
        target_map=torch.rand(*shape, cameras, *inputs.target_grid) if inputs.target_grid else None,
        embodiment=torch.rand(batch, NUM_EMBODIMENT) if inputs.knows_body else None,
    )


def tensors(steps: PolicySteps) -> dict[str, torch.Tensor]:
    """All that has (batch, time) in front."""
    names = ("patches", "previous_actions", "time_ids", *OPTIONAL)
    return {name: getattr(steps, name) for name in names if getattr(steps, name) is not None}


def text_rows(text: TextFeatures, rows: slice | list[int]) -> TextFeatures:
    return TextFeatures(states=text.states[rows], attention_mask=text.attention_mask[rows], pooled=text.pooled[rows])


def cut(steps: PolicySteps, rows: slice | list[int], times: slice) -> PolicySteps:
    """Some rows and times."""
    body = None if steps.embodiment is None else steps.embodiment[rows]
    timed = {name: tensor[rows][:, times] for name, tensor in tensors(steps).items()}
    return replace(steps, text=text_rows(steps.text, rows), embodiment=body, **timed)
