// Prints the rules of the inspector's presets, and rules with hard values, with their
// texts, as JSON.

import { clean, FORMS, PRESETS } from "./rules.js";

const HARD = [
  { stage: "response", action: "drop", device: "it's", module: "m", method: "re boot", times: 2 },
  { stage: "http", action: "reject", body: '{"a":"\\n$HOME `id` \'"}', status: 418, after: 3,
    probability: 0.25, seed: 7 },
];

console.log(JSON.stringify([...PRESETS.map(({ rule }) => rule), ...HARD].map((rule) => ({
  rule: clean(rule), lua: FORMS.Lua(rule), cli: FORMS["Command line"](rule),
  curl: FORMS.curl(rule),
}))));
