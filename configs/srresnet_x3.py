"""SRResNet x3; recipes: paper (the default), cpu, sample. See configs/srresnet.py."""

from configs import srresnet


def get_config(recipe: str = "paper"):
    return srresnet.get_config(3, recipe or "paper")
