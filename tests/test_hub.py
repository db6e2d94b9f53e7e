"""Folders and repositories of the Hugging Face hub, by a hub on this computer."""

import base64
import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

import jaxsr
from jaxsr.errors import InputError
from jaxsr.imaging import read_image, write_image
from jaxsr.inference import Upscaler
from jaxsr.models import create

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)


def trained() -> Upscaler:
    """Returns a small network with fields of its own, as a person may have trained."""
    model = create("rcbam", scale=2, features=16, depth=1, reduction=4)
    return Upscaler(model, model.init(jax.random.key(0), np.zeros((1, 8, 8, 3))))


def test_folder_goes_round(tmp_path):
    upscale = trained()
    upscale.save_pretrained(tmp_path / "mine", source="a test", licence="MIT")
    names = {path.name for path in (tmp_path / "mine").iterdir()}
    assert names == {"model.safetensors", "config.json", "README.md"}
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config["network"] == "rcbam" and config["features"] == 16
    for again in (
        Upscaler.from_pretrained(tmp_path / "mine", tile=0),
        jaxsr.load(f"{tmp_path}/mine"),
        jaxsr.load(f"{tmp_path}/mine/"),
    ):
        assert again.model == upscale.model
        np.testing.assert_array_equal(again(picture()), upscale(picture()))
    assert jaxsr.load_weights(f"{tmp_path}/mine").origin["source"] == "a test"


def test_card_says_what_the_hub_reads(tmp_path):
    from huggingface_hub import ModelCard

    trained().save_pretrained(tmp_path / "mine", name="me/mine", licence="MIT")
    card = ModelCard.load(tmp_path / "mine" / "README.md")
    assert card.data.library_name == "jaxsr" and card.data.license == "mit"
    assert card.data.pipeline_tag == "image-to-image"
    assert 'Upscaler.from_pretrained("me/mine")' in card.text
    # A published network takes its own card with it, and what somebody wrote stays.
    jaxsr.load("rcbam_lite_x2").save_pretrained(tmp_path / "lite")
    card = ModelCard.load(tmp_path / "lite" / "README.md")
    assert card.data.license == "apache-2.0" and "How it was trained" in card.text
    (tmp_path / "lite" / "README.md").write_text("my own")
    jaxsr.load("rcbam_lite_x2").save_pretrained(tmp_path / "lite")
    assert (tmp_path / "lite" / "README.md").read_text() == "my own"


def test_a_runs_folder_stays_one(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="got that of a training run"):
        trained().save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_text() == "{}"


class Hub(http.server.BaseHTTPRequestHandler):
    """The addresses of the hub: to get files, and to make and fill a repository."""

    files: dict[str, bytes] = {}

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        repository, _, name = self.path.partition("/resolve/main/")
        content = self.files.get(f"{repository}/{name}")
        if content is None:
            return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        return self.answer(200, content, {"X-Repo-Commit": COMMIT, "ETag": f'"{name}"'})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        here = f"http://{self.headers['Host']}"
        if self.path == "/api/repos/create":
            return self.say({"url": f"{here}/me/mine"})
        if self.path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            return self.say({"files": [{"path": f["path"]} | modes for f in files]})
        if self.path.endswith("/commit/main"):
            repository = self.path.split("/", 3)[3].removesuffix("/commit/main")
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.files[f"/{repository}/{line['value']['path']}"] = content
            return self.say(
                {"commitOid": COMMIT, "commitUrl": f"{here}/me/mine/commit/{COMMIT}"}
            )
        return self.say({"errors": [], "warnings": []})  # of the card's header

    def say(self, answer):
        self.answer(200, json.dumps(answer).encode(), {})

    def answer(self, status, content, headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format, *arguments):
        pass


@contextlib.contextmanager
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(*words, **variables):
    """Runs Python in a process of its own: the hub's address is read at its import."""
    return subprocess.run(
        [sys.executable, *words],
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )


PUSH = """
import sys, jaxsr
upscale = jaxsr.load(sys.argv[1])
print(upscale.push_to_hub("me/mine", private=True, message="first"))
"""


def test_hub_takes_and_gives(tmp_path):
    upscale = trained()
    upscale.save(tmp_path / "mine.safetensors")
    write_image(tmp_path / "a.png", picture())
    token = {"HF_TOKEN": "hf_of_this_test", "HF_HOME": str(tmp_path / "cache")}
    command = ["-m", "jaxsr.cli", "upscale", str(tmp_path / "a.png"), "--overwrite"]
    command += ["-o", str(tmp_path / "out.png"), "--model", "hf:me/mine"]
    with hub() as address:
        variables = {"HF_ENDPOINT": address, **token}
        pushed = run("-c", PUSH, str(tmp_path / "mine.safetensors"), **variables)
        assert COMMIT in pushed.stdout, pushed.stderr
        assert b"library_name: jaxsr" in Hub.files["/me/mine/README.md"]
        Hub.files["/me/mine/README.md"] = b"my own"
        pushed = run("-c", PUSH, str(tmp_path / "mine.safetensors"), **variables)
        assert COMMIT in pushed.stdout, pushed.stderr
        assert Hub.files["/me/mine/README.md"] == b"my own"
        enlarged = run(*command, **variables)
        assert enlarged.returncode == 0, enlarged.stderr
        other = run(*command[:-1], "hf:me/other", **variables)
        assert other.returncode == 2
        (line,) = other.stderr.splitlines()
        assert line.startswith("error: hf:me/other: RepositoryNotFoundError: ")
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), upscale(picture()))
    (tmp_path / "out.png").unlink()
    # Once fetched it is there without a network.
    assert run(*command, HF_HUB_OFFLINE="1", **token).returncode == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), upscale(picture()))


def test_offline_and_not_fetched_is_one_line(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="^hf:me/mine: LocalEntryNotFoundError: .*$"):
        jaxsr.load("hf:me/mine")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'jaxsr-superres\[hub\]'"):
        jaxsr.load("hf:me/mine")
