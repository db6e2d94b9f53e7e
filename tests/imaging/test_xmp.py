"""XMP: kept from each format in each that can hold it, but for what is no longer so."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from jaxsr.imaging import read_picture, write_image
from jaxsr.imaging.files import SUFFIXES
from jaxsr.imaging.xmp import kept

# As Adobe's programs write it: properties as attributes and as elements.
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"
    xmp:Rating="4" tiff:Orientation="6" tiff:Make="Maker">
   <dc:rights><rdf:Alt>
    <rdf:li xml:lang="x-default">\u00a9 \u7d75</rdf:li>
   </rdf:Alt></dc:rights>
   <tiff:ImageWidth>20</tiff:ImageWidth>
   <xmp:Thumbnails><rdf:Alt><rdf:li>a picture</rdf:li></rdf:Alt></xmp:Thumbnails>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
GONE = ("Orientation=", "ImageWidth", "Thumbnails", "hdrgm:Version", "a picture")


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (10, 20, 3), np.uint8)


def save(path, xmp: bytes) -> None:
    """Writes `photo` with XMP, by Pillow or, where it cannot, by its description."""
    image = Image.fromarray(photo())
    if path.suffix == ".png":
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
        image.save(path, pnginfo=text)
    elif path.suffix == ".tif":
        image.save(path, tiffinfo={700: xmp})
    else:
        image.save(path, xmp=xmp, lossless=True)


def stored(path) -> bytes | None:
    """Returns what Pillow finds in a file."""
    with Image.open(path) as image:
        image.load()
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        if path.suffix in (".tif", ".tiff"):
            found = image.tag_v2.get(700)  # pyright: ignore[reportAttributeAccessIssue]
    return found.encode() if isinstance(found, str) else found


@pytest.mark.parametrize("source", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_kept_from_each_format_in_each(tmp_path, source):
    if source not in SUFFIXES:
        pytest.skip("this Pillow has no AVIF")
    save(tmp_path / f"a{source}", XMP.encode())
    pixels, metadata = read_picture(tmp_path / f"a{source}")
    for target in SUFFIXES:
        for image in (pixels, pixels.astype(np.uint16) * np.uint16(257)):
            if image.dtype == np.uint16 and target not in (".png", ".tif", ".tiff"):
                continue
            write_image(tmp_path / f"out{target}", image, metadata)
            content = stored(tmp_path / f"out{target}")
            if target == ".bmp":
                assert content is None
                continue
            assert content is not None
            text = content.decode()
            ElementTree.fromstring(re.sub(r"<\?.*?\?>", "", text).strip("\0 \n"))
            assert 'xmp:Rating="4"' in text and 'tiff:Make="Maker"' in text
            assert "\u00a9 \u7d75" in text
            assert not [word for word in GONE if word in text]


BROKEN = {
    "cut short": XMP.encode()[:400],
    "no XML": b"\xff\xfe\x00",
    "names for texts": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "a text that explodes": b"<!DOCTYPE a ["
    + b"".join(b'<!ENTITY e%d "%s">' % (k + 1, b"&e%d;" % k * 50) for k in range(1, 9))
    + b"]><a>&e9;</a>",
    "deep": b"<a>" * 50_000 + b"</a>" * 50_000,
    "long": b"<a>" + b"x" * 2**21 + b"</a>",
    "empty": b"",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_is_left_out(name):
    assert kept(BROKEN[name]) is None


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("name", [name for name in BROKEN if name != "empty"])
def test_broken_vetoes_nothing(tmp_path, name, suffix):
    save(tmp_path / f"a{suffix}", BROKEN[name])
    pixels, metadata = read_picture(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(pixels, photo())
    assert metadata.xmp is None


def test_too_long_for_jpeg(tmp_path):
    save(tmp_path / "a.png", XMP.replace("Maker", "M" * 66_000).encode())
    pixels, metadata = read_picture(tmp_path / "a.png")
    write_image(tmp_path / "a.jpg", pixels, metadata)
    assert metadata.xmp and stored(tmp_path / "a.jpg") is None
