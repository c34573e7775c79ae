"""The paper's experiments, from data to tables and pictures. Needs the extra ``torch``."""

# Before any module here imports torch itself: this error names the extra.
import minnorm.torch  # noqa: F401
