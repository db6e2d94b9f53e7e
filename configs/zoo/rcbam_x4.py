"""RCBAM x4 for the zoo; recipes h200 (default), trial: configs/zoo/rcbam.py."""

from configs.zoo import rcbam


def get_config(recipe: str = "h200"):
    return rcbam.get_config(4, recipe or "h200")
