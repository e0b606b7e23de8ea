"""What several tests of the core show a model."""

import pytest
from PIL import Image


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "one.png"
    Image.new("RGB", (50, 40), "red").save(file)
    return file
