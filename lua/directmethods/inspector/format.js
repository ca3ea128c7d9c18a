/* Numbers, times and payloads as a person reads them. */

const pad = (n, width = 2) => String(n).padStart(width, "0");

/** 14:03:07.123, of seconds since 1970. */
export function clockTime(seconds, fraction = true) {
  const date = new Date(seconds * 1000);
  const text = [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => pad(n))
    .join(":");
  return fraction ? text + "." + pad(date.getMilliseconds(), 3) : text;
}

/** 2026-11-30 14:03:07 */
export function fullTime(seconds) {
  const date = new Date(seconds * 1000);
  const day = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())];
  return day.join("-") + " " + clockTime(seconds, false);
}

/** "0.4 ms", "12 ms", "1.25 s", "4 min 10 s", "2 h 5 min" */
export function duration(seconds) {
  if (seconds == null) return "";
  if (seconds < 0.01) return (seconds * 1000).toFixed(1) + " ms";
  if (seconds < 1) return Math.round(seconds * 1000) + " ms";
  if (seconds < 60) return +seconds.toFixed(seconds < 10 ? 2 : 1) + " s";
  const [big, small, bigName, smallName] = seconds < 3600
    ? [Math.floor(seconds / 60), Math.floor(seconds % 60), "min", "s"]
    : seconds < 86400
      ? [Math.floor(seconds / 3600), Math.floor(seconds % 3600 / 60), "h", "min"]
      : [Math.floor(seconds / 86400), Math.floor(seconds % 86400 / 3600), "d", "h"];
  return `${big} ${bigName}` + (small ? ` ${small} ${smallName}` : "");
}

/** "812 B", "3.1 KiB" */
export function size(bytes) {
  if (bytes < 1024) return bytes + " B";
  if (bytes < 1024 * 1024) return +(bytes / 1024).toFixed(1) + " KiB";
  return +(bytes / 1024 / 1024).toFixed(1) + " MiB";
}

/** 12,345 */
export const count = (n) => n.toLocaleString("en");

/** "dev1" or "dev1/mod1", of a call or an event. */
export function target(record) {
  return (record.device_id ?? "") + (record.module_id ? "/" + record.module_id : "");
}

/** How a call ended: "good", "warn" (a status of the device), or "bad". */
export function tone(call) {
  if (call.outcome !== "Answered") return call.outcome === "CallerGone" ? "warn" : "bad";
  return call.status >= 200 && call.status < 300 ? "good" : "warn";
}

/** "200", or "504 GatewayTimeout". */
export function outcome(call) {
  if (call.outcome === "Answered") return String(call.status);
  return (call.http_status ? call.http_status + " " : "") + call.outcome;
}

/** A name in words: "GatewayTimeout" is "gateway timeout". */
export const words = (name) =>
  name.replace(/_/g, " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
