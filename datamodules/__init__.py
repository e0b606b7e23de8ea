"""LightningDataModules over WebDataset shards, and readers for public dataset formats."""

COMPONENTS: dict[str, dict[str, str]] = {
    "datamodule": {"shards": "zoo.datamodules.shards:ShardDataModule"},
    "generator": {
        "conversations": "zoo.datamodules.readers.conversations:Conversations",
        "easy_vqa": "zoo.datamodules.readers.easy_vqa:EasyVqa",
    },
}
