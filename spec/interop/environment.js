// environment.js -- a device and a service of Azure's SDKs that know what their
// environment says, and no more: what a user's own program is to `hub -- COMMAND`.
'use strict';

const { Client: Device } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Client: Service } = require('azure-iothub');

async function main() {
  const device = Device.fromConnectionString(
    process.env.IOTHUB_DEVICE_CONNECTION_STRING, Mqtt);
  await device.open();
  device.onDeviceMethod('reboot', (request, response) =>
    response.send(201, { why: request.payload.why }));
  const service = Service.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
  const answer = await service.invokeDeviceMethod('dev1', {
    methodName: 'reboot',
    payload: { why: 'update' },
    connectTimeoutInSeconds: 30, // until the device has subscribed
  });
  console.log(JSON.stringify(answer.result));
  await device.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
