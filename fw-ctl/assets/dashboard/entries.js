// The entries of the lists: a page at a time, of one list, or those that cover an address.

import { get, words } from "./api.js";
import { column } from "./answer.js";
import { change } from "./change.js";
import { at, el, say, table } from "./dom.js";
import { count, ends, several } from "./format.js";

/** Entries of a page. */
const PAGE = 25;

/** The last prefixes of the pages before this one. */
let before = [];
let last;

/** Listens to the form and the buttons. */
export function start() {
  at("show").addEventListener("submit", (event) => {
    event.preventDefault();
    first();
  });
  at("show-action").addEventListener("change", first);
  at("show-list").addEventListener("change", first);
  at("next").addEventListener("click", () => {
    before.push(last);
    refresh();
  });
  at("back").addEventListener("click", () => {
    before.pop();
    refresh();
  });
  at("new-block").addEventListener("click", () => change("block"));
  at("new-allow").addEventListener("click", () => change("allow"));
}

function first() {
  before = [];
  return refresh();
}

/** Shows the entries of this list. */
export function of(list) {
  at("show-list").value = list;
  at("show-contains").value = "";
  first();
  at("entries-title").scrollIntoView({ block: "start" });
  at("show-list").focus({ preventScroll: true });
}

/** Offers these lists. */
export function offer(lists) {
  const choice = at("show-list");
  const names = lists.map((list) => list.name);
  const offered = [...choice.options].slice(1).map((option) => option.value);
  if (names.join() === offered.join()) return;
  const chosen = choice.value;
  choice.replaceChildren(choice.options[0], ...names.map((name) => el("option", { value: name }, name)));
  choice.value = names.includes(chosen) ? chosen : "";
}

/** Asks for the page that is shown. */
export async function refresh() {
  const contains = at("show-contains").value.trim();
  const query = { list: at("show-list").value, contains, limit: PAGE };
  if (contains === "") query.after = before.at(-1);
  try {
    show(await get(`/${at("show-action").value}`, query));
    say(at("entries-problem"), "");
  } catch (error) {
    say(at("entries-problem"), words(error));
    throw error;
  }
}

function show({ items, total }) {
  last = items.at(-1)?.prefix;
  table("entries", items, (entry) => `${entry.action} ${entry.prefix} ${entry.list}`, [
    column("prefix"),
    (entry) => (entry.observed ? `${entry.list}, observed` : entry.list),
    (entry) => entry.comment,
    (entry) => ends(entry.ttl_s),
    (entry) => count(entry.packets),
    { sign: (entry) => entry.action + entry.prefix, node: undo },
  ]);
  const more = total - items.length;
  say(at("entries-count"), `${several(items.length, "row")}${more > 0 ? `, ${count(more)} more` : ""}`);
  at("back").disabled = before.length === 0;
  at("next").disabled = more <= 0;
}

function undo(entry) {
  // What follows from a selection is changed there.
  if (entry.list.startsWith("geo:")) return el("span", { class: "note" }, "selected");
  const name = entry.action === "block" ? "unblock" : "unallow";
  const label = `${name} ${entry.prefix}`;
  return el("button", { type: "button", "aria-label": label, onclick: () => change(name, entry.prefix) }, `${name}…`);
}
