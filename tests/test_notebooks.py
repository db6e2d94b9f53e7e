"""The notebooks run as they stand, and are worth looking at without being run."""

import pytest

from tools.publish import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
_MOST_BYTES = 300_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("skimage")
    monkeypatch.setenv("JAXSR_NOTEBOOK_MINUTES", "0.01")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # A kernel of this environment, whatever others the user has.
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    # As where TensorFlow is not installed.
    (tmp_path / "tensorflow.py").write_text("raise ImportError('no TensorFlow')")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises what a cell raises
    written = {file.name for file in tmp_path.rglob("*.stablehlo")}
    assert written, "the network was not exported"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_shows_what_comes_out(path):
    nbformat = pytest.importorskip("nbformat")
    assert path.stat().st_size < _MOST_BYTES
    outputs = [
        output
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
    ]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    kinds = {(output.output_type, output.get("name", "")) for output in outputs}
    assert kinds <= {("stream", "stdout"), ("display_data", ""), ("execute_result", "")}
    assert str(ROOT) not in path.read_text(encoding="utf-8")
