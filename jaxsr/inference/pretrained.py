"""Folders and repositories of the Hugging Face hub: weights, config and card together.

A folder holds `model.safetensors` (what `Weights.save` writes, which is enough to open
it), `config.json` (network and fields, for others' programs) and `README.md` (the model
card, with the header that the hub reads). huggingface_hub moves it. Its `ModelHubMixin`
would make it a base of `Upscaler` and thus needed by everybody, and writes cards and
configs without our fields; so only its transfers are used.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import jax.numpy as jnp

from jaxsr.errors import InputError, first_line
from jaxsr.files import write_whole
from jaxsr.models import Network
from jaxsr.models.variables import weights_hash
from jaxsr.weights import Weights, read_weights, zoo
from jaxsr.weights.cards import model_card

HUB = "hf:"
"""Before the name of a repository: "hf:owner/name", "hf:owner/name@revision"."""

FILE = "model.safetensors"

_CARD = """\
# {network} x{scale}

{parameters:,} parameters: {fields}. Trained with jaxsr.
"""
_USE = """\
---
library_name: jaxsr
pipeline_tag: image-to-image
tags:
- super-resolution
- {network}
{licence}---

```python
from jaxsr.inference import Upscaler

upscale = Upscaler.from_pretrained("{name}")
sr = upscale(photo)  # uint8 [H, W, 3] -> uint8 [{scale}H, {scale}W, 3]
```

"""


def open_pretrained(name: str | Path) -> Weights:
    """Returns the weights of a folder, or of a repository of the hub.

    Args:
        name: a folder that `save_pretrained` wrote, or a repository, "owner/name" or
            "owner/name@revision", with "hf:" before it or not. A folder comes first.

    Raises:
        InputError: neither; no such repository, or none that can be reached and is not
            in the hub's cache; a damaged file; huggingface_hub is not installed.
    """
    if Path(name).is_dir():
        return read_weights(Path(name) / FILE)
    repository, _, revision = str(name).removeprefix(HUB).partition("@")
    with _hub(repository) as hub:
        path = hub.hf_hub_download(repository, FILE, revision=revision or None)
    return read_weights(path)


class Pretrained:
    """What an `Upscaler` has of it."""

    model: Network
    variables: dict[str, Any]

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, dtype: Any = jnp.float32, **settings: Any
    ) -> Self:
        """Returns the upscaler of a folder or repository: see `open_pretrained`.

        `jaxsr.load("hf:owner/name")` and `jaxsr upscale --model hf:owner/name` do the
        same.

        Args:
            name: see `open_pretrained`.
            dtype: compute type, float32 or bfloat16.
            settings: see `Upscaler`.
        """
        weights = open_pretrained(name)
        model = weights.create(dtype=dtype)
        # Of whom this is a base has a constructor; this one has none.
        make: Any = cls
        return make(model, weights.variables, weights=str(name), **settings)

    def save_pretrained(
        self, folder: str | Path, *, name: str | None = None, **origin: Any
    ) -> None:
        """Writes `model.safetensors`, `config.json` and `README.md` into a folder.

        A README.md that is there already stays, since somebody may have written it.

        Args:
            folder: is made as needed.
            name: what the card calls it, "owner/name"; default: the folder.
            origin: where the weights come from, to be kept in their file; `licence`
                goes into the card as well.

        Raises:
            InputError: the folder is that of a training run, which would be no run any
                more.
        """
        folder = Path(folder)
        if (folder / "checkpoints").is_dir():
            raise InputError(
                f"{folder}: expected a folder of its own for the network, got that of "
                "a training run"
            )
        weights = Weights.of(self.model, self.variables, **origin)
        weights.save(folder / FILE)
        config = {"library": "jaxsr", "network": weights.network} | dict(weights.fields)
        write_whole(folder / "config.json", json.dumps(config, indent=2).encode())
        if not (folder / "README.md").exists():
            card = _card(weights, name or str(folder))
            write_whole(folder / "README.md", card.encode())

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        message: str = "Upload a network of jaxsr",
        **origin: Any,
    ) -> str:
        """Makes the repository if there is none and uploads; returns the commit's URL.

        A README.md that is there already stays, as in a folder.

        Whoever is logged in (`hf auth login`, or HF_TOKEN) does it.

        Args:
            repository: "owner/name".
            private: of a repository that is made.
            revision: the branch; default: main.
            message: of the commit.
            origin: see `save_pretrained`.

        Raises:
            InputError: not allowed, or not reached; huggingface_hub is not installed.
        """
        with tempfile.TemporaryDirectory() as folder, _hub(repository) as hub:
            self.save_pretrained(folder, name=repository, **origin)
            api = hub.HfApi()
            api.create_repo(repository, private=private, exist_ok=True)
            has_card = api.file_exists(repository, "README.md", revision=revision)
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                ignore_patterns=["README.md"] if has_card else None,
                revision=revision,
                commit_message=message,
            )
        return str(commit)


def _card(weights: Weights, name: str) -> str:
    """Returns the card: of published weights their own, else what is known."""
    text, licence = "", weights.origin.get("licence")
    for entry in zoo.read_manifest():
        if (entry["network"], entry["scale"]) == (weights.network, weights.scale):
            published = read_weights(zoo.weights_file(entry))
            if weights_hash(published.variables) == weights_hash(weights.variables):
                text, licence = model_card(entry), entry["licence"]
    settings = dict(weights.fields)
    head = _USE.format(
        network=weights.network.rpartition(":")[2],
        scale=settings.pop("scale"),
        name=name,
        licence=f"license: {licence.lower()}\n" if licence else "",
    )
    return head + (
        text
        or _CARD.format(
            network=weights.network,
            scale=weights.scale,
            parameters=weights.parameters,
            fields=", ".join(f"{key} {value}" for key, value in settings.items()),
        )
    )


@contextmanager
def _hub(repository: str) -> Iterator[Any]:
    """Gives huggingface_hub; what goes wrong in it becomes one line."""
    try:
        import huggingface_hub
    except ImportError:
        raise InputError(
            f"{HUB}{repository} needs huggingface_hub: pip install "
            "'jaxsr-superres[hub]'"
        ) from None
    try:
        yield huggingface_hub
    except InputError:
        raise
    # It and the HTTP library beneath have no class for all that may go wrong.
    except Exception as error:
        raise InputError(
            f"{HUB}{repository}: {type(error).__name__}: {first_line(error)}"
        ) from error
