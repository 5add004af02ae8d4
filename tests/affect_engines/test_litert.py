import pytest

from affect_engines.errors import ModelError
from affect_engines.litert import LiteRtEngine
from affect_engines.store import models_folder


@pytest.mark.parametrize("content", [b"", b"no network", b"TFL3" * 100])
def test_a_file_that_is_no_network_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.tflite"):
        LiteRtEngine(path, "broken")


def test_a_file_cut_short_is_refused(tmp_path, models):
    path = tmp_path / "short.tflite"
    path.write_bytes((models_folder() / "face_landmark.tflite").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"short\.tflite"):
        LiteRtEngine(path, "short")


def test_a_missing_file_is_a_model_error(tmp_path):
    with pytest.raises(ModelError):
        LiteRtEngine(tmp_path / "nothing.tflite", "nothing")
