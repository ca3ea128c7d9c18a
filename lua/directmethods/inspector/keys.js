/* Keys. A page names its own while it is shown; they come before those of all pages. */

import { useEffect, useRef } from "/inspector/preact.js";

const layers = [];

function isTyping(element) {
  return element.isContentEditable || /^(TEXTAREA|SELECT)$/.test(element.tagName)
    || element.tagName === "INPUT" && !/^(checkbox|radio|button|range)$/.test(element.type);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const typing = isTyping(event.target);
  if (typing && event.key === "Escape") event.target.blur();
  if (typing || document.querySelector("dialog[open]")) return;
  // Enter on a link or a button is theirs.
  if (event.key === "Enter" && event.target.closest("a, button, summary, input")) return;
  const layer = layers.findLast((each) => each.current[event.key]);
  if (!layer) return;
  event.preventDefault();
  layer.current[event.key](event);
});

/** Keys of a component: useKeys({ j: next, Escape: back }); everywhere: those of all
    pages. */
export function useKeys(keys, everywhere = false) {
  const layer = useRef(keys);
  layer.current = keys;
  useEffect(() => {
    if (everywhere) layers.unshift(layer);
    else layers.push(layer);
    return () => void layers.splice(layers.indexOf(layer), 1);
  }, []);
}
