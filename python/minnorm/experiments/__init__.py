"""The paper's experiments, from data to tables and pictures. Needs the extra ``torch``."""
