"""What the charts tell the gate, the gate takes: `callgate config check` on what they render, and a gate
that starts with it."""

import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

import charts
import reference

@pytest.fixture(scope="module")
def binary():
    named = os.environ.get("CALLGATE_BINARY")
    assert named, "CALLGATE_BINARY names no program: run scripts/charts"
    return Path(named)


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    """What is mounted at /etc/callgate: secrets, and a certificate for each door."""
    place = tmp_path_factory.mktemp("mounted")
    (place / "secrets").mkdir()
    secrets = {"app-secret": "one\ntwo\n", "verify-token": "token\n", "store-url": "redis://:hunter2@redis:6379\n", "privacy-keys": f"{'a' * 64}\n{'b' * 64}\n"}
    for name, text in secrets.items():
        (place / "secrets" / name).write_text(text)
    authority = ["-keyout", place / "ca.key", "-out", place / "ca.crt", "-subj", "/CN=authority"]
    certificate(*authority)
    for door in ("grpc", "http", "admin"):
        folder = place / "tls" / door
        folder.mkdir(parents=True)
        names = "subjectAltName=DNS:demo-callgate.prod.svc,DNS:localhost"
        certificate(
            "-CA", place / "ca.crt", "-CAkey", place / "ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", names, "-subj", f"/CN={door}", "-keyout", folder / "tls.key", "-out", folder / "tls.crt",
        )  # fmt: skip
        (folder / "ca.crt").write_bytes((place / "ca.crt").read_bytes())
    return place


def certificate(*arguments):
    command = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", *arguments]
    subprocess.run(command, check=True, capture_output=True)


def complaints(binary, arguments, environment, folder):
    out = subprocess.run(
        [binary, "config", "check", *arguments], env={"PATH": os.environ["PATH"], **environment}, cwd=folder, capture_output=True, text=True
    )
    lines = [line for line in out.stderr.splitlines() if line != "callgate: bad configuration"]
    assert (out.returncode == 0) == (not lines), out.stderr
    return lines


def check_file(binary, text, mounted, folder):
    path = folder / "callgate.toml"
    path.write_text(text.replace("/etc/callgate", str(mounted)))
    return complaints(binary, ["--config", path], {}, folder)


def toml(values):
    return charts.pick(charts.render(charts.SERVICE, values), "ConfigMap", "-callgate")["data"]["callgate.toml"]


@pytest.mark.parametrize("path", charts.scenarios(charts.SERVICE), ids=lambda path: path.stem)
def test_the_gate_takes_the_file_of_a_scenario(binary, mounted, tmp_path, path):
    assert check_file(binary, toml(yaml.safe_load(path.read_text())), mounted, tmp_path) == []


def test_every_key_that_may_stand_under_config_reaches_the_gate(binary, mounted, tmp_path):
    """One of each, with a value that is its default where the reference has one."""
    page = (charts.ROOT / "docs/configuration.md").read_text()
    allowed = charts.load(charts.SERVICE).schema["$defs"]["config"]["properties"]
    config, tried = {}, []
    for key, default in re.findall(r"^\| `([a-z_.]+)` \|[^|]+\| `([^`|]+)` \| `CALLGATE_", page, re.M):
        if key.split(".")[0] in allowed:
            config = charts.merge(config, charts.at(key, yaml.safe_load(default)))
            tried.append(key)
    assert {"default_profile", "change_log.length", "redis.wait_replicas", "store_timeout"} <= set(tried)
    profile = dict(re.findall(r"^\| `([a-z_]+)` \|[^|]+\| `([^`|]+)` \| `[^`|]+` \| `[^`|]+` \|", reference.section("Profiles"), re.M))
    config["profiles"] = {"mine": {"extends": "atom", **{k: yaml.safe_load(v) for k, v in profile.items()}}}
    config["numbers"] = {"436666719526789": {"profile": "mine"}}
    assert set(profile) == reference.profile_keys()
    assert check_file(binary, toml(charts.merge(charts.TRIAL, {"config": config})), mounted, tmp_path) == []


def test_a_wrong_file_is_told_from_a_right_one(binary, mounted, tmp_path):
    text = toml(charts.TRIAL) + "\n[profiles.mine]\ncallz_per_window = 3\n"
    assert "callz_per_window" in "".join(check_file(binary, text, mounted, tmp_path))


@pytest.mark.parametrize("chart", [charts.BOT, charts.SOCKET_BOT], ids=lambda chart: chart.name)
def test_the_gate_takes_the_variables_of_a_sidecar(binary, mounted, tmp_path, chart):
    for values in ({}, yaml.safe_load((charts.BOT / "ci/secret-values.yaml").read_text())):
        (mounted / "config").mkdir(exist_ok=True)
        (mounted / "config/callgate.toml").write_text('default_profile = "meta"\n')
        container = charts.gate(charts.render(chart, values))
        environment = {e["name"]: e["value"].replace("/etc/callgate", str(mounted)) for e in container["env"]}
        assert complaints(binary, [], environment, tmp_path) == []


# === A gate that starts with what the chart renders ===


def free_ports(count):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture
def gate(binary, mounted, tmp_path):
    """Values with TLS, a client with a token and webhooks, and the gate that runs with them."""
    (mounted / "token").write_text("cg_of-a-test\n")
    ports = dict(zip(("grpc", "http", "admin"), free_ports(3), strict=True))
    caller = {"roles": ["caller"], "token_sha256": [hashlib.sha256(b"cg_of-a-test").hexdigest()]}
    values = {
        "replicaCount": 1,
        "store": {"url": "memory:"},
        "existingSecret": {"name": "callgate"},
        "tls": {"grpc": {"existingSecret": "grpc-tls"}},
        "ports": ports,
        "config": {"clients": {"helm-test": caller}},
        "helmTest": {"tokenSecret": {"name": "token"}},
        "drain": {"delaySeconds": 0},
    }
    path = tmp_path / "callgate.toml"
    path.write_text(toml(values).replace("/etc/callgate", str(mounted)))
    with open(tmp_path / "log", "w+") as log:
        process = subprocess.Popen([binary, "serve", "--config", path], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=log, env={})
        try:
            assert ready(f"http://127.0.0.1:{ports['admin']}", process), (tmp_path / "log").read_text()
            yield charts.render(charts.SERVICE, values), ports
        finally:
            process.terminate()
            process.wait(30)


def ready(admin, process):
    """Asks as kubelet does, for as long."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{admin}/readyz", timeout=5) as page:
                return page.status == 200
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            pass
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    return False


def helm_test(binary, objects, ports, mounted):
    """The command of the test pod, with what it mounts and the address where the gate is here."""
    (container,) = charts.pick(objects, "Pod")["spec"]["containers"]
    places = {
        "/etc/callgate/ca/": f"{mounted}/",
        "/etc/callgate/token/": f"{mounted}/",
        f"demo-callgate.prod.svc:{ports['grpc']}": f"localhost:{ports['grpc']}",
    }
    arguments = []
    for argument in container["args"]:
        for there, here in places.items():
            argument = argument.replace(there, here)
        arguments.append(argument)
    return subprocess.run([binary, *arguments], env={}, capture_output=True, text=True)


def test_helm_test_passes_on_a_no_and_fails_without_an_answer(binary, gate, mounted):
    objects, ports = gate
    asked = helm_test(binary, objects, ports, mounted)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("DENY (never asked)")
    (mounted / "token").write_text("cg_of-somebody-else\n")
    asked = helm_test(binary, objects, ports, mounted)
    assert asked.returncode == 3, asked.stdout + asked.stderr


def test_probes_find_what_they_ask_for(gate):
    objects, ports = gate
    container = charts.gate(objects)
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert named == ports
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asks = container[probe]["httpGet"]
        url = f"{asks['scheme'].lower()}://127.0.0.1:{named[asks['port']]}{asks['path']}"
        with urllib.request.urlopen(url, timeout=5) as page:
            assert page.status == 200
    path = charts.render(charts.SERVICE, charts.merge(charts.TRIAL, charts.at("metrics.podMonitor.enabled", True)))
    (endpoint,) = charts.pick(path, "PodMonitor")["spec"]["podMetricsEndpoints"]
    with urllib.request.urlopen(f"http://127.0.0.1:{named['admin']}{endpoint['path']}", timeout=5) as page:
        assert b"callgate_build_info" in page.read()
    # The webhook's port has the webhook alone.
    for path, code in (("/metrics", 404), ("/readyz", 404), ("/webhooks/meta", 403)):
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(f"http://127.0.0.1:{named['http']}{path}", timeout=5)
        answer.value.close()
        assert answer.value.code == code, path


# === What documents say of the program ===


def test_a_new_url_of_the_store_waits_for_a_restart(binary, tmp_path):
    """As docs/kubernetes.md says of the Secret, other than of all else that is in it."""
    url = tmp_path / "store-url"
    url.write_text("memory:\n")
    grpc, admin = free_ports(2)
    flags = ["--grpc-addr", f"127.0.0.1:{grpc}", "--http-addr", "off", "--admin-addr", f"127.0.0.1:{admin}"]
    with open(tmp_path / "log", "w+") as log:
        process = subprocess.Popen([binary, "serve", *flags], cwd=tmp_path, stderr=log, env={"CALLGATE_STORE_FILE": str(url)})
    try:
        assert ready(f"http://127.0.0.1:{admin}", process), (tmp_path / "log").read_text()
        assert waiting(admin) == "0"
        url.write_text("redis://127.0.0.1:1\n")
        assert changes_to_wait_for_a_restart(admin) == "1"
    finally:
        process.terminate()
        process.wait(30)


def mount_as_kubelet_does(folder, files):
    """Each file is a link through `..data`, which leads to another folder when the Secret changes."""
    made = folder / f"..{len(list(folder.iterdir()))}"
    made.mkdir()
    for name, text in files.items():
        (made / name).write_text(text)
        (made / name).chmod(0o440)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..new").symlink_to(made.name)
    (folder / "..new").rename(folder / "..data")


def test_keys_that_hide_customers_are_taken_from_the_secret_and_are_not_changed_in_place(binary, tmp_path):
    """As docs/kubernetes.md says: a change of the Secret waits, and other keys or none are refused at a start."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    grpc, admin = free_ports(2)
    values = {
        "replicaCount": 1,
        "store": {"url": "embedded:/var/lib/callgate/store"},
        "persistence": {"existingClaim": "facts"},
        "existingSecret": {"name": "callgate", "privacyKeysKey": "privacy-keys"},
        "allowInsecure": ["grpc", "admin"],
        "webhook": {"enabled": False},
        "ports": {"grpc": grpc, "admin": admin},
        "drain": {"delaySeconds": 0},
    }

    @contextlib.contextmanager
    def started(values):
        """Whether the gate came up; in the end it has ended."""
        path = tmp_path / "callgate.toml"
        path.write_text(toml(values).replace("/etc/callgate", str(tmp_path)).replace("/var/lib/callgate", str(tmp_path)))
        with open(tmp_path / "log", "w+") as log:
            process = subprocess.Popen([binary, "serve", "--config", path], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=log, env={})
        try:
            yield ready(f"http://127.0.0.1:{admin}", process)
        finally:
            process.terminate()
            process.wait(30)

    first, second = f"{'a' * 64}\n", f"{'b' * 64}\n"
    mount_as_kubelet_does(secrets, {"privacy-keys": first})
    with started(values) as is_ready:
        assert is_ready, (tmp_path / "log").read_text()
        assert waiting(admin) == "0"
        mount_as_kubelet_does(secrets, {"privacy-keys": second})
        assert changes_to_wait_for_a_restart(admin) == "1"
    none = charts.merge(values, charts.at("existingSecret.privacyKeysKey", ""))
    for given, mend in ((values, "privacy.key_file has others"), (none, "set privacy.key_file to the file that has them")):
        with started(given) as is_ready:
            assert not is_ready
        assert mend in (tmp_path / "log").read_text()
    mount_as_kubelet_does(secrets, {"privacy-keys": first})
    with started(values) as is_ready:
        assert is_ready, (tmp_path / "log").read_text()


def changes_to_wait_for_a_restart(admin):
    for _ in range(200):
        if waiting(admin) != "0":
            break
        time.sleep(0.1)
    return waiting(admin)


def waiting(admin):
    """How many keys wait for a restart."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5) as page:
        return re.search(r"^callgate_config_restart_needed (\S+)$", page.read().decode(), re.M)[1]


def test_the_page_of_doctor_has_every_line_that_it_prints(binary, mounted, tmp_path):
    _, _, page = (charts.ROOT / "docs/operations.md").read_text().partition("## callgate doctor\n")
    shown, _, rest = page.partition("```console\n")[2].partition("```\n")
    table = set()
    for names in re.findall(r"^\| ([a-z][a-z ,;]+) \|", rest.partition("\n## ")[0], re.M):
        table |= set(re.split(r"[,;] ", names)) - {"check"}
    printed = {line[6:].split("  ")[0] for line in shown.splitlines() if re.match(r"(ok|warn|FAIL)  ", line)}
    assert len(printed) > 15 and printed <= table, printed - table
    doors = dict(zip(("grpc", "http", "admin"), free_ports(3), strict=True))
    addresses = {f"CALLGATE_{door.upper()}_ADDR": f"127.0.0.1:{port}" for door, port in doors.items()}
    certificates = {
        f"CALLGATE_{door.upper()}_TLS_{part.upper()}_FILE": str(mounted / "tls" / door / f"tls.{end}")
        for door in doors
        for part, end in (("cert", "crt"), ("key", "key"))
    }
    for store in ("memory:", f"embedded:{tmp_path / 'store'}"):
        environment = {"CALLGATE_STORE": store, **addresses, **certificates}
        out = subprocess.run([binary, "doctor", "-o", "json"], env=environment, cwd=tmp_path, capture_output=True, text=True)
        names = {finding["check"] for finding in json.loads(out.stdout)["findings"]}
        assert {"admin port", "http port", "clients", "admin certificate", "store"} - names <= {"store"}, out.stdout
        assert names <= table, names - table
        if store == "memory:":
            # What is there whatever the store is, the example shows as well.
            assert {n for n in names if not n.startswith(("http certificate", "admin certificate"))} <= printed
