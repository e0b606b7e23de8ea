"""A library of facts alone, for what plans and matches but builds nothing."""

from zoo.envs.assets.library import Asset, AssetFacts, AssetLibrary


class FactsLibrary(AssetLibrary):
    def __init__(self, *facts: AssetFacts) -> None:
        self._facts = {item.uid: item for item in facts}

    def facts(self) -> dict[str, AssetFacts]:
        return self._facts

    def asset(self, uid: str) -> Asset:
        raise AssertionError("nothing is built of facts alone")

    def digest_of(self, uid: str) -> str:
        return repr(self._facts[uid])
