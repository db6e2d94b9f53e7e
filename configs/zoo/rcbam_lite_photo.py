"""RCBAM-lite for photos: blurred, noisy and compressed ones (`jaxsr.data.photo`).

python train.py --config=configs/zoo/rcbam_lite_photo.py:x2
python train.py --config=configs/zoo/rcbam_lite_photo.py:x4   # as x3, starts from x2
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "rcbam_lite",
        scale,
        steps=8_000 if scale == 2 else 4_000,
        decay_steps=2_000 if scale == 2 else 1_500,
        learning_rate=3e-3,
    )
    config.name = f"zoo_rcbam_lite_photo_x{scale}"
    config.data.degradation = "photo"
    if scale > 2:
        config.train.init_from = "rcbam_lite_photo_x2"
    config.eval.benchmarks = "Set5-photo,bsds500_test[:10]-photo,Set5"
    return config
