"""The mean colour that EDSR, RCAN, SAN and AMMS subtract and add back."""

# Mean RGB of DIV2K's training images in [0, 1].
# Source: EDSR-PyTorch, src/model/edsr.py.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
