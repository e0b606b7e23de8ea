"""Keep the windows in the middle of each frame: what a photographer aims at."""

from typing import ClassVar

import torch
from torch import Tensor

from zoo.layout import TokenLayout
from zoo.pruner import Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget


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
        return self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout, window = view.layout, view.layout.window_of_token
        distance = distance_from_centre(layout)
        tokens = torch.bincount(window, minlength=layout.num_windows)
        total = torch.bincount(window, distance, minlength=layout.num_windows)
        scores = torch.where(tokens > 0, -total / tokens, -torch.inf)  # windows that left before are not kept again
        living = torch.bincount(layout.clip_of_window[tokens > 0], minlength=layout.frames.num_clips)
        kept = layout.top_windows(scores, self._budget(living.tolist()))
        return Selection(keep=layout.keep_windows(kept), scores=-distance)
