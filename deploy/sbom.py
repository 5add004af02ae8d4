"""Write what an installation is made of: an SBOM (CycloneDX JSON) and a list of licences.

    .venv-sbom/bin/python deploy/sbom.py .venv/bin/python out/sbom

cyclonedx-py describes every package of an environment; kept are those that the window and the
streams need, with all that they need in turn, and the networks are added from their cards.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

EXTRAS: Final = ("gui", "streams")

# Run by the interpreter of the environment that is described.
_NEEDED: Final = f"""
import json, re
from importlib import metadata
from packaging.requirements import Requirement
from affect_engines.store import list_models
left, seen = [("realtime-affect", extra) for extra in {EXTRAS}], set()
while left:
    name, extra = left.pop()
    key = re.sub(r"[-_.]+", "-", name).lower()
    if (key, extra) in seen:
        continue
    seen.add((key, extra))
    for line in metadata.requires(name) or ():
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({{"extra": extra}}):
            left += [(need.name, more) for more in need.extras or ("",)]
cards = [model.card for model in list_models()]
print(json.dumps({{
    "packages": sorted({{key for key, _ in seen}}),
    "networks": [[card.file, card.sha256, card.licence, card.reference] for card in cards],
}}))
"""


def describe(python: str, folder: Path) -> Path:
    """Write ``sbom.cdx.json`` and ``licences.md`` into `folder`; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    answer = subprocess.run([python, "-c", _NEEDED], capture_output=True, text=True, check=True)
    needed = json.loads(answer.stdout)
    whole = folder / "environment.json"
    tool = [sys.executable, "-m", "cyclonedx_py", "environment", "--gather-license-texts"]
    subprocess.run([*tool, "--output-file", str(whole), python], check=True)
    bom = json.loads(whole.read_text("utf-8"))
    whole.unlink()
    bom["components"] = [c for c in bom["components"] if _key(c["name"]) in needed["packages"]]
    missing = set(needed["packages"]) - {_key(c["name"]) for c in bom["components"]}
    if missing:
        message = f"not in the environment: {', '.join(sorted(missing))}"
        raise SystemExit(message)
    bom["components"] += [_network(*network) for network in needed["networks"]]
    kept = {component["bom-ref"] for component in bom["components"]}
    bom["dependencies"] = [
        {**entry, "dependsOn": [ref for ref in entry.get("dependsOn", ()) if ref in kept]}
        for entry in bom["dependencies"]
        if entry["ref"] in kept
    ]
    path = folder / "sbom.cdx.json"
    path.write_text(json.dumps(bom, indent=1) + "\n", "utf-8")
    rows = [f"| {c['name']} | {c.get('version', '')} | {_licence(c)} |" for c in bom["components"]]
    table = ["| component | version | licence |", "|---|---|---|", *rows]
    (folder / "licences.md").write_text("\n".join(table) + "\n", "utf-8")
    return path


def _network(file: str, sha256: str, licence: str, reference: str) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"network-{file}",
        "name": file,
        "description": reference,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "licenses": [{"license": {"name": licence}}],
    }


def _licence(component: dict[str, Any]) -> str:
    """Return the licences that a component states, without their texts."""
    said = []
    for entry in component.get("licenses", ()):
        licence = entry.get("license", {})
        name = entry.get("expression") or licence.get("id") or licence.get("name", "")
        if name.startswith("declared license of"):  # given as a text, not as a name
            name = licence.get("text", {}).get("content", "").strip().partition("\n")[0]
        if name and not name.startswith("declared license file"):
            said.append(" ".join(name.removeprefix("License :: OSI Approved :: ").split())[:80])
    return ", ".join(dict.fromkeys(said)) or "see its texts in sbom.cdx.json"


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    print(describe(sys.argv[1], Path(sys.argv[2])))  # noqa: T201
