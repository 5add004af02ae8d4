"""Try our side on TensorRT's real Python bindings, without TensorRT and without a GPU.

    pip download --no-deps -d FOLDER tensorrt-cu13-bindings==11.4.0.106
    PYTHONPATH=.:engines:kernels:gui python tests/affect_engines/bindings.py FOLDER/*.whl

The bindings are one shared object that wants TensorRT's libraries; empty ones (gcc, nm) satisfy it.
So what can be checked is that it imports, that every member we use is there and called as its
signature says, that our logger, progress monitor and plugins are classes it accepts, and what it
does where no builder can be made. Nothing is built or run: this does not count as having run.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.affect_engines import surfaces

_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")


def make_libraries(shared_object, major, folder):
    """Build empty libraries that define what the bindings want and the system does not have."""
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", str(shared_object)],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    wanted = [n for n in listed if re.match(r"(create|get|init)\w+$", n) and "Py" not in n]
    source = folder / "empty.c"
    source.write_text("".join(f"void* {name}(void) {{ return 0; }}\n" for name in set(wanted)))
    for name in _LIBRARIES:
        file = f"lib{name}.so.{major}"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{file}", "-o", folder / file, source],
            check=True,
        )


def walk(module):
    """Return the module's surface, in the form of the recordings."""
    surface = {}
    for kind in (name for name in dir(module) if not name.startswith("_")):
        thing = getattr(module, kind)
        if isinstance(thing, type):
            surface[kind] = {
                name: _signature(getattr(thing, name, None))
                for name in dir(thing)
                if not name.startswith("__") or name == "__init__"
            }
        elif callable(thing):
            surface[kind] = _signature(thing)
    return surface


def _signature(member):
    return (getattr(member, "__doc__", "") or "").split("\n")[0] if callable(member) else ""


def overloads(module, kind, name):
    """Return the signatures that the bindings give a member; older ones have fewer."""
    text = getattr(getattr(module, kind), name).__doc__
    lines = re.findall(r"^\d+\. (.*)$", text, re.MULTILINE) or text.splitlines()[:1]
    return [surfaces.parameters(line) for line in lines]


def check(shared_object, version):
    """Check all that can be checked; in a process whose library path has the empty libraries."""
    spec = importlib.util.spec_from_file_location("tensorrt", shared_object)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tensorrt"] = module
    spec.loader.exec_module(module)
    module.__version__ = version
    from affect_engines.errors import DeviceError
    from affect_engines.trt import build, plugins
    from affect_engines.trt import engine as trt

    assert trt.import_tensorrt() is module
    assert trt.is_real(version)
    assert surfaces.complaints(walk(module), surfaces.uses()) == []
    for (kind, name), known in surfaces.OVERLOADED.items():
        assert known in overloads(module, kind, name), (kind, name)
    log = trt.make_log(module, "network")
    assert isinstance(log, module.ILogger)
    log.log(module.ILogger.ERROR, "out of memory")
    assert log.errors == ["out of memory"]
    told = []
    compiler = build._Compiler(module, "network", "fp32", 8, told.append)
    monitor = compiler._monitor()
    assert isinstance(monitor, module.IProgressMonitor)
    monitor.phase_start("all", None, 2)
    assert monitor.step_complete("all", 0)
    monitor.phase_finish("all")
    assert [progress.share for progress in told] == [0.0, 0.5, 1.0]
    if tuple(int(number) for number in version.split(".")[:2]) >= plugins.OLDEST:
        check_plugins(module)
    with pytest.raises(DeviceError, match="no builder"):  # as without a driver
        compiler.run(b"", b"")
    flag = module.NetworkDefinitionCreationFlag.STRONGLY_TYPED.value
    sys.stdout.write(f"TensorRT bindings {version} have it all; STRONGLY_TYPED is {flag}\n")


def check_plugins(module):
    """Check that our plugins are classes the bindings accept, and that their fields come back."""
    from affect_engines.trt import plugins

    # A field points to its array and does not keep it: these live to the end.
    arrays = {name: np.arange(3, dtype=np.int32) + len(name) for name in ("grid_q", "grid_k")}
    fields = {name: tuple(int(value) for value in array) for name, array in arrays.items()}
    for operation in plugins.OPERATIONS:
        creator = plugins.make_creator(module, operation, None)
        assert isinstance(creator, module.IPluginCreatorV3One)
        assert [field.name for field in creator.field_names] == list(operation.fields)
        given = module.PluginFieldCollection(
            [
                module.PluginField(name, arrays[name], module.PluginFieldType.INT32)
                for name in operation.fields
            ]
        )
        plugin = creator.create_plugin("node", given, module.TensorRTPhase.BUILD)
        for kind in ("IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime"):
            assert isinstance(plugin, getattr(module, kind))
        again = plugin.clone()
        read = plugins.read_fields(operation, again.get_fields_to_serialize())
        assert read == {name: fields[name] for name in operation.fields}
        assert plugin.num_outputs == len(operation.writes)
        kinds = plugin.get_output_data_types([module.DataType.HALF])
        assert kinds[0] == module.DataType.HALF


def main():
    if sys.argv[1] == "check":
        check(*sys.argv[2:])
        return
    for wheel in map(Path, sys.argv[1:]):
        version = wheel.name.split("-")[1]
        with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(wheel) as archive:
            (member,) = [m for m in archive.namelist() if m.endswith("/tensorrt.so")]
            shared_object = Path(archive.extract(member, name))
            make_libraries(shared_object, version.split(".")[0], Path(name))
            environment = {**os.environ, "LD_LIBRARY_PATH": name}
            command = [sys.executable, __file__, "check", str(shared_object), version]
            subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
