// What of the inspector needs no browser: the filter line, numbers as people read them,
// texts of rules, columns of charts. Run by spec/inspector_pure_spec.lua, which puts the
// page's files beside this one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { compare } from "./diff.js";
import { parse } from "./filter.js";
import * as format from "./format.js";
import { pretty } from "./payload.js";
import * as rates from "./rates.js";
import { clean } from "./rules.js";

const call = (fields) => ({ id: 1, time: 100, device_id: "dev1", method: "reboot",
  outcome: "Answered", status: 200, http_status: 200, code: 0, elapsed: 0.2, ...fields });

test("the filter line", () => {
  const late = call({ id: 2, outcome: "GatewayTimeout", status: 0, http_status: 504,
    code: 504101, elapsed: 5, module_id: "m", faults: ["response:drop"], job_id: "nightly-1" });
  const fits = (line) => [call({}), late].map((each) => parse(line).test(each));
  const cases = {
    "": [true, true], "device:d*": [true, true], "device:D*1": [true, true],
    "device:ev": [false, false], "outcome:gatewaytimeout": [false, true],
    "-outcome:GatewayTimeout": [true, false], ">1s": [false, true], "<300ms": [true, false],
    ">4": [false, true], "<1min": [true, true], "module:m": [false, true],
    "module:": [true, true], "is:failed": [false, true], "is:fault": [false, true],
    "-is:fault": [true, false], "is:refused": [false, false], "id:2": [false, true],
    "code:504*": [false, true], "http:200 status:200": [true, false],
    "time:99..100": [true, true], "time:101..200": [false, false],
    "job:nightly-1": [false, true], "job:nightly": [false, false], "job:": [true, true],
    "fault:response*": [false, true], "boot": [true, true], "dev1/m": [false, true],
    "timeout reboot": [false, true], "device:dev1 method:reboot >1s": [false, true],
    "device:d.v1": [false, false], "device:(": [false, false],
  };
  for (const [line, expected] of Object.entries(cases)) assert.deepEqual(fits(line), expected, line);
});

test("parts of a filter line that are not known fit all, and are named", () => {
  const { test: fits, unknown } = parse("colour:red is:odd >soon time:5 device:dev1");
  assert.deepEqual(unknown, ["colour:red", "is:odd", ">soon", "time:5"]);
  assert.equal(fits(call({})), true);
});

test("times, sizes and names", () => {
  const durations = { 0: "0.0 ms", 0.00042: "0.4 ms", 0.0123: "12 ms", 0.5: "500 ms", 1: "1 s",
    1.255: "1.25 s", 12.34: "12.3 s", 60: "1 min", 250: "4 min 10 s", 7500: "2 h 5 min",
    90000: "1 d 1 h" };
  for (const [seconds, text] of Object.entries(durations))
    assert.equal(format.duration(Number(seconds)), text);
  assert.deepEqual([0, 1023, 1024, 131072, 3145728].map(format.size),
    ["0 B", "1023 B", "1 KiB", "128 KiB", "3 MiB"]);
  assert.equal(format.count(12345), "12,345");
  assert.equal(format.words("GatewayTimeout"), "gateway timeout");
  assert.equal(format.words("taken_over"), "taken over");
  assert.equal(format.outcome(call({})), "200");
  assert.equal(format.outcome(call({ outcome: "DeviceNotFound", http_status: 404 })),
    "404 DeviceNotFound");
  assert.deepEqual([{}, { status: 500 }, { outcome: "CallerGone" }, { outcome: "Timeout" }]
    .map((fields) => format.tone(call(fields))), ["good", "warn", "warn", "bad"]);
});

test("JSON with a line for each member keeps every value as it was written", () => {
  assert.equal(pretty('{"a":[1,{"b":"x, [y] \\"z\\""}],"c":{},"d":[],"e":12345678901234567890,"f":1.50}'),
    `{
  "a": [
    1,
    {
      "b": "x, [y] \\"z\\""
    }
  ],
  "c": {},
  "d": [],
  "e": 12345678901234567890,
  "f": 1.50
}`);
  assert.equal(pretty(" 7 "), "7");
  assert.equal(pretty("<script>{"), "<script>{");
});

test("what differs between two texts", () => {
  assert.deepEqual(compare("a\nb\nc", "a\nx\nc\nd"),
    [[" ", "a"], ["-", "b"], ["+", "x"], [" ", "c"], ["+", "d"]]);
  assert.deepEqual(compare("", ""), [[" ", ""]]);
  const long = "x\n".repeat(600);
  assert.equal(compare(long, long).every(([sign]) => sign === " "), true);
});

test("a rule has no members that were not given", () => {
  assert.deepEqual(clean({ stage: "http", action: "reject", device: "", code: 429001,
    times: undefined }), { stage: "http", action: "reject", code: 429001 });
});

test("columns of charts", () => {
  for (let i = 1; i <= 100; i++) rates.countCall(call({ time: 50.5, elapsed: i / 1000 }));
  rates.countCall(call({ time: 51, outcome: "GatewayTimeout" }));
  rates.countConnect({ time: 52 });
  const [times, good, warn, bad, p50, p99, connects] = rates.columns(52, 2);
  assert.deepEqual([times, good, warn, bad, connects],
    [[50, 51, 52], [100, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]);
  assert.ok(p50[0] > 0.035 && p50[0] < 0.07, String(p50[0]));
  assert.ok(p99[0] > 0.075 && p99[0] < 0.13, String(p99[0]));
  assert.equal(p50[2], null);
  rates.forget();
  assert.deepEqual(rates.columns(52, 2)[1], [0, 0, 0]);
});
