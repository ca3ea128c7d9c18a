/* Calls and connections by the second: what Traffic draws. */

import { tone } from "/inspector/format.js";

const SECONDS = 600; // that are kept
const STEPS = 60; // of the scale of times: from 10 µs, each 30 % longer than the last
const LEAST = 1e-5;
const GROWTH = 1.3;

let seconds = new Map();

function second(time) {
  const at = Math.floor(time);
  let found = seconds.get(at);
  if (found) return found;
  found = { good: 0, warn: 0, bad: 0, connects: 0, times: new Uint32Array(STEPS) };
  seconds.set(at, found);
  if (seconds.size > SECONDS) seconds.delete(Math.min(...seconds.keys()));
  return found;
}

const stepOf = (elapsed) => Math.min(STEPS - 1,
  Math.max(0, Math.round(Math.log(elapsed / LEAST) / Math.log(GROWTH))));

/** A call has ended. */
export function countCall(call) {
  const found = second(call.time);
  found[tone(call)]++;
  found.times[stepOf(call.elapsed)]++;
}

/** A device came. */
export function countConnect(event) {
  second(event.time).connects++;
}

export function forget() {
  seconds = new Map();
}

// So much of the calls took at most as long; null: there are none.
function quantile({ times }, part) {
  const all = times.reduce((sum, n) => sum + n, 0);
  if (all === 0) return null;
  let rest = all * part;
  for (let i = 0; i < STEPS; i++) {
    rest -= times[i];
    if (rest <= 0) return LEAST * GROWTH ** i;
  }
  return null;
}

/** Columns for charts, over the last so many seconds until `now`: times, answered, other
    statuses, failed, p50, p99, connects. */
export function columns(now, length) {
  const out = [[], [], [], [], [], [], []];
  const none = { good: 0, warn: 0, bad: 0, connects: 0, times: new Uint32Array(STEPS) };
  for (let at = Math.floor(now) - length; at <= now; at++) {
    const found = seconds.get(at) ?? none;
    [at, found.good, found.warn, found.bad, quantile(found, 0.5), quantile(found, 0.99),
      found.connects].forEach((value, i) => out[i].push(value));
  }
  return out;
}
