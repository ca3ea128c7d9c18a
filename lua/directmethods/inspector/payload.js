/* Payloads. They are shown as text, whatever they hold: never as HTML. */

import { html, useState } from "/inspector/preact.js";
import * as format from "/inspector/format.js";

// A string, a bracket, a comma or colon, or another value.
const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g;

/** JSON with a line for each member; numbers stay as they were written. What is no JSON
    stays as it is. */
export function pretty(text) {
  if (!isJson(text)) return text;
  let out = "";
  let depth = 0;
  let last = "";
  const line = () => "\n" + "  ".repeat(depth);
  for (const [token] of text.matchAll(TOKEN)) {
    const closes = token === "]" || token === "}";
    if (closes) depth--;
    const opened = last === "[" || last === "{";
    if (closes ? !opened : opened || last === ",") out += line();
    out += token === ":" ? ": " : token;
    if (token === "[" || token === "{") depth++;
    last = token;
  }
  return out;
}

export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const KINDS = [[/^"/, "string"], [/^[-\d]/, "number"], [/^(true|false|null)$/, "word"]];

// The text in pieces, each with its class.
function* pieces(text) {
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > at) yield [null, text.slice(at, match.index)];
    const [token] = match;
    at = match.index + token.length;
    const isName = token[0] === '"' && /^\s*:/.test(text.slice(at, at + 8));
    const kind = KINDS.find(([pattern]) => pattern.test(token));
    yield [isName ? "name" : kind?.[1] ?? null, token];
  }
  yield [null, text.slice(at)];
}

const COLOURED = 20000; // characters; longer texts are one piece

/** A text of JSON in colours. */
export function Json({ text, label }) {
  const plain = text.length > COLOURED || !isJson(text);
  return html`<pre class="code" tabindex="0" aria-label=${label}>${plain ? text
    : [...pieces(text)].map(([kind, piece]) => kind ? html`<span class=${"j-" + kind}
      >${piece}</span>` : piece)}</pre>`;
}

/** A payload with its size, raw or with a line for each member. */
export function Payload({ title, text, bytes, most }) {
  const [raw, setRaw] = useState(false);
  const gone = text == null && bytes > 0;
  return html`<section class="card payload">
    <header><h2>${title}</h2><span class="muted">${format.size(bytes)}${most
      && html` of ${format.size(most)}`}</span>
      ${text != null && html`<button type="button" class="small" aria-pressed=${raw}
        onClick=${() => setRaw(!raw)}>Raw</button>`}</header>
    ${text != null ? html`<${Json} label=${title} text=${raw ? text : pretty(text)}/>`
      : html`<p class="muted">${gone ? "It made room for later calls." : "None."}</p>`}
  </section>`;
}
