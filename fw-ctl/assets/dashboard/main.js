// The page: what is asked when, and what an event makes it ask again.

import { access, get, isLocked, lock, unlock } from "./api.js";
import * as answer from "./answer.js";
import * as change from "./change.js";
import { at, say } from "./dom.js";
import * as entries from "./entries.js";
import { follow } from "./events.js";
import * as feed from "./feed.js";
import * as host from "./host.js";
import { all, every, none } from "./poll.js";
import * as scans from "./scans.js";
import * as traffic from "./traffic.js";

/** All but sampled drops, which cost the kernel something. */
const KINDS = "block,unblock,allow,unallow,expire,changed,interface,drift,alarm,scan,roll_up,unroll";

const polls = {
  traffic: every(1, traffic.refresh),
  scans: every(2, scans.refresh),
  host: every(5, host.refresh),
  entries: every(15, entries.refresh),
  rules: every(20, host.rules),
  guard: every(60, host.guard),
};

/** What an event makes old. */
const STALE = {
  block: ["entries", "host"],
  unblock: ["entries", "host"],
  allow: ["entries", "host"],
  unallow: ["entries", "host"],
  expire: ["entries", "host"],
  changed: ["entries", "host", "rules", "guard"],
  interface: ["host"],
  drift: ["host"],
  alarm: ["host"],
  scan: ["scans", "entries", "host"],
  roll_up: ["entries"],
  unroll: ["entries"],
};

let stream;
let from;

function hear(event) {
  feed.hear(event);
  if (event.event === "scan") scans.cross(event);
  for (const name of STALE[event.event] ?? []) polls[name].soon();
  if (event.event === "lost") {
    traffic.forget();
    all();
  }
}

function listen() {
  hush();
  const kinds = at("with-drops").checked ? `${KINDS},drop` : KINDS;
  stream = follow(kinds, from, hear, (state) =>
    state === "live" ? host.pill("line", "live", "good") : host.pill("line", "no answer, trying again", "bad"));
}

function hush() {
  from = stream?.last() ?? from;
  stream?.close();
  stream = undefined;
}

function sleep() {
  none();
  hush();
  host.pill("line", "asleep", "");
}

function wake() {
  listen();
  all();
}

/** Asks one thing first: who has no good token is refused once, and not by everything. */
async function enter() {
  try {
    await get("/version");
  } catch (error) {
    if (error.status === 429) lock(error);
  }
  if (!isLocked() && !document.hidden) wake();
}

access.addEventListener("locked", ({ detail: reason }) => {
  sleep();
  at("login").hidden = false;
  say(at("login-problem"), reason);
  at("login-token").focus();
});
access.addEventListener("open", () => {
  at("login").hidden = true;
  at("login-token").value = "";
  enter();
});
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  unlock(at("login-token").value.trim());
});
document.addEventListener("visibilitychange", () => (document.hidden ? sleep() : enter()));
at("with-drops").addEventListener("change", listen);
change.changes.addEventListener("done", () => ["entries", "host"].forEach((name) => polls[name].now()));

for (const part of [answer, change, entries, feed, host]) part.start();
enter();
