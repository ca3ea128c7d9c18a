/* Calls of methods, and rules that make them fail. */

import * as api from "/inspector/api.js";
import { target } from "/inspector/format.js";

/** Call a method. { name: "dev1/mod1", method, payload: text or "", response, connect }:
    the answer { http, text, elapsed (s), id: of the record, or null }. */
export async function invoke({ name, method, payload, response, connect }) {
  const query = new URLSearchParams();
  if (response) query.set("response_timeout", response);
  if (connect) query.set("connect_timeout", connect);
  const began = performance.now();
  const reply = await api.request("POST",
    `${api.devicePath(name)}/methods/${encodeURIComponent(method)}?${query}`,
    { body: payload || undefined });
  const text = await reply.text();
  const elapsed = (performance.now() - began) / 1000;
  return { http: reply.status, text, elapsed, id: await lastId(name, method) };
}

async function lastId(name, method) {
  const [device, module] = name.split("/");
  const query = new URLSearchParams({ device, method, last: 1, payloads: 0 });
  if (module) query.set("module", module);
  const [call] = await api.json("GET", "/calls?" + query).catch(() => []);
  return call?.id ?? null;
}

/** What invoke takes, of a record of GET /calls/{id}. */
export const again = (call) => ({
  name: target(call), method: call.method, payload: call.payload_text ?? "",
  response: call.response_timeout, connect: call.connect_timeout,
});

const UNAVAILABLE = 503001;
const FIRST_CODE = 400000; // of IoT Hub's codes

/** The rule that makes the next such call fail like this one. */
export function ruleLike(call) {
  const rule = call.outcome === "GatewayTimeout" ? { stage: "response", action: "drop" }
    : { stage: "http", action: "reject",
      code: call.code >= FIRST_CODE ? call.code : UNAVAILABLE };
  rule.device = call.device_id;
  if (call.module_id) rule.module = call.module_id;
  return { ...rule, method: call.method, times: 1 };
}
