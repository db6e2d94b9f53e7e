# jaxsr with its weights: docker build -t jaxsr .   (CPU)
#                         docker build -t jaxsr:cuda --build-arg JAX=cuda13 .
# CUDA's libraries come with JAX's wheels; the machine needs NVIDIA's driver and its
# container toolkit alone.
FROM python:3.13-slim

# What JAX is to run on, as pip names it: cpu, cuda13, cuda12.
ARG JAX=cpu
# Parts of jaxsr beside pictures, "[train]" for instance.
ARG EXTRAS=""

ENV PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    JAXSR_CACHE_DIR=/tmp/jaxsr

# Before the code, which changes more often.
RUN python -m pip install "jax[${JAX}]>=0.10"

WORKDIR /opt/jaxsr
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY jaxsr jaxsr
RUN python -m pip install ".${EXTRAS}"
COPY configs configs
COPY train.py evaluate.py ./

# Nobody's pictures need root.
RUN useradd --create-home jaxsr
USER jaxsr
WORKDIR /pictures

ENTRYPOINT ["jaxsr"]
CMD ["--help"]
