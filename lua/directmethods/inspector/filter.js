/* The filter line of calls: "device:d* outcome:GatewayTimeout >1s method:reboot". All
   parts must hold; "-" before one turns it round; "*" stands for any text; another word
   is looked for in device, method and outcome. */

import { outcome, target } from "/inspector/format.js";

const UNITS = { ms: 0.001, s: 1, min: 60, "": 1 };

const FIELDS = {
  device: (call) => call.device_id,
  module: (call) => call.module_id ?? "",
  method: (call) => call.method,
  outcome: (call) => call.outcome,
  status: (call) => String(call.status),
  http: (call) => String(call.http_status),
  code: (call) => String(call.code),
  fault: (call) => (call.faults ?? []).join(" "),
  id: (call) => String(call.id),
  job: (call) => call.job_id ?? "",
};

const IS = {
  failed: (call) => call.outcome !== "Answered",
  fault: (call) => call.faults != null,
  refused: (call) => call.azure_refuses != null,
};

function like(pattern) {
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*");
  const expression = new RegExp("^" + escaped + "$", "i");
  return (text) => expression.test(text);
}

function compare(sign, number, unit) {
  const seconds = Number(number) * UNITS[unit];
  return sign === ">" ? (call) => call.elapsed > seconds : (call) => call.elapsed < seconds;
}

function between(range) {
  const [from, to] = range.split("..").map(Number);
  return (call) => call.time >= from && call.time <= to;
}

// What a part asks for; null: it is not finished, or not known.
function partOf(text) {
  const time = /^([<>])([\d.]+)(ms|s|min|)$/.exec(text);
  if (time) return compare(time[1], time[2], time[3]);
  const [, field, value] = /^(\w+):(.*)$/.exec(text) ?? [];
  if (field === "time") return value.includes("..") ? between(value) : null;
  if (field === "is") return IS[value] ?? null;
  if (field && FIELDS[field]) {
    const fits = value ? like(value) : () => true;
    return (call) => fits(FIELDS[field](call));
  }
  if (field || /^[<>]/.test(text)) return null;
  const word = text.toLowerCase();
  return (call) =>
    `${target(call)} ${call.method} ${outcome(call)}`.toLowerCase().includes(word);
}

/** { test(call), unknown: parts that were not understood } of a filter line. */
export function parse(line) {
  const tests = [];
  const unknown = [];
  for (const word of line.trim().split(/\s+/).filter(Boolean)) {
    const turned = word.length > 1 && word[0] === "-";
    const test = partOf(turned ? word.slice(1) : word);
    if (!test) unknown.push(word);
    else tests.push(turned ? (call) => !test(call) : test);
  }
  return { unknown, test: (call) => tests.every((test) => test(call)) };
}
