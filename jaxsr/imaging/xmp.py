"""XMP, in which programs for photos tell of rights, ratings and edits: what of it still
holds for other pixels of the same picture.

Source: Adobe, XMP Specification Part 1 and 3.
"""

from collections.abc import Iterator
from typing import Any
from xml.dom import minidom

MAX_BYTES = 2**20
"""More is left out: what is longer holds pictures of its own."""

NAME_IN_PNG = b"XML:com.adobe.xmp"
"""The keyword of the text in which PNG holds it."""

# What is said of the old pixels alone. The orientation has been applied to them; sizes
# and resolution are written where all programs look for them.
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_OF_OLD_PIXELS = {
    _TIFF: {
        *("Orientation", "ImageWidth", "ImageLength", "BitsPerSample"),
        *("Compression", "PhotometricInterpretation", "SamplesPerPixel"),
        *("PlanarConfiguration", "YCbCrSubSampling", "YCbCrPositioning"),
        *("XResolution", "YResolution", "ResolutionUnit"),
    },
    "http://ns.adobe.com/exif/1.0/": {
        *("PixelXDimension", "PixelYDimension", "ColorSpace", "NativeDigest"),
    },
    "http://ns.adobe.com/xap/1.0/": {"Thumbnails"},
    # Says that more of it is in other parts of a JPEG, which are not kept.
    "http://ns.adobe.com/xmp/note/": {"HasExtendedXMP"},
}
# Second pictures behind the first one, such as what brightens it on better screens:
# they are not kept.
_OF_OTHER_PICTURES = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.google.com/photos/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
)


def kept(content: Any) -> bytes | None:
    """Returns XMP without what holds for the old pixels only; None if it is broken.

    Args:
        content: what a file has, bytes or text.
    """
    try:
        document = _parsed(content)
        for element in list(_elements(document.documentElement)):
            _drop(element)
        return document.toxml().removeprefix('<?xml version="1.0" ?>').encode()
    except Exception:  # whatever is broken in it: the picture can do without
        return None


def orientation(content: Any) -> int:
    """Returns the orientation that XMP says, from 1 to 8 as EXIF's; 1 if it says none.

    Args:
        content: what a file has, bytes or text.
    """
    try:
        for element in _elements(_parsed(content).documentElement):
            said = element.getAttributeNS(_TIFF, "Orientation")
            if (element.namespaceURI, element.localName) == (_TIFF, "Orientation"):
                said = element.firstChild.data
            if said.strip() in set("12345678"):
                return int(said)
    except Exception:  # whatever is broken in it: the picture can do without
        return 1
    return 1


def _parsed(content: Any) -> minidom.Document:
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes) or not 0 < len(content) <= MAX_BYTES:
        raise ValueError("no XMP, or too long")
    document = minidom.parseString(content.strip(b"\0 \n\r\t"))
    if document.doctype is not None:
        raise ValueError("names that stand for other texts, of any length")
    return document


def _elements(element: Any) -> Iterator[Any]:
    waiting = [element]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += [n for n in found.childNodes if n.nodeType == n.ELEMENT_NODE]


def _drop(element: Any) -> None:
    """Removes what is no longer true from an element: attributes, and itself."""
    for attribute in list(element.attributes.values()):
        if _is_old(attribute):
            element.removeAttributeNode(attribute)
    if _is_old(element) and element.parentNode is not None:
        element.parentNode.removeChild(element)


def _is_old(node: Any) -> bool:
    space = node.namespaceURI or ""
    return node.localName in _OF_OLD_PIXELS.get(space, ()) or space.startswith(
        _OF_OTHER_PICTURES
    )
