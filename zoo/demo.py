"""`zoo demo`: a page in the browser on which a checkpoint is asked about a video or images.

Gradio draws the page, `zoo.ask` answers. Nothing leaves the machine: telemetry and public links are off, and browsers
are told to load from this server alone.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from html import escape
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from zoo.ask import VIDEO_HEIGHT_PX, Answer, answer, heads_that_answer, load, newest_run_or_bundled, seen_frames
from zoo.ask import write_video as write_mp4
from zoo.errors import ConfigError, ZooError
from zoo.libraries import optional
from zoo.module import ZooModule
from zoo.shards.decode import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from gradio import Blocks

logger = logging.getLogger(__name__)

BY_QUESTION = "as the question begins"
"""Choice of no head by name."""

KEPT_S = 3600
"""How long uploads and pictures are kept; all of them go when the server ends."""

GRACE_S = 1
"""How long an open page may hold up the end of the server."""

OWN_HOST_ONLY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'"
"""Policy of every answer: what Gradio would fetch from elsewhere is not fetched."""

STYLE = """
.gradio-container {max-width: 1280px !important}
#media .grid-wrap, #frames .grid-wrap {padding-top: 2.6rem; min-height: 0}
#media .grid-wrap {overflow-y: auto}
#frames .grid-wrap {max-height: none; height: auto; overflow: visible}
#frames .thumbnail-lg {aspect-ratio: auto}
"""
"""Pictures stand below the label of their box, in their own shape."""


class Shown(NamedTuple):
    """What the page shows of an answer.

    Args:
        text: The answer, and below it what of it could not be read.
        frames: Pictures with points on them, and their times.
        video: An mp4 with the points, where there are any in a video.
        rows: Of each point the time or the image's number, its object, x and y in pixels of the source.
        told: The answer as `zoo ask --json` prints it.
    """

    text: str
    frames: list[tuple[Image.Image, str]]
    video: Path | None
    rows: list[list[float]]
    told: dict[str, Any]


def shown(answered: Answer, folder: Path) -> Shown:
    """What the page shows of an answer; its video is written into the folder."""
    clip, points, is_video = answered.clip, answered.said.points, answered.canvas.is_video
    keys = answered.canvas.keys
    captions = [f"{key:.1f} s" if is_video else f"Image {key:g}" if len(keys) > 1 else "" for key in keys]
    pictures = seen_frames(clip, answered.layout, points, height_px=VIDEO_HEIGHT_PX)
    video = None
    if answered.has_video:
        handle, name = mkstemp(suffix=".mp4", dir=folder)
        with open(handle, "wb"):
            video = Path(name)
        write_mp4(video, clip, points)
    return Shown(
        text="\n".join(filter(None, [answered.text, answered.left_out()])),
        frames=list(zip(pictures, captions, strict=True)),
        video=video,
        rows=[[round(p.key, 2), p.object_id, round(p.x_px, 1), round(p.y_px, 1)] for p in points],
        told=answered.told(),
    )


def sentence(error: ZooError, media: Sequence[Path]) -> str:
    """What a page says about a mistake, as HTML; files are called as they were before they were uploaded."""
    text = str(error)
    for path in media:
        text = text.replace(str(path), path.name)
    return escape(text)


def build_page(gradio: ModuleType, module: ZooModule, *, name: str, folder: Path) -> Blocks:
    """The page.

    Args:
        gradio: The package.
        module: Who answers.
        name: What the page calls it.
        folder: Where videos are written.
    """
    heads = list(heads_that_answer(module))
    most, images = module.processor.asked_sampling.max_frames, module.processor.inputs.eval_max_images

    def respond(
        uploaded: list[tuple[str, str | None]] | None, question: str, head: str, constrained: bool
    ) -> tuple[Any, ...]:
        media = [Path(path) for path, _ in uploaded or ()]
        chosen = None if head == BY_QUESTION else head
        try:
            answered = answer(module, question, media, head=chosen, constrained=constrained)
            result = shown(answered, folder)
        except ZooError as error:
            raise gradio.Error(sentence(error, media), print_exception=False) from error
        table = gradio.Dataframe(result.rows, headers=headers(answered), visible=bool(result.rows))
        video = gradio.Video(result.video, visible=result.video is not None)
        return result.text, result.frames, video, table, result.told

    with gradio.Blocks(title="zoo demo", analytics_enabled=False, delete_cache=(KEPT_S, KEPT_S)) as page:
        gradio.Markdown(
            f"# Ask {escape(Path(name).name)}\nIt looks at up to {most} frames of a video, or {images} images."
        )
        with gradio.Row():
            with gradio.Column(scale=2, min_width=320):
                media = gradio.Gallery(
                    label="A video, or images",
                    file_types=[*(f".{suffix}" for suffix in IMAGE_SUFFIXES), "video"],
                    sources=["upload"],
                    interactive=True,
                    height=290,
                    columns=2,
                    fit_columns=False,
                    object_fit="contain",
                    elem_id="media",
                )
                question = gradio.Textbox(
                    label="Question",
                    placeholder="Point to the cubes.",
                    info="Such as: What colour is the cube?  Count the cubes.  Track the red object.",
                    elem_id="question",
                )
                head = gradio.Dropdown([BY_QUESTION, *heads], value=BY_QUESTION, label="Head that answers")
                constrained = gradio.Checkbox(
                    label="Constrained",
                    info="Answers of points and numbers can always be read",
                    elem_id="constrained",
                )
                button = gradio.Button("Ask", variant="primary", elem_id="ask")
            with gradio.Column(scale=3, min_width=320):
                text = gradio.Textbox(
                    label="Answer", interactive=False, max_lines=6, buttons=["copy"], elem_id="answer"
                )
                frames = gradio.Gallery(
                    label="Frames that were looked at",
                    format="png",
                    interactive=False,
                    columns=4,
                    buttons=["fullscreen", "download"],
                    elem_id="frames",
                )
                with gradio.Row():
                    video = gradio.Video(
                        label="Points in motion", visible=False, height=340, loop=True, autoplay=True, elem_id="video"
                    )
                    table = gradio.Dataframe(
                        label="Points", interactive=False, visible=False, max_height=340, elem_id="points"
                    )
                with gradio.Accordion("JSON", open=False):
                    told = gradio.JSON(show_label=False, elem_id="json")
        gradio.on(
            [button.click, question.submit],
            respond,
            inputs=[media, question, head, constrained],
            outputs=[text, frames, video, table, told],
            show_progress_on=text,
            concurrency_limit=1,
            api_visibility="private",
        )
    return page.queue(api_open=False)


def headers(answered: Answer) -> list[str]:
    """Of the table of points."""
    return ["time (s)" if answered.canvas.is_video else "image", "object", "x (px)", "y (px)"]


class OwnHostOnly:
    """An ASGI application whose answers tell browsers to fetch nothing from another host.

    Args:
        application: Whose answers they are.
    """

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self.application = application

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        async def send_with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", OWN_HOST_ONLY)]
            await send(message)

        await self.application(scope, receive, send_with_policy)


def build_application(gradio: ModuleType, page: Blocks) -> OwnHostOnly:
    """The page as an ASGI application with nothing of Gradio's that reaches out."""
    from fastapi import FastAPI

    system = [gradio.themes.Font("system-ui"), gradio.themes.Font("sans-serif")]
    mono = [gradio.themes.Font("ui-monospace"), gradio.themes.Font("monospace")]
    no_docs = {"docs_url": None, "redoc_url": None, "openapi_url": None}  # their pages load from elsewhere
    application = gradio.mount_gradio_app(
        FastAPI(**no_docs),
        page,
        path="/",
        app_kwargs=no_docs,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        theme=gradio.themes.Soft(primary_hue="teal", font=system, font_mono=mono),
        css=STYLE,
    )
    return OwnHostOnly(application)


def listen(host: str, port: int) -> socket.socket:
    """A socket that browsers can connect to.

    Raises:
        ConfigError: the address is not this machine's, or the port is taken or none.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason, _, _ = (getattr(error, "strerror", None) or str(error)).partition(" (while attempting")
        raise ConfigError(f"--host {host} --port {port}: {reason}; --port 0 takes any that is free") from error


def address(listener: socket.socket) -> str:
    """What is typed into the browser."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def demo(*, checkpoint: str | None = None, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Ask a checkpoint on a page in the browser: a video or images go in, an answer and the points it names come out.

    Args:
        checkpoint: As for `zoo ask`: a checkpoint folder, the name of a bundled one, a hub id, a .ckpt file or a run
            folder. Left out: the newest run in `runs`, and `molmo2-tiny` where there is none.
        host: Address to listen at. By default this machine alone can reach the page; with another one everybody who
            reaches that address can ask and upload.
        port: Where the page is; 0: any port that is free.

    Raises:
        MissingLibraryError: gradio is not installed.
        ConfigError: no such checkpoint, or a port that is taken.
    """
    gradio = optional("gradio", extra="demo", purpose="show the page")
    uvicorn = optional("uvicorn", extra="demo", purpose="serve the page")
    with listen(host, port) as listener, TemporaryDirectory(prefix="zoo-demo-") as folder:
        name = newest_run_or_bundled() if checkpoint is None else checkpoint
        page = build_page(gradio, load(name), name=name, folder=Path(folder))
        server = uvicorn.Server(
            uvicorn.Config(build_application(gradio, page), log_level="warning", timeout_graceful_shutdown=GRACE_S)
        )
        if not ip_address(listener.getsockname()[0]).is_loopback:
            logger.warning("everybody who reaches %s can ask and upload", host)
        logger.info("%s shows the page; Ctrl-C ends it", address(listener))
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:  # how it is meant to end
            return
