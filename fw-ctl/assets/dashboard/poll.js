// What is asked again and again, as long as somebody looks.

import { isLocked } from "./api.js";

const tasks = [];

/** Asks every so many seconds while the page is seen, and at once when `now` is called. */
export function every(seconds, ask) {
  let timer = 0;
  let asking = false;
  let again = false;
  const now = async () => {
    clearTimeout(timer);
    if (document.hidden || isLocked()) return;
    again = asking;
    if (asking) return;
    asking = true;
    try {
      await ask();
    } catch {
      // The pill that says whether the daemon answers is told by whoever asked.
    }
    asking = false;
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(now, again ? 0 : seconds * 1000);
    again = false;
  };
  const task = { now, stop: () => clearTimeout(timer), soon: soon(now) };
  tasks.push(task);
  return task;
}

/** Calls at most once a second, however often it is asked. */
function soon(call) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      call();
    }, 1000);
  };
}

/** Asks for everything. */
export function all() {
  for (const task of tasks) task.now();
}

/** Asks for nothing. */
export function none() {
  for (const task of tasks) task.stop();
}
