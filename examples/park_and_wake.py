"""A dialer that parks a lead until it may be called, and is woken the moment that it may.

    park_and_wake.py [--target 127.0.0.1:50051] [--token FILE] NUMBER CUSTOMER...

Each customer is asked about once. Who may be called is called; the others are parked, and the stream
of permission changes wakes them: when they accept, when a call slot frees, when they call in. What the
stream does not tell (a pause of the business number ends, another call is over) is in the answer, as
callable_at. The resume token is kept in a file, so that a dialer that was restarted hears what happened
meanwhile. Ends when no lead is parked any more.

Needs grpcio and grpcio-tools; the stubs are made from the proto at the start.
"""

import argparse
import importlib
import pathlib
import sys
import tempfile
import time
import uuid

import grpc
import grpc_tools
from google.protobuf import duration_pb2
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[1] / "proto"


def stubs():
    """Compiles the contract. A real dialer would ship the generated files."""
    into = tempfile.mkdtemp()
    includes = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    contract = "callgate/v1/call_permission.proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{includes}", f"--python_out={into}"]
    assert protoc.main([*arguments, f"--grpc_python_out={into}", contract]) == 0
    sys.path.insert(0, into)
    return (
        importlib.import_module("callgate.v1.call_permission_pb2"),
        importlib.import_module("callgate.v1.call_permission_pb2_grpc"),
    )


pb, rpc = stubs()


class Token:
    """Where the stream is to go on. Kept after what it stands for was done, never before."""

    def __init__(self, path):
        self.path = pathlib.Path(path) if path else None

    def load(self):
        return self.path.read_bytes() if self.path and self.path.exists() else b""

    def save(self, token):
        if self.path:
            new = self.path.with_suffix(".new")
            new.write_bytes(token)
            new.replace(self.path)  # all or nothing


class Dialer:
    def __init__(self, gate, number, customers, token):
        self.gate, self.token = gate, token
        self.parked = {c: self.pair(number, c) for c in customers}
        self.callable_at = {}

    @staticmethod
    def pair(number, customer):
        return pb.Pair(phone_number_id=number, customer=pb.Customer(wa_id=customer))

    def try_lead(self, customer):
        """Asks, and calls or leaves the lead parked. The decision is always the gate's: the stream
        only says when it is worth asking."""
        call_id = str(uuid.uuid4())
        answer = self.gate.AuthorizeCall(
            pb.AuthorizeCallRequest(
                pair=self.parked[customer],
                agent=pb.Agent(kind=pb.AGENT_KIND_VOICE_AGENT, id="park-and-wake"),
                call_id=call_id,
            ),
            timeout=1,
        )
        self.callable_at.pop(customer, None)
        if answer.decision != pb.DECISION_ALLOW:
            if answer.HasField("callable_at"):
                self.callable_at[customer] = answer.callable_at.ToMilliseconds() / 1000
            print(f"parked {customer}: {answer.explanation}", flush=True)
            return
        print(f"call   {customer}: {answer.explanation}", flush=True)
        self.place_call(self.parked.pop(customer), call_id)

    def place_call(self, pair, call_id):
        """Here a real dialer dials, and passes call_id on as biz_opaque_callback_data, so that Meta's
        webhooks report the outcome. This one has nobody to call and says so."""
        report = pb.CallReport(call_id=call_id, outcome=pb.CALL_OUTCOME_NOT_PLACED)
        self.gate.ReportCall(pb.ReportCallRequest(pair=pair, report=report), timeout=1)

    def hear(self, message):
        """One message of the stream: the state of a lead, or a change of it."""
        kind = message.WhichOneof("message")
        if kind == "progress":
            for customer in [c for c, at in self.callable_at.items() if at <= time.time()]:
                self.try_lead(customer)
            return
        permission = message.snapshot if kind == "snapshot" else message.change.permission
        for customer in self.leads_of(permission.pair):
            if kind == "change":
                cause = pb.ChangeCause.Name(message.change.cause).removeprefix("CHANGE_CAUSE_")
                print(f"heard  {customer}: {cause.lower()}", flush=True)
            # Parked, and now with a permission: worth asking.
            if permission.status == pb.PERMISSION_STATUS_GRANTED:
                self.try_lead(customer)

    def leads_of(self, pair):
        """Whom a message may be about. The gate shows a customer as WhatsApp spells the number, which
        may differ from ours (Brazil's ninth digit, Argentina's 9, Mexico's 1), but not in how it ends.
        Asking about one lead too many does no harm."""
        ends = pair.customer.wa_id[-7:]
        return [c for c in self.parked if c.endswith(ends)] if ends else []

    def run(self):
        for customer in list(self.parked):
            self.try_lead(customer)
        token = self.token.load()
        while self.parked:
            request = pb.WatchPermissionsRequest(
                pairs=list(self.parked.values()),
                resume_token=token,
                progress_interval=duration_pb2.Duration(seconds=5),
                snapshot=True,  # without a token: what changed between asking and watching
            )
            stream = self.gate.WatchPermissions(request)
            try:
                for message in stream:
                    self.hear(message)
                    token = message.resume_token
                    self.token.save(token)
                    if not self.parked:
                        stream.cancel()
                        return
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.OUT_OF_RANGE:
                    token = b""  # away for longer than the log reaches back: start with a snapshot
                elif error.code() == grpc.StatusCode.INVALID_ARGUMENT and token:
                    token = b""  # of another store, or damaged
                elif error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="127.0.0.1:50051")
    parser.add_argument("--token", help="file that keeps the resume token")
    parser.add_argument("number")
    parser.add_argument("customers", nargs="+")
    arguments = parser.parse_args()
    options = [("grpc.default_authority", "localhost")]  # for Unix sockets
    channel = grpc.insecure_channel(arguments.target, options=options)
    gate = rpc.CallPermissionServiceStub(channel)
    Dialer(gate, arguments.number, arguments.customers, Token(arguments.token)).run()
    print("nobody is parked any more", flush=True)


if __name__ == "__main__":
    main()
