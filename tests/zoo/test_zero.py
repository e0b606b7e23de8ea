"""DeepSpeed's strategies: what they refuse, the order of gradients that they rely on, and two processes on the CPU."""

from importlib.util import find_spec
from pathlib import Path

import parallel_jobs as jobs
import processes
import pytest
import torch
import zero_jobs
from lightning.pytorch.plugins import DeepSpeedPrecision
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry

from zoo.checkpoints.sharded import is_sharded, read_sharded
from zoo.errors import ConfigError
from zoo.module import ZooModule
from zoo.zero import AUTOCAST, STAGES, WholeBatches, ZeroRedundancy, check_optimiser, is_zero

needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason="DeepSpeed is not installed")


def unjoined() -> ZeroRedundancy:
    """A strategy whose constructor, which asks for the package, did not run."""
    return ZeroRedundancy.__new__(ZeroRedundancy)


def test_every_name_of_lightning_s_means_ours():
    names = {name for name in StrategyRegistry.available_strategies() if name.startswith("deepspeed")}
    assert names == set(STAGES)
    assert all(StrategyRegistry[name]["strategy"] is ZeroRedundancy for name in names)


@pytest.mark.parametrize("name", [name for name, arguments in STAGES.items() if arguments.get("stage") == 3])
def test_stage_3_is_refused(name):
    with pytest.raises(ConfigError, match="stage 3 of DeepSpeed .* say fsdp2"):
        StrategyRegistry.get(name)


def test_what_flat_slices_cannot_do_is_refused():
    strategy = unjoined()
    assert is_zero(strategy)
    with pytest.raises(ConfigError, match="muon turns whole matrices, DeepSpeed keeps slices; say adamw"):
        check_optimiser(strategy, method="muon", clips_components=False)
    with pytest.raises(ConfigError, match=r"set trainer\.gradient_clip_val"):
        check_optimiser(strategy, method="adamw", clips_components=True)
    check_optimiser(strategy, method="adamw", clips_components=False)
    check_optimiser(DDPStrategy(), method="muon", clips_components=True)


@pytest.mark.parametrize(("precision", "set_too"), [("32-true", {}), ("bf16-mixed", {"torch_autocast": AUTOCAST})])
def test_batches_and_weights_stay_as_they_are(precision, set_too):
    strategy = unjoined()
    strategy.config = {}
    strategy.precision_plugin = DeepSpeedPrecision(precision)
    assert strategy.config == set_too
    module = jobs.module_of()
    batch = jobs.batch_of(module, [0])
    assert isinstance(strategy.precision_plugin, WholeBatches)
    assert strategy.precision_plugin.convert_module(module) is module
    assert strategy.precision_plugin.convert_input(batch) is batch


def test_a_precision_that_rounds_weights_is_refused():
    with pytest.raises(ConfigError, match=r"trainer\.precision: bf16-true would round .* say bf16-mixed or 32-true"):
        unjoined().precision_plugin = DeepSpeedPrecision("bf16-true")


def test_processors_alone_are_refused():
    strategy = unjoined()
    strategy._accelerator = None
    with pytest.raises(ConfigError, match="DeepSpeed runs on NVIDIA GPUs only; without one, say fsdp2 or ddp"):
        strategy.setup_environment()


def arrivals(module: ZooModule, clips: list[int]) -> list[str]:
    """Names of trained weights in the order in which their gradients are ready."""
    arrived: list[str] = []
    hooks = [
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: arrived.append(name))
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    ]
    batch = jobs.batch_of(module, clips)
    outputs = module(batch)
    sum(head.loss(outputs, batch)["loss"] for head in module.heads.values()).backward()
    for hook in hooks:
        hook.remove()
    module.zero_grad()
    return arrived


def test_gradients_come_in_one_order_whatever_a_batch_holds(monkeypatch):
    """DeepSpeed sums the first gradient of one process with the first of the other, whichever weights they are of."""
    module = jobs.module_of()
    module.configure_model()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with_frames = arrivals(module, [0, 1])
    assert sorted(with_frames) == sorted(name for name, p in module.named_parameters() if p.requires_grad)
    assert arrivals(module, [3]) == with_frames  # text only
    assert arrivals(module, [4]) == with_frames


@pytest.fixture(scope="module")
def zero(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("zero")
    exact = (zero_jobs.ddp_unclipped, zero_jobs.zero_steps, zero_jobs.zero_resume)
    processes.run((*exact, zero_jobs.ddp_mixed, zero_jobs.zero_mixed), folder)
    return folder


@needs_deepspeed
@pytest.mark.slow
def test_slices_of_optimiser_states_take_five_steps_as_ddp_does(zero):
    expected = processes.result(zero_jobs.ddp_unclipped, zero)
    for job in (zero_jobs.zero_steps, zero_jobs.zero_resume):
        for rank in range(processes.COUNT):
            found = processes.result(job, zero, rank)
            assert found.keys() == expected.keys()
            assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@needs_deepspeed
@pytest.mark.slow
def test_autocast_and_clipping_are_those_of_ddp(zero):
    found, expected = (processes.result(job, zero) for job in (zero_jobs.zero_mixed, zero_jobs.ddp_mixed))
    for name, tensor in expected.items():
        # Norms are summed slice by slice, and bfloat16 lets Adam's quotients of small gradients differ more.
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=5e-4)


@needs_deepspeed
@pytest.mark.slow
def test_its_folder_is_read_as_the_plain_weights_of_one_process(zero):
    assert is_sharded(zero / "zero.ckpt")
    saved = read_sharded(zero / "zero.ckpt")
    assert saved["global_step"] == 2
    jobs.module_of().load_state_dict(saved["state_dict"], strict=True)
