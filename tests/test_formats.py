"""The tables of formats in docs/upscaling.md: `jaxsr upscale` does what each cell says.

The files are written and read by Pillow, tifffile and imagecodecs, not by jaxsr.
"""

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, features
from PIL.PngImagePlugin import PngInfo

import jaxsr
from jaxsr.cli import main
from tools.publish import ROOT

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/'
    '22-rdf-syntax-ns#"><rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
)
KINDS = {
    f"{kind}{depth}": (channels, dtype)
    for depth, dtype in (("", np.uint8), (" 16", np.uint16))
    for channels, kind in enumerate(("gray", "gray, alpha", "RGB", "RGB, alpha"), 1)
}


def cells(head: str) -> dict[tuple[str, str], str]:
    """Returns the cells of the table with this first head, by row and column."""
    lines = (ROOT / "docs" / "upscaling.md").read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    columns, _, *rows = rows
    return {
        (row[0], column): cell
        for row in rows
        for column, cell in zip(columns[1:], row[1:], strict=True)
    }


READ, WRITTEN = cells("read from"), cells("written to")
METADATA = ("profile", "EXIF", "XMP", "resolution", "orientation")


def path_of(folder: Path, form: str, stem: str = "in") -> Path:
    if form == "AVIF" and not (features.check("avif") and imagecodecs.AVIF.available):
        pytest.skip("no AVIF here")
    return folder / f"{stem}.{'tif' if form == 'TIFF' else form.lower()}"


def pixels(kind: str) -> np.ndarray:
    """Returns a soft picture with a little noise, which is much the same in JPEG."""
    channels, dtype = KINDS[kind]
    random = np.random.default_rng(channels)
    rows, columns = np.mgrid[:13, :17]
    base = (rows + columns) / 30
    image = np.stack([base**p for p in range(1, channels + 1)], axis=-1)
    image = (image + random.uniform(0, 0.05, image.shape)) / 1.05
    return (image * np.iinfo(dtype).max).astype(dtype)


def save(path: Path, form: str, kind: str) -> np.ndarray | None:
    """Writes a file of this kind; returns the pixels that it means.

    None: there is no such file, as far as the libraries know.
    """
    by_pillow = {
        "PNG": {"1 bit", "gray", "gray, alpha", "RGB", "RGB, alpha", "gray 16"}
        | {"palette", "palette, alpha"},
        "TIFF": {"1 bit", "gray", "gray, alpha", "RGB", "RGB, alpha", "gray 16"}
        | {"palette", "CMYK", "float"},
        "JPEG": {"gray", "RGB", "CMYK"},
        "WEBP": {"RGB", "RGB, alpha"},
        "BMP": {"1 bit", "gray", "RGB", "palette"},
        "GIF": {"palette", "palette, alpha"},
        "AVIF": set(),
    }
    if kind not in by_pillow[form.upper()]:
        return save_by_codec(path, form, kind)
    if kind.startswith("palette"):
        image = Image.fromarray(pixels("gray")[..., 0] // 4).convert("P")
        colours = np.random.default_rng(0).integers(0, 256, (64, 3), np.uint8)
        image.putpalette(colours.tobytes())
        meant = colours[np.asarray(image)]
        if "alpha" in kind:
            image.info["transparency"] = 9
            alpha = 255 * (np.asarray(image) != 9)[..., None]
            meant = np.concatenate([meant, alpha.astype(np.uint8)], axis=-1)
    elif kind == "1 bit":
        image = Image.fromarray(pixels("gray")[..., 0] > 99)
        meant = np.asarray(image.convert("L"))[..., None]
    elif kind == "CMYK":
        image = Image.fromarray(pixels("RGB, alpha"), "CMYK")
        meant = np.asarray(image.convert("RGB"))
    elif kind == "float":
        meant = pixels("gray")[..., 0] / np.float32(255)
        image = Image.fromarray(meant)
    else:
        meant = pixels(kind)
        image = Image.fromarray(meant.squeeze())
    image.save(path, lossless=True, exact=True)
    if form == "JPEG":
        meant = np.asarray(Image.open(path).convert("L" if kind == "gray" else "RGB"))
    return meant.reshape(13, 17, -1)


def save_by_codec(path: Path, form: str, kind: str) -> np.ndarray | None:
    if kind not in KINDS or form not in ("PNG", "TIFF", "AVIF", "BMP"):
        return None
    meant = pixels(kind)
    if form == "BMP":
        if kind != "RGB, alpha":
            return None
        cv2.imwrite(str(path), meant[..., [2, 1, 0, 3]])
        return meant
    if form == "PNG":
        path.write_bytes(imagecodecs.png_encode(meant))
    elif form == "TIFF":
        alpha = ["unassalpha"] if "alpha" in kind else None
        colours = "rgb" if "RGB" in kind else "minisblack"
        tifffile.imwrite(path, meant, photometric=colours, extrasamples=alpha)
    else:
        bits = 12 if "16" in kind else 8
        samples = meant >> 4 if bits == 12 else meant
        content = imagecodecs.avif_encode(
            samples.squeeze(), level=100, bitspersample=bits
        )
        path.write_bytes(content)
        if bits == 12:
            meant = np.round(samples * (65535 / 4095)).astype(np.uint16)
    return meant


def load(path: Path) -> np.ndarray:
    """Returns the pixels of a result, as others read it."""
    if path.suffix == ".png":
        image = imagecodecs.png_decode(path.read_bytes())
    elif path.suffix == ".tif":
        image = tifffile.imread(path)
    else:
        image = np.asarray(Image.open(path))
    return image.reshape(*image.shape[:2], -1)


def as_colour(gray: np.ndarray) -> np.ndarray:
    return gray[..., [0, 0, 0, 1][: gray.shape[-1] + 2]]


def upscale(source: Path, target: Path) -> int:
    return main(["upscale", str(source), "-o", str(target), "--model", "bicubic_x2"])


def check_refused(source: Path, target: Path, capsys) -> None:
    assert upscale(source, target) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("error: ")]) == 1
    assert not target.exists()


@pytest.mark.parametrize(("kind", "form"), [c for c in READ if c[0] not in METADATA])
def test_read_as_the_table_says(tmp_path, capsys, kind, form):
    cell = READ[kind, form]
    source, target = path_of(tmp_path, form), tmp_path / "out.png"
    meant = save(source, form.upper(), kind)
    assert (meant is None) == (cell == "-")
    if cell == "refused":
        check_refused(source, target, capsys)
    elif meant is not None:
        assert upscale(source, target) == 0
        result = load(target)
        if "RGB" in cell and meant.shape[-1] < 3:
            meant = as_colour(meant)
        assert (result.shape[-1], result.dtype) == KINDS[cell]
        np.testing.assert_array_equal(result, jaxsr.load("bicubic_x2")(meant))


@pytest.mark.parametrize(("kind", "form"), [c for c in WRITTEN if c[0] in KINDS])
def test_written_as_the_table_says(tmp_path, capsys, kind, form):
    cell = WRITTEN[kind, form]
    source, target = tmp_path / "in.png", path_of(tmp_path, form, "out")
    meant = save(source, "PNG", kind)
    if cell == "refused":
        return check_refused(source, target, capsys)
    assert upscale(source, target) == 0
    result, expected = load(target), jaxsr.load("bicubic_x2")(meant)
    if "as RGB" in cell:
        expected = as_colour(expected)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    error = np.abs(result.astype(float) - expected).max()
    assert 0 < error < 16 if "lossy" in cell else error == 0
    return None


def save_with_metadata(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[271] = 6, "Maker"
    options = {"exif": exif, "icc_profile": PROFILE, "dpi": (300, 200), "xmp": XMP}
    if path.suffix in (".webp", ".avif"):
        exif[282], exif[283], exif[296] = 300.0, 200.0, 2
    if path.suffix == ".png":
        text = options["pnginfo"] = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP)
    if path.suffix == ".tif":
        exif[700] = XMP.encode()
    if path.suffix != ".png":
        options["xmp"] = XMP.encode()
    Image.fromarray(pixels("RGB")).save(path, **options)


def found_metadata(path: Path) -> dict[str, str]:
    """Returns what a table's cells say, of a result for `save_with_metadata`'s file."""
    with Image.open(path) as image:
        image.load()
        info, exif = image.info, image.getexif()
        xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or exif.get(700) or ""
        in_exif = [float(exif[tag]) for tag in (282, 283) if tag in exif]
        dpi = np.round([float(v) for v in info.get("dpi", in_exif)])
        turned = image.size == (26, 34) and 0x0112 not in exif
    here = {
        "profile": info.get("icc_profile") == PROFILE,
        "EXIF": exif.get(271) == "Maker",
        "XMP": 'xmp:Rating="4"' in (xmp if isinstance(xmp, str) else xmp.decode()),
        "resolution": list(dpi) in ([300, 200], [200, 300]),
    }
    said = {name: "kept" if kept else "no" for name, kept in here.items()}
    if here["resolution"] and "dpi" not in info:
        said["resolution"] = "in EXIF"
    return said | {"orientation": "applied" if turned else "no"}


@pytest.mark.parametrize("form", sorted({form for _, form in READ}))
def test_metadata_read_as_the_table_says(tmp_path, form):
    source, target = path_of(tmp_path, form), tmp_path / "out.png"
    save_with_metadata(source)
    assert upscale(source, target) == 0
    said = {name: READ[name, form] for name in METADATA}
    assert found_metadata(target) == said


@pytest.mark.parametrize("form", sorted({form for _, form in WRITTEN}))
def test_metadata_written_as_the_table_says(tmp_path, form):
    source, target = tmp_path / "in.png", path_of(tmp_path, form, "out")
    save_with_metadata(source)
    assert upscale(source, target) == 0
    said = {name: WRITTEN[name, form] for name in METADATA}
    assert found_metadata(target) == said
