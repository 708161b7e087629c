"""The charts of this repository, rendered by Helm's own engine."""

import functools
import json
from pathlib import Path

import helm_python as helm
import yaml

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "helm/callgate"
SIDECAR = ROOT / "helm/callgate-sidecar"
BOT = ROOT / "helm/examples/voice-bot"
SOCKET_BOT = ROOT / "helm/examples/voice-bot-socket"

# The smallest values with which the service renders: nothing beyond them is on.
TRIAL = yaml.safe_load((SERVICE / "ci/trial-values.yaml").read_text())


@functools.cache
def load(path: Path) -> helm.Chart:
    return helm.Chart.load(str(path))


def merge(base: dict, over: dict) -> dict:
    """`over` on top of `base`, as Helm lays one values file over another."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else value
    return out


def at(path: str, value) -> dict:
    """Values that set `a.b.c`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def scenarios(chart: Path) -> list[Path]:
    found = sorted((chart / "ci").glob("*-values.yaml"))
    assert found, f"no scenarios in {chart}"
    return found


def templates(chart: Path, values: dict | None = None, name="demo", namespace="prod") -> dict:
    """What each template prints."""
    return load(chart).render(values or {}, name=name, namespace=namespace)


def render(chart: Path, values: dict | None = None, name="demo", namespace="prod") -> list[dict]:
    """Every object."""
    objects = []
    for template, text in templates(chart, values, name, namespace).items():
        if not template.endswith("NOTES.txt"):
            objects += [one for one in yaml.safe_load_all(text) if one is not None]
    return objects


def pick(objects: list[dict], kind: str, suffix: str = "") -> dict:
    """The one object of a kind whose name ends so."""
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{len(found)} of kind {kind}: {[o['metadata'] for o in found]}"
    return found[0]


def kinds(objects: list[dict]) -> set[str]:
    return {o["kind"] for o in objects}


def pod(objects: list[dict]) -> dict:
    return pick(objects, "Deployment")["spec"]["template"]


def gate(objects: list[dict]) -> dict:
    """The gate's container, on its own or beside a bot."""
    spec = pod(objects)["spec"]
    containers = spec.get("initContainers", []) + spec["containers"]
    return next(c for c in containers if c["name"] == "callgate")


def refusal(chart: Path, values: dict) -> str:
    """What Helm says of values with which nothing is rendered."""
    try:
        render(chart, values)
    except helm.HelmError as error:
        return str(error)
    raise AssertionError(f"rendered all the same: {json.dumps(values)}")
