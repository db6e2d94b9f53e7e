"""A source for tests of the pipelines: where a patch was cut shows in its pixels."""

import numpy as np

from jaxsr.data import Source

# Heights and widths of LR images, among them one with a single place for a patch of 8.
SIZES = [(9, 12), (20, 8), (8, 8), (15, 17), (30, 11)]


class Coordinates(Source):
    """Images whose pixels say where they are: (row, column, number of the image).

    With `ships_lr`, pixels of the LR images say the same on their own grid.
    """

    name = "coordinates"

    def __init__(self, sizes, *, scale=2, ships_lr=True):
        self._sizes = sizes
        self._scale = scale
        self._ships_lr = ships_lr

    def __len__(self):
        return len(self._sizes)

    def image_name(self, index):
        return f"number{index}"

    def _image(self, index, height, width):
        image = np.empty((height, width, 3), np.uint8)
        image[..., 0] = np.arange(height)[:, None]
        image[..., 1] = np.arange(width)
        image[..., 2] = index
        return image

    def hr(self, index):
        height, width = self._sizes[index]
        return self._image(index, self._scale * height, self._scale * width)

    def lr(self, index, scale):
        assert scale == self._scale
        return self._image(index, *self._sizes[index]) if self._ships_lr else None
