/* A table of many rows that all have one height: only those in sight are drawn. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "/inspector/preact.js";

export const ROW = 28; // px; the height in style.css
const MORE = 12; // rows that are drawn above and below those in sight

/** A table. columns: [{ name, title, className }]; rows: what is shown; row(item, i): a
    <tr>; cursor: index of a row that is kept in sight when it changes. When rows come in
    at the top, those in sight stay where they are, unless the top itself is in sight. */
export function List({ label, columns, rows, row, cursor, keyOf, className = "" }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const anchor = useRef(null);
  const look = () => {
    const { scrollTop, clientHeight } = box.current;
    const first = rows[Math.floor(scrollTop / ROW)];
    anchor.current = scrollTop >= ROW && first
      ? { key: keyOf(first), rest: scrollTop % ROW } : null;
    setView({ top: scrollTop, height: clientHeight });
  };
  useEffect(() => {
    const watcher = new ResizeObserver(look);
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (!anchor.current) return;
    const at = rows.findIndex((item) => keyOf(item) === anchor.current.key);
    if (at > 0) box.current.scrollTop = at * ROW + anchor.current.rest;
  }, [rows]);
  useLayoutEffect(() => {
    if (cursor < 0) return;
    const { scrollTop, clientHeight } = box.current;
    const top = cursor * ROW;
    if (top < scrollTop) box.current.scrollTop = top;
    else if (top > scrollTop + clientHeight - 2 * ROW)
      box.current.scrollTop = top - clientHeight + 2.5 * ROW;
  }, [cursor >= 0 && rows[cursor] ? keyOf(rows[cursor]) : null]);
  const first = Math.max(0, Math.floor(view.top / ROW) - MORE);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW) + MORE);
  return html`<div class="list ${className}" ref=${box} onScroll=${look} tabindex="0"
      role="region" aria-label=${label}>
    <table aria-rowcount=${rows.length}>
      <thead><tr>${columns.map((each) => html`<th scope="col" class=${each.className}
        >${each.title}</th>`)}</tr></thead>
      <tbody>
        ${first > 0 && html`<tr class="gap" aria-hidden="true"
          style=${{ height: first * ROW + "px" }}><td colspan=${columns.length}></td></tr>`}
        ${rows.slice(first, last).map((item, i) => row(item, first + i))}
        ${last < rows.length && html`<tr class="gap" aria-hidden="true"
          style=${{ height: (rows.length - last) * ROW + "px" }}><td
          colspan=${columns.length}></td></tr>`}
      </tbody>
    </table>
  </div>`;
}
