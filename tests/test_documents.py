"""Documents: files that they name are there, and the site is built of them.

That what they tell people to type runs is tests/test_snippets.py.
"""

import os
import re
import subprocess
import sys

import pytest

from tools.publish import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").glob("*.md"),
]


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


def test_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    result = subprocess.run(
        [*command, "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    api = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    assert 'id="jaxsr.loading.load"' in api and "ready to enlarge pictures" in api
    # Pages ask no other server for fonts or scripts.
    loaded = re.findall(r'<(?:script|link)[^>]*(?:src|href)="(https?:[^"]+)', api)
    assert not [url for url in loaded if "stylesheet" in url or url.endswith(".js")]


def test_dockerfile_copies_what_is_there_and_sent_to_it():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {w for line in lines if line[:5] == "COPY " for w in line.split()[1:-1]}
    assert not [name for name in copied if not (ROOT / name).exists()]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignored if line[0] == "!"} == copied
