"""What a library says of an asset, made up."""

from zoo.envs.assets.library import AssetFacts


def facts(category, description, *colours, is_pickupable=False) -> AssetFacts:
    return AssetFacts(
        uid="one",
        category=category,
        synset="thing.n.01",
        description=description,
        size_m=(1.0, 1.0, 1.0),
        mass_kg=1.0,
        colours=colours,
        is_pickupable=is_pickupable,
    )
