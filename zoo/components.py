"""The core's own components: what a recipe names that belongs to no family."""

COMPONENTS = {
    "module": {
        "vlm": "zoo.module:ZooModule",
    },
}
