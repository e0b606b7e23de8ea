"""Two processes on the CPU do what one does; see `parallel_jobs` for what they are asked."""

import math
import re
from pathlib import Path

import parallel_jobs as jobs
import processes
import pytest
import torch

from zoo.checkpoints.sharded import is_sharded, read_sharded

REORDERED = {"rtol": 1e-5, "atol": 1e-6}
"""Float32 sums over the same samples, in the order that two processes have."""

FIVE_STEPS = {"rtol": 0.0, "atol": 1e-4}
"""Adam divides by the root of a gradient's square, which makes much of differences in small gradients."""


@pytest.fixture(scope="module")
def ddp(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ddp")
    processes.run((jobs.ddp_gradients, jobs.ddp_text_only, jobs.ddp_scores), folder)
    return folder


@pytest.fixture(scope="module")
def fsdp(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fsdp")
    mistakes = (jobs.fsdp_muon, jobs.fsdp_without_weights, jobs.tensor_parallel)
    processes.run((jobs.ddp_steps, jobs.fsdp_steps, jobs.fsdp_resume, *mistakes), folder)
    return folder


@pytest.fixture(scope="module")
def more(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("more")
    processes.run((jobs.ddp_lora, jobs.fsdp_lora, jobs.fsdp_lora_resume, jobs.fsdp_plain_file, jobs.ddp_steps), folder)
    return folder


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], **tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(("job", "clips"), [(jobs.ddp_gradients, [0, 1, 2]), (jobs.ddp_text_only, [0, 3])])
def test_two_processes_give_the_gradients_and_the_loss_of_one(job, clips, ddp, tmp_path):
    alone = jobs.gradients_of(tmp_path, clips)
    trained = {name for name, parameter in jobs.module_of().named_parameters() if parameter.requires_grad}
    assert alone["gradients"].keys() == trained
    for rank in range(processes.COUNT):
        together = processes.result(job, ddp, rank)
        assert_same(together["gradients"], alone["gradients"], **REORDERED)
        assert together["losses"] == pytest.approx(alone["losses"], rel=1e-5)


def test_two_processes_with_unlike_numbers_of_batches_give_the_scores_of_one(ddp, tmp_path):
    alone = jobs.scores_of(tmp_path, [[0, 1], [2], [4, 3]])
    for rank in range(processes.COUNT):
        together = processes.result(jobs.ddp_scores, ddp, rank)
        for stage in ("fit", "test"):
            # One step of training differs in its batch size.
            expected = {name: value for name, value in alone[stage].items() if not name.startswith("train/")}
            found = {name: value for name, value in together[stage].items() if not name.startswith("train/")}
            assert found.keys() == expected.keys()
            assert found == pytest.approx(expected, rel=1e-5)
    assert not any(math.isnan(value) for value in together["test"].values())


def test_slices_take_five_steps_as_whole_copies_do(fsdp):
    expected = processes.result(jobs.ddp_steps, fsdp)
    began = dict(jobs.module_of().named_parameters())
    moved = max((expected[name] - began[name]).abs().max().item() for name in began)
    assert moved > 10 * FIVE_STEPS["atol"]
    for rank in range(processes.COUNT):  # the second one built without weights
        assert_same(processes.result(jobs.fsdp_steps, fsdp, rank), expected, **FIVE_STEPS)


def test_a_sharded_run_goes_on_from_its_slices_exactly(fsdp):
    assert is_sharded(fsdp / "two.ckpt")
    through, resumed = (processes.result(job, fsdp) for job in (jobs.fsdp_steps, jobs.fsdp_resume))
    assert_same(resumed, through, rtol=0.0, atol=0.0)


def test_slices_are_read_as_the_plain_weights_of_one_process(fsdp):
    saved = read_sharded(fsdp / "two.ckpt")
    assert saved["global_step"] == 2
    module, through = jobs.module_of(), processes.result(jobs.fsdp_steps, fsdp)
    began = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    module.load_state_dict(saved["state_dict"], strict=True)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and not torch.equal(through[name], began[name]):
            assert not torch.equal(parameter, began[name]), name
    assert_same(dict(module.named_parameters()), {name: through[name] for name in began}, rtol=0.0, atol=0.05)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (jobs.fsdp_muon, "muon turns whole matrices, fsdp2 keeps slices; say adamw"),
        (jobs.fsdp_without_weights, "the first process has no weights to hand out"),
        (jobs.tensor_parallel, "2 tensor-parallel processes, .* say trainer.strategy: fsdp2"),
    ],
)
def test_what_cannot_be_sharded_ends_every_process_with_a_sentence(job, message, fsdp):
    for rank in range(processes.COUNT):
        (sentence,) = processes.result(job, fsdp, rank)
        assert re.search(message, sentence)


@pytest.mark.slow
def test_adapters_are_sharded_saved_and_resumed_too(more):
    expected = processes.result(jobs.ddp_lora, more)
    assert_same(processes.result(jobs.fsdp_lora, more), expected, **FIVE_STEPS)
    assert_same(
        processes.result(jobs.fsdp_lora_resume, more), processes.result(jobs.fsdp_lora, more), rtol=0.0, atol=0.0
    )
    saved = read_sharded(more / "adapted.ckpt")["state_dict"]
    module = jobs.adapted()
    module.configure_model()
    assert saved.keys() == module.state_dict().keys() < dict(module.named_parameters(remove_duplicate=False)).keys()


@pytest.mark.slow
def test_one_plain_file_is_what_one_process_goes_on_from(more, tmp_path):
    assert_same(processes.result(jobs.fsdp_plain_file, more), processes.result(jobs.ddp_steps, more), **FIVE_STEPS)
    module = jobs.module_of()
    run = jobs.trainer_of(tmp_path, max_steps=3)
    run.fit(module, jobs.loader([jobs.batch_of(module, [0])] * 5), ckpt_path=more / "one.ckpt", weights_only=True)
    assert run.global_step == 3
