// An unmodified Azure SDK device: answers methods of the scenarios until one
// named "quit" comes. argv: SAS token, file of the CA certificate.
'use strict';

const fs = require('fs');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const [token, caFile] = process.argv.slice(2);

const client = Client.fromSharedAccessSignature(token, Mqtt);

function answer(response, status, payload) {
  response.send(status, payload, (err) => {
    if (err) fail(err);
  });
}

function fail(err) {
  console.error(err.toString());
  process.exit(1);
}

client.on('error', fail);

async function main() {
  await client.setOptions({ ca: fs.readFileSync(caFile, 'utf8') });
  await client.open();
  client.onDeviceMethod('reboot', (request, response) => {
    answer(response, 201, { rebooted: true, got: request.payload });
  });
  client.onDeviceMethod('echo', (request, response) => {
    answer(response, 200, request.payload);
  });
  client.onDeviceMethod('nothing', (request, response) => {
    answer(response, 404);
  });
  client.onDeviceMethod('renew', (request, response) => {
    answer(response, 200, null);
    client.updateSharedAccessSignature(request.payload, (err) => {
      if (err) fail(err);
    });
  });
  client.onDeviceMethod('quit', (request, response) => {
    response.send(200, null, () => client.close(() => process.exit(0)));
  });
}

main().catch(fail);
