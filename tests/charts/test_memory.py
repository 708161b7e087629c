"""The limits that the charts set fit the memory that they give, by the tables of docs/operations.md and docs/sizing.md."""

import re
import tomllib

import pytest

import charts
from charts import at, gate, merge

OPERATIONS = (charts.ROOT / "docs/operations.md").read_text()
# Of the memory, for what no table counts.
SPARE = 0.1


def defaults():
    """Each limit's default, and what so many cost at most, as the table tells it."""
    rows = re.findall(r"^\| `limits\.(\w+)`[^|]*\| ([\d ]+) \|[^|]*\|([^|]*)\|$", OPERATIONS, re.M)
    found = {name: (int(default.replace(" ", "")), cost) for name, default, cost in rows}
    assert set(found) == {"calls", "batches", "streams", "webhooks", "connections"}
    return found


def mebibytes(text):
    """The totals, which stand behind a colon."""
    return [int(n) for n in re.findall(r": (\d+) MiB", text)]


def costs(limits, doors):
    """What each limit costs at most, in MiB."""
    found = {}
    for name, (default, text) in defaults().items():
        cost = mebibytes(text)
        if name == "connections":
            idle, unread = cost
            cost = [idle * doors + unread]
        (total,) = cost
        found[name] = limits.get(name, 0) * total / default
    return found


def itself():
    """What a gate holds after full load, in MiB."""
    row = re.search(r"^\| `Rl` \|[^|]*\| ([\d.]+) MB \|", (charts.ROOT / "docs/sizing.md").read_text(), re.M)
    return float(row[1]) * 1e6 / 2**20


def given(objects):
    amount = gate(objects)["resources"]["limits"]["memory"]
    return int(re.fullmatch(r"(\d+)Mi", amount)[1])


def service(values=None):
    objects = charts.render(charts.SERVICE, merge(merge(charts.TRIAL, values or {}), at("existingSecret.name", "callgate")))
    limits = tomllib.loads(charts.pick(objects, "ConfigMap", "-callgate")["data"]["callgate.toml"])["limits"]
    return limits, 3, given(objects)


def sidecar(values=None):
    objects = charts.render(charts.BOT, {"callgate-sidecar": values or {}})
    named = {e["name"]: e.get("value") for e in gate(objects)["env"]}
    assert named["CALLGATE_HTTP_ADDR"] == "off", "two doors, and no webhooks"
    prefix = "CALLGATE_LIMITS_"
    return {n.removeprefix(prefix).lower(): int(v) for n, v in named.items() if n.startswith(prefix)}, 2, given(objects)


def together(limits, doors):
    return itself() + sum(costs(limits, doors).values())


@pytest.mark.parametrize("chart", [service, sidecar])
def test_the_limits_fit_the_memory(chart):
    limits, doors, memory = chart()
    webhooks = {"webhooks"} if doors == 3 else set()
    assert set(limits) == {"calls", "batches", "streams", "connections"} | webhooks, "one is left at the program's default"
    assert together(limits, doors) <= memory * (1 - SPARE)


def test_the_programs_own_defaults_would_not_fit():
    limits = {name: default for name, (default, _) in defaults().items()}
    assert together(limits, 3) > 2 * service()[2]
    total = sum(costs(limits, 3).values()) / 1024
    assert f"they are {total:.1f} GiB together" in OPERATIONS


def test_the_cost_of_one_is_what_the_table_says_of_it():
    for name, (default, text) in defaults().items():
        one = {"calls": 3 * 64 / 1024, "batches": 3 * 4, "streams": 40 / 1024, "webhooks": 3, "connections": 36 / 1024}[name]
        assert one * default == pytest.approx(mebibytes(text)[0], rel=0.05), name
    default, text = defaults()["connections"]
    assert "256 KiB" in text and mebibytes(text)[1] == default * 256 // 1024
    body = re.search(r"^\| `webhook.body_limit` \|[^|]*\| `\"(\d+)MiB\"` \|", (charts.ROOT / "docs/configuration.md").read_text(), re.M)
    assert body[1] == "3"


def test_the_page_prints_the_sum():
    _, _, page = (charts.ROOT / "docs/kubernetes.md").read_text().partition("## Memory\n")
    cells = {}
    for first, *others in re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page.partition("\n## ")[0], re.M):
        cells[first.split(",")[0].strip("`")] = others
    for column, chart in enumerate((service, sidecar)):
        limits, doors, memory = chart()
        wanted = {name: f"{limits[name]}: {cost:.0f}" if name in limits else "none" for name, cost in costs(limits, doors).items()}
        wanted |= {"the gate itself": f"{itself():.0f}", "together": f"{together(limits, doors):.0f}", "resources.limits.memory": str(memory)}
        assert {name: cells[name][column] for name in wanted} == wanted
        values = ((charts.SERVICE, charts.SIDECAR)[column] / "values.yaml").read_text()
        assert f"by docs/operations.md: {sum(costs(limits, doors).values()):.0f} MiB," in values
        assert f"with the {itself():.0f} MiB of a gate itself fit the {memory} MiB" in values


def test_the_user_may_set_others():
    limits, _, memory = service({"config": {"limits": {"calls": 2048}}, "resources": {"limits": {"memory": "800Mi"}}})
    assert (limits["calls"], limits["batches"], memory) == (2048, 8, 800)
    limits, _, _ = sidecar(at("limits.streams", 9))
    assert (limits["streams"], limits["calls"]) == (9, 128)
