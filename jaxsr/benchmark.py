"""The former name of `jaxsr.scoring`, for programs written before it had that one."""

from jaxsr.scoring import *  # noqa: F403
