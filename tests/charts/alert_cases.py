"""For each alert a case in which it fires and one in which it does not, for `promtool test rules`.

A series is written as promtool reads it: `1+2x30` is 1, 3, 5, … for 30 minutes.
"""

# The labels that every series of one gate has.
GATE = 'namespace="bots", pod="a"'
TWO = 'namespace="bots", pod="b"'


def series(metric, labels, values):
    return {"series": f"{metric}{{{labels}}}", "values": values}


def one(metric, values, more=""):
    return [series(metric, ", ".join(filter(None, [GATE, more])), values)]


def histogram(metric, fast, slow, edge, more=""):
    """One that counts `fast` a minute below an edge, and `slow` above it."""
    labels = ", ".join(filter(None, [GATE, more]))
    return [
        series(f"{metric}_bucket", f'{labels}, le="{edge}"', f"0+{fast}x60"),
        series(f"{metric}_bucket", f'{labels}, le="{edge * 10}"', f"0+{fast + slow}x60"),
        series(f"{metric}_bucket", f'{labels}, le="+Inf"', f"0+{fast + slow}x60"),
    ]


def calls(good, bad, code="UNAVAILABLE", method="AuthorizeCall"):
    metric = "callgate_rpc_duration_seconds_count"
    labels = f'{GATE}, method="{method}"'
    return [
        series(metric, f'{labels}, code="OK"', f"0+{good}x60"),
        series(metric, f'{labels}, code="{code}"', f"0+{bad}x60"),
    ]


def pair(upper, lower, over, under):
    """Two counters, one of them a share of the other."""
    return [series(upper, GATE, f"0+{over}x90"), series(lower, GATE, f"0+{under}x90")]


def configurations(first, second, job="gate"):
    """Two gates: one that is of a job `gate` and has gone by another configuration before, and one more."""
    return [
        series("callgate_config_info", f'{GATE}, job="gate", hash="before"', "1x5 0x85"),
        series("callgate_config_info", f'{GATE}, job="gate", hash="{first}"', "_x6 1x84"),
        series("callgate_config_info", f'{TWO}, job="{job}", hash="{second}"', "1x90"),
    ]


def builds(first, second):
    return [
        series("callgate_build_info", f'{GATE}, version="1", rulebook="{first}"', "1x120"),
        series("callgate_build_info", f'{TWO}, version="2", rulebook="{second}"', "1x120"),
    ]


# alert: (when, what it fires on, the labels that it has then, what it does not fire on)
NAMESPACE = {"namespace": "bots"}
POD = {"namespace": "bots", "pod": "a"}
EVENTS = "callgate_webhook_events_total"
REJECTED = "callgate_webhook_rejected_total"
SIGNATURE = "callgate_webhook_signature_failures_total"
RPC = "callgate_rpc_duration_seconds"
CERTIFICATE = "callgate_tls_certificate_expiry_seconds"
WEEK = 7 * 24 * 3600

CASES = {
    "CallgateAbsent": ("6m", [], {}, one("callgate_build_info", "1x10")),
    "CallgateStoreAway": ("2m", one("callgate_store_up", "0x10"), POD, one("callgate_store_up", "0 1x10")),
    "CallgateStoreEmptied": ("10m", one("callgate_redis_emptied_total", "0 0 1x20"), NAMESPACE, one("callgate_redis_emptied_total", "1x20")),
    "CallgateErrors": ("12m", calls(97, 3), NAMESPACE, calls(97, 3, "RESOURCE_EXHAUSTED") + calls(0, 9, method="WatchPermissions")),
    "CallgateSlow": ("20m", histogram(RPC, 90, 10, 0.1, 'method="AuthorizeCall"'), NAMESPACE, histogram(RPC, 999, 1, 0.01, 'method="AuthorizeCall"') + histogram(RPC, 1, 99, 0.1, 'method="WatchPermissions"')),
    "CallgateStoreErrors": ("20m", pair("callgate_store_errors_total", "callgate_store_round_trips_total", 2, 100), NAMESPACE, pair("callgate_store_errors_total", "callgate_store_round_trips_total", 1, 200)),
    "CallgateShedding": ("12m", one("callgate_shed_total", "0+1x60", 'class="call"'), {**NAMESPACE, "class": "call"}, one("callgate_shed_total", "7x60", 'class="call"')),
    "CallgatePanicked": ("10m", one("callgate_panics_total", "0 0 0 1x20"), POD, one("callgate_panics_total", "3x20")),
    "CallgateAuthFailures": ("20m", one("callgate_auth_failures_total", "0+30x60", 'reason="unknown_token"'), {**NAMESPACE, "reason": "unknown_token"}, one("callgate_auth_failures_total", "0+1x60", 'reason="unknown_token"')),
    "CallgateCertificateEnds": ("20m", one(CERTIFICATE, f"{WEEK}x60", 'door="grpc"'), {**POD, "door": "grpc"}, one(CERTIFICATE, f"{WEEK + 7200}x60", 'door="grpc"')),
    "CallgateCallsOverLimit": ("10m", one("callgate_calls_over_limit_total", "0 0 1x20", 'quota="window"'), {**NAMESPACE, "quota": "window"}, one("callgate_calls_over_limit_total", "4x20", 'quota="window"')),
    "CallgateCallsUnreported": ("80m", pair("callgate_calls_lapsed_total", "callgate_calls_held_total", 3, 10), NAMESPACE, pair("callgate_calls_lapsed_total", "callgate_calls_held_total", 1, 10)),
    "CallgateWebhooksFail": ("12m", one(REJECTED, "0+1x60", 'reason="store"'), {**NAMESPACE, "reason": "store"}, one(REJECTED, "0+99x60", 'reason="signature"') + one(REJECTED, "7x60", 'reason="panicked"')),
    "CallgateWebhooksTurnedAway": ("12m", one(REJECTED, "0+2x60", 'reason="too_slow"'), {**NAMESPACE, "reason": "too_slow"}, one(REJECTED, "0+1x60", 'reason="too_slow"') + one(REJECTED, "0+99x60", 'reason="handshake"')),
    "CallgateWebhooksRefused": ("100m", one(SIGNATURE, "0+9x120") + one(EVENTS, "0+1x120"), NAMESPACE, one(SIGNATURE, "0+5x120") + one(EVENTS, "0+1x120")),
    "CallgateWebhooksSilent": ("26h", one(EVENTS, "0+1x1440 1440x240"), NAMESPACE, one(EVENTS, "0+1x2000")),
    "CallgateWebhooksLate": ("40m", histogram("callgate_webhook_lag_seconds", 50, 50, 100), NAMESPACE, histogram("callgate_webhook_lag_seconds", 99, 1, 10)),
    "CallgateQuarantined": ("20m", one("callgate_quarantined", "2x60"), NAMESPACE, one("callgate_quarantined", "2 0x60")),
    "CallgateSettlesLate": ("40m", histogram("callgate_settle_late_seconds", 50, 50, 60), NAMESPACE, histogram("callgate_settle_late_seconds", 999, 1, 1)),
    "CallgateSettleFailures": ("40m", one("callgate_settle_failures_total", "0+1x60"), NAMESPACE, one("callgate_settle_failures_total", "0 3x60")),
    "CallgateWatchersLag": ("40m", one("callgate_watch_lagging_total", "0+30x60"), NAMESPACE, one("callgate_watch_lagging_total", "0+1x60")),
    # It goes on for as long as nobody mends it, and no longer.
    "CallgateConfigurationRefused": ("40m", one("callgate_config_refused", "0 0 1x60"), POD, one("callgate_config_refused", "0 1x20 0x60")),
    "CallgateRestartNeeded": ("20m", one("callgate_config_restart_needed", "1x60"), POD, one("callgate_config_restart_needed", "1 0x60")),
    "CallgateConfigurationsDiffer": ("40m", configurations("x", "y"), {**NAMESPACE, "job": "gate"}, configurations("x", "x") + configurations("x", "y", "bot")[2:]),
    "CallgateRulesDiffer": ("70m", builds("x", "y"), {}, builds("x", "x")),
    "CallgateClockOff": ("10m", one("callgate_clock_offset_seconds", "-3x60"), POD, one("callgate_clock_offset_seconds", "0x60")),
}  # fmt: skip

# Further cases, since these fire for more than one reason.
MORE = [
    # Gates that were started anew count from 0, and hear nothing; those of before are gone.
    ("CallgateWebhooksSilent", ("26h", one(EVENTS, "0+1x1440") + [series(EVENTS, TWO, "_x1441 0x240")], NAMESPACE, one(EVENTS, "0+1x1440") + [series(EVENTS, TWO, "_x1441 0+1x240")])),
    # A wrong secret where little comes: one in five minutes, and none that is right.
    ("CallgateWebhooksRefused", ("100m", one(SIGNATURE, "0+0.2x120"), NAMESPACE, one(SIGNATURE, "0+0.1x120"))),
    ("CallgateWebhooksRefused", ("100m", one(SIGNATURE, "0+0.2x120") + one(EVENTS, "50x120"), NAMESPACE, one(SIGNATURE, "0+0.2x120") + one(EVENTS, "0+0.1x120"))),
    ("CallgateWebhooksFail", ("12m", one(REJECTED, "0+1x60", 'reason="no_secret"'), {**NAMESPACE, "reason": "no_secret"}, one(REJECTED, "0+99x60", 'reason="too_many"'))),
    ("CallgateWebhooksTurnedAway", ("12m", one(REJECTED, "0+2x60", 'reason="too_many"'), {**NAMESPACE, "reason": "too_many"}, one(REJECTED, "0+99x60", 'reason="store"'))),
]  # fmt: skip


def tests(severities):
    """The file that promtool reads."""
    found = []
    further = [(alert, case) for alert, case in MORE if alert in CASES]
    for alert, (when, loud, labels, quiet) in [*CASES.items(), *further]:
        fires = [{"exp_labels": {**labels, "severity": severities[alert]}}]
        for input_series, expected in ((loud, fires), (quiet, [])):
            case = {"eval_time": when, "alertname": alert, "exp_alerts": expected}
            found.append({"interval": "1m", "input_series": input_series, "alert_rule_test": [case]})
    return {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": found}
