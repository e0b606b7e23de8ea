"""LightningDataModules over WebDataset shards, and readers for public dataset formats."""

COMPONENTS: dict[str, dict[str, str]] = {
    "datamodule": {"shards": "zoo.datamodules.shards:ShardDataModule"},
}
