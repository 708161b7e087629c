"""What a cluster would say of an object: its schema, and the restricted Pod Security Standard."""

import functools
import json
from pathlib import Path

import jsonschema
import kubernetes_validate

# The oldest version that the charts admit, the newest whose schemas are packaged, and some between.
VERSIONS = ("1.29", "1.31", "1.33", "1.35", "1.37")


@functools.cache
def _custom(kind: str) -> jsonschema.Draft7Validator | None:
    path = Path(__file__).parent / "crds" / f"{kind}.json"
    return jsonschema.Draft7Validator(json.loads(path.read_text())) if path.exists() else None


def validate(thing: dict, version: str) -> None:
    """Raises where a field is unknown or of a wrong type."""
    if thing["apiVersion"].startswith("monitoring.coreos.com/"):
        custom = _custom(thing["kind"])
        assert custom, f"no schema for {thing['kind']}"
        custom.validate(thing)
    else:
        kubernetes_validate.validate(thing, version, strict=True)


def pods(objects: list[dict]) -> list[dict]:
    """The pod specs among the objects."""
    found = [o["spec"] for o in objects if o["kind"] == "Pod"]
    for one in objects:
        if one["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            found.append(one["spec"]["template"]["spec"])
    return found


# What a restricted namespace lets a pod mount.
MOUNTABLE = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def restricted(spec: dict) -> list[str]:
    """What the restricted standard would refuse in a pod; empty if nothing.

    Its fields by the page "Pod Security Standards" of Kubernetes, and three that we add: a read-only root,
    no token, and a limit of memory.
    """
    wrong = []
    pod = spec.get("securityContext") or {}
    wrong += [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    for volume in spec.get("volumes") or []:
        wrong += [f"volume {v}" for v in volume if v != "name" and v not in MOUNTABLE]
    wrong += ["sysctls"] if pod.get("sysctls") else []
    if spec.get("automountServiceAccountToken") is not False:
        wrong.append("the token of the service account is mounted")
    for container in (spec.get("initContainers") or []) + spec["containers"]:
        own = container.get("securityContext") or {}
        both = {**pod, **own}
        capabilities = own.get("capabilities") or {}
        checks = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities.drop": "ALL" in capabilities.get("drop", []),
            "capabilities.add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": (both.get("seccompProfile") or {}).get("type")
            in ("RuntimeDefault", "Localhost"),
            "procMount": own.get("procMount", "Default") == "Default",
            "hostPort": not any(p.get("hostPort") for p in container.get("ports") or []),
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
        }
        wrong += [f"{container['name']}: {name}" for name, holds in checks.items() if not holds]
    return wrong
