// What happens to an address, layer by layer, and what can be done about it.

import { get, words } from "./api.js";
import { change } from "./change.js";
import { at, el, say } from "./dom.js";
import { count, ends, home } from "./format.js";

const REASONS = {
  "not-ip": "it is not IP",
  unreadable: "its source cannot be read",
  link: "it keeps the link alive",
  guard: "its source is guarded",
  allow: "its source is allowed",
  block: "its source is blocked",
  tags: "it has too many VLAN tags",
  default: "nothing names its source",
  scan: "its source scans",
  limit: "it comes faster than a limit allows",
  rule: "a rule closes this port to it",
};

/** A button with this address on it, which asks about it; beside it, where that is at home. */
export function asking(source, geo) {
  const button = el("button", { type: "button", class: "address", onclick: () => ask(source) }, source);
  return geo ? el("span", {}, button, " ", el("span", { class: "home" }, home(geo))) : button;
}

/** The same as a column of a table, of the address that `key` names. */
export function column(key) {
  return { sign: (item) => `${item[key]} ${home(item.geo)}`, node: (item) => asking(item[key], item.geo) };
}

/** Listens to the form. */
export function start() {
  const form = at("ask");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { address, port, proto } = form.elements;
    show({ address: address.value.trim(), port: port.value, proto: proto.value });
  });
  at("answer-close").addEventListener("click", () => {
    at("answer").hidden = true;
    at("ask-address").focus();
  });
}

function ask(source) {
  const address = source.split("/")[0];
  at("ask-address").value = address;
  show({ address, port: at("ask-port").value, proto: at("ask-proto").value });
}

async function show(query) {
  const place = at("answer");
  try {
    const why = await get("/why", query);
    heading(why);
    at("answer-body").replaceChildren(...told(why), buttons(why, () => show(query)));
  } catch (error) {
    say(at("answer-title"), query.address);
    at("answer-body").replaceChildren(el("p", { class: "problem" }, words(error)));
  }
  place.hidden = false;
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: "nearest" });
}

function heading(why) {
  const drops = why.layers.some((layer) => layer.verdict === "drop");
  at("answer-title").replaceChildren(el("bdi", {}, why.address), " ", verdict(drops ? "drop" : "pass"));
}

function verdict(word) {
  return el("span", { class: `chip ${word}` }, word === "drop" ? "dropped" : "passes");
}

function told(why) {
  const { packet } = why;
  const port = packet.port === null ? "" : `, port ${packet.port}`;
  const observe = why.observe ? "; observe mode lets it pass" : "";
  const sentence = `A ${packet.protocol} packet to ${packet.destination}${port} was sent through the loaded program: ${REASONS[why.reason] ?? why.reason}${observe}.`;
  const layers = why.layers.map((layer) =>
    el("li", {}, el("b", {}, layer.name), " ", verdict(layer.verdict), " ", layer.detail));
  const facts = [
    ["Decided by", why.entry && described(why.entry)],
    ["From", home(why.geo)],
    ["Guarded", why.guard && `${why.guard.prefix} (${why.guard.source})`],
    ["Scan points", why.scan && `${why.scan.score} fast, ${why.scan.slow_score} slow; ports ${why.scan.ports.join(", ")}`],
    ...why.covering.map((entry) => ["Also", described(entry)]),
  ].filter(([, text]) => text);
  return [
    el("p", {}, sentence),
    el("ol", { class: "layers", "aria-label": "Layers" }, ...layers),
    el("dl", { class: "facts" }, ...facts.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
  ];
}

function described(entry) {
  const comment = entry.comment === "" ? "" : `: ${entry.comment}`;
  const what = entry.action === "block" && entry.observed ? "would block" : entry.action;
  return `${what} ${entry.prefix} in ${entry.list}, ends ${ends(entry.ttl_s)}, ${count(entry.packets)} packets${comment}`;
}

function buttons(why, again) {
  const entries = [why.entry, ...why.covering].filter(Boolean);
  const undo = { block: "unblock", allow: "unallow" };
  // Those of countries follow from what is selected.
  const lone = entries.filter((entry) => !entry.list.startsWith("geo:"));
  const known = new Map(lone.map((entry) => [`${undo[entry.action]} ${entry.prefix}`, entry]));
  const made = [...known].map(([label, entry]) =>
    el("button", { type: "button", onclick: () => change(undo[entry.action], entry.prefix, again) }, `${label}…`));
  const add = ["block", "allow"]
    .filter((action) => !entries.some((entry) => entry.action === action && entry.prefix === why.address))
    .map((action) =>
      el("button", { type: "button", onclick: () => change(action, why.address, again) }, `${action} ${why.address}…`));
  return el("p", { class: "buttons" }, ...made, ...add);
}
