// Events as they happen: at most so many rows, however many come.

import { at, el, say } from "./dom.js";
import { count, several, time } from "./format.js";
import { sentence } from "./sentence.js";

/** Rows that are kept. */
const ROWS = 200;
/** A screen reader is told at most this often, how many and not each. */
const NEWS_MS = 8000;
const NEWS = ["scan", "alarm", "drift", "interface", "lost"];

let waiting = [];
let frame = 0;
let total = 0;
let paused = false;
let news = new Map();
let telling = 0;

/** Listens to the button. */
export function start() {
  const button = at("pause");
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    say(button, paused ? "Go on" : "Pause");
    draw();
  });
}

/** Shows an event, with the next frame. */
export function hear(event) {
  total += event.event === "lost" ? (event.count ?? 1) : 1;
  waiting.push(event);
  if (waiting.length > ROWS) waiting.shift();
  if (NEWS.includes(event.event)) announce(event.event);
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    draw();
  });
}

function draw() {
  say(at("events-count"), `${several(total, "event")} since the page was opened${paused ? ", paused" : ""}`);
  if (paused) return;
  const list = at("events");
  list.prepend(...waiting.reverse().map(row));
  waiting = [];
  while (list.children.length > ROWS) list.lastElementChild.remove();
}

function row(event) {
  const at = el("time", { datetime: event.time }, time(event.time));
  return el("li", {}, at, " ", el("span", { class: `chip ${event.event}` }, event.event.replace("_", " ")), " ", el("bdi", {}, sentence(event)));
}

function announce(kind) {
  news.set(kind, (news.get(kind) ?? 0) + 1);
  telling ||= setTimeout(() => {
    telling = 0;
    say(at("news"), [...news].map(([name, number]) => `${count(number)} ${name}`).join(", "));
    news = new Map();
  }, NEWS_MS);
}
