"""A benchmark set twice in one process, as evaluate.py does it; times the second.

    python benchmarks/evaluation_twice.py MODEL BENCHMARK

Prints JSON; `evaluation.py` runs it.
"""

import json
import sys
import time

from jaxsr.compilation_cache import keep_compiled_programs
from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.loading import load
from jaxsr.scoring import evaluate

model, benchmark = sys.argv[1:]
keep_freed_memory()
use_every_core()
keep_compiled_programs()
upscaler = load(model)
evaluate(upscaler, [benchmark], scale=upscaler.scale)
wall, processor = time.perf_counter(), time.process_time()
result = evaluate(upscaler, [benchmark], scale=upscaler.scale)
wall, processor = time.perf_counter() - wall, time.process_time() - processor
(scores,) = result["benchmarks"].values()
print(json.dumps({"wall": wall, "processor": processor, "psnr": scores["psnr"]}))
