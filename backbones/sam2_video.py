"""SAM 2 as a segmenter: points prompt it, and it follows each object forwards and backwards through the clip.

Source: Ravi et al. 2024; transformers' Sam2VideoModel. Differs: objects are followed one after the other, because there
all of them need a prompt in the first frame; they do not influence each other in SAM 2 either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import AutoConfig, Sam2VideoInferenceSession, Sam2VideoModel, Sam2VideoProcessor

from zoo.errors import ConfigError
from zoo.hub import local_folder
from zoo.points import Point
from zoo.segmenter import Clip, Segmenter, prompts_by_object
from zoo.weights import weight_files

MODEL_TYPE = "sam2_video"


def from_hf(name: str, *, device: str = "cpu", dtype: str = "float32", cached_frames: int = 32) -> Sam2VideoSegmenter:
    """A SAM 2 of a folder or hub id.

    Args:
        name: A local folder in transformers' layout, or a hub id such as facebook/sam2.1-hiera-large.
        device: Where it runs, such as cuda.
        dtype: Of weights and frames, such as bfloat16.
        cached_frames: Frames whose features are kept while objects take turns; 16 MB each in float32 at 1024 pixels.
    """
    return Sam2VideoSegmenter(checkpoint=name, device=device, dtype=dtype, cached_frames=cached_frames)


class Sam2VideoSegmenter(Segmenter):
    """SAM 2 for video. Weights are read with the first clip and stay; a pickled copy reads them again.

    Args:
        checkpoint: A local folder in transformers' layout, or a hub id.
        device: Where it runs, such as cuda.
        dtype: Of weights and frames, such as bfloat16.
        cached_frames: Frames whose features are kept while objects take turns; 16 MB each in float32 at 1024 pixels.
    Raises:
        ConfigError: no such dtype.
    """

    example_args: ClassVar = {"checkpoint": "facebook/sam2.1-hiera-tiny"}

    def __init__(
        self,
        *,
        checkpoint: str = "facebook/sam2.1-hiera-tiny",
        device: str = "cpu",
        dtype: str = "float32",
        cached_frames: int = 32,
    ) -> None:
        if not isinstance(getattr(torch, dtype, None), torch.dtype):
            raise ConfigError(f"sam2-video: no dtype {dtype!r}; float32, bfloat16 and float16 are some")
        self.checkpoint, self.device, self.dtype, self.cached_frames = checkpoint, device, dtype, cached_frames
        self._loaded: tuple[Sam2VideoModel, Sam2VideoProcessor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_loaded": None}

    def load(self) -> tuple[Sam2VideoModel, Sam2VideoProcessor]:
        """Model and processor, read once.

        Raises:
            ConfigError: no such folder or reachable hub id, or it holds something else than a SAM 2 in safetensors.
        """
        if self._loaded is None:
            folder = local_folder(self.checkpoint)
            config = AutoConfig.from_pretrained(folder)
            if config.model_type != MODEL_TYPE:
                raise ConfigError(f"sam2-video: {self.checkpoint} is a {config.model_type!r} model, not {MODEL_TYPE!r}")
            weight_files(folder)  # transformers would read a pickle where there are no safetensors
            model = Sam2VideoModel.from_pretrained(folder, dtype=getattr(torch, self.dtype), use_safetensors=True)
            processor = Sam2VideoProcessor.from_pretrained(folder)
            self._loaded = model.eval().to(self.device), processor
        return self._loaded

    @torch.inference_mode()
    def segment(self, clip: Clip, prompts: Sequence[Point]) -> dict[int, np.ndarray]:
        grouped = prompts_by_object(clip, prompts)
        if not grouped:
            return {}
        _, processor = self.load()
        session = processor.init_video_session(
            video=torch.from_numpy(clip.frames).permute(0, 3, 1, 2),
            inference_device=self.device,
            max_vision_features_cache_size=self.cached_frames,
            dtype=getattr(torch, self.dtype),
        )
        segmented = {}
        for object_id, by_frame in grouped.items():
            session.reset_tracking_data()
            segmented[object_id] = self._follow(session, by_frame, clip.frames.shape[:3])
        return segmented

    def _follow(
        self, session: Sam2VideoInferenceSession, by_frame: dict[int, list[Point]], shape: tuple[int, int, int]
    ) -> np.ndarray:
        """One object's masks from its points."""
        model, processor = self.load()
        for frame, points in by_frame.items():
            processor.add_inputs_to_inference_session(
                inference_session=session,
                frame_idx=frame,
                obj_ids=[0],
                input_points=[[[[point.x_px, point.y_px] for point in points]]],
                input_labels=[[[1] * len(points)]],
            )
            model(inference_session=session, frame_idx=frame)
        masks = np.zeros(shape, bool)
        first = min(by_frame)
        for reverse in (False, True):
            for output in model.propagate_in_video_iterator(session, start_frame_idx=first, reverse=reverse):
                (mask,) = processor.post_process_masks([output.pred_masks.float()], original_sizes=[shape[1:]])
                masks[output.frame_idx] = mask[0, 0].cpu().numpy()
        return masks
