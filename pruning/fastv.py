"""FastV: drop, in the midst of the language model, the vision tokens that the question looks at least.

Source: ECCV 2024 (arXiv 2403.06764); molmo2_stts sheet part C: after two layers, half of the tokens, attention as a
    mean over heads, from the last token or averaged over queries.
Differs: all questions about a clip share one prefill, so that a window's rank is a mean over them; the count is exact
    in each clip, floor(remove * windows), ties to the earlier window. Keys and values that the first layers have made
    stay in their cache, as published; positions keep their gaps whatever `model.position_rule` says of earlier cuts.
"""

from typing import ClassVar

from torch import Tensor

from zoo.pruner import (
    KeepAll,
    Need,
    Pruner,
    RemoveShare,
    Rows,
    Selection,
    Site,
    SiteView,
    TokenBudget,
    keep_best,
)


class FastV(Pruner):
    """Drop the windows of each clip that received the least attention in one layer of the language model.

    Args:
        remove: Share of a clip's windows that go no further, in [0, 1).
        layer: Language layer before which they leave, 1 or more; the attention is that of the layer before it.
        rows: Who attends: the token before each answer, every token of the questions, or all tokens.
        images: Images are cut like videos.
    """

    example_args: ClassVar = {"remove": 0.4, "layer": -1}
    needs: ClassVar[frozenset[Need]] = frozenset({"received_attention"})

    def __init__(self, *, remove: float = 0.5, layer: int = 2, rows: Rows = "last", images: bool = True) -> None:
        super().__init__()
        self._share = RemoveShare(remove, images=images)
        self._site = Site("llm.layer", layer)
        self.attention_rows = rows

    def sites(self) -> tuple[Site, ...]:
        return (self._site,)

    def budget(self) -> TokenBudget:
        """All windows enter the language model; what leaves in its midst frees memory and time only from there on."""
        return KeepAll()

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        return keep_best(view.layout, view.layout.per_window(view.received_attention), self._share)
