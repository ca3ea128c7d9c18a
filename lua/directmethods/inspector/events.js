/* What happens to the hub, as it happens: one stream (GET /events), which all tabs of
   the browser share. The tab that holds the lock reads the stream and tells the others;
   when it is closed, another tab gets the lock and goes on behind the last event. */

import { request } from "/inspector/api.js";

const RETRY = 1000; // ms between two attempts
const LOCK = "directmethods-events";

const channel = new BroadcastChannel(LOCK);
let lastId = "0"; // of the last event: at first of none, so that the stream begins with what was
let told = { state: "connecting" };

// An event of the text between two empty lines; null: a comment.
function readEvent(block) {
  const event = { id: null, name: "message", data: "" };
  for (const line of block.split("\n")) {
    const at = line.indexOf(": ");
    const value = line.slice(at + 2);
    if (line.startsWith("id:")) event.id = value;
    else if (line.startsWith("event:")) event.name = value;
    else if (line.startsWith("data:")) event.data += value;
  }
  if (!event.data) return null;
  return { id: event.id, name: event.name, data: JSON.parse(event.data) };
}

// Read a stream to its end; tell(events) for what each piece of it has.
async function read(response, tell) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    const events = blocks.map(readEvent).filter(Boolean);
    if (events.length > 0) tell(events);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function connect(tell) {
  const response = await request("GET", "/events", { headers: { "Last-Event-ID": lastId } });
  if (response.status === 401) return "refused";
  if (!response.ok) return "lost";
  await read(response, tell);
  return "lost";
}

async function lead(tell) {
  for (;;) {
    const state = await connect((events) => tell({ state: "open", events }))
      .catch(() => "lost");
    tell({ state, events: [] });
    await pause(RETRY);
  }
}

/** Follow the hub: fn({ state, events }) for each piece of news. State: "open"; "lost",
    the hub cannot be reached; "refused", it wants another token. */
export function follow(fn) {
  let leads = false;
  const hear = (news) => {
    for (const event of news.events) lastId = event.id ?? lastId;
    told = { state: news.state, events: [] };
    fn(news);
  };
  channel.onmessage = ({ data }) => {
    if (data !== "state?") hear(data);
    else if (leads) channel.postMessage(told);
  };
  channel.postMessage("state?");
  navigator.locks.request(LOCK, () => {
    leads = true;
    return lead((news) => {
      hear(news);
      channel.postMessage(news);
    });
  });
}
