// Calls through a rolling restart, set up as docs/clients.md says.
//
//     node rollout.js TARGET
//
// Says "calling" once it does, goes on until a line comes in, then looks at what the store holds, and
// prints what it found as one line of JSON. service_config.json lies in the directory where it runs.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const ROOT = path.resolve(__dirname, '../../..');
const NUMBER = '436666719526789';
const WORKERS = 12;
const CALLS_PER_CUSTOMER = 100;

// The lines that are printed for users.
const printed = fs.readFileSync(path.join(ROOT, 'docs/clients.md'), 'utf8').split('```js\n')[1].split('```')[0];
const connect = new Function('require', `${printed}; return connect;`)(require);

const definition = protoLoader.loadSync('callgate/v1/call_permission.proto', {
  includeDirs: [path.join(ROOT, 'proto')], keepCase: true, enums: String, longs: Number, defaults: true,
});
const { CallPermissionService } = grpc.loadPackageDefinition(definition).callgate.v1;
const gate = connect(CallPermissionService, process.argv[2]);

const allowed = new Map();
const failures = [];
let calls = 0;
let slowest = 0;
let stopped = false;

function ask(method, request) {
  const begun = Date.now();
  calls += 1;
  return new Promise((resolve) => {
    gate[method](request, { deadline: begun + 10000 }, (error, answer) => {
      const took = (Date.now() - begun) / 1000;
      slowest = Math.max(slowest, took);
      if (error) failures.push(`${begun / 1000} after ${took} s: ${error.message}`);
      resolve(error ? null : answer);
    });
  });
}

const pair = (customer) => ({ phone_number_id: NUMBER, customer: { wa_id: customer } });

async function work(worker) {
  for (let batch = 0; !stopped; batch += 1) {
    const customer = `1556${String(worker).padStart(3, '0')}${String(batch).padStart(6, '0')}`;
    const event = {
      event_id: `accept-${customer}`, pair: pair(customer),
      occurred_at: { seconds: Math.floor(Date.now() / 1000) },
      reply: { response: 'PERMISSION_RESPONSE_ACCEPT', permanent: true },
    };
    if (!(await ask('RecordEvents', { events: [event] }))) continue;
    const ids = new Set();
    allowed.set(customer, ids);
    for (let n = 0; n < CALLS_PER_CUSTOMER && !stopped; n += 1) {
      const answer = await ask('AuthorizeCall', {
        pair: pair(customer), call_id: `${customer}-${n}`,
        agent: { kind: 'AGENT_KIND_VOICE_AGENT', id: 'bot:rollout' },
      });
      if (answer && answer.decision === 'DECISION_ALLOW') ids.add(`${customer}-${n}`);
    }
  }
}

async function look() {
  const found = { allowed: 0, held: 0, held_twice: 0, not_held: 0 };
  for (const [customer, ids] of allowed) {
    const { permission } = await ask('GetPermission', { pair: pair(customer) });
    const window = permission.quotas.find((quota) => quota.kind === 'QUOTA_KIND_CALLS_IN_WINDOW');
    const held = window.entries.filter((entry) => entry.held).map((entry) => entry.id);
    found.allowed += ids.size;
    found.held += held.length;
    found.held_twice += held.length - new Set(held).size;
    found.not_held += [...ids].filter((id) => !held.includes(id)).length;
  }
  return { ...found, calls, failed: failures.length, failures: failures.slice(0, 20), slowest_seconds: slowest };
}

async function main() {
  const workers = Array.from({ length: WORKERS }, (_, worker) => work(worker));
  console.log('calling');
  process.stdin.once('data', async () => {
    stopped = true;
    await Promise.all(workers);
    console.log(JSON.stringify(await look()));
    process.exit(0);
  });
}

main();
