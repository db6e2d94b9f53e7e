"""Images: MATLAB's resize and colour, files in and out. NumPy and JAX, no network."""

from jaxsr.imaging.alpha import fill_transparent
from jaxsr.imaging.bit_depth import to_8_bits
from jaxsr.imaging.colour import (
    gray_to_y,
    rgb_to_y,
    rgb_to_ycbcr,
    y_to_gray,
    ycbcr_to_rgb,
)
from jaxsr.imaging.files import (
    check_encodable,
    check_writable,
    decode_picture,
    encode_picture,
    list_images,
    read_image,
    read_image8,
    read_picture,
    takes_rows,
    write_image,
    write_rows,
)
from jaxsr.imaging.metadata import Metadata
from jaxsr.imaging.resize import crop_to_multiple, imresize, imresize_jnp

__all__ = [
    "Metadata",
    "check_encodable",
    "check_writable",
    "decode_picture",
    "encode_picture",
    "crop_to_multiple",
    "fill_transparent",
    "gray_to_y",
    "imresize",
    "imresize_jnp",
    "list_images",
    "read_image",
    "read_image8",
    "read_picture",
    "rgb_to_y",
    "rgb_to_ycbcr",
    "takes_rows",
    "to_8_bits",
    "write_image",
    "write_rows",
    "y_to_gray",
    "ycbcr_to_rgb",
]
