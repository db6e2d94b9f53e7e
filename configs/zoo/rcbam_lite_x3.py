"""RCBAM-lite x3 as it is shipped. See configs/zoo/rcbam_lite.py."""

from configs.zoo import rcbam_lite


def get_config():
    return rcbam_lite.get_config(3)
