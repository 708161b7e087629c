"""What the gate knows: configuration keys, variables and metrics, read from the documents.

docs/configuration.md is rendered from the program and docs/operations.md names every metric, so a chart
that agrees with them agrees with the gate.
"""

import re

from charts import ROOT


def _document(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def section(heading: str) -> str:
    """What stands under a heading of the reference in docs/configuration.md; empty without it."""
    text = _document("configuration.md")
    found = re.search(rf"^### {heading}.*?$(.*?)(?=^###? |\Z|<!-- reference: end)", text, re.M | re.S)
    return found[1] if found else ""


def _rows(text: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z0-9_.]+)` \|", text, re.M))


def server_keys() -> set[str]:
    return _rows(section("Server"))


def profile_keys() -> set[str]:
    return _rows(section("Profiles"))


def number_keys() -> set[str]:
    return _rows(section("Business numbers"))


def client_keys() -> set[str]:
    return _rows(section("Clients"))


def set_by_the_chart() -> set[str]:
    """Keys that have a value of their own in the chart, so that `config` must not have them as well."""
    own = {"grpc_addr", "http_addr", "admin_addr", "allow_insecure", "store", "store_file"}
    tables = ("grpc_tls.", "http_tls.", "admin_tls.", "drain.", "meta.")
    return own | {key for key in server_keys() if key.startswith(tables)}


def variables() -> set[str]:
    return set(re.findall(r"`(CALLGATE_[A-Z0-9_]+)`", _document("configuration.md")))


def metrics() -> set[str]:
    # A name may be followed by its labels: `callgate_clock_steps_total{direction}`.
    return set(re.findall(r"`(callgate_[a-z0-9_]+)[`{]", _document("operations.md")))
