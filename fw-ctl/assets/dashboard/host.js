// The host: interfaces, mirror, lists, room in the kernel, rules, who is guarded, alarms.

import { get, words } from "./api.js";
import { asking } from "./answer.js";
import { at, el, keyed, say, table } from "./dom.js";
import * as entries from "./entries.js";
import { count, duration, several, time } from "./format.js";

/** Listens to the button. */
export function start() {
  at("compare").addEventListener("click", compare);
}

/** Asks how everything is. */
export async function refresh() {
  const status = await get("/status");
  say(at("version"), status.version);
  pill("state", status.state, status.state === "ok" ? "good" : "bad");
  pill("mode", status.observe ? "observing only" : "enforcing", status.observe ? "warn" : "");
  say(at("figure-blocks"), count(status.lists.reduce((sum, list) => sum + list.blocks, 0)));
  alarms(status);
  interfaces(status);
  mirror(status.mirror);
  lists(status);
}

/** A word on coloured ground, at the top. */
export function pill(id, text, tone) {
  say(at(id), text);
  at(id).className = `pill ${tone}`;
}

function alarms({ alarms: told, pending }) {
  const waits = pending && `a policy waits to be confirmed${pending.left_s === null ? "" : `: ${duration(pending.left_s)} left`}`;
  const all = [...told, waits].filter(Boolean);
  at("alarms").hidden = all.length === 0;
  keyed(at("alarm-rows"), all, (text) => text, (text) => el("li", {}, text));
}

function interfaces({ interfaces: links, program, started_at, pid }) {
  keyed(at("interfaces"), links, (link) => link.name + link.attached + link.mode + link.detail, (link) =>
    el("li", {}, el("b", {}, link.name), " ",
      el("span", { class: `chip ${link.attached ? "good" : "bad"}` }, link.attached ? (link.mode ?? "attached") : "not attached"),
      el("span", { class: "note" }, link.detail)));
  const up = duration((Date.now() - Date.parse(started_at)) / 1000);
  say(at("program"), `program ${program.name} ${program.id}; daemon ${pid}, up ${up}`);
}

function mirror(state) {
  const checked = state.checked_at === null ? "never" : time(state.checked_at);
  const facts = [
    ["Layer", state.backend],
    ["State", state.state + (state.detail ? `: ${state.detail}` : "")],
    ["Found equal", checked],
    ["Drifts repaired", count(state.drifts)],
  ];
  keyed(at("mirror"), facts, ([name]) => name, ([name]) => el("div", {}, el("dt", {}, name), el("dd")), (node, [, text]) =>
    say(node.lastElementChild, text));
  say(at("default"), `${several(state.rules, "rule")}; a new connection that none names: ${state.default}`);
}

async function compare() {
  const place = at("diff");
  say(place, "comparing");
  try {
    const diff = await get("/diff");
    if (diff.equal) return say(place, "Every layer is as it should be.");
    const lines = diff.layers.flatMap((layer) => [
      ...layer.changes.map((line) => `${layer.layer} ${line}`),
      ...(layer.more > 0 ? [`${layer.layer}: ${layer.more} more`] : []),
    ]);
    place.replaceChildren(el("ul", { class: "changes" }, ...lines.map((line) => el("li", {}, line))));
  } catch (error) {
    say(place, words(error));
  }
}

function lists({ lists: all, tables }) {
  entries.offer(all);
  table("lists", all, (list) => list.name, [
    { sign: (list) => list.name, node: (list) => el("button", { type: "button", class: "address", onclick: () => entries.of(list.name) }, list.name) },
    (list) => count(list.blocks),
    (list) => count(list.allows),
  ]);
  keyed(at("tables"), tables.filter((room) => room.capacity > 0), (room) => room.name,
    (room) => el("li", {}, el("span", {}, room.name), el("meter", { min: 0, "aria-label": room.name }), el("span", { class: "note" })),
    (node, { used, capacity }) => {
      const [, meter, text] = node.children;
      Object.assign(meter, { max: capacity, high: capacity * 0.8, optimum: 0, value: used });
      say(text, `${count(used)} of ${count(capacity)}`);
    });
}

/** Asks for the rules. */
export async function rules() {
  const { items } = await get("/rules");
  table("rules", items, (rule) => rule.id, [
    (rule) => rule.id,
    (rule) => rule.service,
    { sign: (rule) => [rule.action, rule.rate_now, rule.active], node: effect },
    (rule) => rule.from.join(", ") || "everybody",
    (rule) => [rule.hours, rule.days, rule.zone].filter(Boolean).join(" ") || "always",
    (rule) => [rule.comment, rule.ttl_s === null ? "" : `${duration(rule.ttl_s)} left`].filter(Boolean).join("; "),
  ]);
}

function effect(rule) {
  const rate = rule.action === "limit" ? ` ${rule.rate_now ?? rule.rate} per ${rule.per}` : "";
  const off = rule.active ? "" : " (not now)";
  return el("span", { class: `chip ${rule.action}` }, rule.action + rate + off);
}

/** Asks who is guarded. */
export async function guard() {
  const { items } = await get("/guard");
  table("guard", items, (row) => row.prefix + row.source, [
    { sign: (row) => row.prefix, node: (row) => asking(row.prefix) },
    (row) => row.source,
  ]);
}
