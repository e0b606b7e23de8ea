"""Keep the windows in the middle of each frame: what a photographer aims at."""

from typing import ClassVar

import torch
from torch import Tensor

from zoo.layout import TokenLayout
from zoo.pruner import KeepAll, Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget, keep_best


def distance_from_centre(layout: TokenLayout) -> Tensor:
    """Squared distance of each token from the middle of its frame, in patches: (tokens,) float32."""
    middle = torch.tensor([(edge - 1) / 2 for edge in layout.grid], device=layout.device)
    return (layout.coordinates()[:, 1:] - middle).square().sum(1)


class CentrePruner(Pruner):
    """Drop the windows farthest from the middle of their frame.

    Args:
        remove: Share of a clip's windows to drop, in [0, 1).
        site: Where they leave: pixels, vit.block[l], vit.output or llm.layer[k].
    """

    example_args: ClassVar = {"remove": 0.4, "site": "vit.block[0]"}

    def __init__(self, *, remove: float = 0.5, site: str = "vit.output") -> None:
        super().__init__()
        self._budget = RemoveShare(remove)
        self._site = Site.parse(site)

    def sites(self) -> tuple[Site, ...]:
        return (self._site,)

    def budget(self) -> TokenBudget:
        return KeepAll() if self._site.stage == "llm.layer" else self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        return keep_best(view.layout, -view.layout.per_window(distance_from_centre(view.layout)), self._budget)
