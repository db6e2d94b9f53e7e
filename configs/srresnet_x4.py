"""SRResNet x4; recipes: paper (the default), cpu, sample. See configs/srresnet.py."""

from configs import srresnet


def get_config(recipe: str = "paper"):
    return srresnet.get_config(4, recipe or "paper")
