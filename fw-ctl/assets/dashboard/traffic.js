// What is dropped now and why: figures, chart, top sources and ports.

import { get } from "./api.js";
import { Chart } from "./chart.js";
import { column } from "./answer.js";
import { at, el, say, share, table } from "./dom.js";
import { count, several } from "./format.js";

/** What drops, from the most usual on; the same words as in the kernel. `observe` is what would. */
const REASONS = ["block", "scan", "limit", "rule", "tags", "observe"];
const WORDS = {
  block: "blocked",
  scan: "scanning",
  limit: "too fast",
  rule: "closed port",
  tags: "VLAN tags",
  observe: "only observed",
};
const KEPT = 300;

const sum = (counts) => Object.values(counts).reduce((all, packets) => all + packets, 0);
const value = (second, name) => (name === "observe" ? sum(second.observe) : (second.drop[name] ?? 0));

let seconds = [];
let chart;

/** Asks for what is new since the last second. */
export async function refresh() {
  const known = seconds;
  const stats = await get("/stats", { after: known.at(-1)?.time });
  // They were forgotten meanwhile, and are asked for again.
  if (seconds !== known) return;
  seconds = [...known, ...stats.seconds].slice(-KEPT);
  chart ??= new Chart(at("chart"), REASONS, value);
  chart.draw(seconds);
  reasons();
  figures();
  sampled(stats.sampled);
}

/** Forgets all, to be read anew. */
export function forget() {
  seconds = [];
}

function figures() {
  const last = seconds.at(-1);
  const dropped = seconds.map((second) => sum(second.drop));
  say(at("figure-drop"), last ? count(dropped.at(-1)) : "–");
  say(at("figure-pass"), last ? count(last.pass + sum(last.observe)) : "–");
  say(at("figure-dropped"), count(dropped.reduce((all, packets) => all + packets, 0)));
}

function reasons() {
  const rows = REASONS.map((name) => {
    const counts = seconds.map((second) => value(second, name));
    const total = (last) => counts.slice(-last).reduce((all, packets) => all + packets, 0);
    return { name, now: counts.at(-1) ?? 0, minute: total(60), all: total(KEPT), peak: Math.max(0, ...counts) };
  }).filter((row) => row.all > 0);
  table("reasons", rows, (row) => row.name, [
    { sign: (row) => row.name, node: (row) => el("span", { class: `reason ${row.name}` }, WORDS[row.name]) },
    (row) => count(row.now),
    (row) => count(row.minute),
    (row) => count(row.all),
    (row) => count(row.peak),
  ]);
  const told = rows.map((row) => `${WORDS[row.name]} ${count(row.now)}`);
  say(at("chart-words"), told.length > 0 ? `Dropped a second: ${told.join(", ")}.` : "Nothing is dropped.");
}

function sampled({ samples, window_s, sources, ports }) {
  say(at("sampled"), samples > 0 ? `${several(samples, "sample")} in ${window_s}s` : "");
  const part = { sign: (item) => item.share.toFixed(2), node: (item) => share(item.share) };
  table("sources", sources.slice(0, 10), (item) => item.source, [
    column("source"),
    (item) => (item.list ? `${item.reason}, ${item.list}` : item.reason),
    part,
  ]);
  const name = (item) => (item.port === null ? item.protocol : `${item.protocol}/${item.port}`);
  table("ports", ports.slice(0, 10), name, [name, part]);
}
