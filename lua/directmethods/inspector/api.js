/* Requests to the hub's admin listener. The token that the hub has printed is shown
   once, for a cookie that no script can read; it stays neither in the address nor in
   the page's storage. */

let session = Promise.resolve(); // settled: the cookie is there, if it will be

async function openSession(token) {
  await fetch("/session", {
    method: "POST", cache: "no-store", headers: { Authorization: "Bearer " + token },
  }).catch(() => {}); // what is asked next says what is wrong
}

// The URL ends in #token=...
function takeToken() {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname + "#/calls");
  session = openSession(decodeURIComponent(found[1]));
}
takeToken();
addEventListener("hashchange", takeToken);

export class ApiError extends Error {
  constructor(status, message, document) {
    super(message);
    this.status = status;
    this.document = document;
  }
}

/** Send a request; the Response as it comes. Rejects when the hub cannot be reached. */
export async function request(method, path, { body, headers = {}, signal } = {}) {
  await session;
  return fetch(path, {
    method, body, signal, cache: "no-store",
    headers: { ...headers, "X-Directmethods": "1" },
  });
}

async function failure(response) {
  const text = await response.text();
  try {
    const document = JSON.parse(text);
    return new ApiError(response.status, document.Message ?? text, document);
  } catch {
    return new ApiError(response.status, text || "status " + response.status);
  }
}

/** Send a request; its text, or an ApiError. */
export async function text(method, path, body) {
  let response;
  try {
    response = await request(method, path, { body });
  } catch {
    throw new ApiError(0, "The hub cannot be reached.");
  }
  if (!response.ok) throw await failure(response);
  return response.text();
}

/** Send a request; the JSON of its answer (null: it has none), or an ApiError. */
export async function json(method, path, value) {
  const answer = await text(method, path,
    value === undefined ? undefined : JSON.stringify(value));
  return answer ? JSON.parse(answer) : null;
}

/** The path of a device or module, "dev1" or "dev1/mod1". */
export function devicePath(name) {
  const [device, module] = name.split("/").map(encodeURIComponent);
  return "/devices/" + device + (module ? "/modules/" + module : "");
}
