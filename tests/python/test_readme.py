"""The Python of README.md runs, from the first block to the last, and prints what it says."""

import contextlib
import io
import pathlib
import re

README = pathlib.Path(__file__).parents[2] / "README.md"
OUTPUT = re.compile(r"^```text\n(.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"\d+(\.\d+)?e[-+]\d+")  # rounding differs from machine to machine
BACKEND = re.compile(r"\b(native|scipy) backend")
BLOCK = re.compile(r"^```(?:python|py)\n(.*?)^```$", re.M | re.S)


def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks, "README.md has no python block"
    session = {"__name__": "__main__"}
    printed = io.StringIO()
    for block in blocks:
        line = text[: block.start()].count("\n") + 2
        # Blank lines in front keep the README's own line numbers in a traceback.
        source = "\n" * (line - 1) + block.group(1)
        with contextlib.redirect_stdout(printed):
            exec(compile(source, str(README), "exec"), session)
    assert any(name in session for name in ("minnorm", "LinearInterpolator", "KernelInterpolator"))
    told = "".join(OUTPUT.findall(text))
    assert masked(printed.getvalue()) == masked(told)


def masked(output):
    return BACKEND.sub("BACKEND", NUMBER.sub("NUMBER", output))


def test_both_commands_are_named():
    text = README.read_text(encoding="utf-8")
    assert "pip install . && minnorm demo" in text
    assert "pip install '.[test]' && pytest" in text
