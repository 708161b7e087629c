"""docs/kubernetes.md: its values are values, and the service config to which it leads does what it says."""

import contextlib
import json
import re
import threading
from concurrent import futures

import grpc
import pytest
import yaml

import charts
import kubernetes
import reference
import values_document

PAGE = (charts.ROOT / "docs/kubernetes.md").read_text()
README = (charts.SERVICE / "README.md").read_text()
METHOD = "/callgate.v1.CallPermissionService/AuthorizeCall"


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.mark.parametrize("text", [pytest.param(b, id=b.split()[0]) for b in blocks(PAGE + README, "yaml")])
def test_the_values_that_are_shown_are_values(text):
    values = yaml.safe_load(text)
    if "kind" in values:
        kubernetes.validate(values, kubernetes.VERSIONS[0])
        return
    hashed = json.loads(json.dumps(values).replace("HASH", "0" * 64))
    charts.load(charts.SERVICE).validate_schema(hashed)


def test_the_install_that_the_readme_shows_renders():
    (values,) = blocks(README, "yaml")
    charts.render(charts.SERVICE, yaml.safe_load(values))


def test_every_value_that_is_named_is_one():
    known = {value.path for chart in (charts.SERVICE, charts.SIDECAR) for value in values_document.read(chart)}
    tops = {path.split(".")[0] for path in known}
    named = {name for name in re.findall(r"`([a-z]\w*(?:\.\w+)*)(?::[^`]*)?`", PAGE) if name.split(".")[0] in tops}
    assert len(named) > 10
    assert named - known - {"config.clients", "config.limits", "limits", "resources.limits.memory"} - {f"config.{key}" for key in reference.server_keys()} == set()


def test_the_figures_are_those_of_the_charts():
    values = charts.load(charts.SERVICE).values
    for name, value in (
        ("drain.delaySeconds", values["drain"]["delaySeconds"]),
        ("drain.timeoutSeconds", values["drain"]["timeoutSeconds"]),
        ("terminationGracePeriodSeconds", values["terminationGracePeriodSeconds"]),
        ("minReadySeconds", values["minReadySeconds"]),
    ):
        assert f"`{name}` ({value})" in PAGE


def test_a_rollout_waits_for_as_long_as_operations_wants():
    wanted = re.search(r"`minReadySeconds: (\d+)`", (charts.ROOT / "docs/operations.md").read_text())
    spec = charts.pick(charts.render(charts.SERVICE, charts.TRIAL), "Deployment")["spec"]
    assert spec["minReadySeconds"] == int(wanted[1])


# === The service config, against servers of our own ===


class Server(grpc.GenericRpcHandler):
    """Answers AuthorizeCall, or with a status as often as told before."""

    def __init__(self, fails=0, code=grpc.StatusCode.UNAVAILABLE):
        self.calls, self.fails, self.code = 0, fails, code
        self.lock = threading.Lock()

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self.answer) if details.method == METHOD else None

    def answer(self, _, context):
        with self.lock:
            self.calls += 1
            self.fails -= 1
            failing = self.fails >= 0
        if failing:
            context.abort(self.code, "draining")
        return b""


@contextlib.contextmanager
def serving(*servers):
    """The address of all of them."""
    running, ports = [], []
    for server in servers:
        one = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        one.add_generic_rpc_handlers((server,))
        ports.append(one.add_insecure_port("127.0.0.1:0"))
        one.start()
        running.append(one)
    yield "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    for one in running:
        one.stop(None).wait()


def ask(address, config, times=1):
    options = [("grpc.service_config", json.dumps(config)), ("grpc.dns_min_time_between_resolutions_ms", 1000)]
    with grpc.insecure_channel(address, options=options) as channel:
        grpc.channel_ready_future(channel).result(10)
        call = channel.unary_unary(METHOD)
        for _ in range(times):
            call(b"", timeout=10)


def config():
    (text,) = blocks((charts.ROOT / "docs/clients.md").read_text(), "json")
    return json.loads(text)


def test_there_is_one_service_config():
    """A rolling restart tests that of docs/clients.md; another one would be untested."""
    assert config()["methodConfig"][0]["retryPolicy"]["maxAttempts"] == 4
    pages = [p for folder in ("docs", "helm", "examples") for p in (charts.ROOT / folder).rglob("*.md")]
    printed = [p for p in [charts.ROOT / "README.md", *pages] if "loadBalancingConfig" in p.read_text()]
    assert printed == [charts.ROOT / "docs/clients.md"]
    assert "(clients.md#the-service-config)" in PAGE


def test_a_call_that_finds_gates_ending_is_answered_by_the_fourth_attempt():
    server = Server(fails=3)
    with serving(server) as address:
        ask(address, config())
    assert server.calls == 4


def test_a_fifth_attempt_is_not_made():
    server = Server(fails=4)
    with serving(server) as address, pytest.raises(grpc.RpcError) as error:
        ask(address, config())
    assert (server.calls, error.value.code()) == (4, grpc.StatusCode.UNAVAILABLE)


def test_what_is_no_matter_of_being_away_is_not_repeated():
    server = Server(fails=1, code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    with serving(server) as address, pytest.raises(grpc.RpcError):
        ask(address, config())
    assert server.calls == 1


def test_calls_are_spread_over_all_gates():
    servers = [Server(), Server(), Server()]
    with serving(*servers) as address:
        ask(address, config(), times=300)
    assert sum(s.calls for s in servers) == 300
    assert min(s.calls for s in servers) > 0


def test_without_the_config_one_gate_gets_them_all():
    servers = [Server(), Server()]
    with serving(*servers) as address:
        ask(address, {}, times=50)
    assert sorted(s.calls for s in servers) == [0, 50]
