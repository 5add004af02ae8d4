"""What our code calls of TensorRT and of the CUDA driver, beside what these really offer.

    python tests/affect_engines/surfaces.py tensorrt SURFACE.json...
    python tests/affect_engines/surfaces.py cuda CUDA.h...

write ``tensorrt_surface.json`` and ``cuda_driver.json`` anew: of every recorded version, the part
that our code uses. A surface lists all members and signatures of TensorRT's Python bindings; they
import without a GPU, and without TensorRT once its libraries are replaced by empty ones. ``cuda.h``
lies in the wheels ``nvidia-cuda-runtime`` and ``nvidia-cuda-runtime-cu12``.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENGINES = HERE.parents[1] / "engines" / "affect_engines"
SOURCES = tuple(ENGINES / "trt" / f"{name}.py" for name in ("engine", "build", "plugins"))
TENSORRT, CUDA = HERE / "tensorrt_surface.json", HERE / "cuda_driver.json"

# What variables of SOURCES hold; a test that runs them sees to it that none is missing.
CLASSES = {
    "builder": "Builder", "network": "INetworkDefinition", "parser": "OnnxParser",
    "config": "IBuilderConfig", "profile": "IOptimizationProfile", "tensor": "ITensor",
    "cache": "ITimingCache", "fault": "ParserError", "runtime": "Runtime",
    "engine": "ICudaEngine", "context": "IExecutionContext", "kind": "DataType",
    "registry": "IPluginRegistry", "field": "PluginField", "offered": "DynamicPluginTensorDesc",
    "first": "DynamicPluginTensorDesc", "described": "PluginTensorDesc", "part": "PluginTensorDesc",
}  # fmt: skip

# Members with several signatures, of which a recording says only that; the one we use is read from
# the docstrings of the same bindings (bindings.py checks it).
OVERLOADED = {
    ("ICudaEngine", "create_execution_context"): [("self", False), ("strategy", True)],
    ("IExecutionContext", "set_input_shape"): [("self", False), ("name", False), ("shape", False)],
    ("Builder", "build_serialized_network"): [
        ("self", False), ("network", False), ("config", False),
    ],
    ("Runtime", "deserialize_cuda_engine"): [("self", False), ("serialized_engine", False)],
    ("IPluginRegistry", "register_creator"): [
        ("self", False), ("creator", False), ("plugin_namespace", True),
    ],
    **{
        (kind, "__init__"): [("self", False)]
        for kind in ("IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime")
    },
    ("PluginField", "__init__"): [
        ("self", False), ("name", False), ("data", False), ("type", True),
    ],
    ("PluginFieldCollection", "__init__"): [("self", False), ("arg0", False)],
    ("DimsExprs", "__init__"): [("self", False), ("arg0", False)],
}  # fmt: skip


@dataclass(frozen=True)
class Use:
    """One place that uses a member; arguments are None where it is not called.

    `kind` is a class, a function of the module, or several classes with ``|`` between: of those one
    has the member.
    """

    kind: str
    member: str
    where: str
    n_arguments: int | None = None
    keywords: tuple[str, ...] = ()


def uses():
    """Return every use of TensorRT in the sources."""
    return [use for path in SOURCES for use in _uses_in(path)]


def _uses_in(path):
    tree = ast.parse(path.read_text("utf-8"))
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ClassDef):
            bases = [_chain(base)[1] for base in node.bases if _chain(base)[:1] == ["trt"]]
            if bases:
                yield from _overrides("|".join(bases), node, where)
        chain = _chain(node)
        # __version__ is set by the package around the bindings, which a surface does not list.
        if chain[:1] == ["trt"] and len(chain) > 1 and chain[1] != "__version__":
            called = calls.get(id(node))
            if chain[1][0].islower():
                yield _use(chain[1], "", where, called, 0)
                continue
            member = chain[2] if len(chain) > 2 else "__init__" if called else ""
            extra = 1 if len(chain) == 2 and called else 0  # the signature counts self
            yield _use(chain[1], member, where, called, extra)
            if len(chain) > 3:
                yield Use(chain[1], chain[3], where)
        elif len(chain) >= 2 and chain[-2].lstrip("_") in CLASSES:
            yield _use(CLASSES[chain[-2].lstrip("_")], chain[-1], where, calls.get(id(node)), 1)


def _use(kind, member, where, called, extra):
    if called is None:
        return Use(kind, member, where)
    keywords = tuple(keyword.arg for keyword in called.keywords)
    return Use(kind, member, where, len(called.args) + extra, keywords)


def _overrides(kind, node, where):
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            if "IPlugin" in kind:  # whose attributes TensorRT reads
                for part in ast.walk(item):
                    stored = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
                    if stored and not part.attr.startswith("_"):
                        yield Use(kind, part.attr, where)
            if "|" in kind:
                continue
        if isinstance(item, ast.FunctionDef) and not re.match(r"_[a-z]", item.name):
            # A name that Python keeps for itself has a line after it: `in_`.
            names = tuple(argument.arg.removesuffix("_") for argument in item.args.args)
            # Called by TensorRT by position: as many arguments, by the same names.
            yield Use(kind, item.name, where, 1, names[1:])


def _chain(node):
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def parameters(signature):
    """Return (name, has a default) of each parameter; None where the bindings do not tell."""
    inside = re.match(r"\w+\((.*)\)(?: -> .*)?$", signature, re.DOTALL)
    if inside is None or "*args" in inside[1]:
        return None
    depth, parts = 0, [""]
    for letter in inside[1]:
        depth += (letter in "[(<") - (letter in "])>")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [(part.split(":")[0].strip(), "=" in part) for part in parts if part.strip()]


def complaints(surface, found):
    """Return what in `found` a surface does not offer."""
    wrong = []
    for use in (_settled(surface, use) for use in found):
        if use.kind not in surface:
            wrong.append(f"{use.where}: no class {use.kind}")
        elif isinstance(surface[use.kind], str):
            known = [name for name, has_default in parameters(surface[use.kind]) if not has_default]
            if use.n_arguments is not None and use.n_arguments != len(known):
                wrong.append(f"{use.where}: {use.kind} takes {', '.join(known)}")
        elif use.member and use.member not in surface[use.kind]:
            wrong.append(f"{use.where}: {use.kind} has no {use.member}")
        elif use.member and use.n_arguments is not None:
            known = parameters(surface[use.kind][use.member])
            known = known or OVERLOADED.get((use.kind, use.member))
            if known is None:
                wrong.append(f"{use.where}: {use.kind}.{use.member} has unknown signatures")
                continue
            names = [name for name, _ in known]
            unnamed = names[1:] and all(re.match(r"arg\d+$", name) for name in names[1:])
            if unnamed and len(names) == use.n_arguments + len(use.keywords):
                continue  # older bindings name no arguments, and we override by position
            given = {*names[: use.n_arguments], *use.keywords}
            needed = {name for name, has_default in known if not has_default}
            if use.n_arguments > len(names) or not given <= set(names) or not needed <= given:
                wrong.append(f"{use.where}: {use.kind}.{use.member} takes {', '.join(names)}")
    return wrong


def _settled(surface, use):
    """Return a use with the one of its classes that has the member."""
    kinds = use.kind.split("|")
    having = [kind for kind in kinds if use.member in surface.get(kind, {})]
    return replace(use, kind=(having or kinds)[0])


def used_part(surface, found):
    """Return the part of a surface that our code uses."""
    part = {}
    for use in (_settled(surface, use) for use in found):
        if isinstance(surface[use.kind], str):
            part[use.kind] = surface[use.kind]
            continue
        members = part.setdefault(use.kind, {})
        if use.member:
            members[use.member] = surface[use.kind][use.member]
    return {
        kind: members if isinstance(members, str) else dict(sorted(members.items()))
        for kind, members in sorted(part.items())
    }


def prototypes(header):
    """Return the types of every driver function that we call, as a ``cuda.h`` declares it."""
    from affect_kernels.cuda.driver import CALLS

    exported = {}
    for line in re.findall(r"^[ ]*#define (cu\w+)[ ]+(.+)$", header, re.MULTILINE):
        exported.setdefault(re.sub(r"__CUDA_API_\w+\((\w+)\)", r"\1", line[1]).strip(), line[0])
    found = {}
    for name in CALLS:
        plain = exported.get(name, name)
        (inside,) = set(re.findall(rf"^CUresult CUDAAPI {plain}\(([^)]*)\);", header, re.MULTILINE))
        found[name] = [
            re.sub(r"\s*(\*+)$", r" \1", re.sub(r"\w+$", "", part.strip()).strip())
            for part in inside.split(",")
        ]
    return found


def main():
    what, *files = sys.argv[1:]
    recorded = {}
    for file in sorted(files):
        text = Path(file).read_text("utf-8")
        if what == "tensorrt":
            version = re.search(r"surface_([\d.]+)\.json", file)[1]
            recorded[version] = used_part(json.loads(text), uses())
        else:
            version = re.search(r"#define CUDA_VERSION (\d+)", text)[1]
            recorded[version] = prototypes(text)
    target = TENSORRT if what == "tensorrt" else CUDA
    target.write_text(json.dumps(recorded, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
