"""The part of Ray's documented interface that the executor uses, with one thread a task; put into `sys.modules`.

Documented: `ray.init`, `ray.is_initialized`, `ray.shutdown`, `ray.remote(**options)(function).remote(*arguments)`,
`ray.wait(references, num_returns, timeout)`, `ray.get`, `ray.cancel(reference, force)`,
`ray.exceptions.WorkerCrashedError`.
"""

import types
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait


class WorkerCrashedError(Exception):
    """As Ray's: the worker died while it ran the task."""


class FakeRay(types.ModuleType):
    """One for each test."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = types.SimpleNamespace(WorkerCrashedError=WorkerCrashedError)
        self.options: list[dict] = []
        self.cancelled: list[Future] = []
        self.crashes = 0  # tasks that are to crash
        self._pool: ThreadPoolExecutor | None = None

    def is_initialized(self) -> bool:
        return self._pool is not None

    def init(self) -> None:
        assert self._pool is None
        self._pool = ThreadPoolExecutor(8)

    def shutdown(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def remote(self, **options):
        self.options.append(options)

        def decorate(function):
            def submit(*arguments):
                if self.crashes:
                    self.crashes -= 1
                    return self._pool.submit(_crash)
                return self._pool.submit(function, *arguments)

            return types.SimpleNamespace(remote=submit)

        return decorate

    def wait(self, references, *, num_returns, timeout):
        assert num_returns <= len(references)
        done = [one for one in references if one in wait(references, timeout, FIRST_COMPLETED).done][:num_returns]
        return done, [one for one in references if one not in done]

    def get(self, reference):
        return reference.result()

    def cancel(self, reference, *, force):
        assert force
        self.cancelled.append(reference)


def _crash() -> None:
    raise WorkerCrashedError("the worker died unexpectedly while executing this task")
