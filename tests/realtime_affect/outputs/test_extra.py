import pytest

from realtime_affect.errors import DependencyError
from realtime_affect.outputs.extra import import_extra


def test_an_extra_that_is_not_installed_names_what_installs_it():
    with pytest.raises(DependencyError, match=r"realtime-affect\[streams\]"):
        import_extra("no_such_library", "the OSC stream", "streams")
