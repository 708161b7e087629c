"""The story of the README, from Python: signed Meta webhooks in, questions over gRPC.

    story.py TARGET WEBHOOK_URL

TARGET is what grpcio takes: "127.0.0.1:50051" or "unix:/run/callgate.sock". The stubs are generated
from the proto each time. Ends with 0 and "ok" if every answer was as expected.
"""

import hashlib
import hmac
import importlib
import json
import os
import pathlib
import sys
import tempfile
import time
import urllib.request

import grpc
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[3] / "proto"
NUMBER, DISPLAY = "436666719526789", "15550100001"


def generate(into):
    """Compiles the contract, as a user would."""
    import grpc_tools

    includes = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    code = protoc.main(
        [
            "protoc", f"-I{PROTO}", f"-I{includes}",
            f"--python_out={into}", f"--grpc_python_out={into}",
            "callgate/v1/call_permission.proto",
        ]
    )
    assert code == 0, "protoc failed"
    sys.path.insert(0, into)
    messages = importlib.import_module("callgate.v1.call_permission_pb2")
    services = importlib.import_module("callgate.v1.call_permission_pb2_grpc")
    return messages, services


def connect(target):
    # grpcio names a Unix socket by its path in :authority, which HTTP/2 servers built on h2 refuse.
    return grpc.insecure_channel(target, options=[("grpc.default_authority", "localhost")])


class Meta:
    """Sends webhooks as Meta does."""

    def __init__(self, url):
        self.url, self.secret = url, os.environ["CALLGATE_META_APP_SECRET"].encode()

    def send(self, field, value):
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": DISPLAY, "phone_number_id": NUMBER},
            **value,
        }
        body = json.dumps(
            {
                "object": "whatsapp_business_account",
                "entry": [{"id": "9", "changes": [{"field": field, "value": value}]}],
            }
        ).encode()
        signature = hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            self.url, body, {"X-Hub-Signature-256": f"sha256={signature}"}
        )
        assert urllib.request.urlopen(request).status == 200

    def accepts(self, customer, at):
        reply = {"response": "accept", "response_source": "user_action", "is_permanent": False}
        message = {
            "from": customer, "id": f"wamid.{customer}", "timestamp": str(at),
            "type": "interactive",
            "interactive": {"type": "call_permission_reply", "call_permission_reply": reply},
        }
        self.send("messages", {"messages": [message]})

    def ends(self, customer, call_id, at, answered):
        call = {
            "id": f"wacid.{customer}.{call_id}", "from": DISPLAY, "to": customer,
            "event": "terminate", "direction": "BUSINESS_INITIATED", "status": "COMPLETED",
            "timestamp": str(at), "biz_opaque_callback_data": call_id,
        }
        if answered:
            call |= {"start_time": str(at), "end_time": str(at), "duration": 0}
        self.send("calls", {"calls": [call]})


def play(pb, gate, meta):
    now = int(time.time())
    run = f"1555{now % 1_000_000:06d}{os.getpid() % 100:02d}"
    ana, beto = run + "1", run + "2"

    def pair(customer):
        return pb.Pair(phone_number_id=NUMBER, customer=pb.Customer(wa_id=customer))

    def ask(customer, call_id, reason, channel=pb.CHANNEL_WHATSAPP):
        answer = gate.AuthorizeCall(
            pb.AuthorizeCallRequest(
                pair=pair(customer), call_id=call_id, channel=channel,
                agent=pb.Agent(kind=pb.AGENT_KIND_VOICE_AGENT, id="bot:story"),
            ),
            timeout=5,
        )
        got = pb.Reason.Name(answer.reason)
        print(f"{call_id}: {pb.Decision.Name(answer.decision)} {got}: {answer.explanation}")
        assert got == reason, f"{call_id}: {got}, not {reason}"
        return answer

    ask(ana, "a0", "REASON_NEVER_ASKED")
    meta.accepts(ana, now)
    for call in "a1 a2 a3 a4 a5".split():
        ask(ana, call, "REASON_TEMPORARY_PERMISSION")
        meta.ends(ana, call, now, answered=True)
    sixth = ask(ana, "a6", "REASON_CALL_WINDOW_LIMIT")
    assert sixth.callable_at.seconds == now + 24 * 3600, sixth.callable_at
    assert sixth.next_step == pb.NEXT_STEP_WAIT

    meta.accepts(beto, now)
    for call in "b1 b2 b3 b4".split():
        ask(beto, call, "REASON_TEMPORARY_PERMISSION")
        meta.ends(beto, call, now, answered=False)
    ask(beto, "b5", "REASON_AUTO_REVOKED")
    ask(beto, "b6", "REASON_RULES_NOT_APPLICABLE", pb.CHANNEL_PSTN)

    state = gate.GetPermission(pb.GetPermissionRequest(pair=pair(ana)), timeout=5).permission
    assert state.status == pb.PERMISSION_STATUS_GRANTED
    assert state.quotas[0].used == 5 and len(state.quotas[0].entries) == 5
    try:
        gate.AuthorizeCall(pb.AuthorizeCallRequest(pair=pair(ana)), timeout=5)
        raise AssertionError("an agent without a kind was accepted")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        assert "agent.kind" in error.details(), error.details()


def main():
    target, webhook = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as into:
        pb, services = generate(into)
        with connect(target) as channel:
            play(pb, services.CallPermissionServiceStub(channel), Meta(webhook))
    print("ok")


if __name__ == "__main__":
    main()
