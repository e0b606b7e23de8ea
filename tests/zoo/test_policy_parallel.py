"""Two processes on the CPU train a policy as one does; see `policy_parallel_jobs` for what they are asked."""

from pathlib import Path

import policy_parallel_jobs as jobs
import processes
import pytest
import torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    processes.run((jobs.ddp_policy_gradients, jobs.ddp_policy_steps, jobs.fsdp_policy_steps), folder)
    return folder


def assert_same(found: dict, expected: dict, *, atol: float) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(
            found[name], tensor, rtol=1e-4, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_two_processes_give_the_gradients_and_the_loss_of_one(folder, tmp_path):
    alone = jobs.gradients_of(tmp_path, [0, 1, 2])
    assert alone["gradients"].keys() == {n for n, p in jobs.module_of().named_parameters() if p.requires_grad}
    for rank in range(processes.COUNT):
        together = processes.result(jobs.ddp_policy_gradients, folder, rank)
        assert_same(together["gradients"], alone["gradients"], atol=1e-6)
        assert together["losses"] == pytest.approx(alone["losses"], rel=1e-5)


def test_slices_train_and_score_as_whole_weights_do(folder):
    whole = processes.result(jobs.ddp_policy_steps, folder)
    sliced = processes.result(jobs.fsdp_policy_steps, folder)
    assert_same(sliced["weights"], whole["weights"], atol=1e-5)
    assert sliced["scores"] == pytest.approx(whole["scores"], rel=1e-4, abs=1e-6)
    assert {"val/loss", "val/f1_weighted"} <= set(whole["scores"])


@pytest.mark.render
def test_one_process_scores_the_policy_and_the_other_waits_for_it(tmp_path):
    processes.run((jobs.ddp_policy_in_the_simulator,), tmp_path)
    found = processes.result(jobs.ddp_policy_in_the_simulator, tmp_path)
    assert [file.split("/")[-2] for file in found] == ["step_0000001", "step_0000002"]
