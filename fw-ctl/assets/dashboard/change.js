// Changes: none without a confirmation, and none without word of what it did.

import { send, words } from "./api.js";
import { at, say } from "./dom.js";
import { seconds, several } from "./format.js";

const KINDS = {
  block: { title: "Block", words: "Every packet from it is dropped, in every layer.", path: "/blocks" },
  allow: { title: "Allow", words: "It passes, whatever blocks it, and is not counted as a scan.", path: "/allows" },
  unblock: { title: "Unblock", words: "Its block is taken back, from every list.", path: "/blocks" },
  unallow: { title: "Unallow", words: "Its allow is taken back, from every list.", path: "/allows" },
};
const DONE_MS = 8000;

/** Tells `done` when something was changed. */
export const changes = new EventTarget();

let kind;
let then;
let timer = 0;

/** Asks for a confirmation, and changes what was confirmed; `after` is called when it is done. */
export function change(name, prefix = "", after = () => undefined) {
  kind = name;
  then = after;
  const adds = !name.startsWith("un");
  say(at("change-title"), KINDS[name].title);
  say(at("change-words"), KINDS[name].words);
  say(at("change-do"), KINDS[name].title);
  say(at("change-problem"), "");
  at("change-prefix").value = prefix;
  at("change-prefix").readOnly = !adds;
  at("change-note").hidden = !adds;
  at("change-comment").value = "";
  at("change-do").disabled = false;
  at("change").showModal();
  if (prefix !== "") at("change-do").focus();
}

/** Listens to the dialog. */
export function start() {
  at("change-cancel").addEventListener("click", () => at("change").close());
  at("change").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    confirmed();
  });
}

async function confirmed() {
  const prefix = at("change-prefix").value.trim();
  const ttl = seconds(at("change-ttl").value);
  if (!kind.startsWith("un") && ttl === undefined) {
    at("change-ttl").focus();
    return say(at("change-problem"), "a time is written like 10m, 4h or never");
  }
  at("change-do").disabled = true;
  try {
    const changed = await made(prefix, ttl);
    at("change").close();
    done(prefix, changed);
    then();
    changes.dispatchEvent(new Event("done"));
  } catch (error) {
    say(at("change-problem"), words(error));
  }
  at("change-do").disabled = false;
}

function made(prefix, ttl) {
  const { path } = KINDS[kind];
  if (kind.startsWith("un")) return send("DELETE", `${path}/${encodeURIComponent(prefix)}`);
  const comment = at("change-comment").value;
  const item = { prefix, ...(ttl !== null && { ttl_s: ttl }), ...(comment !== "" && { comment }) };
  return send("POST", path, { items: [item] });
}

function done(prefix, { added, updated, removed, warnings }) {
  const parts = [[added, "added"], [updated, "changed"], [removed, "removed"]];
  const told = parts.filter(([number]) => number > 0).map(([number, word]) => `${several(number, "entry", "entries")} ${word}`);
  say(at("done"), [`${KINDS[kind].title} ${prefix}: ${told.join(", ") || "nothing to do"}`, ...warnings].join(" — "));
  clearTimeout(timer);
  timer = setTimeout(() => say(at("done"), ""), DONE_MS);
}
