"""RCBAM x3 for the zoo. See configs/zoo/rcbam.py."""

from configs.zoo import rcbam


def get_config():
    return rcbam.get_config(3)
