// A device on Azure's SDK that lives for hours: the SDK renews its tokens by itself,
// 15 minutes before they end after an hour. Prints a line for each renewal, and
// answers the method "age" with its own time.
'use strict';

const { Client, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(
  process.argv[2]);
const client = Client.fromAuthenticationProvider(provider, Mqtt);

provider.on('newTokenAvailable', () => console.log('renewed'));
client.onDeviceMethod('age', (request, response) => {
  response.send(200, Math.floor(Date.now() / 1000), () => {});
});
client.open().catch((err) => {
  console.error(err.toString());
  process.exit(1);
});
