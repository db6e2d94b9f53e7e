"""Every test of a layer is strict."""

import pytest


@pytest.fixture(autouse=True)
def _strict(strict):
    pass
