"""LightningDataModules over WebDataset shards, and readers for public dataset formats."""

COMPONENTS: dict[str, dict[str, str]] = {
    "datamodule": {
        "policy_rollouts": "zoo.datamodules.policy.rollouts:PolicyRollouts",
        "policy_shards": "zoo.datamodules.policy.datamodule:PolicyDataModule",
        "shards": "zoo.datamodules.shards:ShardDataModule",
    },
    "generator": {
        "burst_video_count": "zoo.datamodules.readers.molmo2.burst:BurstVideoCount",
        "conversations": "zoo.datamodules.readers.conversations:Conversations",
        "easy_vqa": "zoo.datamodules.readers.easy_vqa:EasyVqa",
        "molmo2_ask_model_anything": "zoo.datamodules.readers.molmo2.answers:AskModelAnything",
        "molmo2_cap": "zoo.datamodules.readers.molmo2.captions:VideoCaptions",
        "molmo2_cap_eval": "zoo.datamodules.readers.molmo2.captions:CaptionEvaluation",
        "molmo2_multi_image_point": "zoo.datamodules.readers.molmo2.image_sets:MultiImagePoint",
        "molmo2_multi_image_qa": "zoo.datamodules.readers.molmo2.image_sets:MultiImageQa",
        "molmo2_syn_multi_image_qa": "zoo.datamodules.readers.molmo2.image_sets:SynMultiImageQa",
        "molmo2_video_cap_qa": "zoo.datamodules.readers.molmo2.answers:VideoCapQa",
        "molmo2_video_count_eval": "zoo.datamodules.readers.molmo2.pointing:VideoCountEvaluation",
        "molmo2_video_point": "zoo.datamodules.readers.molmo2.pointing:VideoPoint",
        "molmo2_video_point_eval": "zoo.datamodules.readers.molmo2.pointing:VideoPointEvaluation",
        "molmo2_video_subtitle_qa": "zoo.datamodules.readers.molmo2.answers:VideoSubtitleQa",
        "molmo2_video_track": "zoo.datamodules.readers.molmo2.tracking:VideoTrack",
        "molmo2_video_track_eval": "zoo.datamodules.readers.molmo2.tracking:VideoTrackEvaluation",
        "spoc_trajectories": "zoo.datamodules.readers.spoc.reader:SpocTrajectories",
    },
}
