"""What the machine offers: pictures off screen, video, accelerators, memory for workers, a place to write."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoo.doctor.findings import TORCH, Finding, fail, late, ok, run_probe, unanswered, warn

GIB = 2**30
LEAST_DISK = 5 * GIB  # a data set of 6,000 clips and a few runs
LEAST_SHARED = GIB  # loader workers hand batches over through it; two batches a worker wait there
SHARED_MEMORY = Path("/dev/shm")
FLEX_TOLERANCE = 0.1  # bfloat16 rounds values of about 3 by 0.01
OTHER_BACKENDS = ("egl", "osmesa")
PACKAGES = {"egl": "libegl1 libgl1-mesa-dri", "osmesa": "libosmesa6"}


def check_graphics() -> Iterator[Finding]:
    """MuJoCo draws a picture off screen; where it does not, other GL libraries are tried."""
    probed = run_probe("graphics")
    if probed.answer is not None and not probed.answer["error"]:
        yield ok("graphics", f"MuJoCo draws off screen with {probed.answer['backend']}")
        return
    if probed.is_late:
        yield late("graphics", probed)
        return
    fault = probed.fault or probed.answer["error"]
    asked = os.environ.get("MUJOCO_GL", "").lower()
    for backend in OTHER_BACKENDS:
        other = run_probe("graphics", variables={"MUJOCO_GL": backend}) if backend != asked else None
        if other is not None and other.answer is not None and not other.answer["error"]:
            yield fail("graphics", f"no picture ({fault}), but {backend} draws", fix=f"export MUJOCO_GL={backend}")
            return
    fixes = [f"apt-get install {packages}, then export MUJOCO_GL={name}" for name, packages in PACKAGES.items()]
    yield fail("graphics", f"MuJoCo draws nothing: {fault}", fix=f"on Debian or Ubuntu: {'; or '.join(fixes)}")


def check_video() -> Iterator[Finding]:
    """PyAV writes and reads H.264."""
    probed = run_probe("video")
    fault = probed.fault if probed.answer is None else probed.answer["error"]
    if fault:
        fix = "pip install --force-reinstall --only-binary=av av"
        yield unanswered("video", probed, f"H.264 with PyAV: {fault}", fix=fix)
    else:
        yield ok("video", "PyAV writes and reads H.264")


def check_accelerators() -> Iterator[Finding]:
    """A GPU, where there is one, is one that torch can use, in bfloat16 and with flex attention."""
    probed = run_probe("accelerator")
    seen = probed.answer
    if seen is None:
        yield unanswered("accelerators", probed, f"torch does not say what it can use: {probed.fault}", fix=TORCH)
    elif seen["devices"]:
        yield ok("accelerators", f"CUDA {seen['cuda_build']}: {', '.join(seen['devices'])}")
        yield _check_gpu(is_bf16=seen["bf16"])
    elif seen["mps"]:
        yield ok("accelerators", "Apple's GPU (MPS); attention runs as on a CPU")
    elif has_nvidia_driver():
        build = f"for CUDA {seen['cuda_build']}" if seen["cuda_build"] else "for CPUs only"
        text = f"there is an NVIDIA driver, but torch {seen['version']}, built {build}, sees no GPU"
        yield warn(
            "accelerators", text, fix=f"look at nvidia-smi; a build of torch that fits its CUDA version: {TORCH}"
        )
    elif not seen["cpu_bf16"]:
        text = "no GPU, and a CPU without bfloat16, which recipes train in: several times slower than float32"
        yield warn("accelerators", text, fix="add --trainer.precision=32-true")
    else:
        threads = f"{seen['threads']} threads here"
        yield ok("accelerators", f"no GPU; the tiny recipes are made for CPUs ({threads})")


def has_nvidia_driver() -> bool:
    """Whether the machine looks as if it had an NVIDIA GPU."""
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()


def _check_gpu(*, is_bf16: bool) -> Finding:
    if not is_bf16:
        fix = "add --trainer.precision=16-mixed or 32-true"
        return warn("accelerators", "the GPU has no bfloat16, which recipes train in", fix=fix)
    probed = run_probe("flex")
    if probed.is_late:
        return late("accelerators", probed)
    if probed.answer is None:
        fix = f"apt-get install gcc python3-dev; or {TORCH}"
        return warn("accelerators", f"flex attention does not compile: {probed.fault}", fix=fix)
    if probed.answer["error"] > FLEX_TOLERANCE:
        return warn("accelerators", f"flex attention is off by {probed.answer['error']:.2f}", fix=TORCH)
    return ok("accelerators", "bfloat16 and flex attention run")


def check_plugins() -> Iterator[Finding]:
    """Components of other packages import."""
    probed = run_probe("plugins")
    if probed.answer is None:
        fix = "zoo list names the packages at fault; pip uninstall one of them"
        yield unanswered("plugins", probed, f"the registry cannot be read: {probed.fault}", fix=fix)
        return
    for origin, names in probed.answer["loaded"].items():
        yield ok("plugins", f"{origin}: {', '.join(names)}")
    for origin, faults in probed.answer["failed"].items():
        fix = f"mend it, or pip uninstall {origin}"
        yield warn("plugins", f"{origin} does not load: {'; '.join(faults)}", fix=fix)
    if not probed.answer["loaded"] and not probed.answer["failed"]:
        yield ok("plugins", "no other package offers components")


def check_memory() -> Iterator[Finding]:
    """Shared memory through which loader workers hand over batches."""
    if not SHARED_MEMORY.is_dir():
        yield ok("memory", f"no {SHARED_MEMORY}; loader workers use files")
        return
    free = shutil.disk_usage(SHARED_MEMORY).free
    text = f"{free / GIB:.1f} GiB of shared memory for loader workers, {os.cpu_count()} cores"
    if free < LEAST_SHARED:
        yield warn("memory", text, fix="docker run --shm-size=8g ..., or add --data.num_workers=0")
    else:
        yield ok("memory", text)


def check_run_folder(folder: Path) -> Iterator[Finding]:
    """Runs can be written, and there is room for them."""
    fix = "add --trainer.default_root_dir=FOLDER with another folder"
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x")
    except OSError as error:
        yield fail("run-folder", f"{folder}: cannot write in {there}: {error.strerror}", fix=fix)
        return
    free = shutil.disk_usage(there).free
    text = f"{folder} can be written, {free / GIB:.0f} GiB are free"
    if free < LEAST_DISK:
        yield warn("run-folder", text, fix=f"free some space, or {fix}")
    else:
        yield ok("run-folder", text)
