/* Fault rules as texts: what hub:fault, the command line and curl take. */

const ORDER = ["device", "module", "method", "delay", "code", "status", "body", "after",
  "times", "probability", "seed"];

const word = (text) => /^[\w./:=-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'";
const luaValue = (value) => typeof value === "string" ? JSON.stringify(value) : value;

const members = (rule) => ORDER.filter((name) => rule[name] != null && rule[name] !== "");

/** A rule without what is not given. */
export function clean(rule) {
  const out = { stage: rule.stage, action: rule.action };
  for (const name of members(rule)) out[name] = rule[name];
  return out;
}

export const FORMS = {
  Lua: (rule) => "hub:fault { " + Object.entries(clean(rule)).map(([name, value]) =>
    `${name} = ${luaValue(value)}`).join(", ") + " }",
  "Command line": (rule) => `directmethods fault add ${rule.stage} ${rule.action}`
    + members(rule).map((name) => ` --${name} ${word(String(rule[name]))}`).join(""),
  curl: (rule) => 'curl -sS -H "Authorization: Bearer $HUB_ADMIN_TOKEN" \\\n  --data-binary '
    + word(JSON.stringify(clean(rule))) + ' "$HUB_ADMIN_URL/faults"',
};

export const PRESETS = [
  { title: "Drop answers", text: "The device gets the call; its answer is lost: 504101.",
    rule: { stage: "response", action: "drop" } },
  { title: "Deaf session", text: "The device is connected, but no request reaches it: 504101.",
    rule: { stage: "request", action: "drop" } },
  { title: "Slow link", text: "Each request reaches the device two seconds late.",
    rule: { stage: "request", action: "delay", delay: 2 } },
  { title: "Flapping", text: "Every other request closes the device's connection: 404104.",
    rule: { stage: "request", action: "disconnect", probability: 0.5 } },
  { title: "Throttled", text: "Callers get 429, as from a hub that has too much to do.",
    rule: { stage: "http", action: "reject", code: 429001 } },
  { title: "Refused devices", text: "Devices that connect get CONNACK 3: the hub is not there.",
    rule: { stage: "connect", action: "reject", code: 3 } },
];

/** What each stage can do: docs/hub.md, Faults. */
export const ACTIONS = {
  connect: ["drop", "delay", "disconnect", "reject"],
  http: ["drop", "delay", "disconnect", "reject"],
  request: ["drop", "delay", "duplicate", "disconnect", "reject"],
  response: ["drop", "delay", "duplicate", "disconnect", "reject"],
};
