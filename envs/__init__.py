"""MuJoCo scenes, tasks, policies and data generators. Nothing here imports torch."""

COMPONENTS: dict[str, dict[str, str]] = {
    "generator": {
        "tabletop": "zoo.envs.tabletop:Tabletop",
        "tabletop_stills": "zoo.envs.tabletop_stills:TabletopStills",
    },
    "env": {
        "tabletop_push": "zoo.envs.tabletop_push:TabletopPush",
    },
    "policy": {"scripted_push": "zoo.envs.scripted_push:ScriptedPush"},
    "asset_library": {"primitives": "zoo.envs.assets.primitives:PrimitiveLibrary"},
    "scene_planner": {"procedural": "zoo.envs.houses.generator:ProceduralHouses"},
    "robot": {
        "franka_droid": "zoo.envs.robots.franka:FrankaDroid",
        "rby1": "zoo.envs.robots.rby1:Rby1",
        "stretch": "zoo.envs.robots.stretch:Stretch",
        "ring_body": "zoo.envs.robots.ring_body:RingBody",
    },
    "task": {
        "pick": "zoo.envs.tasks.pick:Pick",
        "pick_and_place": "zoo.envs.tasks.place:PickAndPlace",
        "pick_and_place_next_to": "zoo.envs.tasks.place:PickAndPlaceNextTo",
        "pick_and_place_color": "zoo.envs.tasks.place:PickAndPlaceColor",
        "open": "zoo.envs.tasks.articulated:Open",
        "close": "zoo.envs.tasks.articulated:Close",
        "open_door": "zoo.envs.tasks.articulated:OpenDoor",
        "navigate_to": "zoo.envs.tasks.navigate:NavigateTo",
    },
}
