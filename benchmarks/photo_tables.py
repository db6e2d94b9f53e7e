"""Networks for photos beside those for clean pictures, on both kinds of LR images.

    python benchmarks/photo_tables.py           # measures and prints
    python benchmarks/photo_tables.py --write   # and puts it into docs/photos.md

The networks are bicubic, rcbam_lite and rcbam_lite_photo. The pictures show what each
of the three makes of a picture of Set14-photo.
"""

import argparse
import sys
from pathlib import Path

from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.imaging import write_image
from jaxsr.loading import load
from jaxsr.scoring import evaluate, hardware, markdown_table, methods_picture
from jaxsr.weights.cards import describe_hardware

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "photos.md"
_BEGIN = "<!-- made by benchmarks/photo_tables.py --write: do not edit -->"
_END = "<!-- end of what benchmarks/photo_tables.py makes -->"
_NETWORKS = ("bicubic", "rcbam_lite", "rcbam_lite_photo")
_SETS = ("Set14-photo", "BSD100-photo", "Set14", "BSD100")
_SHOWN = "baboon", "comic", "ppt3"


def _picture(image: str, scale: int) -> Path:
    return _ROOT / "docs" / "images" / f"photo_{image}_x{scale}.png"


def make(scales: tuple[int, ...], data_dir: str | None) -> str:
    """Returns the tables and the places of the pictures, which it draws, Markdown."""
    parts = []
    for scale in scales:
        networks = {name: load(name, scale=scale) for name in _NETWORKS}
        rows = [
            evaluate(
                upscaler,
                _SETS,
                scale=scale,
                name=name,
                data_dir=data_dir,
                progress=True,
            )
            for name, upscaler in networks.items()
        ]
        parts.append(markdown_table(rows))
        trained = {name: networks[name] for name in _NETWORKS[1:]}
        for image in _SHOWN:
            picture = methods_picture(trained, "Set14-photo", image, data_dir=data_dir)
            write_image(_picture(image, scale), picture)
            title = f"{image} of Set14-photo, x{scale}: PSNR / SSIM"
            parts.append(f"![{title}](images/{_picture(image, scale).name})")
    parts.append(
        "Measured by `python benchmarks/photo_tables.py --write` on "
        f"{describe_hardware(hardware())}."
    )
    return "\n\n".join([_BEGIN, *parts, _END])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--data_dir", help="default: $JAXSR_DATA_DIR")
    options = parser.parse_args()
    keep_freed_memory()
    use_every_core()
    made = make((2, 4), options.data_dir)
    print(made)
    if options.write:
        page = _PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(_BEGIN)
        _, found, after = rest.partition(_END)
        if not found:
            parser.error(f"{_PAGE}: expected the lines {_BEGIN} and {_END}")
        _PAGE.write_text(before + made + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
