"""MSRResNet x2; recipes: paper (the default), cpu, sample. See configs/msrresnet.py."""

from configs import msrresnet


def get_config(recipe: str = "paper"):
    return msrresnet.get_config(2, recipe or "paper")
