"""A policy of few channels, and random windows for it."""

from functools import partial

import torch

from zoo.backbones.policy.ring import ring_tiny
from zoo.backbones.policy.spoc import spoc_tiny
from zoo.backbones.text_encoders import siglip_text_tiny, t5_tiny
from zoo.backbones.vit import vit_tiny
from zoo.embodiment import NUM_EMBODIMENT
from zoo.envs.robots.ring_body import BODIES
from zoo.heads.navigation import NavigationHead
from zoo.optimisation import Group, PolicyOptimiserSettings
from zoo.policy_batch import NO_TIME, PolicyBatch
from zoo.policy_head import IGNORED
from zoo.policy_module import PolicyModule
from zoo.policy_trunk import IN_HAND_PADDING
from zoo.shards.policy_episode import MISSING_BOX

GOALS = ("find a bed", "navigate to an armchair", "find a bed", "go to the sink")
FAST = Group(learning_rate=3e-3, warmup_steps=0)
LEARNS = PolicyOptimiserSettings(vision=FAST, text=FAST, trunk=FAST, head=FAST)


def tiny_policy(
    *,
    trunk="spoc",
    text="t5",
    variant="plain",
    head=None,
    target_grid=None,
    tells_blocked=False,
    knows_body=False,
    **arguments,
) -> PolicyModule:
    sizes = {"patch_channels": 16, "text_channels": 16, "hidden_size": 16, "num_layers": 1, "num_heads": 2}
    sizes |= {"grid": (2, 3), "has_pooled_token": text == "siglip", "target_grid": target_grid}
    sizes |= {"tells_blocked": tells_blocked}
    encoder = {"t5": t5_tiny, "siglip": siglip_text_tiny}[text]
    if isinstance(trunk, str):
        build = partial(spoc_tiny, variant=variant) if trunk == "spoc" else partial(ring_tiny, knows_body=knows_body)
        trunk = build(**sizes)
    vision = vit_tiny(image_size=(32, 48), patch_size=16, hidden_size=16, num_blocks=1, num_heads=2, stem_channels=16)
    return PolicyModule(
        text=encoder(hidden_size=16, num_layers=1, num_heads=2, max_tokens=24),
        trunk=trunk,
        head=head or NavigationHead(),
        **{"vision": vision, "optimiser": LEARNS, "picture_size": (48, 32), **arguments},
    )


def tiny_batch(module: PolicyModule, *, lengths=(5, 3), boxes=True) -> PolicyBatch:
    """Windows of random pictures and actions, of these lengths."""
    batch, time = len(lengths), max(lengths)
    mask = torch.arange(time) < torch.tensor(lengths)[:, None]
    processor, ids = module.processor, module.model.trunk.inputs.actions
    cameras = len(processor.cameras)
    frames = torch.randint(256, (batch, time, cameras, 3, *processor.image_size), dtype=torch.uint8)
    found = torch.tensor(MISSING_BOX).expand(batch, time, cameras, processor.boxes_per_camera, 5).clone()
    if boxes and processor.boxes_per_camera:
        found[:, ::2, 0, 0] = torch.tensor([3.0, 4.0, 20.0, 30.0, 442.0])
    found[~mask] = torch.tensor(MISSING_BOX)
    bodies = torch.full((batch, NUM_EMBODIMENT), torch.nan)
    if processor.knows_body:
        bodies = torch.tensor([body.vector().tolist() for body in list(BODIES.values())[:batch]])
    return PolicyBatch(
        keys=tuple(f"episode{row}" for row in range(batch)),
        tasks=("object_nav_type",) * batch,
        goals=GOALS[:batch],
        frames=frames.masked_fill(~mask[:, :, None, None, None, None], 0),
        actions=torch.randint(20, (batch, time)).masked_fill(~mask, IGNORED),
        previous_actions=torch.randint(20, (batch, time)).masked_fill(~mask, ids.padding),
        time_ids=torch.arange(time).expand(batch, -1).masked_fill(~mask, NO_TIME),
        in_hand=torch.zeros(batch, time, dtype=torch.int64).masked_fill(~mask, IN_HAND_PADDING),
        boxes=found,
        embodiment=bodies,
        valid_mask=mask,
    )
