"""Keep every token: the dense model that the other pruners are compared with."""

from typing import ClassVar

from torch import Tensor

from zoo.pruner import KeepAll, Pruner, Selection, Site, SiteView, TokenBudget


class NoPruner(Pruner):
    """Act nowhere and keep everything."""

    neutral_args: ClassVar = {}

    def sites(self) -> tuple[Site, ...]:
        return ()

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        raise AssertionError(f"the dense model selects nowhere, but was called at {view.site}")

    def budget(self) -> TokenBudget:
        return KeepAll()
