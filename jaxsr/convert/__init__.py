"""Published weights of other projects, turned into those of jaxsr's networks."""

from jaxsr.convert.checkpoint_file import read_checkpoint

__all__ = ["read_checkpoint"]
