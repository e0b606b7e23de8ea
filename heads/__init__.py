"""What is asked of the trunk: each head renders samples into prompts and targets, and turns hidden states into
predictions.
"""

COMPONENTS = {
    "head": {
        "caption": "zoo.heads.caption:Caption",
        "grounding": "zoo.heads.grounding:WordGrounding",
        "qa": "zoo.heads.qa:QuestionAnswering",
    },
}
