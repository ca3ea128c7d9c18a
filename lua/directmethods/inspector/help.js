/* The list of keys. */

import { html, useEffect, useRef } from "/inspector/preact.js";
import { useKeys } from "/inspector/keys.js";

const KEYS = [
  ["j k", "the next row, the row before"], ["Enter", "open the row"],
  ["x", "select the row"], ["Esc", "back, to the same row"], ["/", "filter"],
  ["p", "pause the list, go on"], ["i", "invoke a method"], ["r", "call again"],
  ["d", "compare with the call before"], ["y", "copy"], ["t", "time"], ["?", "this help"],
];

export function Help({ close }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  useKeys({ Escape: () => dialog.current.close() });
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="help-title">
    <h2 id="help-title">Keys</h2>
    <dl class="keys">${KEYS.map(([key, what]) => html`<dt>${key.split(" ").map((each) =>
      html`<kbd>${each}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>
    <form method="dialog"><button>Close</button></form>
  </dialog>`;
}
