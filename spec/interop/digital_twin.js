// A device with a model by Azure's device SDK, and its digital twin by DigitalTwinClient.
'use strict';

const { DigitalTwinClient, IoTHubTokenCredentials } = require('azure-iothub');
const { NoRetry } = require('azure-iot-common');
const sdk = require('./sdk');

const MODEL = 'dtmi:com:example:TemperatureController;2';

async function plugIn() {
  const device = await sdk.device(sdk.config.device);
  device.setRetryPolicy(new NoRetry());
  await device.setOptions({ modelId: MODEL });
  device.onDeviceMethod('reboot', (request, response) => response.send(
    200, { delay: request.payload }));
  device.onDeviceMethod('thermostat1*getMaxMinReport', (request, response) => response.send(
    202, { since: request.payload }));
  await device.open();
  return device;
}

// Its desired properties, as soon as they have this version.
function desiredOf(twin, version) {
  return new Promise((resolve) => {
    twin.on('properties.desired', (properties) => {
      if (properties.$version >= version) resolve(properties);
    });
  });
}

// The status of an update: only a callback gets the response.
function update(client, patch) {
  return new Promise((resolve, reject) => {
    client.updateDigitalTwin('plugged', patch, (err, result, response) => (
      err ? reject(err) : resolve(response.status)));
  });
}

sdk.run(async () => {
  const device = await plugIn();
  const client = new DigitalTwinClient(new IoTHubTokenCredentials(sdk.config.service));
  const twin = await device.getTwin();
  await new Promise((resolve, reject) => {
    twin.properties.reported.update(
      { serialNumber: 'alpha', thermostat1: { __t: 'c', maxTemp: 30.5 } },
      (err) => (err ? reject(err) : resolve()));
  });
  const first = await client.getDigitalTwin('plugged');
  const told = desiredOf(twin, 2);
  const updated = await update(client, [
    { op: 'add', path: '/thermostat1/targetTemperature', value: 21.5 },
  ]);
  const desired = await told;
  const second = await client.getDigitalTwin('plugged');
  const reboot = await client.invokeCommand('plugged', 'reboot', 5,
    { connectTimeoutInSeconds: 5, responseTimeoutInSeconds: 10 });
  const report = await client.invokeComponentCommand('plugged', 'thermostat1',
    'getMaxMinReport', '2020-01-01');
  const stale = await sdk.outcome(client.updateDigitalTwin('plugged', [
    { op: 'remove', path: '/thermostat1' }], '"stale"'));
  await device.close();
  return {
    model: first.$metadata.$model,
    serialNumber: first.serialNumber,
    reportedAt: typeof first.thermostat1.$metadata.maxTemp.lastUpdateTime,
    updated,
    desired: desired.thermostat1,
    target: second.thermostat1.$metadata.targetTemperature.desiredValue,
    reboot: [reboot.xMsCommandStatuscode, reboot.body, typeof reboot.xMsRequestId],
    report: [report.xMsCommandStatuscode, report.body],
    stale: stale.error,
  };
});
