// Four hours in a minute: does a device on Azure's SDK still answer when its token has been
// renewed again and again? Time runs 240 times as fast for the hub and for this program:
//   directmethods hub --speed 240 --device pump -- node ageing.js [HOURS]     (docs/node.md)
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { Client, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Client: Service } = require('azure-iothub');

const TRIES = 30; // a call that meets a renewal fails; 30 s are 125 ms for a handshake
const hours = Number(process.argv[2] || 4);
let renewals = 0;

async function patiently(action) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await action();
    } catch (error) {
      if (tries === TRIES) throw error;
      await sleep(60e3);
    }
  }
}

async function startDevice() {
  const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(
    process.env.IOTHUB_DEVICE_CONNECTION_STRING);
  provider.on('newTokenAvailable', () => { renewals += 1; });
  const device = Client.fromAuthenticationProvider(provider, Mqtt);
  await patiently(() => device.open());
  device.onDeviceMethod('time', (request, response) =>
    response.send(200, new Date().toISOString(), () => {}));
  return device;
}

const call = (service) => patiently(() => service.invokeDeviceMethod('pump', {
  methodName: 'time', connectTimeoutInSeconds: 300, responseTimeoutInSeconds: 300 }));

async function main() {
  const device = await startDevice();
  const service = Service.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
  for (let hour = 1; hour <= hours; hour += 1) {
    await sleep(3600e3);
    const { status, payload } = (await call(service)).result;
    console.log(`after ${hour} h: status ${status} at ${payload}, ${renewals} renewals`);
  }
  await device.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
