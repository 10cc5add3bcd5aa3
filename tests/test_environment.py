import torch

import mlmusic
from mlmusic.environment import about


def test_about_names_versions_and_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    parts = about().split(" · ")
    assert parts[0] == f"mlmusic {mlmusic.__version__}"
    assert parts[3] == f"torch {torch.__version__.split('+')[0]}"
    assert parts[4] == "cpu, 2 threads"


def test_about_names_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    assert about().endswith(" · cuda, Tesla T4")
