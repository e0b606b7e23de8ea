"""MuJoCo scenes, tasks, policies and data generators. Nothing here imports torch."""

COMPONENTS: dict[str, dict[str, str]] = {
    "generator": {
        "tabletop": "zoo.envs.tabletop:Tabletop",
        "tabletop_stills": "zoo.envs.tabletop_stills:TabletopStills",
    },
    "env": {
        "tabletop_push": "zoo.envs.tabletop_push:TabletopPush",
    },
    "policy": {
        "scripted_push": "zoo.envs.scripted_push:ScriptedPush",
        "droid:*": "zoo.envs.serving.droid:DroidPolicy",
    },
    "asset_library": {
        "primitives": "zoo.envs.assets.primitives:PrimitiveLibrary",
        "molmospaces": "zoo.envs.assets.molmospaces:MolmoSpacesAssets",
        "robosuite": "zoo.envs.assets.external:RobosuiteObjects",
    },
    "scene_planner": {
        "procedural": "zoo.envs.houses.generator:ProceduralHouses",
        "mini": "zoo.envs.houses.frozen:MiniHouses",
    },
    "robot": {
        "franka_droid": "zoo.envs.robots.franka:FrankaDroid",
        "rby1": "zoo.envs.robots.rby1:Rby1",
        "stretch": "zoo.envs.robots.stretch:Stretch",
        "ring_body": "zoo.envs.robots.ring_body:RingBody",
    },
    "expert": {
        "pick": "zoo.envs.experts.pick:PickExpert",
        "pick_and_place": "zoo.envs.experts.place:PlaceExpert",
        "pick_and_place_next_to": "zoo.envs.experts.place:NextToExpert",
        "pick_and_place_color": "zoo.envs.experts.place:PlaceExpert",
        "open": "zoo.envs.experts.articulated:OpenExpert",
        "close": "zoo.envs.experts.articulated:CloseExpert",
        "open_door": "zoo.envs.experts.door:DoorExpert",
        "navigate_to": "zoo.envs.experts.navigation:NavigationExpert",
    },
    "task_sampler": {
        "pick": "zoo.envs.sampling.pick:PickSampler",
        "pick_and_place": "zoo.envs.sampling.place:PlaceSampler",
        "pick_and_place_next_to": "zoo.envs.sampling.place:NextToSampler",
        "pick_and_place_color": "zoo.envs.sampling.place:ColorSampler",
        "open": "zoo.envs.sampling.articulated:OpenSampler",
        "close": "zoo.envs.sampling.articulated:CloseSampler",
        "open_door": "zoo.envs.sampling.door:DoorSampler",
        "navigate_to": "zoo.envs.sampling.navigate:NavigateSampler",
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
