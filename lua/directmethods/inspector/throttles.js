/* How full the buckets of the tier's rates are, and what is left of the day's quota. */

import { html, useEffect } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import * as format from "/inspector/format.js";
import { useLoaded } from "/inspector/parts.js";

const AGAIN = 500; // ms

const TITLES = {
  methods: "Method calls, by 4 KiB", connections: "Devices that connect",
  registry: "Registry operations", queries: "Queries", jobs: "Job operations",
  twin_reads: "Twin reads", twin_updates: "Twin updates", sends: "Messages, by 4 KiB",
};

// "40/s", "20/min"
const rateOf = (rate) => Number.isInteger(rate) ? format.count(rate) + "/s"
  : format.count(Math.round(rate * 60)) + "/min";

/** Good above a third, bad when nothing is left. */
const toneOf = (part) => part > 1 / 3 ? "good" : part > 0 ? "warn" : "bad";

function Level({ title, left, capacity, filled }) {
  const part = Math.max(0, Math.min(1, left / capacity));
  return html`<tr><th scope="row">${title}</th>
    <td><span class="level" role="meter" aria-label=${title} aria-valuemin="0"
      aria-valuemax=${capacity} aria-valuenow=${Math.max(0, Math.floor(left))}><span class="bar ${
      toneOf(part)}" style=${{ width: part * 100 + "%" }}></span></span></td>
    <td class="right">${left < 0 ? html`<span class="bad">${format.count(Math.ceil(-left))} wait</span>`
      : format.count(Math.floor(left))} of ${format.count(capacity)}</td>
    <td class="muted wide-only">${filled}</td></tr>`;
}

/** The levels, live. */
export function Throttles() {
  const { value, again } = useLoaded(() => api.json("GET", "/throttles"), []);
  useEffect(() => {
    const timer = setInterval(again, AGAIN);
    return () => clearInterval(timer);
  }, []);
  if (!value) return null;
  if (!value.quota) return html`<section class="card"><header><h2>Throttles</h2></header>
    <p class="muted">This hub has no tier, so nothing is throttled.${" "}
      <code>directmethods hub --tier S1</code> has the rates of IoT Hub's S1.</p></section>`;
  const { tier, units, buckets, quota } = value;
  return html`<section class="card"><header><h2>Throttles of ${tier}${units > 1
      && `, ${units} units`}</h2><span class="muted">what may come at once</span></header>
    <table class="plain levels"><tbody>${buckets.map((each) => html`<${Level} key=${each.name}
        ...${each} title=${TITLES[each.name]} filled=${rateOf(each.rate)}/>`)}
      <${Level} title="Messages of the day" ...${quota}
        filled=${"new at " + format.clockTime(quota.renews, false).slice(0, 5)}/></tbody></table></section>`;
}
