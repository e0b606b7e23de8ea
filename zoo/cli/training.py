"""`zoo fit|validate|test|predict`: LightningCLI with registry names, bundled recipes and run folders."""

import importlib.util
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ActionConfigFile, Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf.errors import OmegaConfBaseException

from zoo.checkpoints.recipe import PRETRAINED, keep_recipe
from zoo.checkpoints.sharded import is_sharded
from zoo.cli import folders, recipes, runs
from zoo.cli.parsing import OneSentence
from zoo.doctor.probes import cpu_computes_bfloat16
from zoo.errors import ConfigError
from zoo.sharding import receives_weights

logger = logging.getLogger(__name__)

DEFAULT_SEED = 0
UNNAMED = "unnamed"


class RecipeFile(ActionConfigFile):
    """`--config` that also takes the name of a bundled recipe."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Put the file that a name means in its place."""
        meant = recipes.resolve(values) if isinstance(values, str) else values
        if isinstance(meant, str) and not recipes.is_text(meant):
            recipes.check_readable(Path(meant))
        super().__call__(parser, cfg, meant, option_string)


class TrainingParser(OneSentence, LightningArgumentParser):
    """Parser of one of the four training commands."""


class RecipeCLI(LightningCLI):
    """LightningCLI that knows recipes and registry names; it builds what a recipe says and runs nothing.

    Args:
        arguments: `--config` and flags, as they are typed after a training command.
        command: One of Lightning's four, which is then run; None stops after building.
    """

    def __init__(self, arguments: Sequence[str], command: str | None = None) -> None:
        self.command = command
        parser_kwargs = {"parser_mode": "omegaconf"}
        of_command = {command: {**parser_kwargs, "prog": f"zoo {command}"}} if command else {}
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            parser_class=TrainingParser,
            parser_kwargs={**parser_kwargs, "prog": "zoo", **of_command},
            save_config_kwargs={"overwrite": True},
            seed_everything_default=DEFAULT_SEED,
            # First, so that whatever is typed or lies in a recipe beats what the checkpoint says.
            args=[*([command] if command else []), *folders.model_arguments(arguments), *arguments],
            run=command is not None,
        )

    def subcommands(self) -> dict[str, set[str]]:
        """Only the one that was typed: each costs a parser with every argument of the Trainer."""
        return {name: skip for name, skip in LightningCLI.subcommands().items() if name == self.command}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser whose `--config` takes recipe names."""
        parser = self.parser_class(**kwargs)
        parser.add_argument(
            "-c", "--config", action=RecipeFile, help="Bundled recipe or path of a YAML file; a later one wins."
        )
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse what was typed; Lightning's own version warns whenever sys.argv is not empty."""
        try:
            self.config = parser.parse_args(args)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{error.full_key}: {str(error).partition(chr(10))[0]}") from error

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning would silently put the checkpoint's hyper-parameters over the command line."""

    def after_instantiate_classes(self) -> None:
        """Let checkpoints carry the recipe of their module, as plain JSON, so that it can be rebuilt from the file."""
        self._dump_config()
        keep_recipe(self.model, self.config_dump["model"])


class ZooCLI(RecipeCLI):
    """One of the four training commands; a flag always beats what a checkpoint recorded."""

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        parser.set_defaults({"weights_only": True})  # Lightning unpickles anything from an address otherwise
        return parser

    def before_instantiate_classes(self) -> None:
        """Decide where the run writes and what it starts from."""
        config = self.config[self.subcommand]
        files = [
            file for file in [*(self.config.get("config") or []), *(config.get("config") or [])] if file is not None
        ]
        self.run_name = recipes.name_of(Path(str(files[0]))) if files else UNNAMED
        self.run_root = Path(config.trainer.default_root_dir or runs.ROOT)
        self.weights = None if config.ckpt_path is None else folders.checkpoint_folder(str(config.ckpt_path))
        if config.ckpt_path is None and self.subcommand != "fit" and not config.trainer.fast_dev_run:
            logger.warning(
                "%s without --ckpt_path runs the weights that the recipe begins with; a run's: --ckpt_path last",
                self.subcommand,
            )
        if self.weights is not None:  # holds no state of a training run, so there is nothing for Lightning to resume
            config.ckpt_path = None
        elif config.ckpt_path is not None:
            config.ckpt_path = self._checkpoint(str(config.ckpt_path), config)

    def instantiate_classes(self) -> None:
        """Build everything; under `fsdp2` only the first process builds weights, and the others get their slices."""
        config = self.config[self.subcommand]
        if not receives_weights(config.trainer.strategy):
            super().instantiate_classes()
            return
        typed = self.config.clone()
        for key in [key for key in config.model.keys() if key.rpartition(".")[2] == PRETRAINED]:  # noqa: SIM118
            config.model[key] = False
        with torch.device("meta"):
            super().instantiate_classes()
        self.config = typed  # all processes keep the same recipe

    def after_instantiate_classes(self) -> None:
        """Beside the recipe, give the module the weights of a checkpoint folder where one was named."""
        super().after_instantiate_classes()
        if self.weights is not None:
            folders.fill(self.model, self.weights, may_start_anew=self.subcommand == "fit")
        is_bfloat16_on_cpu = self.trainer.strategy.root_device.type == "cpu" and "bf16" in self.trainer.precision
        if is_bfloat16_on_cpu and not cpu_computes_bfloat16() and self.trainer.is_global_zero:
            logger.warning(
                "trainer.precision: %s on a CPU without bfloat16 is several times slower than float32: add "
                "--trainer.precision=32-true",
                self.trainer.precision,
            )

    def _checkpoint(self, path: str, config: Namespace) -> str:
        if path == "hpc":
            return path
        if path not in runs.NEWEST:
            runs.check_exists(path)
            if Path(path).is_dir() and not is_sharded(Path(path)):
                return str(runs.newest_of(Path(path)))
            return path
        found = runs.find_checkpoint(path, self.run_root / self.run_name)
        if found is not None:
            return str(found)
        if self.subcommand == "fit" or _names_own_folder(config.trainer.callbacks):
            return path
        raise ConfigError(
            f"ckpt_path: no checkpoint in {self.run_root / self.run_name}/version_*/checkpoints to take {path!r} from. "
            f"Train first: zoo fit{'' if self.run_name == UNNAMED else f' --config {self.run_name}'}"
        )

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Any]) -> Trainer:
        if config.get("logger") in (None, True) and not config.get("fast_dev_run"):
            config["logger"] = self._loggers()
        try:
            return super()._instantiate_trainer(config, callbacks)
        except (MisconfigurationException, ValueError) as error:
            raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error

    def _loggers(self) -> list[Logger]:
        """CSV always, TensorBoard where it is installed; both in `runs/<recipe>/version_N`."""
        version = runs.next_version(self.run_root / self.run_name)
        loggers: list[Logger] = [CSVLogger(self.run_root, name=self.run_name, version=version)]
        if importlib.util.find_spec("tensorboard"):
            loggers.append(TensorBoardLogger(self.run_root, name=self.run_name, version=version))
        return loggers

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except MisconfigurationException as error:
            raise ConfigError(" ".join(str(error).split())) from error
        except SystemExit as stop:
            if self.trainer.interrupted:  # Lightning turns Ctrl-C into exit code 1
                raise KeyboardInterrupt from stop
            raise


def _names_own_folder(callbacks: Any) -> bool:
    """Whether a configured callback writes to a folder of its own, where Lightning looks for checkpoints itself."""
    listed = callbacks if isinstance(callbacks, list) else [callbacks]
    return any(spec is not None and (spec.get("init_args") or {}).get("dirpath") for spec in listed)


def quieten() -> None:
    """Drop what Lightning prints in every run and no user can act on: hints at services, its own use of torch."""
    messages = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    messages.addFilter(lambda record: "Tip: For seamless cloud" not in record.getMessage())
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
    # Lightning cannot know that our streams deal samples to workers themselves.
    warnings.filterwarnings("ignore", message=r"Your `IterableDataset` has `__len__` defined")
    # Of FSDP2 about every block that gives its input back reshaped; gradients are tested equal to those of DDP.
    warnings.filterwarnings("ignore", message=r"FSDP2-wrapped module .* returned a view tensor")


def run(command: str, arguments: Sequence[str]) -> None:
    """Run one of the four training commands.

    Args:
        command: fit, validate, test or predict.
        arguments: What was typed after it.

    Raises:
        ConfigError: the arguments are wrong, or do not fit together.
    """
    quieten()
    ZooCLI(arguments, command)
