"""What two processes are asked to do with a policy, and the same work for one; see `processes`."""

from dataclasses import fields, replace
from pathlib import Path

import torch
from parallel_jobs import Gradients, loader, shapes_in_the_second, trainer_of, whole
from tiny_policy import tiny_batch, tiny_policy

from zoo.backbones.policy.spoc import spoc_tiny
from zoo.callbacks.simulator_evaluation import SimulatorEvaluation
from zoo.optimisation import Group, PolicyOptimiserSettings
from zoo.policy_batch import PolicyBatch
from zoo.policy_module import PolicyModule

LENGTHS = (5, 2, 4)
GENTLE = Group(learning_rate=1e-4, warmup_steps=0)
SETTINGS = PolicyOptimiserSettings(vision=GENTLE, text=GENTLE, trunk=GENTLE, head=GENTLE)
TRUNK = {"patch_channels": 16, "text_channels": 16, "hidden_size": 16, "num_layers": 1, "num_heads": 2}


def module_of() -> PolicyModule:
    """The same weights in every process; nothing is zeroed at random."""
    torch.manual_seed(3)
    made = tiny_policy(target_weight=0.5, optimiser=SETTINGS)
    trunk = spoc_tiny(**TRUNK, grid=(2, 3), has_pooled_token=False, dropout=0.0)
    model = made.model
    return PolicyModule(
        vision=model.vision, text=model.text, trunk=trunk, head=type(model.head)(), picture_size=(48, 32),
        target_weight=0.5, optimiser=SETTINGS,
    ).train()  # fmt: skip


def batch_of(module: PolicyModule, rows: list[int]) -> PolicyBatch:
    """Windows by their number in LENGTHS, always the same."""
    torch.manual_seed(5)
    batch = tiny_batch(module, lengths=LENGTHS)
    longest = max(LENGTHS[row] for row in rows)
    values = {field.name: value for field in fields(batch) if (value := getattr(batch, field.name)) is not None}
    return replace(
        batch,
        **{
            name: tuple(value[row] for row in rows if value)
            if isinstance(value, tuple)
            else cut(value[rows], name, longest)
            for name, value in values.items()
        },
    )


def cut(value: torch.Tensor, name: str, longest: int) -> torch.Tensor:
    return value if name == "embodiment" else value[:, :longest]


def gradients_of(folder: Path, rows: list[int], **arguments: object) -> dict[str, object]:
    module, seen = module_of(), Gradients()
    trainer_of(folder, max_steps=1, callbacks=[seen], **arguments).fit(module, loader([batch_of(module, rows)]))
    return {"gradients": seen.found, "losses": seen.losses}


def ddp_policy_gradients(rank: int, folder: Path) -> dict[str, object]:
    """Unlike numbers of windows and steps in the two processes."""
    return gradients_of(folder, ([0, 1], [2])[rank], strategy="ddp", devices=2)


def steps_of(rank: int, folder: Path, module: PolicyModule, **arguments: object) -> dict[str, object]:
    """Three steps with evaluations of unlike length between; weights and scores."""
    maker = module_of()
    shown = [batch_of(maker, ([0, 1], [2])[rank])] * 3
    validation = [batch_of(maker, rows) for rows in ([[0], [1]], [[2]])[rank]]
    run = trainer_of(folder, max_steps=3, num_sanity_val_steps=0, val_check_interval=1, devices=2, **arguments)
    run.fit(module, loader(shown), loader(validation))
    scores = {name: float(value) for name, value in run.callback_metrics.items() if name.startswith("val/")}
    return {"weights": whole(module), "scores": scores}


def ddp_policy_steps(rank: int, folder: Path) -> dict[str, object]:
    return steps_of(rank, folder, module_of(), strategy="ddp")


def ddp_policy_in_the_simulator(rank: int, folder: Path) -> list[str]:
    """The first process scores the policy, the other one waits for it in its next step; what was scored."""
    scored = SimulatorEvaluation(
        benchmark="nav_val", every_n_steps=1, episodes=1, workers=1, videos=0, horizon_steps=2
    )  # fmt: skip
    module = module_of()
    batch = batch_of(module, ([0, 1], [2])[rank])
    own = folder / "simulated"
    trainer_of(own, max_steps=2, strategy="ddp", devices=2, callbacks=[scored]).fit(module, loader([batch] * 2))
    return sorted(str(file.relative_to(own)) for file in own.rglob("results.jsonl"))


def fsdp_policy_steps(rank: int, folder: Path) -> dict[str, object]:
    return steps_of(rank, folder, shapes_in_the_second(rank, module_of), strategy="fsdp2")
