"""Houses to learn to see in: as `homes`, but hardly two pieces of furniture in the train split are alike."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.envs.assets.library import Split
from zoo.envs.houses.generator import HOME_ROOMS, Homes, ProceduralHouses
from zoo.envs.scenes.specification import Scene


class VariedHomes(Homes):
    """`homes` with more variety to train on; its val and test houses are those of `homes`, byte for byte.

    Train houses have the rooms, doors and lamps of the same house of `homes`. They are furnished out of
    `varied_primitives`, dozens of designs of a category instead of two or three, and most of their furniture is
    painted in any colours. Descriptions of furniture therefore name no colours there.

    Args:
        seed: Another seed gives other houses under the same indices.
        repainted_share: Of the furniture of train houses, how much has any colours, 0 to 1.
    """

    example_args: ClassVar[dict[str, Any]] = {}

    def __init__(self, *, seed: int = 0, repainted_share: float = 0.7) -> None:
        super().__init__(seed=seed)
        self._train = ProceduralHouses(
            library="varied_primitives", seed=seed, num_rooms=HOME_ROOMS, repainted_share=repainted_share
        )

    def plan(self, split: Split, index: int) -> Scene:
        return self._train.plan(split, index) if split == "train" else super().plan(split, index)
