"""Token pruners: which vision tokens leave the vision encoder or the language model, and where."""

COMPONENTS = {
    "pruner": {
        "none": "zoo.pruning.none:NoPruner",
        "random": "zoo.pruning.random:RandomPruner",
        "fastv": "zoo.pruning.fastv:FastV",
        "dycoke": "zoo.pruning.dycoke:DyCoke",
        "stride": "zoo.pruning.stride:TemporalStride",
        "reference-frame": "zoo.pruning.reference_frame:ReferenceFrame",
        "rlt": "zoo.pruning.rlt:RunLengthTokenization",
        "evs": "zoo.pruning.evs:EfficientVideoSampling",
        "tome": "zoo.pruning.tome:ToMe",
        "visionzip": "zoo.pruning.visionzip:VisionZip",
        "stts": "zoo.pruning.stts:STTS",
        "prunevid": "zoo.pruning.prunevid:PruneVid",
        "holitom": "zoo.pruning.holitom:HoliTom",
        "flashvid": "zoo.pruning.flashvid:FlashVid",
    },
}
