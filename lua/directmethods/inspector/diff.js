/* What differs between two texts, line by line. */

import { html } from "/inspector/preact.js";

const LINES = 500; // of each text; more are compared as one

// lengths[i][j]: lines that a from i and b from j have in common.
function lengths(a, b) {
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1
        : Math.max(table[i + 1][j], table[i][j + 1]);
  return table;
}

/** [" ", line] for what both have, ["-", line] of the first, ["+", line] of the second. */
export function compare(first, second) {
  const a = first.split("\n");
  const b = second.split("\n");
  if (a.length > LINES || b.length > LINES)
    return first === second ? a.map((line) => [" ", line])
      : [...a.map((line) => ["-", line]), ...b.map((line) => ["+", line])];
  const table = lengths(a, b);
  const out = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) out.push([" ", a[i++]], void j++);
    else if (j >= b.length || i < a.length && table[i + 1][j] >= table[i][j + 1])
      out.push(["-", a[i++]]);
    else out.push(["+", b[j++]]);
  }
  return out.filter(Boolean);
}

const NAMES = { " ": "same", "-": "gone", "+": "new" };

export function Diff({ title, first, second }) {
  const lines = compare(first, second);
  const same = lines.every(([sign]) => sign === " ");
  return html`<section class="card"><header><h2>${title}</h2>${same
    && html`<span class="muted">the same</span>`}</header>
    <pre class="code diff" tabindex="0" aria-label=${title}>${lines.map(([sign, line]) =>
      html`<div class=${NAMES[sign]}>${sign} ${line}</div>`)}</pre>
  </section>`;
}
