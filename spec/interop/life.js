// What else a device of Azure's SDK does, with the service SDK as its other end: twin,
// messages, renewal of its token, a module, a proxy, and how its connection ends.
'use strict';

const http = require('http');
const net = require('net');
const { once } = require('events');
const { HttpsProxyAgent } = require('https-proxy-agent');
const { Client, Message, SharedAccessKeyAuthenticationProvider } =
  require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const sdk = require('./sdk');

const { config } = sdk;
const registry = sdk.iothub.Registry.fromConnectionString(config.owner);

const echo = (response, payload) => response.send(200, payload, () => {});
const answer = (request, response) => echo(response, request.payload);

async function open(id) {
  const client = await sdk.device(config.devices[id]);
  client.setRetryPolicy(new NoRetry());
  await client.open();
  return client;
}

// Twin --------------------------------------------------------------------------

const copy = (value) => JSON.parse(JSON.stringify(value));

// Desired properties as they come, until `done` says that they are all there.
function watch(twin, done) {
  return new Promise((resolve) => {
    twin.on('properties.desired', () => {
      if (done(twin.properties.desired)) resolve(copy(twin.properties.desired));
    });
  });
}

const report = (twin, patch) => new Promise((resolve, reject) => {
  twin.properties.reported.update(patch, (err) => (err ? reject(err) : resolve()));
});

async function twins(client, id) {
  const [deviceId, moduleId] = id.split('/');
  const get = async () => (await (moduleId
    ? registry.getModuleTwin(deviceId, moduleId)
    : registry.getTwin(deviceId))).responseBody;
  const set = (desired) => (moduleId
    ? registry.updateModuleTwin(deviceId, moduleId, { properties: { desired } }, '*')
    : registry.updateTwin(deviceId, { properties: { desired } }, '*'));
  await set({ speed: 1, deep: { a: 1, b: 2 } });
  const twin = await client.getTwin();
  const first = await watch(twin, (desired) => desired.speed === 1);
  await report(twin, { temperature: 21, gone: true }); // behind the SUBSCRIBE
  const changed = watch(twin, (desired) => desired.last);
  await set({ speed: 2, deep: { b: null } });
  await set({ last: true });
  const seen = { first, changed: await changed };
  await report(twin, { gone: null });
  seen.reported = (await get()).properties.reported;
  delete seen.reported.$metadata;
  return seen;
}

// Messages ------------------------------------------------------------------------

async function messages(client) {
  client.on('message', () => {});
  const message = new Message('{"celsius":21}');
  message.messageId = 'm1';
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.properties.add('alert', 'a/b c');
  const sent = await client.sendEvent(message);
  client.onDeviceMethod('echo', answer);
  return { sent: sent.constructor.name, after: await sdk.call('messages', 'echo', 1) };
}

// Renewal -----------------------------------------------------------------------------

// The SDK renews its token each second; methods come as before, and nobody is told.
async function renewal() {
  const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(
    config.devices.renewal, 3, 2);
  const client = Client.fromAuthenticationProvider(provider, Mqtt);
  await client.setOptions({ ca: config.ca });
  await client.open();
  const ended = [];
  client.on('disconnect', (result) => ended.push(result.constructor.name));
  client.onDeviceMethod('echo', answer);
  const answers = [];
  for (let renewals = 1; renewals <= 2; renewals += 1) {
    await once(provider, 'newTokenAvailable');
    const reply = await sdk.until(async () => (
      await sdk.outcome(sdk.call('renewal', 'echo', renewals))).value);
    answers.push(reply.payload);
  }
  await client.close();
  return { ended, answers };
}

// Proxy -----------------------------------------------------------------------------------

async function proxied() {
  let tunnels = 0;
  const proxy = http.createServer();
  proxy.on('connect', (request, socket, head) => {
    const [host, port] = request.url.split(':');
    const target = net.connect({ host, port, allowHalfOpen: true }, () => {
      tunnels += 1;
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.write(head);
      target.pipe(socket).pipe(target);
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.address().port}`);
  const client = await sdk.device(config.devices.proxied, MqttWs);
  await client.setOptions({ mqtt: { webSocketAgent: agent } });
  await client.open();
  client.onDeviceMethod('echo', answer);
  const reply = await sdk.call('proxied', 'echo', 'through');
  await client.close();
  return { reply, tunnels };
}

// Modules ---------------------------------------------------------------------------------

async function modules() {
  const client = await sdk.module(config.devices['host/module']);
  await client.open();
  client.onMethod('echo', answer);
  const reply = await sdk.call('host/module', 'echo', 'of the module');
  await client.sendOutputEvent('port1', new Message('by a module'));
  const seen = { reply, twin: await twins(client, 'host/module') };
  await client.close();
  return seen;
}

// Ends ---------------------------------------------------------------------------------------

// A call is under way when the device's connection ends by `end`.
async function cut(id, end) {
  const client = await open(id);
  const told = once(client, 'disconnect');
  const called = new Promise((resolve) => {
    client.onDeviceMethod('hang', resolve);
  });
  const pending = sdk.outcome(sdk.call(id, 'hang', null));
  await called;
  await end(client);
  return { pending: await pending, told };
}

async function closed() {
  return (await cut('closed', (client) => client.close())).pending;
}

// What the caller gets, and what the device is told.
async function cutOff(id, end) {
  const { pending, told } = await cut(id, end);
  const [result] = await told;
  pending.told = result.transportObj.name;
  return pending;
}

async function takenOver() {
  let second;
  const seen = await cutOff('taken-over', async () => { second = await open('taken-over'); });
  await second.close();
  return seen;
}

async function ends() {
  return {
    closed: await closed(),
    takenOver: await takenOver(),
    disabled: await cutOff('disabled', () => registry.update(
      { deviceId: 'disabled', status: 'disabled' })),
    deleted: await cutOff('deleted', () => registry.delete('deleted')),
  };
}

async function strangers() {
  const wrong = config.devices.closed.replace(/Key=.*/, `Key=${btoa('x'.repeat(32))}`);
  const unknown = config.devices.closed.replace(/DeviceId=[^;]*/, 'DeviceId=unknown');
  const seen = {};
  for (const [name, text] of Object.entries({ wrong, unknown })) {
    const client = await sdk.device(text);
    seen[name] = (await sdk.outcome(client.open())).error;
  }
  return seen;
}

// The device's answer is longer than may be.
async function huge() {
  const client = await open('huge');
  client.onDeviceMethod('huge', (request, response) => {
    echo(response, 'x'.repeat(131073));
  });
  const seen = await sdk.outcome(sdk.call('huge', 'huge', null));
  await client.close();
  return seen;
}

sdk.run(async () => {
  sdk.caller.setRetryPolicy(new NoRetry());
  const client = await open('twin');
  const talker = await open('messages');
  const [twin, spoken, renewed, through, module, ended, refused, large] =
    await Promise.all([
      twins(client, 'twin'), messages(talker), renewal(), proxied(), modules(), ends(),
      strangers(), huge(),
    ]);
  await client.close();
  await talker.close();
  return { twin, messages: spoken, renewal: renewed, proxied: through, module,
    ends: ended, strangers: refused, huge: large };
});
