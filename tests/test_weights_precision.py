from pathlib import Path

import pytest
import torch

from interlayer.weights import precision


def test_the_fastest_number_type_is_tried_once_and_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INTERLAYER_CACHE", str(tmp_path))
    tried = iter([torch.bfloat16, torch.float32])
    monkeypatch.setattr(precision, "fastest_precision", lambda device: next(tried))
    assert precision.precision_here() == precision.precision_here() == torch.bfloat16
    (remembered,) = tmp_path.iterdir()
    remembered.write_text("float7")  # damaged: tried anew
    assert precision.precision_here() == torch.float32


def test_bfloat16_must_win_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, fastest in ((1.0, torch.bfloat16), (1.9, torch.float32)):
        monkeypatch.setattr(
            precision, "_seconds", lambda dtype, s=seconds: 2.0 if dtype == torch.float32 else s
        )
        precision.fastest_precision.cache_clear()
        assert precision.fastest_precision() == fastest
    precision.fastest_precision.cache_clear()
