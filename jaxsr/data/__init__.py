"""Image sources, benchmark sets, and the pipelines that cut training patches.

`jaxsr.data.tf_pipeline` needs TensorFlow and is imported by name; nothing else here
does.
"""

from jaxsr.data.benchmarks import open_benchmark
from jaxsr.data.catalogue import open_source
from jaxsr.data.check import check_source
from jaxsr.data.source import Source

__all__ = ["Source", "check_source", "open_benchmark", "open_source"]
