"""`jaxsr demo`: a page in the browser that enlarges pictures on this computer."""

import argparse
import functools
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxsr.cli.upscale_flags import check_megapixels
from jaxsr.errors import InputError, is_out_of_memory

Progress = Callable[[int, int], object]

_SCALES = ("2", "3", "4", "8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `run` takes."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; default: 127.0.0.1, for this computer alone",
    )
    parser.add_argument("--port", type=int, help="default: the first free from 7860")
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=100.0,
        metavar="N",
        help="refuse pictures whose result has more; default: 100",
    )


def run(options: argparse.Namespace) -> int:
    """Serves the page until Ctrl-C."""
    from jaxsr.compilation_cache import keep_compiled_programs
    from jaxsr.cpu import keep_freed_memory, use_every_core

    check_megapixels(options.max_megapixels)
    if options.port is not None and not 1 <= options.port <= 65535:
        raise InputError(f"--port: expected 1 to 65535, got {options.port}")
    keep_freed_memory()
    use_every_core()
    keep_compiled_programs()
    with tempfile.TemporaryDirectory(prefix="jaxsr-demo-") as folder:
        # Read when gradio is imported: nothing is reported or asked for elsewhere, and
        # pictures are gone with the program.
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": folder}
        page, theme = _build_page(Path(folder), options.max_megapixels)
        _, address, _ = page.launch(
            server_name=options.host,
            server_port=options.port,
            share=False,
            quiet=True,
            ssr_mode=False,
            prevent_thread_lock=True,
            max_file_size="256mb",
            footer_links=[],
            theme=theme,
        )
        print(f"{address} (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        finally:
            page.close(verbose=False)
    return 0


def _build_page(folder: Path, max_megapixels: float) -> tuple[Any, Any]:
    """Returns gradio's page and theme; results are written below the folder."""
    try:
        import gradio as gr
        from gradio.themes import Default
    except ImportError:
        raise InputError(
            "the page needs gradio: pip install 'jaxsr-superres[demo]'"
        ) from None
    from jaxsr.weights import zoo

    def answer(upload: str | None, network: str, scale: str, progress=gr.Progress()):  # noqa: B008 (gradio finds it there)
        try:
            if upload is None:
                raise InputError("drop a picture first")
            tell = lambda *tiles: progress(tiles, unit="tiles")  # noqa: E731
            return _enlarge(upload, network, scale, folder, max_megapixels, tell)
        except Exception as error:
            if not (isinstance(error, InputError | OSError) or is_out_of_memory(error)):
                raise
            line = "out of memory" if is_out_of_memory(error) else str(error)
            line = line.replace(str(upload), Path(upload or "").name)
            raise gr.Error(line, title="", print_exception=False) from error

    networks = list(dict.fromkeys(map(zoo.name_of, zoo.read_manifest())))
    best = zoo.best_entry(int(_SCALES[0]), zoo.read_manifest())
    hour = (3600, 3600)  # how long results are kept, and how often that is looked at
    with gr.Blocks(title="jaxsr", analytics_enabled=False, delete_cache=hour) as page:
        gr.Markdown("# jaxsr\nEnlarges a picture on this computer; it goes nowhere.")
        with gr.Row():
            with gr.Column(scale=1):
                upload = gr.File(label="Picture", elem_id="upload")
                network = gr.Dropdown(
                    [*networks, "bicubic"],
                    value=zoo.name_of(best) if best else "bicubic",
                    label="Network",
                )
                scale = gr.Radio(_SCALES, value=_SCALES[0], label="Scale")
                start = gr.Button("Enlarge", variant="primary", elem_id="start")
                about = gr.Markdown(elem_id="about")
                download = gr.DownloadButton("Download PNG", elem_id="download")
            with gr.Column(scale=3):
                label = "Bicubic | network; the wheel zooms"
                slider = gr.ImageSlider(label=label, max_height=720)
        start.click(answer, [upload, network, scale], [slider, download, about])
    # Fonts of the system: others come from elsewhere.
    return page, Default(font=["system-ui"], font_mono=["monospace"])


def _enlarge(
    upload: str, network: str, scale: str, folder: Path, most: float, progress: Progress
) -> tuple[tuple[str, str], str, str]:
    """Returns files of bicubic and the result to look at, one to keep, and a line."""
    from jaxsr.imaging import read_picture, write_image

    picture, metadata = read_picture(upload, max_megapixels=most)
    upscaler = _load(scale, network)
    height, width = upscaler.output_shape(*picture.shape[:2])
    if width * height > most * 1e6:
        raise InputError(
            f"{Path(upload).name}: {width}x{height} pixels would be more than "
            f"{most:g} megapixels: take a smaller scale, or start with "
            "another --max-megapixels"
        )
    out = Path(tempfile.mkdtemp(dir=folder))
    before, after = str(out / "before.png"), str(out / "after.png")
    kept = str(out / f"{Path(upload).stem}_x{scale}.png")
    sr = upscaler(picture, progress=progress)
    write_image(kept, sr, metadata)
    # To look at: browsers differ in what they make of 16 bits and of profiles.
    for path, seen in ((before, _load(scale, "bicubic")(picture)), (after, sr)):
        deep = seen.dtype == np.uint16
        write_image(path, (seen >> 8).astype(np.uint8) if deep else seen)
    about = f"{width}x{height} pixels of {8 * sr.itemsize} bits. {upscaler.describe()}"
    return (before, after), kept, about


@functools.lru_cache(maxsize=4)
def _load(scale: str, network: str) -> Any:
    from jaxsr.loading import load_scaled

    return load_scaled(scale, network)
