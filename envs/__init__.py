"""MuJoCo scenes, tasks, policies and data generators. Nothing here imports torch."""

COMPONENTS: dict[str, dict[str, str]] = {
    "generator": {
        "tabletop": "zoo.envs.tabletop:Tabletop",
        "tabletop_stills": "zoo.envs.tabletop_stills:TabletopStills",
    },
    "env": {"tabletop_push": "zoo.envs.tabletop_push:TabletopPush"},
    "policy": {"scripted_push": "zoo.envs.scripted_push:ScriptedPush"},
}
