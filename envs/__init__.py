"""MuJoCo scenes, tasks, policies and data generators. Nothing here imports torch."""

COMPONENTS: dict[str, dict[str, str]] = {
    "generator": {"tabletop": "zoo.envs.tabletop:Tabletop"},
}
