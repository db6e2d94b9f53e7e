"""Scores: a network, or the pictures of any program, over benchmark sets.

`evaluate` and `score_folders` return the same kind of dictionary, a `Result`, which
`write_result` keeps as JSON and `markdown_table` prints as the field does.
"""

from jaxsr.models.variables import weights_hash
from jaxsr.scoring.folders import score_folders
from jaxsr.scoring.methods_picture import methods_picture
from jaxsr.scoring.network import evaluate
from jaxsr.scoring.pairing import pair_by_name
from jaxsr.scoring.picture import comparison_picture
from jaxsr.scoring.result import (
    Result,
    check_result_place,
    hardware,
    read_result,
    write_result,
)
from jaxsr.scoring.sets import open_sets
from jaxsr.scoring.table import markdown_table

__all__ = [
    "Result",
    "check_result_place",
    "comparison_picture",
    "evaluate",
    "hardware",
    "markdown_table",
    "methods_picture",
    "open_sets",
    "pair_by_name",
    "read_result",
    "score_folders",
    "weights_hash",
    "write_result",
]
