"""What is asked of the trunk: each head renders samples into prompts and targets, and turns hidden states into
predictions.
"""

COMPONENTS = {
    "head": {
        "caption": "zoo.heads.caption:Caption",
        "counting": "zoo.heads.counting:Counting",
        "grounding": "zoo.heads.grounding:WordGrounding",
        "pointing": "zoo.heads.pointing:Pointing",
        "qa": "zoo.heads.qa:QuestionAnswering",
        "tracking": "zoo.heads.tracking:Tracking",
    },
    "policy_head": {
        "navigation": "zoo.heads.navigation:NavigationHead",
    },
}
