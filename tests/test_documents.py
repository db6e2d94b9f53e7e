"""Documents: snippets run as they are shown, and files that they name are there."""

import re

import pytest

from tools.publish import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").glob("*.md"),
]


def test_readme_snippet_runs_as_typed():
    pytest.importorskip("skimage")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    # 300 x 451 pixels of the full network are a minute of a busy CPU.
    names: dict = {}
    exec(snippet.replace("chelsea()", "chelsea()[:24, :32]"), names)
    assert names["picture"].shape == names["sr"].shape[1:] == (48, 64, 3)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_files_of_a_document_are_there(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert not [link for link in links if not (path.parent / link).exists()]
    files = re.findall(
        r"`((?:jaxsr|configs|tools|benchmarks|tests|docs)/[\w/.]+)`", text
    )
    assert not [file for file in files if not (ROOT / file).exists()]


def test_a_file_of_the_package_is_short():
    files = (ROOT / "jaxsr").rglob("*.py")
    lines = {file: file.read_text(encoding="utf-8").count("\n") for file in files}
    assert not {file.name: n for file, n in lines.items() if n > 300}
