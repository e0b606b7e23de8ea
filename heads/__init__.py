"""What is asked of the trunk: each head renders samples into prompts and targets, and turns hidden states into predictions."""

COMPONENTS = {
    "head": {
        "qa": "zoo.heads.qa:QuestionAnswering",
    },
}
