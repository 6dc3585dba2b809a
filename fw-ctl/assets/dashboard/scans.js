// Who is scanning: points so far, thresholds crossed, and what became of them.

import { get } from "./api.js";
import { asking, column } from "./answer.js";
import { at, el, say, table } from "./dom.js";
import { count, duration, several, time, window } from "./format.js";

/** Crossings that are shown. */
const KEPT = 10;

let crossed = [];

/** Asks who has points. */
export async function refresh() {
  const scan = await get("/scan");
  say(at("figure-watched"), count(scan.watched));
  say(at("figure-crossings"), count(scan.totals.crossings));
  say(
    at("scan-settings"),
    `${scan.mode}: ${scan.ports} ports in ${window(scan.window_s)}, or ${scan.slow_ports} in ${window(scan.slow_window_s)}`,
  );
  const { in_force, max, unproven, max_unproven } = scan.blocks;
  const capped = scan.totals.capped > 0 ? `; ${several(scan.totals.capped, "crossing")} without room for a block` : "";
  say(
    at("scan-blocks"),
    `${several(in_force, "automatic block")} of at most ${count(max)}, ` +
      `${count(unproven)} of sources that may be forged (at most ${count(max_unproven)})${capped}`,
  );
  table("scanning", scan.sources, (source) => source.source, [
    { sign: (source) => source.source, node: (source) => asking(source.source) },
    { sign: (source) => `${source.score}/${scan.ports}`, node: (source) => points(source.score, scan.ports, "fast") },
    {
      sign: (source) => `${source.slow_score}/${scan.slow_ports}`,
      node: (source) => points(source.slow_score, scan.slow_ports, "slow"),
    },
    (source) => count(source.distinct_ports),
    (source) => source.ports.join(", "),
    (source) => `${duration(source.last_s)} ago`,
  ]);
}

/** Points against a threshold. */
function points(score, threshold, name) {
  const meter = el("meter", { min: 0, max: threshold, high: threshold * 0.7, optimum: 0, value: score });
  meter.setAttribute("aria-label", `${name} points`);
  return el("span", { class: "points" }, meter, ` ${Number(score.toFixed(1))} of ${threshold}`);
}

/** Shows that a source crossed a threshold. */
export function cross(event) {
  crossed = [{ ...event, number: (crossed[0]?.number ?? 0) + 1 }, ...crossed].slice(0, KEPT);
  table("scanned", crossed, (scan) => scan.number, [
    (scan) => time(scan.time),
    column("source"),
    deed,
    { sign: (scan) => scan.evidence, node: (scan) => el("span", { class: `chip ${scan.evidence}` }, scan.evidence) },
    (scan) => `${scan.offence}.`,
    { sign: (scan) => scan.action, node: (scan) => el("span", { class: `chip ${scan.action}` }, outcome(scan)) },
  ]);
}

/** `10 ports by syn: tcp 21, 22, 23 (window 10)` */
function deed(scan) {
  const hosts = scan.distinct_hosts > 1 ? ` of ${several(scan.distinct_hosts, "host")}` : "";
  const points = scan.trigger === "slow" ? scan.slow_score : scan.score;
  return (
    `${several(scan.distinct_ports, "port")}${hosts} by ${scan.kinds.join(", ")}: ` +
    `${scan.protocol} ${scan.ports.join(", ")} (${scan.trigger} ${Number(points.toFixed(1))})`
  );
}

/** `blocked for 10m`, or why not. */
export function outcome(scan) {
  const ttl = scan.ttl_s === null ? "" : ` for ${duration(scan.ttl_s)}`;
  if (scan.action === "capped") return "no room for a block";
  return scan.enforced ? `blocked${ttl}` : `would be blocked${ttl}`;
}
