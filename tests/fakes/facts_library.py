"""A library of facts alone, for what plans and matches but builds nothing."""

from zoo.envs.assets.library import Asset, AssetFacts, AssetLibrary


class FactsLibrary(AssetLibrary):
    digest = "facts"

    def __init__(self, *facts: AssetFacts) -> None:
        self._facts = {item.uid: item for item in facts}

    def facts(self) -> dict[str, AssetFacts]:
        return self._facts

    def asset(self, uid: str) -> Asset:
        raise AssertionError("nothing is built of facts alone")
