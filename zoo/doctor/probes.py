"""What the doctor tries in processes of their own; run as `python -m zoo.doctor.probes NAME`, which prints JSON."""

import importlib
import json
import platform
import sys
from typing import Any

STACK = ("torch", "torchvision", "lightning", "transformers", "timm", "peft", "zoo.module", "zoo.cli.training")
PICTURE = 64  # px, edge of test pictures
MAX_ERROR = 16.0  # of 255, mean over a test video that went through H.264; measured: 1.5
BALL = f"""
<mujoco>
  <visual><global offwidth="{PICTURE}" offheight="{PICTURE}"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <camera pos="0 -2 0" xyaxes="1 0 0 0 0 1"/>
    <geom type="sphere" size="0.5" rgba="1 0 0 1"/>
  </worldbody>
</mujoco>
"""


def stack() -> dict[str, Any]:
    """Import everything that training needs, in the order in which the parts stand on each other."""
    for module in (
        "torch",
        "torchvision",
        "lightning",
        "transformers",
        "timm",
        "peft",
        "zoo.module",
        "zoo.cli.training",
    ):
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - a broken library may raise anything; its name and words are the finding
            return {"module": module, "error": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
    return {"module": "", "error": ""}


def accelerator() -> dict[str, Any]:
    """What torch sees of accelerators."""
    import torch

    is_cuda = torch.cuda.is_available()
    return {
        "version": torch.__version__,
        "cuda_build": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if is_cuda else [],
        "bf16": torch.cuda.is_bf16_supported(including_emulation=False) if is_cuda else False,
        "cpu_bf16": cpu_computes_bfloat16(),
        "mps": torch.backends.mps.is_available(),
        "threads": torch.get_num_threads(),
    }


def cpu_computes_bfloat16() -> bool:
    """Whether oneDNN computes in bfloat16 on this CPU; torch's own loops, used elsewhere, are several times slower."""
    import torch

    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return not is_x86 or torch.backends.cpu.get_cpu_capability() == "AVX512"


def flex() -> dict[str, Any]:
    """Compile flex attention on the GPU, forward and backward, with a block mask, as packed training uses it."""
    import torch
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    tokens = 256
    query, key, value = (
        torch.randn(1, 2, tokens, 32, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3)
    )
    mask = create_block_mask(lambda b, h, q, k: q >= k, None, None, tokens, tokens, device="cuda")
    answer = torch.compile(flex_attention)(query, key, value, block_mask=mask)
    answer.sum().backward()
    plain = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    return {"error": float((answer - plain).abs().max())}


def graphics() -> dict[str, Any]:
    """Draw a red ball off screen."""
    from zoo.envs.rendering import OffscreenRenderer
    from zoo.envs.simulator import gl_backend, mujoco
    from zoo.errors import ZooError

    try:
        with OffscreenRenderer(width=PICTURE, height=PICTURE) as renderer:
            model = mujoco.MjModel.from_xml_string(BALL)
            data = mujoco.MjData(model)
            mujoco.mj_forward(model, data)
            renderer.bind(model)
            renderer.update(data)
            pixels = renderer.rgb().astype(int)
    except ZooError as error:
        return {"backend": "", "error": str(error)}
    middle, corner = pixels[PICTURE // 2, PICTURE // 2], pixels[0, 0]
    is_drawn = middle[0] > 64 and middle[0] > 2 * middle[1] and abs(middle - corner).max() > 32
    return {
        "backend": gl_backend(),
        "error": "" if is_drawn else f"the ball's colour is {middle.tolist()}, expected red",
    }


def video() -> dict[str, Any]:
    """Write a moving bar as H.264, and read it again."""
    import numpy as np

    from zoo.shards.decode import decode_video
    from zoo.shards.encode import encode_mp4
    from zoo.shards.sampling import FrameSampling

    frames = np.zeros((8, PICTURE, PICTURE, 3), np.uint8)
    for number in range(len(frames)):
        frames[number, :, 8 * number : 8 * number + 8] = 255
    data = encode_mp4(frames, fps=8)
    read = decode_video(data, FrameSampling(max_frames=8, frame_rate=8.0)).frames
    if read.shape != frames.shape:
        return {"error": f"{len(read)} frames of {read.shape[1:]} came back, {len(frames)} were written"}
    mean = float(np.abs(read.astype(int) - frames).mean())
    return {"error": "" if mean < MAX_ERROR else f"the pictures came back wrong by {mean:.0f} of 255"}


def plugins() -> dict[str, Any]:
    """Import every component that another package offers."""
    from zoo import registry
    from zoo.errors import ZooError

    loaded: dict[str, list[str]] = {}
    failed: dict[str, list[str]] = {}
    for kind in registry.kinds():
        for component in registry.components(kind):
            if component.origin == registry.OWN:
                continue
            name = f"{kind} {component.name}"
            try:
                component.load()
            except ZooError as error:
                failed.setdefault(component.origin, []).append(f"{name}: {error.__cause__}")
            else:
                loaded.setdefault(component.origin, []).append(name)
    return {"loaded": loaded, "failed": failed}


PROBES = {probe.__name__: probe for probe in (stack, accelerator, flex, graphics, video, plugins)}


def main() -> None:
    """Print what the probe that is named found."""
    sys.stdout.write(f"\n{json.dumps(PROBES[sys.argv[1]]())}\n")


if __name__ == "__main__":
    main()
