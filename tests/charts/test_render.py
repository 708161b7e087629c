"""Every scenario of every chart renders to objects that a cluster takes."""

import copy

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

import charts
import kubernetes

SCENARIOS = [
    pytest.param(chart, path, id=f"{chart.name}-{path.stem if path else 'defaults'}")
    for chart, paths in (
        (charts.SERVICE, charts.scenarios(charts.SERVICE)),
        (charts.BOT, [None, *charts.scenarios(charts.BOT)]),
        (charts.SOCKET_BOT, [None]),
    )
    for path in paths
]
ALL_CHARTS = [charts.SERVICE, charts.SIDECAR, charts.BOT, charts.SOCKET_BOT]


def values_of(path):
    return yaml.safe_load(path.read_text()) if path else {}


@pytest.mark.parametrize(("chart", "path"), SCENARIOS)
@pytest.mark.parametrize("version", kubernetes.VERSIONS)
def test_a_scenario_is_valid(chart, path, version):
    objects = charts.render(chart, values_of(path))
    assert objects
    for thing in objects:
        kubernetes.validate(thing, version)


@pytest.mark.parametrize(("chart", "path"), SCENARIOS)
def test_a_scenario_passes_restricted_pod_security(chart, path):
    pods = kubernetes.pods(charts.render(chart, values_of(path)))
    assert pods
    for spec in pods:
        assert kubernetes.restricted(spec) == []


@pytest.mark.parametrize(("chart", "path"), SCENARIOS)
def test_a_scenario_lints_without_a_word(chart, path):
    found = helm.lint(str(chart), values_of(path), strict=True)
    words = [m for m in found["messages"] if "icon is recommended" not in m["error"]]
    assert (words, found["errors"]) == ([], [])


@pytest.mark.parametrize("chart", ALL_CHARTS, ids=lambda chart: chart.name)
def test_a_chart_lints_by_itself(chart):
    found = helm.lint(str(chart), strict=True)
    words = [m for m in found["messages"] if "icon is recommended" not in m["error"]]
    assert (words, found["errors"]) == ([], [])


def test_the_newest_schemas_that_are_packaged_are_used():
    assert kubernetes.VERSIONS[-1] == kubernetes_validate.latest_version().rsplit(".", 1)[0]


def test_every_kind_is_rendered_by_some_scenario():
    seen = set()
    for path in charts.scenarios(charts.SERVICE):
        seen |= charts.kinds(charts.render(charts.SERVICE, values_of(path)))
    assert seen == {
        "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "Pod", "PodDisruptionBudget",
        "PodMonitor", "PrometheusRule", "Service", "ServiceAccount", "ServiceMonitor",
    }  # fmt: skip


def test_the_checks_themselves_can_fail():
    objects = charts.render(charts.SERVICE, charts.TRIAL)
    for break_it in (
        lambda d: d["spec"]["template"]["spec"].update(replica=1),
        lambda d: d["spec"].update(replicas="2"),
    ):
        broken = copy.deepcopy(charts.pick(objects, "Deployment"))
        break_it(broken)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes.validate(broken, "1.29")
    monitor = charts.at("metrics.podMonitor.enabled", True)
    objects = charts.render(charts.SERVICE, charts.merge(charts.TRIAL, monitor))
    broken = charts.pick(objects, "PodMonitor")
    broken["spec"]["endpoints"] = []
    with pytest.raises(Exception, match="Additional properties are not allowed"):
        kubernetes.validate(broken, "1.29")
    sound = charts.pod(objects)["spec"]
    for break_it, complaint in (
        (lambda s: s.pop("automountServiceAccountToken"), "token"),
        (lambda s: s.update(hostNetwork=True), "hostNetwork"),
        (lambda s: s["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "hostPath"),
        (lambda s: s["securityContext"].pop("seccompProfile") and s["containers"][0]["securityContext"].pop("seccompProfile"), "seccompProfile"),
        (lambda s: s["containers"][0]["securityContext"].update(readOnlyRootFilesystem=False), "readOnlyRootFilesystem"),
        (lambda s: s["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True), "allowPrivilegeEscalation"),
        (lambda s: s["containers"][0]["securityContext"].update(capabilities={"add": ["SYS_ADMIN"]}), "capabilities.add"),
        (lambda s: s["containers"][0]["securityContext"].update(runAsUser=0), "runAsUser"),
    ):  # fmt: skip
        spec = copy.deepcopy(sound)
        break_it(spec)
        assert complaint in "; ".join(kubernetes.restricted(spec))
