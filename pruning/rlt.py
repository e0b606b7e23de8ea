"""RLT, run-length tokenization: drop what looks as it did one frame before, ahead of the vision encoder.

Source: arXiv 2411.05222 (NeurIPS 2024); molmo2_stts sheet part C. A place is compared with the frame just before, not
    with the start of its run, so slow drift is dropped as in the paper.
Differs: compares frames, the paper tubelets of two frames; pixels as the vision encoder normalises them, so the
    published threshold of 0.1 means another difference in grey levels; by default whole windows leave, and as many as
    `remove` says, where the paper drops single patches by a threshold. There is no run-length embedding: it is learnt,
    and would have to be added to states, which `pixels` does not have yet. Images are left alone.
"""

from typing import ClassVar, Literal

from torch import Tensor

from zoo.errors import ConfigError
from zoo.pruner import AtMostAll, Need, Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget
from zoo.pruning.pixel_change import frame_before, keep_most_changed, patch_change, window_change


class RunLengthTokenization(Pruner):
    """Drop patches or windows whose pixels hardly changed since the frame before, before anything is computed.

    Args:
        remove: Share of a clip's windows to drop, in [0, 1); the first frame stays. Not used with a threshold.
        threshold: Drop what changed at most so much, mean absolute difference of normalised pixels, at least 0; null
            drops the share `remove` instead. The paper's is 0.1.
        unit: What leaves: whole windows, or single patches, which needs a threshold; a window is gone when all its
            patches are.
    """

    example_args: ClassVar = {"remove": 0.4}
    needs: ClassVar[frozenset[Need]] = frozenset({"pixels"})

    def __init__(
        self, *, remove: float = 0.5, threshold: float | None = None, unit: Literal["window", "patch"] = "window"
    ) -> None:
        super().__init__()
        if threshold is not None and not threshold >= 0:
            raise ConfigError(f"rlt: threshold is {threshold}; use 0 or more, 0.1 is published")
        if unit not in ("window", "patch"):
            raise ConfigError(f"rlt: unit is {unit!r}; use window or patch")
        if unit == "patch" and threshold is None:
            raise ConfigError(
                "rlt: unit 'patch' without a threshold: how many windows single patches empty cannot be known before; "
                "add threshold: 0.1, or take unit: window"
            )
        self._share = RemoveShare(remove, protect_first_frame=True)
        self.threshold = threshold
        self.unit = unit

    def sites(self) -> tuple[Site, ...]:
        return (Site("pixels"),)

    def budget(self) -> TokenBudget:
        return self._share if self.threshold is None else AtMostAll()

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout = view.layout
        change = patch_change(view.pixels, frame_before(layout), layout.grid)
        if self.unit == "patch":
            return Selection(keep=change.flatten()[layout.patch] > self.threshold)
        windows = window_change(change, layout)
        if self.threshold is None:
            return keep_most_changed(layout, windows, self._share)
        return Selection(keep=layout.keep_windows(windows > self.threshold))
