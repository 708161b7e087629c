"""Every value of the service's chart does what its sentence says: set, it changes the render so.

A case is a value's path, what it is set to, further values that it needs, those that must change together
with it, and what must hold then and must not hold without it. A test sees to it that no value is without a case.
"""

import json
import re
import tomllib

import pytest
import yaml

import charts
import kubernetes
import values_document
from charts import at, gate, kinds, merge, pick, pod

CASES = []


def case(path, value, given=None, *, holds, together=None):
    CASES.append(pytest.param(path, value, given or {}, together or {}, holds, id=path))


def lookup(thing, path):
    """`spec.ports.0.name` in an object; None where there is none."""
    for key in path.split("."):
        if isinstance(thing, list):
            thing = thing[int(key)] if int(key) < len(thing) else None
        else:
            thing = (thing or {}).get(key)
    return thing


def has(kind, path, expected, suffix=""):
    """An object has this at this place."""
    return lambda objects: kind in kinds(objects) and lookup(pick(objects, kind, suffix), path) == expected


def toml(objects):
    return tomllib.loads(pick(objects, "ConfigMap", "-callgate")["data"]["callgate.toml"])


def configured(path, expected):
    """The gate's configuration has this at this place."""
    return lambda objects: lookup(toml(objects), path) == expected


def volume(objects, name):
    return next((v for v in pod(objects)["spec"]["volumes"] if v["name"] == name), None)


def mount(objects, name):
    return next((m for m in gate(objects)["volumeMounts"] if m["name"] == name), None)


def check_pod(objects):
    return pick(objects, "Pod")["spec"]


def argument_after(objects, flag):
    args = check_pod(objects)["containers"][0]["args"]
    return args[args.index(flag) + 1] if flag in args else None


def ingress_from(objects, port):
    rules = pick(objects, "NetworkPolicy")["spec"]["ingress"]
    return next((rule.get("from") for rule in rules if rule["ports"][0]["port"] == port), None)


DEPLOYMENT = "spec.template.spec"
CONTAINER = f"{DEPLOYMENT}.containers.0"
OTHER = {"podSelector": {"matchLabels": {"app": "other"}}}
LABEL = {"team": "voice"}
DIGEST = "sha256:" + "0" * 64
SECRET = at("existingSecret.name", "callgate")
WEBHOOK = merge(SECRET, {"webhook": {"enabled": True}, "allowInsecure": ["grpc", "http", "admin"]})
INGRESS = merge(WEBHOOK, {"ingress": {"enabled": True, "host": "gate.example.com"}})
REDIS = at("store.url", "redis://redis:6379")
SCALED = merge(REDIS, at("autoscaling.enabled", True))
GRPC_TLS = at("tls.grpc.existingSecret", "grpc-tls")
HTTP_TLS = merge(WEBHOOK, at("tls.http.existingSecret", "http-tls"))
ADMIN_TLS = at("tls.admin.existingSecret", "admin-tls")
CLIENT = {"config": {"clients": {"bot": {"roles": ["caller"], "token_sha256": ["0" * 64]}}}}
EMBEDDED = merge(at("store.url", "embedded:/var/lib/callgate/a"), at("persistence.existingClaim", "facts"))
TOKEN = at("helmTest.tokenSecret.name", "token")

# === Names and labels ===
case("nameOverride", "gate", holds=has("Deployment", "metadata.name", "demo-gate"))
case("fullnameOverride", "gate", holds=lambda o: {n["metadata"]["name"] for n in o if n["kind"] != "Pod"} == {"gate", "gate-headless"})
case("commonLabels", LABEL, holds=lambda o: all(n["metadata"]["labels"].get("team") == "voice" for n in o) and pod(o)["metadata"]["labels"].get("team") == "voice")

# === Image ===
case("image.repository", "mirror/callgate", holds=lambda o: gate(o)["image"] == check_pod(o)["containers"][0]["image"] == "mirror/callgate:0.1.0")
case("image.tag", "0.1.0-7", holds=lambda o: gate(o)["image"] == check_pod(o)["containers"][0]["image"] == "callgate:0.1.0-7")
case("image.digest", DIGEST, at("image.tag", "9.9.9"), holds=lambda o: gate(o)["image"] == check_pod(o)["containers"][0]["image"] == f"callgate@{DIGEST}")
case("image.pullPolicy", "Always", holds=lambda o: gate(o)["imagePullPolicy"] == check_pod(o)["containers"][0]["imagePullPolicy"] == "Always")
case("imagePullSecrets", [{"name": "mirror"}], holds=lambda o: pod(o)["spec"].get("imagePullSecrets") == check_pod(o).get("imagePullSecrets") == [{"name": "mirror"}])

# === How many, and where facts are ===
case("replicaCount", 3, REDIS, holds=has("Deployment", "spec.replicas", 3))
case("store.url", "redis://redis:6379", holds=configured("store", "redis://redis:6379"))
case("persistence.existingClaim", "facts", holds=lambda o: (volume(o, "store") or {}).get("persistentVolumeClaim") == {"claimName": "facts"})
case("persistence.mountPath", "/facts", at("persistence.existingClaim", "facts"), holds=lambda o: mount(o, "store")["mountPath"] == "/facts")

# === Secrets ===
case("existingSecret.name", "mine", WEBHOOK, holds=lambda o: volume(o, "secrets")["secret"]["secretName"] == "mine")
case("existingSecret.appSecretKey", "app", WEBHOOK, holds=lambda o: toml(o)["meta"]["app_secret_file"] == "/etc/callgate/secrets/app" and {"key": "app", "path": "app"} in volume(o, "secrets")["secret"]["items"])
case("existingSecret.verifyTokenKey", "verify", WEBHOOK, holds=lambda o: toml(o)["meta"]["verify_token_file"] == "/etc/callgate/secrets/verify" and {"key": "verify", "path": "verify"} in volume(o, "secrets")["secret"]["items"])
case("existingSecret.storeUrlKey", "url", SECRET, together=at("store.url", ""), holds=lambda o: toml(o).get("store_file") == "/etc/callgate/secrets/url" and "store" not in toml(o) and volume(o, "secrets")["secret"]["items"] == [{"key": "url", "path": "url"}])
case("existingSecret.privacyKeysKey", "keys", SECRET, holds=lambda o: toml(o).get("privacy") == {"key_file": "/etc/callgate/secrets/keys"} and volume(o, "secrets")["secret"] == {"secretName": "callgate", "defaultMode": 0o440, "items": [{"key": "keys", "path": "keys"}]} and mount(o, "secrets") == {"name": "secrets", "mountPath": "/etc/callgate/secrets", "readOnly": True} and "secrets" not in [v["name"] for v in check_pod(o)["volumes"] or []])


# === TLS ===
def tls(door, given, more):
    existing = f"tls.{door}.existingSecret"
    case(existing, "other-tls", given, holds=lambda o: (volume(o, f"tls-{door}") or {}).get("secret", {}).get("secretName") == "other-tls" and toml(o)[f"{door}_tls"]["cert_file"].startswith(mount(o, f"tls-{door}")["mountPath"] + "/"))
    case(f"tls.{door}.certKey", "cert.pem", merge(given, more), holds=configured(f"{door}_tls.cert_file", f"/etc/callgate/tls/{door}/cert.pem"))
    case(f"tls.{door}.keyKey", "key.pem", merge(given, more), holds=configured(f"{door}_tls.key_file", f"/etc/callgate/tls/{door}/key.pem"))


tls("grpc", {}, GRPC_TLS)
tls("http", WEBHOOK, HTTP_TLS)
tls("admin", {}, ADMIN_TLS)
case("tls.grpc.clientCaKey", "ca.pem", GRPC_TLS, holds=configured("grpc_tls.client_ca_file", "/etc/callgate/tls/grpc/ca.pem"))
case("tls.http.clientCaKey", "meta.pem", HTTP_TLS, holds=configured("http_tls.client_ca_file", "/etc/callgate/tls/http/meta.pem"))
case("tls.grpc.caKey", "authority.pem", GRPC_TLS, holds=lambda o: next(v for v in check_pod(o)["volumes"] if v["name"] == "ca")["secret"]["items"] == [{"key": "authority.pem", "path": "ca.crt"}])
case("allowInsecure", ["admin"], merge(GRPC_TLS, CLIENT), holds=configured("allow_insecure", "admin"))

# === The gate's configuration ===
case("config", {"profiles": {"careful": {"calls_per_window": 3, "inbound_call_grants": False}}, "numbers": {"436666719526789": {}}, "change_log": {"length": 10000000}, "log": {"filter": 'info,callgate::decision=off "<&>" ü'}}, holds=lambda o: (lambda t: t.get("profiles") == {"careful": {"calls_per_window": 3, "inbound_call_grants": False}} and t["numbers"] == {"436666719526789": {}} and t["change_log"]["length"] == 10000000 and isinstance(t["change_log"]["length"], int) and t["log"]["filter"] == 'info,callgate::decision=off "<&>" ü')(toml(o)))
case("webhook.enabled", True, merge(WEBHOOK, at("webhook.enabled", False)), holds=lambda o: toml(o)["http_addr"] == "0.0.0.0:8080" and "http" in [p["name"] for p in gate(o)["ports"]] and len(pick(o, "Service", "-callgate")["spec"]["ports"]) == 2 and ingress_from(o, "http"))
case("ports.grpc", 6000, holds=lambda o: toml(o)["grpc_addr"] == "0.0.0.0:6000" and gate(o)["ports"][0]["containerPort"] == 6000 and all(pick(o, "Service", s)["spec"]["ports"][0]["port"] == 6000 for s in ("-callgate", "-headless")) and argument_after(o, "--addr").endswith(":6000"))
case("ports.http", 6001, WEBHOOK, holds=lambda o: toml(o)["http_addr"] == "0.0.0.0:6001" and gate(o)["ports"][1]["containerPort"] == 6001 and pick(o, "Service", "-callgate")["spec"]["ports"][1]["port"] == 6001)
case("ports.admin", 6002, holds=lambda o: toml(o)["admin_addr"] == "0.0.0.0:6002" and gate(o)["ports"][-1]["containerPort"] == 6002 and pick(o, "Service", "-headless")["spec"]["ports"][1]["port"] == 6002)

# === Services and Ingress ===
case("service.type", "LoadBalancer", holds=lambda o: [pick(o, "Service", s)["spec"]["type"] for s in ("-callgate", "-headless")] == ["LoadBalancer", "ClusterIP"])
case("service.annotations", {"a": "b"}, holds=lambda o: all(pick(o, "Service", s)["metadata"].get("annotations") == {"a": "b"} for s in ("-callgate", "-headless")))
case("ingress.enabled", True, merge(WEBHOOK, at("ingress.host", "gate.example.com")), holds=lambda o: "Ingress" in kinds(o) and [p["path"] for r in pick(o, "Ingress")["spec"]["rules"] for p in r["http"]["paths"]] == ["/webhooks/meta"] and lookup(pick(o, "Ingress"), "spec.rules.0.http.paths.0.pathType") == "Exact")
case("ingress.className", "nginx", INGRESS, holds=has("Ingress", "spec.ingressClassName", "nginx"))
case("ingress.annotations", {"a": "b"}, INGRESS, holds=has("Ingress", "metadata.annotations", {"a": "b"}))
case("ingress.host", "calls.example.com", INGRESS, holds=has("Ingress", "spec.rules.0.host", "calls.example.com"))
case("ingress.tlsSecret", "host-tls", INGRESS, holds=has("Ingress", "spec.tls", [{"hosts": ["gate.example.com"], "secretName": "host-tls"}]))

# === Service account ===
case("serviceAccount.create", False, holds=lambda o: "ServiceAccount" not in kinds(o) and pod(o)["spec"]["serviceAccountName"] == "default")
case("serviceAccount.name", "gate", holds=lambda o: pick(o, "ServiceAccount")["metadata"]["name"] == pod(o)["spec"]["serviceAccountName"] == "gate")
case("serviceAccount.annotations", {"a": "b"}, holds=has("ServiceAccount", "metadata.annotations", {"a": "b"}))

# === Scaling and disruption ===
case("autoscaling.enabled", True, REDIS, holds=lambda o: "HorizontalPodAutoscaler" in kinds(o) and "replicas" not in pick(o, "Deployment")["spec"])
case("autoscaling.minReplicas", 4, SCALED, holds=has("HorizontalPodAutoscaler", "spec.minReplicas", 4))
case("autoscaling.maxReplicas", 9, SCALED, holds=has("HorizontalPodAutoscaler", "spec.maxReplicas", 9))
case("autoscaling.averageCPU", "2", SCALED, holds=has("HorizontalPodAutoscaler", "spec.metrics.0.resource.target", {"type": "AverageValue", "averageValue": "2"}))
case("autoscaling.behavior", {"scaleDown": {"stabilizationWindowSeconds": 600}}, SCALED, holds=has("HorizontalPodAutoscaler", "spec.behavior", {"scaleDown": {"stabilizationWindowSeconds": 600}}))
case("podDisruptionBudget.enabled", False, holds=lambda o: "PodDisruptionBudget" not in kinds(o))
case("podDisruptionBudget.maxUnavailable", "25%", holds=has("PodDisruptionBudget", "spec.maxUnavailable", "25%"))

# === Network policy ===
case("networkPolicy.enabled", False, holds=lambda o: "NetworkPolicy" not in kinds(o))
case("networkPolicy.grpcFrom", [OTHER], holds=lambda o: ingress_from(o, "grpc") == [OTHER, {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "callgate-check", "app.kubernetes.io/instance": "demo"}}}])
case("networkPolicy.webhookFrom", [OTHER], WEBHOOK, holds=lambda o: ingress_from(o, "http") == [OTHER])
case("networkPolicy.metricsFrom", [OTHER], holds=lambda o: ingress_from(o, "admin") == [OTHER])
case("networkPolicy.storeTo", [OTHER], REDIS, holds=lambda o: pick(o, "NetworkPolicy")["spec"]["egress"][1].get("to") == [OTHER])
case("networkPolicy.storePorts", [6380, 26379], REDIS, holds=lambda o: pick(o, "NetworkPolicy")["spec"]["egress"][1]["ports"] == [{"port": 6380, "protocol": "TCP"}, {"port": 26379, "protocol": "TCP"}])
case("networkPolicy.extraEgress", [{"to": [OTHER]}], holds=lambda o: pick(o, "NetworkPolicy")["spec"]["egress"][-1] == {"to": [OTHER]})


# === Monitoring ===
def monitor(kind, key, endpoints):
    on = at(f"metrics.{key}.enabled", True)
    case(f"metrics.{key}.enabled", True, holds=lambda o: kind in kinds(o) and pick(o, kind)["spec"][endpoints][0]["port"] == "admin")
    case(f"metrics.{key}.labels", LABEL, on, holds=lambda o: pick(o, kind)["metadata"]["labels"].get("team") == "voice")
    case(f"metrics.{key}.interval", "5s", on, holds=has(kind, f"spec.{endpoints}.0.interval", "5s"))


monitor("PodMonitor", "podMonitor", "podMetricsEndpoints")
monitor("ServiceMonitor", "serviceMonitor", "endpoints")
BOTH_KINDS = [("podMonitor", "PodMonitor", "podMetricsEndpoints"), ("serviceMonitor", "ServiceMonitor", "endpoints")]
for key, kind, endpoints in BOTH_KINDS:
    case("metrics.tlsConfig", {"insecureSkipVerify": True}, merge(ADMIN_TLS, at(f"metrics.{key}.enabled", True)), holds=has(kind, f"spec.{endpoints}.0.tlsConfig", {"insecureSkipVerify": True}))
RULES = at("metrics.prometheusRule.enabled", True)
DASHBOARD = at("metrics.dashboard.enabled", True)
case("metrics.prometheusRule.enabled", True, holds=lambda o: "PrometheusRule" in kinds(o))
case("metrics.prometheusRule.labels", LABEL, RULES, holds=lambda o: pick(o, "PrometheusRule")["metadata"]["labels"].get("team") == "voice")
case("metrics.prometheusRule.runbook", "https://wiki.example.com/alerts", RULES, holds=lambda o: all(r["annotations"]["runbook_url"] == f"https://wiki.example.com/alerts#{r['alert'].lower()}" for g in pick(o, "PrometheusRule")["spec"]["groups"] for r in g["rules"]))
case("metrics.dashboard.enabled", True, holds=lambda o: any(n["metadata"]["name"].endswith("-dashboard") and json.loads(n["data"]["callgate.json"])["uid"] == "callgate" for n in o))
case("metrics.dashboard.labels", LABEL, DASHBOARD, holds=lambda o: pick(o, "ConfigMap", "-dashboard")["metadata"]["labels"].get("team") == "voice")
case("metrics.dashboard.annotations", {"folder": "voice"}, DASHBOARD, holds=has("ConfigMap", "metadata.annotations", {"folder": "voice"}, "-dashboard"))

# === The life of a pod ===
case("minReadySeconds", 7, holds=has("Deployment", "spec.minReadySeconds", 7))
case("drain.delaySeconds", 7, holds=configured("drain.delay", "7s"))
case("drain.timeoutSeconds", 11, holds=configured("drain.timeout", "11s"))
case("terminationGracePeriodSeconds", 60, holds=has("Deployment", f"{DEPLOYMENT}.terminationGracePeriodSeconds", 60))
case("resources", {"limits": {"memory": "1Gi"}}, holds=has("Deployment", f"{CONTAINER}.resources.limits.memory", "1Gi"))
for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
    for field in ("periodSeconds", "failureThreshold"):
        case(f"{probe}.{field}", 17, holds=has("Deployment", f"{CONTAINER}.{probe}.{field}", 17))
for field in ("runAsUser", "runAsGroup", "fsGroup"):
    case(f"podSecurity.{field}", 4711, holds=lambda o, field=field: pod(o)["spec"]["securityContext"][field] == check_pod(o)["securityContext"][field] == 4711)

# === Where pods run, and what more they have ===
case("podAnnotations", {"a": "b"}, holds=lambda o: pod(o)["metadata"]["annotations"].get("a") == "b")
case("podLabels", LABEL, holds=lambda o: pod(o)["metadata"]["labels"].get("team") == "voice")
case("priorityClassName", "high", holds=has("Deployment", f"{DEPLOYMENT}.priorityClassName", "high"))
case("nodeSelector", {"disk": "fast"}, holds=has("Deployment", f"{DEPLOYMENT}.nodeSelector", {"disk": "fast"}))
case("tolerations", [{"key": "a", "operator": "Exists"}], holds=has("Deployment", f"{DEPLOYMENT}.tolerations", [{"key": "a", "operator": "Exists"}]))
SPREAD = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}]}}
case("affinity", SPREAD, holds=has("Deployment", f"{DEPLOYMENT}.affinity", SPREAD))
case("topologySpreadConstraints", [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}], holds=has("Deployment", f"{DEPLOYMENT}.topologySpreadConstraints", [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["pod-template-hash"], "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "callgate", "app.kubernetes.io/instance": "demo"}}}]))
case("extraEnv", [{"name": "RUST_BACKTRACE", "value": "1"}], holds=has("Deployment", f"{CONTAINER}.env", [{"name": "RUST_BACKTRACE", "value": "1"}]))
case("extraVolumes", [{"name": "ca", "secret": {"secretName": "redis-ca"}}], holds=lambda o: volume(o, "ca") == {"name": "ca", "secret": {"secretName": "redis-ca"}})
case("extraVolumeMounts", [{"name": "ca", "mountPath": "/ca"}], holds=lambda o: mount(o, "ca") == {"name": "ca", "mountPath": "/ca"})

# === helm test ===
case("helmTest.enabled", False, holds=lambda o: "Pod" not in kinds(o))
case("helmTest.phoneNumberId", "436666719526789", holds=lambda o: check_pod(o)["containers"][0]["args"][1] == "436666719526789")
case("helmTest.customer", "US.1000", holds=lambda o: check_pod(o)["containers"][0]["args"][2] == "US.1000")
case("helmTest.tokenSecret.name", "token", holds=lambda o: argument_after(o, "--token-file") == "/etc/callgate/token/token" and check_pod(o)["volumes"][0]["secret"]["secretName"] == "token")
case("helmTest.tokenSecret.key", "other", TOKEN, holds=lambda o: check_pod(o)["volumes"][0]["secret"]["items"] == [{"key": "other", "path": "token"}])
case("helmTest.certificateSecret", "client", GRPC_TLS, holds=lambda o: argument_after(o, "--cert-file") == "/etc/callgate/client/tls.crt" and argument_after(o, "--key-file") == "/etc/callgate/client/tls.key" and check_pod(o)["volumes"][-1]["secret"]["secretName"] == "client")


@pytest.mark.parametrize(("path", "value", "given", "together", "holds"), CASES)
def test_a_value_does_what_it_says(path, value, given, together, holds):
    without = merge(charts.TRIAL, given)
    before = charts.render(charts.SERVICE, without)
    after = charts.render(charts.SERVICE, merge(merge(without, together), at(path, value)))
    assert not holds(before), "holds without the value as well"
    assert holds(after)
    for thing in after:
        if thing not in before:
            kubernetes.validate(thing, kubernetes.VERSIONS[-1])


def test_no_value_goes_untested():
    values = {value.path for value in values_document.leaves(charts.SERVICE)}
    assert {param.id for param in CASES} == values


# === What several values make together ===


@pytest.mark.parametrize("path", charts.scenarios(charts.SERVICE), ids=lambda path: path.stem)
def test_of_the_secret_is_mounted_what_the_gate_is_told_of_and_nothing_else(path):
    objects = charts.render(charts.SERVICE, yaml.safe_load(path.read_text()))
    text = pick(objects, "ConfigMap", "-callgate")["data"]["callgate.toml"]
    told = re.findall(r'= "/etc/callgate/secrets/(.*)"$', text, re.M)
    mounted = (volume(objects, "secrets") or at("secret.items", []))["secret"]["items"]
    assert sorted(told) == sorted(item["path"] for item in mounted)


def test_all_gates_can_be_stopped():
    """As docs/kubernetes.md wants it for a move to another store."""
    production = yaml.safe_load((charts.SERVICE / "ci/production-values.yaml").read_text())
    stopped = merge(production, {"replicaCount": 0, "autoscaling": {"enabled": False}})
    objects = charts.render(charts.SERVICE, stopped)
    assert pick(objects, "Deployment")["spec"]["replicas"] == 0 and "HorizontalPodAutoscaler" not in kinds(objects)


def test_a_gate_with_an_embedded_store_is_replaced_and_not_doubled():
    objects = charts.render(charts.SERVICE, merge(charts.TRIAL, EMBEDDED))
    assert pick(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    objects = charts.render(charts.SERVICE, merge(charts.TRIAL, REDIS))
    strategy = pick(objects, "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}


def test_a_gate_without_redis_reaches_nothing_but_names():
    egress = pick(charts.render(charts.SERVICE, charts.TRIAL), "NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [53, 53]


def test_the_pods_are_made_anew_when_the_configuration_changes_and_only_then():
    def checksum(values):
        return pod(charts.render(charts.SERVICE, merge(charts.TRIAL, values)))["metadata"]["annotations"]["checksum/config"]

    assert checksum({}) == checksum(at("image.tag", "9"))
    assert checksum({}) != checksum(at("config.default_profile", "meta"))


def test_the_admin_port_with_tls_is_asked_by_https():
    objects = charts.render(charts.SERVICE, merge(charts.TRIAL, ADMIN_TLS))
    probes = [gate(objects)[p]["httpGet"] for p in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert [(p["path"], p["port"], p["scheme"]) for p in probes] == [
        ("/livez", "admin", "HTTPS"),
        ("/livez", "admin", "HTTPS"),
        ("/readyz", "admin", "HTTPS"),
    ]
    monitors = merge(ADMIN_TLS, at("metrics.podMonitor.enabled", True))
    objects = charts.render(charts.SERVICE, merge(charts.TRIAL, monitors))
    assert pick(objects, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["scheme"] == "https"


def test_long_names_stay_within_what_kubernetes_takes():
    values = merge(charts.TRIAL, merge(WEBHOOK, at("nameOverride", "n" * 57)))
    for thing in charts.render(charts.SERVICE, values, name="r" * 53):
        metadata = thing["metadata"]
        assert len(metadata["name"]) <= 63, metadata["name"]
        assert max(len(value) for value in metadata["labels"].values()) <= 63, metadata["labels"]


def test_names_that_look_like_something_else_stay_texts():
    values = {
        "existingSecret": {"name": "123", "appSecretKey": "1e3", "storeUrlKey": "0755"},
        "tls": {"grpc": {"existingSecret": "456"}},
        "ingress": {"enabled": True, "host": "*.example.com", "className": "1", "tlsSecret": "7"},
        "persistence": {"existingClaim": "8"},
        "serviceAccount": {"name": "9"},
        "priorityClassName": "10",
        "helmTest": {"tokenSecret": {"name": "11", "key": "12"}, "certificateSecret": "13"},
        "store": {"url": ""},
    }
    for thing in charts.render(charts.SERVICE, merge(merge(charts.TRIAL, WEBHOOK), values)):
        kubernetes.validate(thing, kubernetes.VERSIONS[-1])


def test_a_null_user_leaves_the_choice_to_the_cluster():
    objects = charts.render(charts.SERVICE, merge(charts.TRIAL, at("podSecurity.runAsUser", None)))
    assert "runAsUser" not in pod(objects)["spec"]["securityContext"]


def test_a_monitor_finds_the_port_that_it_names_once():
    on = at("metrics.serviceMonitor.enabled", True)
    objects = charts.render(charts.SERVICE, merge(charts.TRIAL, on))
    wanted = pick(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    services = [o for o in objects if o["kind"] == "Service" and wanted <= o["metadata"]["labels"].items()]
    assert [s["metadata"]["name"] for s in services] == ["demo-callgate-headless"]
    assert "admin" in [p["name"] for p in services[0]["spec"]["ports"]]


def test_selectors_find_the_gates_and_not_the_test_pod():
    objects = charts.render(charts.SERVICE, merge(charts.TRIAL, at("fullnameOverride", "x")))
    labels = pod(objects)["metadata"]["labels"]
    wanted = pick(objects, "Service", "x")["spec"]["selector"]
    assert wanted.items() <= labels.items()
    assert not wanted.items() <= pick(objects, "Pod")["metadata"]["labels"].items()


def test_the_service_gives_out_no_admin_port():
    service = pick(charts.render(charts.SERVICE, merge(charts.TRIAL, WEBHOOK)), "Service", "-callgate")
    assert [p["name"] for p in service["spec"]["ports"]] == ["grpc", "http"]


def test_variables_of_services_do_not_reach_the_gate():
    # A Service named callgate would give them CALLGATE_PORT and others, which only look like the gate's own.
    objects = charts.render(charts.SERVICE, charts.TRIAL)
    assert pod(objects)["spec"]["enableServiceLinks"] is False
    assert check_pod(objects)["enableServiceLinks"] is False


def test_helm_test_asks_a_question_and_is_content_with_any_answer():
    objects = charts.render(charts.SERVICE, charts.TRIAL)
    (container,) = check_pod(objects)["containers"]
    assert container["args"] == ["check", "100000000000000", "15550199001", "--exit-zero", "--addr", "http://demo-callgate.prod.svc:50051"]
    assert check_pod(objects)["restartPolicy"] == "Never"
    assert pick(objects, "Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_helm_test_has_to_be_somebody_where_grpc_asks_who():
    guarded = merge(charts.TRIAL, merge(merge(GRPC_TLS, CLIENT), {"allowInsecure": ["admin"]}))
    assert "Pod" not in kinds(charts.render(charts.SERVICE, guarded))
    assert "Set helmTest.tokenSecret.name" in notes(guarded)
    for who in (TOKEN, at("helmTest.certificateSecret", "client")):
        assert argument_after(charts.render(charts.SERVICE, merge(guarded, who)), "--ca-file")
        assert "helm test demo --namespace prod" in notes(merge(guarded, who))


def notes(values):
    return charts.templates(charts.SERVICE, values)["callgate/templates/NOTES.txt"]


def test_the_notes_give_a_first_command_and_say_what_is_open():
    text = notes(charts.TRIAL)
    assert "kubectl --namespace prod port-forward service/demo-callgate 50051" in text
    assert "callgate check 100000000000000 15550199001\n" in text
    assert "NOTE: gRPC is open" in text
    assert "NOTE: the store is in memory" in text
    guarded = merge(charts.TRIAL, merge(merge(GRPC_TLS, CLIENT), {"allowInsecure": ["admin"]}))
    assert "NOTE: gRPC is open" not in notes(guarded)
    assert "--addr https://localhost:50051 --token-file TOKEN" in notes(guarded)
    assert "callback https://gate.example.com/webhooks/meta" in notes(merge(charts.TRIAL, INGRESS))
