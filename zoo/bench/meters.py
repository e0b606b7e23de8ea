"""What a pass costs beside time: floating-point operations and bytes, both counted while it runs.

Source: torch's FLOP counter. Differs: it is taught the attention kernels of CPUs, which it takes for nothing, and
attention is executed by segments while it counts, because no counter can look into a compiled kernel.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from zoo.attention import executing


def _attention_flops(query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any) -> int:
    """Two products for every pair of a query and a key; causal kernels are charged for the whole square, as torch's
    own formulas do it.
    """
    *outer, queries, head_dim = query
    return 2 * torch.Size(outer).numel() * queries * key[-2] * (head_dim + value[-1])


def _attention_backward_flops(
    _: torch.Size, query: torch.Size, key: torch.Size, value: torch.Size, *__: Any, **___: Any
) -> int:
    """Five products: the weights again, and the gradients of weights, queries, keys and values."""
    *outer, queries, head_dim = query
    return 2 * torch.Size(outer).numel() * queries * key[-2] * (3 * head_dim + 2 * value[-1])


CPU_KERNELS = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,  # noqa: SLF001 - an operator's name
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,  # noqa: SLF001
}
"""Operations of the fused attention of CPUs."""


class Meter(TorchDispatchMode):
    """Counts what runs within it: matrix products, convolutions and attention, and the bytes of living tensors.

    What is computed again in a backward pass counts again. The memory of a process would also tell what its allocator
    keeps; scratch space within a kernel is not seen.

    Args:
        held: Tensors that are there from the beginning.
    """

    def __init__(self, held: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.flops = self.live_bytes = self.peak_bytes = 0
        # Only its formulas: entered, it hooks modules, and the hooks keep activations alive (1.6 times the peak).
        self._formulas = FlopCounterMode(display=False, custom_mapping=CPU_KERNELS).flop_registry
        self._known: set[int] = set()
        for tensor in held:
            self._see(tensor)

    def __enter__(self) -> Meter:
        self._around = ExitStack()
        self._around.enter_context(executing("segments"))
        # In this thread: what a GPU's backward thread computes again would be executed there in another way.
        self._around.enter_context(torch.autograd.set_multithreading_enabled(False))
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._around.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = self._formulas.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._see(leaf)
        return out

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()  # the same object as long as its memory is in use
        if id(storage) in self._known:
            return
        self._known.add(id(storage))
        self.live_bytes += storage.nbytes()
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        weakref.finalize(storage, self._forget, id(storage), storage.nbytes()).atexit = False

    def _forget(self, known: int, size: int) -> None:
        self._known.discard(known)
        self.live_bytes -= size


def synchronised(device: torch.device) -> float:
    """The time in seconds, once the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class StageClock:
    """Seconds that modules take, read off their calls from outside.

    Args:
        stages: By name.
        device: That they run on.
    """

    def __init__(self, stages: dict[str, nn.Module], device: torch.device) -> None:
        self.seconds = dict.fromkeys(stages, 0.0)
        self._begin = dict.fromkeys(stages, 0.0)
        self._device = device
        self._stages = stages
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> StageClock:
        for name, module in self._stages.items():
            self._hooks.append(module.register_forward_pre_hook(self._starter(name)))
            self._hooks.append(module.register_forward_hook(self._stopper(name)))
        return self

    def __exit__(self, *_: object) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def _starter(self, name: str) -> Callable[..., None]:
        def start(*_: object) -> None:
            self._begin[name] = synchronised(self._device)

        return start

    def _stopper(self, name: str) -> Callable[..., None]:
        def stop(*_: object) -> None:
            self.seconds[name] += synchronised(self._device) - self._begin[name]

        return stop
