"""What the charts tell the gate, the gate takes: `callgate config check` on what they render."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import charts
import reference

# EXPECTED-MISSING: what a program without the planned keys says of them. Delete it with the rest.
PLANNED_TABLES = {key.split(".")[0] for key in reference.PLANNED_KEYS} | {"clients"}
PLANNED_COMPLAINTS = re.compile(
    rf"unknown key `({'|'.join(sorted(PLANNED_TABLES))})`|http_addr = \"off\": must be an IP address|CALLGATE_HTTP_ADDR"
)


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
    secrets = {"app-secret": "one\ntwo\n", "verify-token": "token\n", "store-url": "redis://:hunter2@redis:6379\n"}
    for name, text in secrets.items():
        (place / "secrets" / name).write_text(text)
    for door in ("grpc", "http", "admin"):
        folder = place / "tls" / door
        folder.mkdir(parents=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=demo-callgate.prod.svc",
             "-addext", "subjectAltName=DNS:demo-callgate.prod.svc", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
            check=True, capture_output=True,
        )  # fmt: skip
        (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())
    return place


def complaints(binary, arguments, environment, folder):
    out = subprocess.run(
        [binary, "config", "check", *arguments], env={"PATH": os.environ["PATH"], **environment}, cwd=folder, capture_output=True, text=True
    )
    lines = [line for line in out.stderr.splitlines() if line != "callgate: bad configuration"]
    left = [line for line in lines if not PLANNED_COMPLAINTS.search(line)]
    assert out.returncode == 0 or lines, out.stderr
    return left


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
