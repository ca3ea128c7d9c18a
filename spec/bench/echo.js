// azure-iot-device as the device of echo.lua. argv: FILE.
'use strict';

const fs = require('fs');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const facts = fs.readFileSync(process.argv[2], 'utf8').split('\n');
const client = Client.fromConnectionString(facts[4], Mqtt);

function fail(err) {
  console.error(err.toString());
  process.exit(1);
}

async function main() {
  await client.setOptions({ ca: fs.readFileSync(facts[6], 'utf8') });
  await client.open();
  client.onDeviceMethod('echo', (request, response) => {
    response.send(200, request.payload, (err) => {
      if (err) fail(err);
    });
  });
  console.log(process.pid);
}

client.on('error', fail);
main().catch(fail);
