"""SRResNet x2; recipes: paper (the default), cpu, sample. See configs/srresnet.py."""

from configs import srresnet


def get_config(recipe: str = "paper"):
    return srresnet.get_config(2, recipe or "paper")
