"""What is written beside the charts agrees with them. UPDATE_DOCS=1 mends what is made from something else."""

import os
import re
import subprocess

import pytest
import yaml

import charts
import reference
import values_document

DOCUMENTED = [charts.SERVICE, charts.SIDECAR]
NAMES = {chart.name: chart for chart in [*DOCUMENTED, charts.BOT, charts.SOCKET_BOT]}


def same_or_mended(path, wanted):
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(wanted)
    assert path.read_text() == wanted, f"{path}: mend it with UPDATE_DOCS=1 scripts/charts"


@pytest.mark.parametrize("chart", DOCUMENTED, ids=lambda chart: chart.name)
def test_the_table_of_values_is_made_from_them(chart):
    same_or_mended(chart / "README.md", values_document.readme(chart))


@pytest.mark.parametrize("chart", DOCUMENTED, ids=lambda chart: chart.name)
def test_the_schema_is_made_from_the_values(chart):
    same_or_mended(chart / "values.schema.json", values_document.schema(chart))


def test_the_dashboard_is_made_by_its_script():
    made = subprocess.run([charts.ROOT / "scripts/dashboard"], check=True, capture_output=True, text=True)
    same_or_mended(charts.SERVICE / "files/dashboard.json", made.stdout)


@pytest.mark.parametrize("chart", DOCUMENTED, ids=lambda chart: chart.name)
def test_every_value_has_a_sentence(chart):
    for value in values_document.read(chart):
        if value.description is None:
            assert isinstance(value.default, dict) and value.default, f"{value.path} says nothing of itself"
        else:
            assert value.description.endswith("."), f"{value.path} has no full stop"


@pytest.mark.parametrize("chart", DOCUMENTED, ids=lambda chart: chart.name)
def test_artifact_hub_is_told_what_it_asks_for(chart):
    metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
    told = metadata["annotations"]
    assert told["artifacthub.io/license"] == "Apache-2.0"
    changes = yaml.safe_load(told["artifacthub.io/changes"])
    allowed = {"added", "changed", "deprecated", "removed", "fixed", "security"}
    assert changes and {change["kind"] for change in changes} <= allowed
    assert all(change["description"] for change in changes)
    assert all(link["url"].startswith("https://") for link in yaml.safe_load(told["artifacthub.io/links"]))
    assert metadata["kubeVersion"] == ">=1.29.0-0"


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{d}.md" for d in ("alerts", "kubernetes", "image")), *(f"helm/{c}/README.md" for c in ("callgate", "callgate-sidecar", "kustomize/callgate-sidecar")), "helm/README.md"])  # fmt: skip
def test_links_lead_somewhere(name):
    page = charts.ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{name}: {target}"


def test_classes_of_limits_are_the_same_wherever_they_are_listed():
    text = (charts.ROOT / "docs/operations.md").read_text()
    lists = re.findall(r"^\| `callgate_(?:in_flight|shed_total)` .*?\bclass`?: ([^|]+?)(?: \|)", text, re.M)
    lists = [{word.strip("` ") for word in one.split(", ")} for one in lists]
    assert len(lists) == 3 and all(one == {"call", "batch", "stream", "probe", "other"} for one in lists), lists


def anchors(page):
    """The anchors of a page's headings, as code forges make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_no_image_names_a_registry():
    named = []
    for path in [charts.ROOT / "Dockerfile", *(p for p in (charts.ROOT / "helm").rglob("*.yaml") if p.is_file())]:
        named += re.findall(r"^ *(?:FROM|- image:|image:|repository:) +([^\s{][^\s]*)", path.read_text(), re.M)
    images = [name for name in named if not name.startswith("file://")]
    assert "callgate" in images and "rust:1.95.0-slim-bookworm" in images
    assert [name for name in images if "." in name.split("/")[0].split(":")[0]] == []


# === The gate knows what the charts say to it ===


def flatten(table, path=()):
    for key, value in table.items():
        if isinstance(value, dict) and value and path + (key,) not in OPEN:
            yield from flatten(value, (*path, key))
        else:
            yield ".".join((*path, key))


OPEN = {("profiles",), ("numbers",), ("clients",)}


def test_every_key_that_the_service_sets_is_one_of_the_gates():
    import tomllib

    seen = set()
    for path in charts.scenarios(charts.SERVICE):
        objects = charts.render(charts.SERVICE, yaml.safe_load(path.read_text()))
        toml = tomllib.loads(charts.pick(objects, "ConfigMap", "-callgate")["data"]["callgate.toml"])
        seen |= set(flatten(toml))
        for table, keys in (("profiles", reference.profile_keys() | {"extends"}), ("numbers", reference.number_keys()), ("clients", reference.client_keys())):
            for name, entry in toml.get(table, {}).items():
                assert set(entry) <= keys, f"{table}.{name}"
    assert seen - {"profiles", "numbers", "clients"} <= reference.server_keys()
    both = {f"tls.{d}.clientCaKey" for d in ("grpc", "http")}
    assert both <= {v.path for v in values_document.leaves(charts.SERVICE)}
    assert reference.set_by_the_chart() <= seen | {"store", "http_tls.client_ca_file", "admin_tls.client_ca_file"}


def test_every_variable_that_the_charts_set_is_one_of_the_gates():
    seen = set()
    for values in ({}, yaml.safe_load((charts.BOT / "ci/secret-values.yaml").read_text())):
        for chart in (charts.BOT, charts.SOCKET_BOT):
            spec = charts.pod(charts.render(chart, values))["spec"]
            for container in spec["initContainers"] + spec["containers"]:
                seen |= {variable["name"] for variable in container.get("env", [])}
    assert {"CALLGATE_STORE_FILE", "CALLGATE_PRIVACY_KEY_FILE", "CALLGATE_ADDR"} <= seen
    assert seen <= reference.variables()
