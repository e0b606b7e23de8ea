"""A folder with the processor files of a Molmo2, small and made here, and transformers' own processor over it."""

from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast
from transformers.models.molmo2 import Molmo2ImageProcessor, Molmo2Processor, Molmo2VideoProcessor

from zoo.backbones.tokenizers import FastTokenizer, from_hf, words
from zoo.preprocessing.settings import InputSettings
from zoo.preprocessing.vision_tokens import TOKEN_TEXTS
from zoo.processor import Processor
from zoo.shards.sampling import FrameSampling

END = "<|im_end|>"

CHAT_TEMPLATE = """
{%- set shown = namespace(images=0, videos=0) -%}
{%- for message in messages if message.content is not string -%}
  {%- for part in message.content -%}
    {%- if part.type == 'image' -%}{%- set shown.images = shown.images + 1 -%}{%- endif -%}
    {%- if part.type == 'video' -%}{%- set shown.videos = shown.videos + 1 -%}{%- endif -%}
  {%- endfor -%}
{%- endfor -%}
{%- for number in range(shown.images) -%}
  {{- ('Image ' ~ (number + 1) if shown.images > 1 else '') ~ '<|image|>' -}}
{%- endfor -%}
{{- '<|video|>' * shown.videos -}}
{%- for message in messages -%}
  {%- set said = namespace(text=message.content if message.content is string else '') -%}
  {%- if message.content is not string -%}
    {%- for part in message.content if part.type == 'text' -%}{%- set said.text = part.text -%}{%- endfor -%}
  {%- endif -%}
  {%- if message.role == 'user' -%}
    {{- ('' if loop.first else '<|im_end|>\\n') ~ '<|im_start|>user\\n' ~ said.text ~ '<|im_end|>\\n' -}}
  {%- else -%}
    {{- '<|im_start|>assistant\\n' ~ said.text -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
"""Turns and placeholders as released templates order them."""


@cache
def vocabulary() -> PreTrainedTokenizerFast:
    """The zoo's own words with Molmo2's extra tokens behind them, which begin with the end token."""
    tokenizer = words().tokenizer
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in TOKEN_TEXTS.values()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=END, chat_template=CHAT_TEMPLATE
    )


def theirs(
    *, crop_px: int = 378, max_crops: int = 8, margins: tuple[int, int] = (4, 4), **marks: Any
) -> Molmo2Processor:
    """The processor of transformers."""
    size = {"height": crop_px, "width": crop_px}
    # Released video settings rescale and normalise; the class alone does not.
    steps = {"do_rescale": True, "do_normalize": True, "do_resize": True, "do_convert_rgb": True}
    return Molmo2Processor(
        Molmo2ImageProcessor(size=size, max_crops=max_crops, overlap_margins=list(margins)),
        Molmo2VideoProcessor(size=size, **steps),
        vocabulary(),
        chat_template=CHAT_TEMPLATE,
        **{"use_single_crop_col_tokens": False} | marks,
    )


@cache
def own_tokenizer(folder: Path) -> FastTokenizer:
    """The zoo's tokenizer over the same files."""
    vocabulary().save_pretrained(folder)
    return from_hf(str(folder))


def ours(tokenizer: FastTokenizer, *, crop_px: int = 378, **settings: Any) -> Processor:
    """The zoo's processor with Molmo2's sizes."""
    return Processor(
        tokenizer=tokenizer,
        renderers=(),
        labellers=(),
        vocab_size=tokenizer.vocab_size,
        image_size=(crop_px, crop_px),
        grid=(crop_px // 14, crop_px // 14),
        image_window=(2, 2),
        video_window=(3, 3),
        sampling=FrameSampling(max_frames=384),
        inputs=InputSettings(**{"max_crops": 8} | settings),
    )
