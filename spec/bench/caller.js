// azure-iothub under load: see caller.lua. argv: FILE CALLERS WARM_UP SECONDS.
'use strict';

const fs = require('fs');
const { Client } = require('azure-iothub');

const [file, callers, warmUp, seconds] = process.argv.slice(2);
const facts = fs.readFileSync(file, 'utf8').split('\n');
const client = Client.fromConnectionString(facts[7]);
const call = {
  methodName: 'echo',
  payload: { interval: 30, unit: 'seconds', retries: 3, name: 'abcdefghij' },
};

const from = performance.now() + warmUp * 1000;
const stop = from + seconds * 1000;
let calls = 0;
let all = 0;
let usage;

async function callOn() {
  while (performance.now() < stop) {
    all++;
    const done = await client.invokeDeviceMethod('bench', call);
    if (done.result.payload.name !== call.payload.name) throw new Error('wrong answer');
    if (usage) calls++;
    else if (performance.now() >= from) usage = process.cpuUsage();
  }
}

async function main() {
  await Promise.all(Array.from({ length: Number(callers) }, callOn));
  const { user, system } = process.cpuUsage(usage);
  console.log(`calls=${calls} all=${all} cpu=${(user + system) / 1e6}`);
  process.exit(0);
}

main().catch((err) => {
  console.error(err.toString());
  process.exit(1);
});
