/* What the page knows of the hub. One object, fed by the stream of events; components
   use it by useStore, and are drawn again at most ten times a second. */

import { useEffect, useRef, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import { follow } from "/inspector/events.js";
import * as rates from "/inspector/rates.js";

const KEPT_CALLS = 5000;
const KEPT_EVENTS = 500;
const SPARE = 500; // more than that are kept before the oldest are dropped
const DRAW = 100; // ms

export const store = {
  connection: "connecting", // "open", "lost", "refused"
  restarted: null, // ms: the hub was started again then
  skipped: 0, // events that the page was not told
  calls: [], // the oldest first
  deleted: new Set(), // ids of calls
  devices: [], // events of devices, the oldest first
  clock: { time: 0, at: 0, speed: 1 }, // hub's time (s) at performance.now() (ms)
  faults: 0, // grows with each event of a rule
  jobs: 0, // likewise of a job
  resets: 0,
};

const listeners = new Set();
let drawing = false;

/** The store has changed: draw what shows it, soon. */
export function changed() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    for (const listener of listeners) listener();
  }, DRAW);
}

/** The store, for a component; select(store) says what it shows: without a change of
    that it is not drawn again. */
export function useStore(select = () => NaN) {
  const [, draw] = useState(0);
  const seen = useRef(null);
  seen.current = select(store);
  useEffect(() => {
    const listener = () => {
      const now = select(store);
      if (now !== seen.current) draw((n) => n + 1); // NaN is never the same
    };
    listener();
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return store;
}

/** The hub's time now, in seconds. */
export function hubTime() {
  const { time, at, speed } = store.clock;
  return time + (performance.now() - at) / 1000 * speed;
}

function keep(list, item, most) {
  list.push(item);
  if (list.length > most + SPARE) list.splice(0, list.length - most);
}

function setClock(time, speed = store.clock.speed) {
  store.clock = { time, at: performance.now(), speed };
}

function forget() {
  rates.forget();
  store.calls = [];
  store.deleted = new Set();
  store.devices = [];
  store.skipped = 0;
  store.resets++;
}

// What the hub remembers of before the stream began.
async function loadCalls() {
  const calls = await api.json("GET", "/calls?payloads=0&last=1000").catch(() => []);
  const first = store.calls[0]?.id ?? Infinity;
  const earlier = calls.filter(({ id }) => id < first && !store.deleted.has(id));
  earlier.forEach(rates.countCall);
  store.calls = [...earlier, ...store.calls];
  changed();
}

let readsClock = false;

async function readClock() {
  if (readsClock) return;
  readsClock = true;
  const clock = await api.json("POST", "/clock/speed", {}).catch(() => null);
  readsClock = false;
  if (clock) setClock(clock.time, clock.speed);
  changed();
}

let begins = false; // the next event is the first behind a hello
let boot = null; // of the hub that is followed: the beginning of an event's id

const HEAR = {
  hello(data, id) {
    setClock(data.time, data.speed);
    const hub = id.split("-")[0];
    if (hub === boot) return;
    if (boot) store.restarted = Date.now();
    boot = hub;
    begins = true;
    forget();
    loadCalls();
  },
  call: (data) => {
    const last = store.calls.at(-1);
    if (last && data.id <= last.id) return;
    keep(store.calls, data, KEPT_CALLS);
    rates.countCall(data);
  },
  deleted({ ids }) {
    ids.forEach((id) => store.deleted.add(id));
    store.calls = store.calls.filter(({ id }) => !store.deleted.has(id));
  },
  device(data) {
    keep(store.devices, data, KEPT_EVENTS);
    if (data.event === "connected") rates.countConnect(data);
  },
  fault: () => store.faults++,
  job: () => store.jobs++,
  clock: readClock, // the event may be of long ago
  // What the stream leaves out at its beginning was over before.
  skipped: (data) => store.skipped += begins ? 0 : data.count,
  reset(_, id) {
    boot = id.split("-")[0];
    forget();
  },
};

// A tab that came later has not heard the hello of the shared stream.
function meet(events) {
  const id = events.find((event) => event.id)?.id;
  if (boot || !id || events[0].name === "hello") return;
  boot = id.split("-")[0];
  loadCalls();
}

function hear({ state, events }) {
  store.connection = state;
  meet(events);
  for (const { name, data, id } of events) {
    HEAR[name]?.(data, id);
    begins = name === "hello" && begins;
  }
  changed();
}

/** Begin to follow the hub. */
export function start() {
  follow(hear);
  loadCalls();
  readClock();
}
