// What a device and a caller of Azure's SDKs see of a hub that does wrong: each action
// of its rules at each stage, and the fault messages that devices send.
'use strict';

// The SDK waits for a CONNACK for a minute: half a second while one is dropped.
const MINUTE = 60000;
const { setTimeout: start } = global;
let minute = MINUTE;
global.setTimeout = (fn, ms, ...rest) => start(fn, ms === MINUTE ? minute : ms, ...rest);

const { Message } = require('azure-iot-device');
const { ExponentialBackOffWithJitter, NoRetry } = require('azure-iot-common');
const sdk = require('./sdk');

const ID = 'node-faults';
let handled = 0; // times that the device's method ran

async function newDevice() {
  const client = await sdk.device(sdk.config.device);
  client.on('error', (err) => console.error(err));
  return client;
}

function serve(client) {
  client.onDeviceMethod('echo', (request, response) => {
    handled += 1;
    response.send(200, request.payload, () => {});
  });
}

const echo = async (payload) => (await sdk.call(ID, 'echo', payload)).payload;

async function hitsOf(fault) {
  const rules = await sdk.admin('GET', '/faults');
  return rules.find((rule) => rule.id === fault.id).hits;
}

// Play with a rule in force, and tell what came of it and what the hub says.
async function under(rule, play) {
  const fault = await sdk.admin('POST', '/faults', { device: ID, times: 1, ...rule });
  const seen = await play(fault);
  seen.hits = await hitsOf(fault);
  await sdk.admin('DELETE', `/faults/${fault.id}`);
  return seen;
}

// Connections -----------------------------------------------------------------

// Of a device that was not there yet: what `open` says, and that it may be tried again.
async function opening(rule) {
  return under({ stage: 'connect', ...rule }, async () => {
    const began = Date.now();
    const client = await newDevice();
    const first = await sdk.outcome(client.open().then(() => 'open'));
    const late = rule.delay && Date.now() - began >= 200;
    if (first.error) await client.open();
    serve(client);
    const after = await echo('there');
    await client.close();
    return { first, late, after };
  });
}

// Of one that lost its connection: it comes back by itself.
async function returning(client, rule) {
  return under({ stage: 'connect', ...rule }, async (fault) => {
    await ask(client, 'KillTcp', 0);
    await sdk.until(() => hitsOf(fault));
    return { after: await echo('back') };
  });
}

async function connecting(client, rule) {
  const refused = await sdk.counter('connect_refused');
  minute = rule.action === 'drop' ? 500 : MINUTE;
  const seen = { opening: await opening(rule) };
  await client.open();
  serve(client);
  seen.returning = await returning(client, rule);
  await client.close();
  minute = MINUTE;
  seen.refused = await sdk.counter('connect_refused') - refused;
  return seen;
}

// Calls -----------------------------------------------------------------------

// The call while the rule acts and the one after it; where nothing else ends the first,
// the hub's clock does.
async function calling(rule, value) {
  const before = handled;
  return under(rule, async (fault) => {
    const began = Date.now();
    const pending = sdk.outcome(echo(value));
    if (rule.action === 'drop') {
      await sdk.until(() => hitsOf(fault));
      await sdk.admin('POST', '/clock/advance', { seconds: 60 });
    }
    const during = await pending;
    const late = rule.delay && Date.now() - began >= 200;
    const after = await echo(-value);
    const trace = (await sdk.admin('GET', `/calls?device=${ID}`)).slice(-2);
    if (rule.action === 'duplicate') {
      await sdk.until(() => handled >= before + (rule.stage === 'request' ? 3 : 2));
    }
    return {
      during, after, late,
      handled: handled - before,
      faults: trace.map((each) => each.faults || 'none'),
      outcome: trace[0].outcome,
    };
  });
}

// The SDK's call has no end of its own: it waits, while others are answered.
async function unanswered() {
  return under({ stage: 'http', action: 'drop' }, async (fault) => {
    let settled = false;
    sdk.outcome(echo('lost')).then(() => { settled = true; });
    await sdk.until(() => hitsOf(fault));
    await sdk.admin('POST', '/clock/advance', { seconds: 3600 });
    return { after: await echo('answered'), settled };
  });
}

// Of 24 calls, which ones a rule of this seed rejects.
async function pattern(seed) {
  const rule = {
    stage: 'request', action: 'reject', probability: 0.5, seed, times: undefined,
  };
  return under(rule, async () => {
    let marks = '';
    for (let i = 0; i < 24; i += 1) {
      marks += (await sdk.outcome(echo(i))).error ? 'x' : '.';
    }
    return { marks };
  });
}

// Fault messages ----------------------------------------------------------------

async function ask(client, kind, delay) {
  const message = new Message('a fault, please');
  message.properties.add('AzIoTHub_FaultOperationType', kind);
  message.properties.add('AzIoTHub_FaultOperationCloseReason', 'byebye');
  message.properties.add('AzIoTHub_FaultOperationDelayInSecs', String(delay));
  await client.sendEvent(message);
}

async function connected() {
  return (await sdk.admin('GET', `/devices/${ID}`)).connected;
}

// Two seconds after the message, and no earlier, the connection is closed.
async function asking(client, kind) {
  const connects = await sdk.counter('connects');
  await ask(client, kind, 2);
  await sdk.admin('POST', '/clock/advance', { seconds: 1.9 });
  const before = await connected() && await sdk.counter('connects') === connects;
  await sdk.admin('POST', '/clock/advance', { seconds: 0.2 });
  await sdk.until(async () => await sdk.counter('connects') > connects);
  return { before, after: await echo(kind) };
}

// Time ----------------------------------------------------------------------------

// Two hours of the hub's clock, of which the device knows nothing.
async function hours() {
  const connects = await sdk.counter('connects');
  await sdk.admin('POST', '/clock/advance', { seconds: 7200 });
  return {
    after: await echo('still there'),
    connects: await sdk.counter('connects') - connects,
    expired: await sdk.counter('expired'),
  };
}

sdk.run(async () => {
  const seen = {};
  sdk.caller.setRetryPolicy(new NoRetry());
  for (const rule of [
    { action: 'drop' }, { action: 'delay', delay: 0.2 }, { action: 'disconnect' },
    { action: 'reject' },
  ]) {
    seen[`connect:${rule.action}`] = await connecting(await newDevice(), rule);
  }
  const client = await newDevice();
  await client.open();
  serve(client);
  await echo('first');
  let value = 0;
  for (const rule of [
    { stage: 'http', action: 'delay', delay: 0.2 },
    { stage: 'http', action: 'disconnect' },
    { stage: 'http', action: 'reject', code: 429001 },
    { stage: 'request', action: 'drop' },
    { stage: 'request', action: 'delay', delay: 0.2 },
    { stage: 'request', action: 'duplicate' },
    { stage: 'request', action: 'disconnect' },
    { stage: 'request', action: 'reject' },
    { stage: 'response', action: 'drop' },
    { stage: 'response', action: 'delay', delay: 0.2 },
    { stage: 'response', action: 'duplicate' },
    { stage: 'response', action: 'disconnect' },
    { stage: 'response', action: 'reject', code: 500001 },
  ]) {
    value += 1;
    seen[`${rule.stage}:${rule.action}`] = await calling(rule, value);
  }
  seen['http:drop'] = await unanswered();
  seen.patterns = [];
  for (const seed of [7, 7, 8]) seen.patterns.push((await pattern(seed)).marks);
  for (const kind of ['KillTcp', 'ShutDownMqtt']) {
    seen[kind] = await asking(client, kind);
  }
  sdk.caller.setRetryPolicy(new ExponentialBackOffWithJitter());
  seen.retried = await calling({ stage: 'http', action: 'reject' }, 100);
  seen.hours = await hours();
  return seen;
});
