/* The address behind "#": "#/calls/12?filter=device:d1". */

import { useEffect, useState } from "/inspector/preact.js";

/** { path: ["calls", "12"], query: { filter: "device:d1" } } */
export function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return {
    path: path.split("/").filter(Boolean).map(decodeURIComponent),
    query: Object.fromEntries(new URLSearchParams(query ?? "")),
  };
}

/** The address of a page: link(["calls", 12], { filter: "device:d1" }). */
export function link(path, query = {}) {
  const parts = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const tail = new URLSearchParams(parts).toString();
  return "#/" + path.map(encodeURIComponent).join("/") + (tail ? "?" + tail : "");
}

/** Go to a page; replace: the page before it is not one to come back to. */
export function go(path, query, replace = false) {
  const address = link(path, query);
  if (location.hash === address) return;
  if (!replace) return void (location.hash = address);
  history.replaceState(null, "", address);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute() {
  const [route, set] = useState(read);
  useEffect(() => {
    const listener = () => set(read());
    addEventListener("hashchange", listener);
    return () => removeEventListener("hashchange", listener);
  }, []);
  return route;
}
