"""Alerts and dashboard: they fire when they should, name metrics that exist, and lead to a page."""

import json
import os
import re
import shutil
import subprocess

import promql_parser
import pytest
import yaml

import alert_cases
import charts
import reference
from test_documents import anchors

RULES = charts.SERVICE / "files/alerts.yaml"
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
# A histogram is read by these; its name is without them.
PARTS = re.compile(r"_(bucket|count|sum)$")


def promtool(*arguments):
    assert PROMTOOL, "no promtool: run scripts/charts"
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True)


def rendered():
    values = charts.merge(charts.TRIAL, charts.at("metrics.prometheusRule.enabled", True))
    return charts.pick(charts.render(charts.SERVICE, values), "PrometheusRule")["spec"]


def alerts():
    return [rule for group in rendered()["groups"] for rule in group["rules"]]


def panels():
    dashboard = json.loads((charts.SERVICE / "files/dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries():
    """Every query of the dashboard, with Grafana's own names put in."""
    found = []
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5m").replace("$namespace", "bots")
            found.append(pytest.param(query, id=f"{panel['title']} {target['refId']}"))
    return found


def metrics_of(query):
    """The names of metrics in a query, a histogram's as it is documented."""
    found = set()
    for name in re.findall(r"\bcallgate_[a-z0-9_]+", query):
        plain = PARTS.sub("", name)
        found.add(plain if plain != name and name not in reference.metrics() else name)
    return found


def test_promtool_takes_the_rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rendered()))
    for rules in (RULES, path):
        out = promtool("check", "rules", str(rules))
        assert out.returncode == 0, out.stdout + out.stderr
        assert f"SUCCESS: {len(alerts())} rules found" in out.stdout


def run_cases(folder):
    """Plays every case. promtool compares annotations as well, so these are left out."""
    bare = rendered()
    for group in bare["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in alerts()}
    (folder / "rules.yaml").write_text(yaml.safe_dump(bare))
    (folder / "test.yaml").write_text(yaml.safe_dump(alert_cases.tests(severities)))
    return promtool("test", "rules", str(folder / "test.yaml"))


def test_alerts_fire_when_they_should_and_only_then(tmp_path):
    out = run_cases(tmp_path)
    assert out.returncode == 0, out.stdout + out.stderr


@pytest.mark.parametrize("place", [1, 3])
def test_a_case_can_fail(tmp_path, monkeypatch, place):
    case = list(alert_cases.CASES["CallgateStoreAway"])
    case[place] = alert_cases.CASES["CallgateStoreAway"][4 - place]
    monkeypatch.setattr(alert_cases, "CASES", {"CallgateStoreAway": tuple(case)})
    out = run_cases(tmp_path)
    assert out.returncode != 0 and "CallgateStoreAway" in out.stdout + out.stderr


def test_what_a_stranger_can_post_wakes_nobody():
    """Whoever finds the public port sends what he likes: no critical alert counts what that leads to."""
    strangers = {"signature", "handshake", "unreadable", "too_large", "not_json"}
    for rule in alerts():
        if rule["labels"]["severity"] == "critical" and "callgate_webhook_" in rule["expr"]:
            (reasons,) = re.findall(r'callgate_webhook_rejected_total\{reason=~"([^"]+)"', rule["expr"])
            assert not set(reasons.split("|")) & strangers, rule["alert"]
            assert "signature" not in rule["expr"], rule["alert"]


def test_every_reason_to_turn_a_webhook_away_is_one_of_the_gates():
    row = re.search(r"`callgate_webhook_rejected_total` \| counter \| reason: ([^|]+)", (charts.ROOT / "docs/operations.md").read_text())
    known = set(row[1].strip().split(", "))
    queries_and_rules = [rule["expr"] for rule in alerts()] + [param.values[0] for param in queries()]
    named = {reason for text in queries_and_rules for m in re.findall(r'rejected_total\{[^}]*reason[=!]~"([^"]+)"', text) for reason in m.split("|")}
    assert named and named <= known, named - known


def test_no_alert_is_without_a_case():
    assert list(alert_cases.CASES) == [rule["alert"] for rule in alerts()]


def test_an_alert_says_what_it_found(tmp_path):
    case = yaml.safe_load(SPOKEN)
    case["tests"][0]["alert_rule_test"][0]["exp_alerts"][0]["exp_annotations"]["description"] = next(
        rule["annotations"]["description"] for rule in alerts() if rule["alert"] == "CallgateErrors"
    )
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rendered()))
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(case))
    out = promtool("test", "rules", str(tmp_path / "test.yaml"))
    assert out.returncode == 0, out.stdout + out.stderr


SPOKEN = """
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'callgate_rpc_duration_seconds_count{namespace="bots", method="AuthorizeCall", code="OK"}', values: 0+75x30}
      - {series: 'callgate_rpc_duration_seconds_count{namespace="bots", method="AuthorizeCall", code="INTERNAL"}', values: 0+25x30}
    alert_rule_test:
      - eval_time: 20m
        alertname: CallgateErrors
        exp_alerts:
          - exp_labels: {namespace: bots, severity: critical}
            exp_annotations:
              summary: 25% of all questions have no answer
              runbook_url: docs/alerts.md#callgateerrors
"""


def test_every_alert_has_its_page():
    pages = anchors(charts.ROOT / "docs/alerts.md")
    for rule in alerts():
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (page, anchor) == ("docs/alerts.md", rule["alert"].lower())
        assert anchor in pages, f"docs/alerts.md has no heading {rule['alert']}"
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description"} < set(rule["annotations"])


def test_every_page_is_of_an_alert_and_says_what_to_do():
    text = (charts.ROOT / "docs/alerts.md").read_text()
    sections = re.split(r"^### ", text, flags=re.M)[1:]
    assert [s.splitlines()[0] for s in sections] == [rule["alert"] for rule in alerts()]
    for section in sections:
        for part in ("**Means:**", "**Look at:**", "**Mend:**"):
            assert part in section, f"{section.splitlines()[0]} lacks {part}"


@pytest.mark.parametrize("rule", [pytest.param(r, id=r["alert"]) for r in alerts()])
def test_an_alert_names_metrics_that_exist(rule):
    promql_parser.parse(rule["expr"])
    used = metrics_of(rule["expr"])
    assert used and used <= reference.metrics(), used - reference.metrics()


@pytest.mark.parametrize("query", queries())
def test_a_query_of_the_dashboard_is_promql_of_metrics_that_exist(query):
    promql_parser.parse(query)
    used = metrics_of(query)
    assert used and used <= reference.metrics(), used - reference.metrics()
    assert query.count("callgate_") == query.count('namespace=~"bots"'), "every metric is of the chosen namespace"


def test_pages_of_alerts_name_metrics_that_exist():
    used = metrics_of((charts.ROOT / "docs/alerts.md").read_text())
    assert used <= reference.metrics(), used - reference.metrics()


def test_the_dashboard_shows_every_metric_of_the_gate():
    shown = set().union(*(metrics_of(param.values[0]) for param in queries()))
    assert shown == reference.metrics(), shown ^ reference.metrics()


def test_panels_lie_beside_each_other_and_have_titles_of_their_own():
    taken, ids, titles = set(), set(), []
    dashboard = json.loads((charts.SERVICE / "files/dashboard.json").read_text())
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        ids.add(panel["id"])
        titles.append(panel["title"])
    assert len(ids) == len(dashboard["panels"]) and len(set(titles)) == len(titles)


def test_the_checks_of_queries_can_fail():
    with pytest.raises(Exception, match="parenthesis"):
        promql_parser.parse("sum by (pod (callgate_store_up)")
    assert metrics_of("callgate_surprise_total") == {"callgate_surprise_total"} - reference.metrics()
    assert metrics_of("callgate_rpc_duration_seconds_bucket") == {"callgate_rpc_duration_seconds"}
