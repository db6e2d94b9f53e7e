"""Building blocks of the networks, one idea a file. Features are NHWC."""
