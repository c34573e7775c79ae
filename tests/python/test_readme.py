"""The Python of README.md and of docs/*.md runs, page by page, and prints what the page says."""

import contextlib
import io
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
README = ROOT / "README.md"
OUTPUT = re.compile(r"^```text\n(.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"\d+(\.\d+)?e[-+]\d+")  # rounding differs from machine to machine
BACKEND = re.compile(r"\b(native|scipy) backend")
CONDITION = re.compile(r"(?<=condition number at most )[\d.]+")  # each backend proves its own
TORCH = re.compile(r"^import torch$", re.M)
BLOCK = re.compile(r"^```(?:python|py)\n(.*?)^```$", re.M | re.S)


def pages():
    """README.md, which must have Python, and every page of docs/ that has some."""
    docs = sorted((ROOT / "docs").glob("**/*.md"))
    return [README, *(page for page in docs if BLOCK.search(page.read_text(encoding="utf-8")))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks, f"{page.name} has no python block"
    if TORCH.search(text):
        pytest.importorskip("torch", reason=f"torch is not installed: {page.name} was not run")
    session = {"__name__": "__main__"}
    printed = io.StringIO()
    for block in blocks:
        line = text[: block.start()].count("\n") + 2
        # Blank lines in front keep the page's own line numbers in a traceback.
        source = "\n" * (line - 1) + block.group(1)
        with contextlib.redirect_stdout(printed):
            exec(compile(source, str(page), "exec"), session)
    assert "minnorm" in session or any(
        getattr(value, "__module__", "").startswith("minnorm") for value in session.values()
    )
    told = "".join(OUTPUT.findall(text))
    assert masked(printed.getvalue()) == masked(told)


def masked(output):
    output = CONDITION.sub("CONDITION", NUMBER.sub("NUMBER", output))
    return BACKEND.sub("BACKEND", output)


def test_both_commands_are_named():
    text = README.read_text(encoding="utf-8")
    assert "pip install . && minnorm demo" in text
    assert "pip install '.[test]' && pytest" in text
