// The daemon's API. Whoever needs a token is asked for one; it stays in this tab.

const BASE = "/api/v1";
const KEPT = "fw-ctl token";
/** Longer than an answer takes; a daemon that hangs must not hang the page. */
const PATIENCE_MS = 15_000;

/** Tells `locked` when a token is wanted, `open` when one was given. */
export const access = new EventTarget();
let locked = false;

/** Whether a token is wanted, and nothing is asked until there is one. */
export function isLocked() {
  return locked;
}

/** An answer that is no success, in the daemon's words. */
export class Problem extends Error {
  constructor(status, { code, message, hint, refused } = {}) {
    super(message ?? `the daemon answered ${status}`);
    Object.assign(this, { status, code, hint, refused: refused ?? [] });
  }

  /** What went wrong and what to do about it. */
  words() {
    const items = this.refused.map((item) => item.message).filter((text) => !this.message.includes(text));
    return [this.message, ...items.slice(0, 5), this.hint].filter(Boolean).join(" — ");
  }
}

/** What went wrong, whatever it was. */
export function words(error) {
  if (error instanceof Problem) return error.words();
  return error.name === "TimeoutError" ? "the daemon did not answer in time" : "the daemon cannot be reached";
}

/** Reads something. */
export async function get(path, query = {}) {
  const response = await request("GET", path, { query, signal: AbortSignal.timeout(PATIENCE_MS) });
  return response.json();
}

/** Changes something. */
export async function send(method, path, body) {
  const response = await request(method, path, { body, signal: AbortSignal.timeout(PATIENCE_MS) });
  return response.json();
}

/** Sends a request and gives the answer, which is a success. */
export async function request(method, path, { query = {}, body, headers = {}, signal } = {}) {
  if (locked) throw new Problem(401, { message: "a token is wanted" });
  const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = asked.length > 0 ? `?${new URLSearchParams(asked)}` : "";
  const token = sessionStorage.getItem(KEPT);
  const response = await fetch(BASE + path + search, {
    method,
    headers: {
      ...headers,
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "Content-Type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    signal,
  });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  const problem = new Problem(response.status, told.error);
  if (response.status === 401) lock(problem);
  throw problem;
}

/** Asks for nothing more, because of this, until there is another token. */
export function lock(problem) {
  if (locked) return;
  locked = true;
  const reason = sessionStorage.getItem(KEPT) === null ? "" : problem.words();
  sessionStorage.removeItem(KEPT);
  access.dispatchEvent(new CustomEvent("locked", { detail: reason }));
}

/** Goes on with this token. */
export function unlock(token) {
  sessionStorage.setItem(KEPT, token);
  locked = false;
  access.dispatchEvent(new Event("open"));
}
