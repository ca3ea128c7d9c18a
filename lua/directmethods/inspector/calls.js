/* Calls: the latest calls, as they end. */

import { html, useRef, useState } from "/inspector/preact.js";
import * as api from "/inspector/api.js";
import * as format from "/inspector/format.js";
import { parse } from "/inspector/filter.js";
import { useKeys } from "/inspector/keys.js";
import { List } from "/inspector/list.js";
import { Button, download, Elapsed, Empty, Head, Outcome } from "/inspector/parts.js";
import { go, link } from "/inspector/router.js";
import { useStore } from "/inspector/store.js";

// What is kept while another page is shown, so that Esc comes back to the same row.
const memory = { cursor: null, selected: new Set(), frozen: null,
  filter: "", resets: 0 };

/** The filter that Calls had when it was left. */
export const lastFilter = () => ({ filter: memory.filter });

const PART = 500; // ids that one request deletes

const columns = ({ isAll, toggleAll }) => [
  { title: html`<input type="checkbox" checked=${isAll} aria-label="Select all"
    onChange=${toggleAll}/>`, className: "check" },
  { title: "Time", className: "time" },
  { title: "Device", className: "device" },
  { title: "Method", className: "method" },
  { title: "Outcome", className: "result" },
  { title: "Elapsed", className: "took" },
  { title: html`<span class="unseen">Marks</span>`, className: "marks" },
];

function Marks({ call }) {
  return html`${call.faults && html`<span class="mark fault" title=${
      "A fault rule acted: " + call.faults.join(", ")}>fault</span>`}
    ${call.azure_refuses && html`<span class="mark azure" title=${
      "Azure would refuse this call: " + call.azure_refuses}>Azure would refuse</span>`}`;
}

function Row({ call, selected, isCursor, toggle }) {
  return html`<tr class="${isCursor ? "cursor" : ""} ${selected ? "selected" : ""}"
      aria-current=${isCursor ? "true" : null}
      onClick=${(event) => event.target.closest("a, input") || go(["calls", call.id])}>
    <td class="check"><input type="checkbox" checked=${selected}
      aria-label=${"Select call " + call.id} onChange=${() => toggle(call.id)}/></td>
    <td class="time"><a href=${link(["calls", call.id])}>${format.clockTime(call.time)}</a></td>
    <td class="device" title=${format.target(call)}>${format.target(call)}</td>
    <td class="method" title=${call.method}>${call.method || "–"}</td>
    <td class="result"><${Outcome} call=${call}/></td>
    <td class="took"><${Elapsed} call=${call}/></td>
    <td class="marks"><${Marks} call=${call}/></td>
  </tr>`;
}

/** The filter line, kept in the address. */
function Filter({ value, unknown }) {
  const field = useRef(null);
  useKeys({ "/": () => field.current.select() });
  const input = (event) => {
    memory.filter = event.target.value;
    go(["calls"], { filter: event.target.value }, true);
  };
  return html`<input class="filter" type="search" ref=${field} value=${value} spellcheck="false"
    placeholder="device:d*  method:reboot  outcome:GatewayTimeout  >1s  is:fault"
    aria-label="Filter" aria-invalid=${unknown.length > 0} onInput=${input}
    title=${unknown.length > 0 ? "Not understood: " + unknown.join(" ") : null}/>`;
}

async function withPayloads(ids) {
  const all = await api.json("GET", "/calls");
  return all.filter((call) => ids.has(call.id));
}

// A recording for `directmethods replay`: its first line, and a line of each call.
async function exportRecording(ids) {
  const texts = await Promise.all([...ids].sort((a, b) => a - b).map((id) =>
    api.text("GET", `/calls/${id}/as/recording`)));
  const [first] = texts[0].split("\n");
  download("calls.recording.jsonl", [first, ...texts.map((text) => text.split("\n")[1])]
    .join("\n") + "\n");
}

async function exportLines(ids) {
  const calls = await withPayloads(ids);
  download("calls.jsonl", calls.map((call) => JSON.stringify(call) + "\n").join(""));
}

// The hub tells all tabs which calls it has deleted.
async function remove(ids) {
  const list = [...ids];
  for (let i = 0; i < list.length; i += PART)
    await api.json("DELETE", "/calls?ids=" + list.slice(i, i + PART));
}

function NoCalls({ total }) {
  return total > 0
    ? html`<${Empty} title="No call fits the filter"><p>${format.count(total)} calls are
        there.</p><//>`
    : html`<${Empty} title="No calls yet">
        <p>Calls of methods appear here as they end. Make one:</p>
        <p><a class="button" href=${link(["invoke"])}>Invoke a method</a> <a
          href=${link(["setup"])}>Connect a program</a></p><//>`;
}

// The calls that are shown, the newest first.
function shown(store, filter) {
  const calls = memory.frozen ?? store.calls;
  const rows = [];
  for (let i = calls.length - 1; i >= 0; i--)
    if (!store.deleted.has(calls[i].id) && filter.test(calls[i])) rows.push(calls[i]);
  return rows;
}

function Selection({ ids, clear }) {
  if (ids.size === 0) return null;
  return html`<span class="group"><span>${ids.size} selected</span>
    <${Button} act=${() => exportLines(ids)}>Export JSON lines<//>
    <${Button} act=${() => exportRecording(ids)} hint="For directmethods replay">Export
      recording<//>
    <${Button} kind="danger" act=${() => remove(ids)}
      hint="The hub forgets them">Delete<//>
    <${Button} act=${clear}>Clear<//></span>`;
}

// After a reset of the hub, ids begin anew; calls that were deleted are not selected.
function forgetGone({ resets, deleted }) {
  for (const id of memory.selected) if (deleted.has(id)) memory.selected.delete(id);
  if (memory.resets === resets) return;
  memory.selected.clear();
  Object.assign(memory, { frozen: null, cursor: null, resets });
}

const isAll = (rows) => rows.length > 0 && rows.every(({ id }) => memory.selected.has(id));

// What keys and buttons do with the list; again() draws it again.
function actionsOf({ rows, cursor, calls, again }) {
  const change = (fn) => (...args) => {
    fn(...args);
    again();
  };
  return {
    toggle: change((id) => memory.selected.delete(id) || memory.selected.add(id)),
    toggleAll: change(() => {
      const { selected } = memory;
      if (isAll(rows)) rows.forEach(({ id }) => selected.delete(id));
      else rows.forEach(({ id }) => selected.add(id));
    }),
    clear: change(() => memory.selected.clear()),
    pause: change(() => void (memory.frozen = memory.frozen ? null : calls.slice())),
    move: change((by) => {
      const at = cursor < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, cursor + by));
      memory.cursor = rows[at]?.id ?? null;
    }),
  };
}

function Paused({ calls, pause }) {
  const { frozen } = memory;
  const last = frozen?.at(-1)?.id ?? 0;
  const missed = frozen ? calls.filter((call) => call.id > last).length : 0;
  return html`<${Button} act=${pause} hint="p" aria-pressed=${frozen != null}>${frozen
    ? `Go on (${format.count(missed)} new)` : "Pause"}<//>`;
}

function Count({ rows, skipped }) {
  return html`<span class="number">${format.count(rows.length)}</span>${skipped > 0
    && html` <span class="mark" title="They came too fast to be shown">skipped ${
      format.count(skipped)}</span>`}`;
}

export function Calls({ query }) {
  const store = useStore();
  const [, draw] = useState(0);
  const line = memory.filter = query.filter ?? "";
  const filter = parse(line);
  forgetGone(store);
  const { selected } = memory;
  const rows = shown(store, filter);
  const cursor = rows.findIndex((call) => call.id === memory.cursor);
  const { toggle, toggleAll, clear, pause, move } = actionsOf({ rows, cursor, calls: store.calls,
    again: () => draw((n) => n + 1) });
  const withRow = (fn) => () => rows[cursor] && fn(rows[cursor].id);
  useKeys({
    j: () => move(1), k: () => move(-1), p: pause, x: withRow(toggle),
    Enter: withRow((id) => go(["calls", id])), r: withRow((id) => go(["invoke"], { call: id })),
    Escape: () => {
      clear();
      go(["calls"]);
    },
  });
  return html`<${Head} title="Calls" beside=${html`<${Count} rows=${rows} skipped=${store.skipped}/>`}>
    <${Selection} ids=${selected} clear=${clear}/><${Paused} calls=${store.calls} pause=${pause}/><//>
  <div class="bar-line"><${Filter} value=${line} unknown=${filter.unknown}/></div>
  ${rows.length === 0 ? html`<${NoCalls} total=${store.calls.length}/>`
    : html`<${List} label="Calls" className="calls" cursor=${cursor} rows=${rows}
        columns=${columns({ isAll: isAll(rows), toggleAll })} keyOf=${(call) => call.id}
        row=${(call, i) => html`<${Row} key=${call.id} call=${call} toggle=${toggle}
          selected=${selected.has(call.id)} isCursor=${i === cursor}/>`}/>`}`;
}

/** The call before or after one among those that Calls shows, or null. */
export function neighbour(store, id, by) {
  const rows = shown(store, parse(memory.filter));
  const at = rows.findIndex((call) => call.id === id);
  memory.cursor = rows[at + by]?.id ?? memory.cursor;
  return at < 0 ? null : rows[at + by] ?? null;
}

/** Calls comes back to this row. */
export const remember = (id) => void (memory.cursor = id);
