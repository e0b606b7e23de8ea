"""EVS, efficient video sampling: drop between vision encoder and language model what looks as it did one frame before.

Source: arXiv 2510.14624; molmo2_stts sheet part C. The paper's survivors keep their position ids: set
    `model.position_rule: gapped`, which is the trunk's choice and not the pruner's.
Differs: the published quantile of a clip's changes is taken as an exact count, floor(remove * windows), ties to the
    earlier window; pixels are compared as the vision encoder normalises them. The optional up-training with a random
    share is left out: how many windows stay is planned before a score exists, by workers that know only `remove`.
    Images are left alone.
"""

from typing import ClassVar

from torch import Tensor

from zoo.pruner import Need, Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget
from zoo.pruning.pixel_change import frame_before, keep_most_changed, patch_change, window_change


class EfficientVideoSampling(Pruner):
    """Drop the windows of a clip whose pixels changed least since the frame before, once the vision encoder is done.

    Args:
        remove: Share of a clip's windows to drop, in [0, 1); the first frame stays. The paper's is about 0.75.
    """

    example_args: ClassVar = {"remove": 0.4}
    needs: ClassVar[frozenset[Need]] = frozenset({"pixels"})

    def __init__(self, *, remove: float = 0.5) -> None:
        super().__init__()
        self._budget = RemoveShare(remove, protect_first_frame=True)

    def sites(self) -> tuple[Site, ...]:
        return (Site("vit.output"),)

    def budget(self) -> TokenBudget:
        return self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout = view.layout
        change = patch_change(view.pixels, frame_before(layout), layout.grid)
        return keep_most_changed(layout, window_change(change, layout), self._budget)
