"""The core's own components: what a recipe names that belongs to no family."""

COMPONENTS = {
    "callback": {
        "batch_log": "zoo.callbacks:BatchLog",
        "blind_baseline": "zoo.callbacks:BlindBaseline",
        "last_step": "zoo.callbacks:LastStepCheckpoint",
        "run_report": "zoo.callbacks:RunReport",
        "simulator_evaluation": "zoo.callbacks.simulator_evaluation:SimulatorEvaluation",
    },
    "module": {
        "policy": "zoo.policy_module:PolicyModule",
        "vlm": "zoo.module:ZooModule",
    },
}
