"""The library chart: the gate beside a bot, as a native sidecar."""

import re
import tomllib

import pytest
import yaml

import charts
import kubernetes
import values_document
from charts import at, gate, merge, pod, refusal

CASES = []


def case(path, value, given=None, *, holds, together=None):
    CASES.append(pytest.param(path, value, given or {}, together or {}, holds, id=path))


def sidecar(values):
    return {"callgate-sidecar": values}


def environment(objects):
    return {e["name"]: e.get("value") for e in gate(objects)["env"]}


def bot(objects):
    return next(c for c in pod(objects)["spec"]["containers"] if c["name"] == "bot")


def volume(objects, name):
    return next((v for v in pod(objects)["spec"]["volumes"] or [] if v["name"] == name), None)


def mount(container, name):
    return next((m for m in container.get("volumeMounts") or [] if m["name"] == name), None)


SECRET = {"existingSecret": {"name": "callgate", "storeUrlKey": "store-url"}, "store": {"url": ""}}
FILE = at("existingConfigMap.name", "profiles")
SOCKET = at("socket.enabled", True)
DIGEST = "sha256:" + "0" * 64
PLAIN = at("socket.enabled", False)

case("image.repository", "mirror/callgate", holds=lambda o: gate(o)["image"] == "mirror/callgate:0.1.0")
case("image.tag", "9.9.9", holds=lambda o: gate(o)["image"] == "callgate:9.9.9")
case("image.digest", DIGEST, at("image.tag", "9"), holds=lambda o: gate(o)["image"] == f"callgate@{DIGEST}")
case("image.pullPolicy", "Always", holds=lambda o: gate(o)["imagePullPolicy"] == "Always")
case("store.url", "rediss://redis:6380", holds=lambda o: environment(o)["CALLGATE_STORE"] == "rediss://redis:6380")
case("existingSecret.name", "mine", SECRET, holds=lambda o: volume(o, "callgate-secrets")["secret"]["secretName"] == "mine")
case("existingSecret.storeUrlKey", "url", at("existingSecret.name", "callgate"), together=at("store.url", ""), holds=lambda o: environment(o).get("CALLGATE_STORE_FILE") == "/etc/callgate/secrets/url" and "CALLGATE_STORE" not in environment(o) and volume(o, "callgate-secrets")["secret"]["items"] == [{"key": "url", "path": "url"}] and mount(gate(o), "callgate-secrets")["readOnly"])
case("existingSecret.privacyKeysKey", "keys", at("existingSecret.name", "callgate"), holds=lambda o: environment(o).get("CALLGATE_PRIVACY_KEY_FILE") == "/etc/callgate/secrets/keys" and volume(o, "callgate-secrets")["secret"] == {"secretName": "callgate", "items": [{"key": "keys", "path": "keys"}]} and mount(gate(o), "callgate-secrets") == {"name": "callgate-secrets", "mountPath": "/etc/callgate/secrets", "readOnly": True} and not mount(bot(o), "callgate-secrets"))
case("existingConfigMap.name", "profiles", holds=lambda o: environment(o).get("CALLGATE_CONFIG") == "/etc/callgate/config/callgate.toml" and volume(o, "callgate-config")["configMap"]["name"] == "profiles" and mount(gate(o), "callgate-config")["mountPath"] == "/etc/callgate/config")
case("existingConfigMap.key", "gate.toml", FILE, holds=lambda o: environment(o)["CALLGATE_CONFIG"] == "/etc/callgate/config/gate.toml")
case("socket.enabled", True, PLAIN, holds=lambda o: environment(o)["CALLGATE_GRPC_ADDR"] == {e["name"]: e["value"] for e in bot(o)["env"]}["CALLGATE_ADDR"] == "unix:/run/callgate/callgate.sock" and "emptyDir" in volume(o, "callgate-socket") and mount(gate(o), "callgate-socket") == mount(bot(o), "callgate-socket") == {"name": "callgate-socket", "mountPath": "/run/callgate"})
case("socket.mountPath", "/sock", SOCKET, holds=lambda o: environment(o)["CALLGATE_GRPC_ADDR"] == "unix:/sock/callgate.sock" and mount(gate(o), "callgate-socket")["mountPath"] == mount(bot(o), "callgate-socket")["mountPath"] == "/sock")
case("ports.grpc", 6000, PLAIN, holds=lambda o: environment(o)["CALLGATE_GRPC_ADDR"] == "127.0.0.1:6000" and bot(o)["env"] == [{"name": "CALLGATE_ADDR", "value": "http://127.0.0.1:6000"}])
case("ports.admin", 6001, holds=lambda o: environment(o)["CALLGATE_ADMIN_ADDR"] == "0.0.0.0:6001" and gate(o)["ports"] == [{"name": "callgate-admin", "containerPort": 6001}])
for limit in ("calls", "batches", "streams", "connections"):
    case(f"limits.{limit}", 17, holds=lambda o, limit=limit: environment(o)[f"CALLGATE_LIMITS_{limit.upper()}"] == "17")
case("resources", {"limits": {"memory": "1Gi"}}, holds=lambda o: gate(o)["resources"]["limits"] == {"memory": "1Gi"})
for probe in ("startupProbe", "livenessProbe"):
    for field in ("periodSeconds", "failureThreshold"):
        case(f"{probe}.{field}", 17, holds=lambda o, probe=probe, field=field: gate(o)[probe][field] == 17)
for field in ("runAsUser", "runAsGroup"):
    case(f"podSecurity.{field}", 4711, holds=lambda o, field=field: gate(o)["securityContext"][field] == 4711)
case("extraEnv", [{"name": "RUST_BACKTRACE", "value": "1"}], holds=lambda o: environment(o).get("RUST_BACKTRACE") == "1")
case("extraVolumeMounts", [{"name": "ca", "mountPath": "/ca"}], holds=lambda o: mount(gate(o), "ca") == {"name": "ca", "mountPath": "/ca"})


@pytest.mark.parametrize(("path", "value", "given", "together", "holds"), CASES)
def test_a_value_does_what_it_says(path, value, given, together, holds):
    before = charts.render(charts.SOCKET_BOT, sidecar(given))
    after = charts.render(charts.SOCKET_BOT, sidecar(merge(merge(given, together), at(path, value))))
    assert not holds(before), "holds without the value as well"
    assert holds(after)
    for thing in after:
        kubernetes.validate(thing, kubernetes.VERSIONS[-1])


def test_no_value_goes_untested():
    assert {param.id for param in CASES} == {v.path for v in values_document.leaves(charts.SIDECAR)}


def test_the_example_takes_it_in_two_lines():
    text = (charts.BOT / "templates/deployment.yaml").read_text()
    lines = [line.strip() for line in text.splitlines() if "callgate." in line]
    assert lines == [
        'initContainers: {{- include "callgate.sidecar" . | nindent 8 }}',
        'volumes: {{- include "callgate.volumes" . | nindent 8 }}',
    ]


def test_it_is_a_native_sidecar_that_the_bot_waits_for():
    spec = pod(charts.render(charts.BOT))["spec"]
    assert [c["name"] for c in spec["initContainers"]] == ["callgate"]
    (container,) = spec["initContainers"]
    assert container["restartPolicy"] == "Always"
    assert container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "callgate-admin"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "callgate-admin"}
    assert "readinessProbe" not in container, "a bot is not taken out of service for its gate"
    assert container["args"] == ["serve"]
    assert {k: v for k, v in environment(charts.render(charts.BOT)).items()} == {
        "CALLGATE_GRPC_ADDR": "127.0.0.1:50051",
        "CALLGATE_HTTP_ADDR": "off",
        "CALLGATE_ADMIN_ADDR": "0.0.0.0:9901",
        "CALLGATE_ALLOW_INSECURE": "admin",
        "CALLGATE_LIMITS_CALLS": "128",
        "CALLGATE_LIMITS_BATCHES": "2",
        "CALLGATE_LIMITS_STREAMS": "128",
        "CALLGATE_LIMITS_CONNECTIONS": "48",
        "CALLGATE_STORE": "redis://redis:6379",
    }


def test_without_secret_file_and_socket_nothing_is_mounted():
    spec = pod(charts.render(charts.BOT))["spec"]
    assert not spec["volumes"]
    assert not spec["initContainers"][0]["volumeMounts"]


def test_names_that_look_like_something_else_stay_texts():
    values = merge(SECRET, {"existingSecret": {"name": "1", "storeUrlKey": "0755"}, "existingConfigMap": {"name": "1e3", "key": "2"}})
    for thing in charts.render(charts.BOT, sidecar(values)):
        kubernetes.validate(thing, kubernetes.VERSIONS[-1])


def test_the_image_is_that_of_the_chart():
    chart = yaml.safe_load((charts.SIDECAR / "Chart.yaml").read_text())
    service = yaml.safe_load((charts.SERVICE / "Chart.yaml").read_text())
    cargo = tomllib.loads((charts.ROOT / "Cargo.toml").read_text())["package"]["version"]
    assert chart["appVersion"] == service["appVersion"] == cargo
    assert gate(charts.render(charts.BOT))["image"] == f"callgate:{cargo}"


def test_annotations_for_a_prometheus_without_the_operator(tmp_path):
    text = render_line(tmp_path, '{{ include "callgate.podAnnotations" . }}')
    assert yaml.safe_load(text) == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9901",
        "prometheus.io/path": "/metrics",
    }


def render_line(folder, line):
    """What one line prints in a chart that has the library."""
    (folder / "charts").mkdir()
    (folder / "templates").mkdir()
    (folder / "charts/callgate-sidecar").symlink_to(charts.SIDECAR)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: probe\nversion: 0.1.0\n")
    (folder / "templates/line.yaml").write_text(f"{line}\n")
    return charts.templates(folder, sidecar(at("store.url", "memory:")))["probe/templates/line.yaml"]


REFUSALS = [
    (at("store.url", ""), "set callgate-sidecar.store.url to the Redis URL"),
    (at("store.url", "embedded:/var/lib/callgate"), "set callgate-sidecar.store.url to a Redis URL"),
    (at("store.url", "redis://:hunter2@redis"), "set callgate-sidecar.existingSecret.name and callgate-sidecar.existingSecret.storeUrlKey"),
    (merge(SECRET, at("existingSecret.name", "")), "set callgate-sidecar.existingSecret.name"),
    (merge(SECRET, at("store.url", "redis://redis")), "not both"),
    (at("existingSecret.privacyKeysKey", "keys"), "existingSecret.privacyKeysKey names a key of no Secret: set callgate-sidecar.existingSecret.name"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "mend"), REFUSALS)
def test_it_is_refused_with_its_mend(values, mend):
    assert mend in refusal(charts.BOT, sidecar(values))


def test_the_readme_shows_every_template():
    defined = set(re.findall(r'define "(callgate\.\w+)"', (charts.SIDECAR / "templates/_sidecar.tpl").read_text()))
    readme = (charts.SIDECAR / "README.md").read_text()
    assert defined == {"callgate.sidecar", "callgate.volumes", "callgate.env", "callgate.volumeMounts", "callgate.podAnnotations"}
    assert [name for name in defined if f'include "{name}"' not in readme] == []
