// GET /events over fetch, which can carry a token; read by hand, and taken up where it broke off.

import { isLocked, request } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** The daemon says something at least every ten seconds. */
const SILENCE_MS = 25_000;

/** Streams events until `close`: `hear` is called with each, `state` with `live` or `away`. */
export function follow(kinds, from, hear, state) {
  const end = new AbortController();
  const place = { last: from };
  run(kinds, place, hear, state, end.signal);
  return {
    close: () => end.abort(),
    /** The last event that was heard, where the next stream begins. */
    last: () => place.last,
  };
}

async function run(kinds, place, hear, state, end) {
  let wait = FIRST_WAIT_MS;
  while (!end.aborted && !isLocked()) {
    const began = performance.now();
    await listen(kinds, place, hear, state, end).catch(() => undefined);
    if (end.aborted) return;
    state("away");
    // Whoever heard something for a while is not turned away.
    wait = performance.now() - began > LONGEST_WAIT_MS ? FIRST_WAIT_MS : Math.min(wait * 2, LONGEST_WAIT_MS);
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
  }
}

async function listen(kinds, place, hear, state, end) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const headers = place.last === undefined ? {} : { "Last-Event-ID": place.last };
    const signal = AbortSignal.any([end, silence.signal]);
    const response = await request("GET", "/events", { query: { kinds }, headers, signal });
    state("live");
    const parser = new Parser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      for (const { id, data } of parser.push(value)) {
        place.last = id ?? place.last;
        hear(JSON.parse(data));
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Puts messages together from pieces (WHATWG HTML, section 9.2.6), as far as this daemon uses them. */
export class Parser {
  #rest = "";
  #id;
  #data = [];

  /** The messages that this piece completes. */
  push(piece) {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop();
    return lines.flatMap((line) => this.#line(line.replace(/\r$/, "")));
  }

  #line(line) {
    if (line === "") {
      const message = { id: this.#id, data: this.#data.join("\n") };
      const isOne = this.#data.length > 0;
      this.#data = [];
      this.#id = undefined;
      return isOne ? [message] : [];
    }
    const [, field, value] = line.match(/^([^:]*):? ?(.*)$/);
    if (field === "data") this.#data.push(value);
    if (field === "id") this.#id = value;
    return [];
  }
}
