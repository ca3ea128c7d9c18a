/* A hub in a process of its own, and the system's Chromium, for the tests of the
   inspector. The spec that starts a test says in the environment how Lua finds the
   library (LUA, LUA_PATH, LUA_CPATH). */

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const PATIENCE = 40_000; // ms, for what hangs
const PROGRAM = [process.env.LUA ?? "lua5.4", "build-aux/directmethods"];
export const PICTURES = "build/inspector";

/** Wait until what() is true (or resolves to it); its value. */
export async function until(what, why = what.toString()) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const value = await what();
    if (value) return value;
    if (Date.now() > end) throw new Error("never: " + why);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A hub with an inspector; start() again after stop() serves the same URL. */
export class Hub {
  folder = mkdtempSync(join(tmpdir(), "inspector-"));
  ready = join(this.folder, "hub.json");
  token = join(this.folder, "token");

  /** words: more of the command line; by default it serves free ports without TLS. */
  constructor(words = ["--plain", "--mqtt-port", "0", "--https-port", "0"]) {
    this.words = words;
  }

  async start() {
    writeFileSync(this.token, "0123456789abcdef0123456789abcdef");
    const port = this.facts?.ports.admin ?? 0;
    const [program, ...words] = [...PROGRAM, "hub", "--inspect", "--quiet",
      ...this.words, "--admin-port", String(port),
      "--admin-token-file", this.token, "--ready-file", this.ready];
    this.process = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
    this.ended = new Promise((resolve) => this.process.on("exit", resolve));
    let text = "";
    this.process.stdout.setEncoding("utf8").on("data", (more) => text += more);
    this.url = await until(() => /^http:\/\/\S+#token=\S+$/m.exec(text)?.[0],
      "the hub prints the URL");
    this.facts = JSON.parse(readFileSync(this.ready, "utf8"));
    return this;
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
  }

  async close() {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }

  /** Ask the admin listener; the Response. */
  ask(method, path, value) {
    return fetch(this.facts.admin_url + path, {
      method, body: value === undefined ? undefined : JSON.stringify(value),
      headers: { Authorization: "Bearer " + this.facts.admin_token },
    });
  }

  async json(method, path, value) {
    const response = await this.ask(method, path, value);
    return response.status === 204 ? null : response.json();
  }

  /** A device with canned answers, and a call of each method named. */
  async populate() {
    await this.json("PUT", "/devices/lamp", {
      tags: { floor: 2 }, desired: { level: 40 },
      methods: { on: { status: 200, payload: { on: true } }, weak: { status: 503 } },
    });
    await this.json("PUT", "/devices/away", {});
    await this.call("lamp", "on", { level: 40 });
    await this.call("lamp", "on", { level: 41 });
    await this.call("lamp", "weak");
    await this.call("away", "on", { level: 1 });
  }

  call(device, method, payload) {
    return this.json("POST", `/devices/${device}/methods/${method}`, payload);
  }

  /** Run `directmethods WORDS` with this hub. */
  run(...words) {
    const [program, ...first] = PROGRAM;
    const done = spawnSync(program, [...first, ...words],
      { encoding: "utf8", env: { ...process.env, ...this.variables() } });
    if (done.status !== 0) throw new Error(`${words.join(" ")}: ${done.stdout}${done.stderr}`);
  }

  /** What `directmethods hub -- COMMAND` sets for COMMAND. */
  variables() {
    const [program, ...words] = [...PROGRAM, "env", "dotenv", "--ready-file", this.ready];
    const text = spawnSync(program, words, { encoding: "utf8" }).stdout;
    const pairs = [...text.matchAll(/^(\w+)='?(.*?)'?$/gm)];
    return Object.fromEntries(pairs.map(([, name, value]) => [name, value]));
  }
}

/** Chromium with a profile of its own. */
export async function browse() {
  return puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    protocolTimeout: PATIENCE, timeout: PATIENCE,
  });
}

/** A tab at the hub's URL; its `wrong` holds what the page and the policy complained of. */
export async function open(browser, hub, options = {}) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(error.stack ?? String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") page.wrong.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(hub.facts.admin_url) && !/^(data|blob):/.test(request.url()))
      page.wrong.push("asks elsewhere: " + request.url());
  });
  await page.setViewport({ width: 1180, height: 760, ...options.viewport });
  if (options.dark) await setScheme(page, "dark");
  await page.goto(options.url ?? hub.url);
  return page;
}

export const setScheme = (page, scheme) =>
  page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);

/** Go to a page of the inspector. */
export const go = (page, address) =>
  page.evaluate((hash) => void (location.hash = hash), "#/" + address);

/** The text of the first element that fits; "" if there is none. */
export const text = (page, selector = "body") =>
  page.evaluate((each) => document.querySelector(each)?.innerText ?? "", selector);

/** Wait until what was drawn has its keys. A tab behind another draws nothing. */
export const drawn = (page) => page.evaluate(() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
  setTimeout(done, 1000);
}));

/** Wait until the page's text fits. */
export async function shows(page, pattern, selector) {
  await until(async () => pattern.test(await text(page, selector)), `${selector}: ${pattern}`)
    .catch(async (error) => {
      throw new Error(`${error.message}\n${await text(page)}`);
    });
  await drawn(page);
}

/** The address behind "#". */
export const address = (page) => page.evaluate(() => decodeURIComponent(location.hash));

/** A picture for people, build/inspector/NAME.png. */
export function picture(page, name) {
  mkdirSync(PICTURES, { recursive: true });
  return page.screenshot({ path: join(PICTURES, name + ".png") });
}
