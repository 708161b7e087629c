"""Calls through a rolling restart, set up as docs/clients.md says.

    rollout.py TARGET

TARGET names all gates: "ipv4:127.0.0.1:1,127.0.0.1:2". Says "calling" once it does, goes on until a line
comes in, then looks at what the store holds, and prints what it found as one line of JSON.
service_config.json lies in the directory where it runs.
"""

import collections
import json
import sys
import tempfile
import threading
import time

import grpc

from story import PROTO, generate

NUMBER = "436666719526789"
WORKERS = 12
CALLS_PER_CUSTOMER = 100
DEADLINE = 10


def connect(target):
    """By the lines that are printed for users."""
    printed = (PROTO.parent / "docs/clients.md").read_text().split("```python\n")[1]
    lines = {}
    exec(printed.split("```")[0], lines)
    lines["channel"].close()
    return lines["connect"](target)


class Tally:
    """What all workers saw."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls, self.slowest, self.failures = 0, 0.0, []
        self.allowed = collections.defaultdict(set)

    def ask(self, method, request):
        """One call, which is counted; None if it failed."""
        begun = time.monotonic()
        answer, failure = None, None
        try:
            answer = method(request, timeout=DEADLINE)
        except grpc.RpcError as error:
            failure = f"{error.code().name}: {error.details()}"
        took = time.monotonic() - begun
        with self.lock:
            self.calls += 1
            self.slowest = max(self.slowest, took)
            if failure:
                self.failures.append(f"{time.time():.3f} after {took:.3f} s: {failure}")
        return answer


def pair(pb, customer):
    return pb.Pair(phone_number_id=NUMBER, customer=pb.Customer(wa_id=customer))


def accepted(pb, customer):
    event = pb.Event(event_id=f"accept-{customer}", pair=pair(pb, customer))
    event.occurred_at.GetCurrentTime()
    event.reply.response = pb.PERMISSION_RESPONSE_ACCEPT
    event.reply.permanent = True
    return pb.RecordEventsRequest(events=[event])


def work(pb, gate, tally, worker, stop):
    """Customer after customer: an accept, then calls, each with an id of its own."""
    batch = 0
    while not stop.is_set():
        customer = f"1555{worker:03d}{batch:06d}"
        batch += 1
        if tally.ask(gate.RecordEvents, accepted(pb, customer)) is None:
            continue
        for n in range(CALLS_PER_CUSTOMER):
            if stop.is_set():
                return
            call_id = f"{customer}-{n}"
            answer = tally.ask(
                gate.AuthorizeCall,
                pb.AuthorizeCallRequest(
                    pair=pair(pb, customer),
                    call_id=call_id,
                    agent=pb.Agent(kind=pb.AGENT_KIND_VOICE_AGENT, id="bot:rollout"),
                ),
            )
            if answer is not None and answer.decision == pb.DECISION_ALLOW:
                with tally.lock:
                    tally.allowed[customer].add(call_id)


def held(pb, gate, customer):
    """The ids of the calls that the store holds for a customer, as often as it does."""
    request = pb.GetPermissionRequest(pair=pair(pb, customer))
    permission = gate.GetPermission(request, timeout=DEADLINE, wait_for_ready=True).permission
    for quota in permission.quotas:
        if quota.kind == pb.QUOTA_KIND_CALLS_IN_WINDOW:
            ids = [entry.id for entry in quota.entries if entry.held]
            assert len(ids) == quota.held, f"{customer}: {len(ids)} entries of {quota.held} held"
            return ids
    raise AssertionError(f"{customer} has no window")


def look(pb, gate, tally):
    """Compares what was allowed with what is held."""
    all_held, twice, missing = 0, 0, 0
    for customer, allowed in tally.allowed.items():
        ids = held(pb, gate, customer)
        all_held += len(ids)
        twice += len(ids) - len(set(ids))
        missing += len(allowed - set(ids))
    return {
        "calls": tally.calls,
        "failed": len(tally.failures),
        "failures": tally.failures[:20],
        "allowed": sum(len(ids) for ids in tally.allowed.values()),
        "held": all_held,
        "held_twice": twice,
        "not_held": missing,
        "slowest_seconds": round(tally.slowest, 3),
    }


def main():
    target = sys.argv[1]
    tally, stop = Tally(), threading.Event()
    threading.excepthook = lambda died: tally.failures.append(f"a worker died: {died.exc_value!r}")
    with tempfile.TemporaryDirectory() as into:
        pb, services = generate(into)
        with connect(target) as channel:
            gate = services.CallPermissionServiceStub(channel)
            grpc.channel_ready_future(channel).result(timeout=30)
            workers = [
                threading.Thread(target=work, args=(pb, gate, tally, n, stop))
                for n in range(WORKERS)
            ]
            for worker in workers:
                worker.start()
            print("calling", flush=True)
            sys.stdin.readline()
            stop.set()
            for worker in workers:
                worker.join()
            print(json.dumps(look(pb, gate, tally)), flush=True)


if __name__ == "__main__":
    main()
