"""The core's own components: what a recipe names that belongs to no family."""

COMPONENTS = {
    "callback": {
        "blind_baseline": "zoo.callbacks:BlindBaseline",
        "run_report": "zoo.callbacks:RunReport",
    },
    "module": {
        "vlm": "zoo.module:ZooModule",
    },
}
