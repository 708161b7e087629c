"""The gate beside a bot of a foreign chart, by a patch: the same container as the library chart makes.

The patch is laid over the example twice: by `kubectl kustomize` where there is one that is new enough, and
by the few rules of strategic merging that it needs, in Python. Both must agree.
"""

import re
import shutil
import subprocess

import pytest
import yaml

import charts
import kubernetes

FOLDER = charts.ROOT / "helm/kustomize/callgate-sidecar"
# Lists of these names are merged by the names of what they hold; what is new comes first.
NAMED = {"initContainers", "containers", "volumes", "env"}
KUSTOMIZE_KNOWS_TARGETS = (1, 21)


def merged(there, patch, name=""):
    if isinstance(patch, dict):
        return {**there, **{k: merged(there[k], v, k) if k in there else v for k, v in patch.items()}}
    if isinstance(patch, list) and name in NAMED:
        old = {item["name"]: item for item in there}
        both = {n: merged(old[n], item) for item in patch if (n := item["name"]) in old}
        new = [item for item in patch if item["name"] not in old]
        return new + [both.get(item["name"], item) for item in there]
    return patch


def by_hand():
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    (entry,) = kustomization["patches"]
    patch = yaml.safe_load((FOLDER / entry["path"]).read_text())
    objects = []
    for resource in kustomization["resources"]:
        for thing in yaml.safe_load_all((FOLDER / resource).read_text()):
            if thing["kind"] == entry["target"]["kind"] and thing["metadata"]["name"] == entry["target"]["name"]:
                thing["spec"] = merged(thing["spec"], patch["spec"])
            objects.append(thing)
    return objects


def kubectl():
    """The rendered objects, or why there are none."""
    program = shutil.which("kubectl")
    if not program:
        pytest.skip("no kubectl here: the patch is tested by hand only")
    client = subprocess.run([program, "version", "--client"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(n) for n in re.search(r"v(\d+)\.(\d+)", client).groups())
    if version < KUSTOMIZE_KNOWS_TARGETS:
        pytest.skip(f"kubectl {version} is too old for patches with a target: the patch is tested by hand only")
    out = subprocess.run([program, "kustomize", str(FOLDER)], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return list(yaml.safe_load_all(out.stdout))


def names(objects):
    return {thing["metadata"]["name"]: thing for thing in objects}


def test_kubectl_renders_what_the_rules_of_merging_say():
    assert names(kubectl()) == names(by_hand())


def test_the_bot_gets_the_gate_and_keeps_what_it_had():
    spec = names(by_hand())["voice-bot"]["spec"]["template"]["spec"]
    assert [c["name"] for c in spec["initContainers"]] == ["callgate", "migrate"]
    assert [c["name"] for c in spec["containers"]] == ["bot"]
    assert {v["name"] for v in spec["volumes"]} == {"callgate-secrets", "prompts"}
    assert spec["containers"][0]["env"] == [{"name": "REGION", "value": "south"}]


def test_what_is_not_the_target_is_left_alone():
    spec = names(by_hand())["transcriber"]["spec"]["template"]["spec"]
    assert set(spec) == {"containers"}


def test_the_container_is_that_of_the_library_chart():
    secret = {"name": "callgate", "storeUrlKey": "store-url"}
    values = {"callgate-sidecar": {"store": {"url": ""}, "existingSecret": secret}}
    library = charts.pod(charts.render(charts.BOT, values))["spec"]
    spec = names(by_hand())["voice-bot"]["spec"]["template"]["spec"]
    assert spec["initContainers"][0] == library["initContainers"][0]
    assert library["volumes"] == [v for v in spec["volumes"] if v["name"].startswith("callgate")]


def test_with_the_lines_for_keys_it_is_that_of_the_library_chart_with_keys():
    (text,) = re.findall(r"^```yaml\n(env:.*?)^```", (FOLDER / "README.md").read_text(), re.M | re.S)
    lines = yaml.safe_load(text)
    secret = {"name": "callgate", "storeUrlKey": "store-url", "privacyKeysKey": "privacy-keys"}
    values = {"callgate-sidecar": {"store": {"url": ""}, "existingSecret": secret}}
    library = charts.pod(charts.render(charts.BOT, values))["spec"]
    patch = yaml.safe_load((FOLDER / "sidecar.yaml").read_text())["spec"]["template"]["spec"]
    patch["initContainers"][0]["env"] += lines["env"]
    patch["volumes"][0]["secret"]["items"] += lines["items"]
    assert patch["initContainers"] == library["initContainers"]
    assert patch["volumes"] == library["volumes"]


@pytest.mark.parametrize("version", kubernetes.VERSIONS)
def test_the_result_is_valid(version):
    for thing in by_hand():
        kubernetes.validate(thing, version)
