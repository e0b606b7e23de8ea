"""A benchmark of vla-eval that shares nothing with ours: two tasks, four steps, pictures and a state."""

import numpy as np
from vla_eval.benchmarks.base import StepBenchmark, StepResult


class Counting(StepBenchmark):
    """Success is an action that repeats the state."""

    def get_tasks(self):
        return [{"name": "count", "suite": "numbers"}, {"name": "count again", "suite": "numbers"}]

    def reset(self, task):
        self.count, self.repeated = 0, True
        return np.zeros(3, np.float32)

    def step(self, action):
        actions = np.asarray(action["actions"])
        assert actions.shape == (3,)  # most benchmarks know nothing of chunks
        self.repeated &= bool((actions == self.count).all())
        self.count += 1
        return StepResult(np.full(3, self.count, np.float32), 0.0, self.count == 4, {})

    def make_obs(self, raw_obs, task):
        picture = np.full((8, 8, 3), self.count, np.uint8)
        return {"images": {"front": picture}, "task_description": task["name"], "states": raw_obs}

    def get_step_result(self, step_result):
        return {"success": self.repeated}

    def get_metadata(self):
        return {"max_steps": 10}
