"""Drop windows uniformly at random over the clip: the control that every learnt pruner has to beat.

Source: molmo2_stts sheet B11 and part C. Differs: the draw is fixed by (seed, sample key, site), so a clip is always
    cut the same way at one place.
"""

import zlib
from typing import ClassVar

import torch
from torch import Tensor

from zoo.host_facts import on_device
from zoo.pruner import KeepAll, Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget, keep_best


class RandomPruner(Pruner):
    """Drop a share of the windows of every clip, drawn uniformly.

    Args:
        remove: Share of a clip's windows to drop, in [0, 1).
        site: Where they leave: pixels, vit.stem, vit.block[l], vit.output, connector.output or llm.layer[k].
        protect_first_frame: Drop nothing from the first frame of a clip; the others pay for it.
        seed: Changes the draw.
    """

    example_args: ClassVar = {"remove": 0.4, "site": "vit.block[0]"}

    def __init__(
        self, *, remove: float = 0.5, site: str = "vit.block[0]", protect_first_frame: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        self._budget = RemoveShare(remove, protect_first_frame=protect_first_frame)
        self._site = Site.parse(site)
        self.seed = seed

    def sites(self) -> tuple[Site, ...]:
        return (self._site,)

    def budget(self) -> TokenBudget:
        return KeepAll() if self._site.stage == "llm.layer" else self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout = view.layout
        draws: list[float] = []
        for windows, clip_seed in zip(layout.windows_per_clip, view.clip_seeds, strict=True):
            # Not `hash`, which differs from process to process for text.
            drawn_by = zlib.crc32(f"{self.seed}/{clip_seed}/{view.site}".encode())
            draws += torch.rand(windows, generator=torch.Generator().manual_seed(drawn_by)).tolist()
        scores = on_device(draws, layout.device, torch.float32)
        return keep_best(layout, scores, self._budget, protect_first_frame=self._budget.protect_first_frame)
