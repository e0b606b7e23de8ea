"""Token pruners: which vision tokens leave the vision encoder or the language model, and where."""

COMPONENTS = {
    "pruner": {
        "none": "zoo.pruning.none:NoPruner",
        "random": "zoo.pruning.random:RandomPruner",
    },
}
