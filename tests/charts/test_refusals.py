"""What would not work, or would be open without being said to be, is refused, and the message has the mend."""

import helm_python as helm
import pytest

import charts
import values_document
from charts import at, merge, refusal

NOBODY = {
    "store": {"url": "redis://redis:6379"},
    "existingSecret": {"name": "callgate"},
    "tls": {"grpc": {"existingSecret": "grpc-tls"}},
}
CLIENTS = {"bot": {"roles": ["caller"], "token_sha256": ["0" * 64]}}
GUARDED = merge(NOBODY, at("config.clients", CLIENTS))

REFUSALS = [
    ("no store", at("store.url", ""), "set store.url to a Redis URL such as redis://redis:6379, or existingSecret.name and existingSecret.storeUrlKey"),
    ("a store said twice", at("existingSecret.storeUrlKey", "url"), "set store.url or existingSecret.storeUrlKey, not both"),
    ("a key of no secret", merge(at("existingSecret.storeUrlKey", "url"), at("existingSecret.name", "")), "set existingSecret.name"),
    ("keys of no secret", merge(at("existingSecret.privacyKeysKey", "keys"), at("existingSecret.name", "")), "existingSecret.privacyKeysKey names a key of no Secret: set existingSecret.name"),
    ("keys named twice", merge(at("existingSecret.privacyKeysKey", "keys"), at("config.privacy.key_file", "/run/keys")), "set existingSecret.privacyKeysKey or config.privacy.key_file, not both"),
    ("a password", at("store.url", "redis://:hunter2@redis"), "set existingSecret.name and existingSecret.storeUrlKey"),
    ("a user with a password", at("store.url", "rediss://gate:hunter2@redis:6379/1"), "set existingSecret.name and existingSecret.storeUrlKey"),
    ("a password in the query", at("store.url", "redis+unix:///redis.sock?user=gate&pass=hunter2"), "set existingSecret.name and existingSecret.storeUrlKey"),
    ("a sentinel's password", at("store.url", "redis+sentinel://s:26379/m?sentinel_pass=hunter2"), "set existingSecret.name and existingSecret.storeUrlKey"),
    ("two gates on an embedded store", merge(at("store.url", "embedded:/var/lib/callgate/a"), at("replicaCount", 2)), "set store.url to a Redis URL, or replicaCount to 1"),
    ("two gates that forget", merge(at("store.url", "memory:"), at("replicaCount", 2)), "set store.url to a Redis URL, or replicaCount to 1"),
    ("an embedded store that scales", merge(at("store.url", "embedded:/var/lib/callgate/a"), merge(at("replicaCount", 1), at("autoscaling.enabled", True))), "autoscaling.enabled to false"),
    ("an embedded store without a volume", merge(at("store.url", "embedded:/var/lib/callgate/a"), at("replicaCount", 1)), "set persistence.existingClaim"),
    ("an embedded store beside its volume", merge(at("store.url", "embedded:/elsewhere"), merge(at("replicaCount", 1), at("persistence.existingClaim", "facts"))), "set store.url to embedded:/var/lib/callgate/store"),
    ("gRPC without TLS", at("tls.grpc.existingSecret", ""), "set tls.grpc.existingSecret to a Secret of the type kubernetes.io/tls, and config.clients; or, for a trial, add grpc to allowInsecure"),
    ("a webhook without TLS", at("allowInsecure", ["admin"]), "set tls.http.existingSecret, or add http to allowInsecure"),
    ("a webhook without a secret", at("existingSecret.name", ""), "set existingSecret.name and existingSecret.appSecretKey, or webhook.enabled to false"),
    ("a webhook without the secret's key", at("existingSecret.appSecretKey", ""), "set existingSecret.name and existingSecret.appSecretKey"),
    ("an Ingress to a shut port", merge(at("webhook.enabled", False), at("ingress.enabled", True)), "set webhook.enabled to true, or ingress.enabled to false"),
    ("an Ingress without a host", at("ingress.enabled", True), "set ingress.host"),
    ("an admin port without TLS", at("allowInsecure", ["http"]), "set tls.admin.existingSecret, or add admin to allowInsecure"),
    ("a drain that is cut short", at("terminationGracePeriodSeconds", 15), "set terminationGracePeriodSeconds above 15"),
    ("figures that are read twice", merge(at("metrics.podMonitor.enabled", True), at("metrics.serviceMonitor.enabled", True)), "set one of metrics.podMonitor.enabled and metrics.serviceMonitor.enabled to false"),
    ("a least above the most", merge(at("autoscaling.enabled", True), at("autoscaling.minReplicas", 7)), "autoscaling.minReplicas is more than autoscaling.maxReplicas"),
]  # fmt: skip


def test_what_the_refusals_start_from_is_rendered():
    objects = charts.render(charts.SERVICE, GUARDED)
    assert charts.pick(objects, "Deployment")["spec"]["replicas"] == 2
    toml = charts.pick(objects, "ConfigMap", "-callgate")["data"]["callgate.toml"]
    assert 'allow_insecure = "http,admin"' in toml, "gRPC is not open by itself"


@pytest.mark.parametrize(("values", "mend"), [pytest.param(v, m, id=i) for i, v, m in REFUSALS])
def test_it_is_refused_with_its_mend(values, mend):
    assert mend in refusal(charts.SERVICE, merge(GUARDED, values))


def test_grpc_without_clients_is_refused_with_its_mend():
    mend = "set config.clients (callgate token makes a token and its hash); or, for a trial, add grpc to allowInsecure"
    assert mend in refusal(charts.SERVICE, NOBODY)


def nullable(schema, path=()):
    for name, below in schema["properties"].items():
        if "properties" in below and "$ref" not in below:
            yield from nullable(below, (*path, name))
        if "null" in below.get("type", ""):
            yield ".".join((*path, name))


@pytest.mark.parametrize("chart", [charts.SERVICE, charts.SIDECAR], ids=lambda chart: chart.name)
def test_no_value_but_a_user_or_group_may_be_null(chart):
    root, under = (charts.SERVICE, "") if chart == charts.SERVICE else (charts.BOT, "callgate-sidecar.")
    free = set(nullable(charts.load(chart).schema))
    assert {path.split(".")[0] for path in free} == {"podSecurity"}
    for value in values_document.read(chart):
        values = merge(GUARDED if chart == charts.SERVICE else {}, at(under + value.path, None))
        if value.path in free:
            charts.render(root, values)
        else:
            assert "schema" in refusal(root, values), value.path


def test_a_password_is_not_said_again():
    assert "hunter2" not in refusal(charts.SERVICE, merge(GUARDED, at("store.url", "redis://:hunter2@r")))


def test_the_defaults_are_refused_and_not_open():
    message = refusal(charts.SERVICE, {})
    assert "set store.url" in message
    message = refusal(charts.SERVICE, merge(GUARDED, at("tls.grpc.existingSecret", "")))
    assert "gRPC would listen without TLS" in message


def test_a_business_number_needs_no_quotes():
    values = helm.values_from_yaml("config: {numbers: {436666719526789: {profile: meta}}}")
    toml = charts.pick(charts.render(charts.SERVICE, merge(GUARDED, values)), "ConfigMap", "-callgate")
    assert '[numbers."436666719526789"]\n' in toml["data"]["callgate.toml"]


def test_a_grace_of_one_second_more_is_enough():
    charts.render(charts.SERVICE, merge(GUARDED, at("terminationGracePeriodSeconds", 16)))


# === Unknown names ===


def objects_of(schema, path=()):
    """The paths of all places that hold names, as far as they are fixed."""
    yield path
    for name, below in schema.get("properties", {}).items():
        if below.get("type") == "object" and "properties" in below:
            yield from objects_of(below, (*path, name))


def places(chart):
    return [".".join(p) for p in objects_of(charts.load(chart).schema) if p != ("global",)]


SERVICE_PLACES = [*places(charts.SERVICE), "config", "config.log", "config.redis", "config.change_log", "config.profiles.mine", "config.numbers.436666719526789", "config.clients.bot", "resources.limits"]  # fmt: skip
LISTS = ["imagePullSecrets", "networkPolicy.grpcFrom", "networkPolicy.webhookFrom", "networkPolicy.metricsFrom", "networkPolicy.storeTo", "networkPolicy.extraEgress", "tolerations", "topologySpreadConstraints", "extraEnv", "extraVolumeMounts"]  # fmt: skip


def test_there_are_as_many_places_as_values_have():
    maps = {v.path for v in values_document.read(charts.SERVICE) if v.description is None}
    assert maps and maps <= set(SERVICE_PLACES)


@pytest.mark.parametrize("place", SERVICE_PLACES)
def test_an_unknown_name_is_refused(place):
    with pytest.raises(helm.HelmError, match="additional properties 'surprise' not allowed"):
        charts.render(charts.SERVICE, merge(GUARDED, at(f"{place}.surprise".strip("."), "x")))


@pytest.mark.parametrize("place", LISTS)
def test_an_unknown_name_in_a_list_is_refused(place):
    with pytest.raises(helm.HelmError, match="additional properties 'surprise' not allowed"):
        charts.render(charts.SERVICE, merge(GUARDED, at(place, [{"surprise": "x"}])))


@pytest.mark.parametrize("place", places(charts.SIDECAR))
def test_an_unknown_name_of_the_sidecar_is_refused(place):
    with pytest.raises(helm.HelmError, match="additional properties 'surprise' not allowed"):
        charts.render(charts.BOT, at(f"callgate-sidecar.{place}.surprise".replace("..", "."), "x"))


WRONG = [
    ("image.digest", "sha256:abc"),
    ("image.pullPolicy", "Sometimes"),
    ("store.url", "http://redis"),
    ("allowInsecure", ["grcp"]),
    ("allowInsecure", ["http", "http"]),
    ("replicaCount", "two"),
    ("replicaCount", -1),
    ("ports.grpc", 80),
    ("service.type", "ExternalName"),
    ("podSecurity.runAsUser", 0),
    ("podDisruptionBudget.maxUnavailable", 0),
    ("podDisruptionBudget.maxUnavailable", "0%"),
    ("autoscaling.averageCPU", "lots"),
    ("metrics.podMonitor.interval", "often"),
    ("config.grpc_addr", "0.0.0.0:1"),
    ("config.allow_insecure", "grpc"),
    ("config.meta.app_secret_file", "/x"),
    ("config.drain.delay", "1s"),
    ("config.store", "memory:"),
    ("config.clients.bot.roles", "caller"),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_a_wrong_value_is_refused_by_the_schema(path, value):
    message = refusal(charts.SERVICE, merge(GUARDED, at(path, value)))
    assert "schema" in message, message
