// A device and a back end on Azure's SDKs, unmodified (docs/node.md):
//   npm install && npm test                                the test starts the hub
//   directmethods hub --device fan --device attic --device pump -- npm test    the hub starts it
'use strict';

const assert = require('node:assert');
const { after, afterEach, before, test } = require('node:test');
const { startHub } = require('./hub.js');

let hub, fan, service;
let atHandler = () => {};

function setSpeed(request, response) {
  atHandler();
  response.send(200, { speed: request.payload.speed }, () => {});
}

const call = (device, speed) => service.invokeDeviceMethod(device, {
  methodName: 'set_speed', payload: { speed },
  connectTimeoutInSeconds: device === 'fan' ? 30 : 0, // until it has subscribed
});

const codeOf = (error) => JSON.parse(JSON.parse(error.responseBody).Message).errorCode;

before(async () => {
  hub = await startHub(['fan', 'attic']);
  service = hub.service();
  fan = await hub.device('fan');
  await fan.open();
  fan.onDeviceMethod('set_speed', setSpeed);
});

after(async () => {
  await fan?.close();
  await hub?.stop();
});

afterEach(() => hub.admin('DELETE', '/faults'));

test('a fan is set', async () => {
  const { result } = await call('fan', 40);
  assert.deepStrictEqual(result, { status: 200, payload: { speed: 40 } });
});

test('a fan that is offline is reported at once', async () => {
  await assert.rejects(call('attic', 40), (error) => codeOf(error) === 404103);
});

test('an answer that is lost ends in a time-out, 30 s in no time', async () => {
  await hub.admin('POST', '/faults', { stage: 'response', action: 'drop', device: 'fan' });
  const reached = new Promise((resolve) => { atHandler = resolve; });
  const lost = assert.rejects(call('fan', 40), (error) => codeOf(error) === 504101);
  await reached;
  await hub.admin('POST', '/clock/advance', { seconds: 30 });
  await lost;
});
