// The story of the README, from Node: signed Meta webhooks in, questions over gRPC.
//
//     node story.js TARGET WEBHOOK_URL
//
// TARGET is what grpc-js takes: "127.0.0.1:50051" or "unix:/run/callgate.sock". Ends with 0 and "ok"
// if every answer was as expected.
'use strict';

const assert = require('node:assert');
const crypto = require('node:crypto');
const path = require('node:path');

const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const PROTO = path.resolve(__dirname, '../../../proto');
const NUMBER = '436666719526789';
const DISPLAY = '15550100001';

const definition = protoLoader.loadSync('callgate/v1/call_permission.proto', {
  includeDirs: [PROTO], keepCase: true, enums: String, longs: Number, defaults: true,
});
const { CallPermissionService } = grpc.loadPackageDefinition(definition).callgate.v1;

const [target, webhook] = process.argv.slice(2);
const secret = process.env.CALLGATE_META_APP_SECRET;
const gate = new CallPermissionService(target, grpc.credentials.createInsecure());

function call(method, request) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 5000;
    gate[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function meta(field, value) {
  const body = JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [{ id: '9', changes: [{ field, value: {
      messaging_product: 'whatsapp',
      metadata: { display_phone_number: DISPLAY, phone_number_id: NUMBER },
      ...value,
    } }] }],
  });
  const signature = crypto.createHmac('sha256', secret).update(body).digest('hex');
  const headers = { 'X-Hub-Signature-256': `sha256=${signature}` };
  const response = await fetch(webhook, { method: 'POST', body, headers });
  assert.strictEqual(response.status, 200);
}

function accepts(customer, at) {
  return meta('messages', { messages: [{
    from: customer, id: `wamid.${customer}`, timestamp: String(at), type: 'interactive',
    interactive: {
      type: 'call_permission_reply',
      call_permission_reply: { response: 'accept', is_permanent: true, response_source: 'user_action' },
    },
  }] });
}

function ends(customer, callId, at, answered) {
  const times = answered ? { start_time: String(at), end_time: String(at), duration: 0 } : {};
  return meta('calls', { calls: [{
    id: `wacid.${customer}.${callId}`, from: DISPLAY, to: customer, event: 'terminate',
    direction: 'BUSINESS_INITIATED', status: 'COMPLETED', timestamp: String(at),
    biz_opaque_callback_data: callId, ...times,
  }] });
}

async function ask(customer, callId, reason, channel = 'CHANNEL_WHATSAPP') {
  const answer = await call('AuthorizeCall', {
    pair: { phone_number_id: NUMBER, customer: { wa_id: customer } },
    agent: { kind: 'AGENT_KIND_HUMAN_AGENT', id: 'ana@example.com' },
    call_id: callId, channel,
  });
  console.log(`${callId}: ${answer.decision} ${answer.reason}: ${answer.explanation}`);
  assert.strictEqual(answer.reason, reason, callId);
  return answer;
}

async function main() {
  const now = Math.floor(Date.now() / 1000);
  const run = `1556${String(now % 1000000).padStart(6, '0')}${String(process.pid % 100).padStart(2, '0')}`;
  const [ana, beto] = [`${run}1`, `${run}2`];

  await ask(ana, 'a0', 'REASON_NEVER_ASKED');
  await accepts(ana, now);
  for (const id of ['a1', 'a2', 'a3', 'a4', 'a5']) {
    await ask(ana, id, 'REASON_PERMANENT_PERMISSION');
    await ends(ana, id, now, true);
  }
  const sixth = await ask(ana, 'a6', 'REASON_CALL_WINDOW_LIMIT');
  assert.strictEqual(sixth.callable_at.seconds, now + 24 * 3600);

  await accepts(beto, now);
  for (const id of ['b1', 'b2', 'b3', 'b4']) {
    await ask(beto, id, 'REASON_PERMANENT_PERMISSION');
    await ends(beto, id, now, false);
  }
  await ask(beto, 'b5', 'REASON_AUTO_REVOKED');
  await ask(beto, 'b6', 'REASON_RULES_NOT_APPLICABLE', 'CHANNEL_PSTN');

  await assert.rejects(call('AuthorizeCall', {}), (error) => error.code === grpc.status.INVALID_ARGUMENT);
  gate.close();
  console.log('ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
