"""Arguments of another type than annotated: one line each, for people without a type
checker. In a process of its own: the tests' own checks of types would come first."""

import json
import subprocess
import sys

_CALLS = {
    "imresize(image, output_size=(10.5, 3))": "imresize: expected output_size",
    "imresize(image, output_size=(3,))": "imresize: expected output_size",
    "jaxsr.load('espcn_x2', tile=70.5)": "tile: expected a whole number, got 70.5",
    "jaxsr.load('espcn_x2', overlap=8.0)": "overlap: expected a whole number, got 8.0",
    "jaxsr.load('espcn_x2', dtype='float16')": "espcn_x2: ESPCN: dtype: expected",
    "jaxsr.load('bicubic_x2').compare(image, crop=-3)": "crop: expected a whole number",
    "jaxsr.load('bicubic_x2').compare(image, crop=2.5)": "crop: expected a whole",
    "train(config, loss='l1')": "loss: expected a function loss(sr, hr), got 'l1'",
    "train(config, source='t91')": "source: expected a jaxsr.data.Source, got 't91'",
    "train(config, model='espcn')": "model: expected a network, a subclass of",
}
_PROGRAM = """
import json, sys
import numpy as np
import jaxsr
from jaxsr.errors import InputError
from jaxsr.imaging import imresize
from jaxsr.training import default_config, train

image, config = np.zeros((8, 8, 3), np.uint8), default_config()
said = {}
for call in json.load(sys.stdin):
    try:
        eval(call)
    except InputError as error:
        said[call] = str(error)
print(json.dumps(said))
"""


def test_arguments_of_another_type_are_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(list(_CALLS)),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said.keys() == _CALLS.keys()
    for call, message in _CALLS.items():
        assert said[call].startswith(message) and "\n" not in said[call]
    assert not list(tmp_path.iterdir())
