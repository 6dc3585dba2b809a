// Nodes, made and mended. Text comes in through textContent and attributes only, never as HTML.

/** What moves other text about, or cannot be seen. */
const MOVES = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Text of the network's or another user's, made safe to stand in a line. */
export function safe(text) {
  return String(text ?? "").replace(MOVES, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** The node of this id. */
export function at(id) {
  return document.getElementById(id);
}

/** A new node. `on…` attributes are listeners; children are nodes or text. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children.map((child) => (child instanceof Node ? child : safe(child))));
  return node;
}

/** Sets the text of a node, if it is another one: what does not change is not read out again. */
export function say(node, text) {
  const told = safe(text);
  if (node.textContent !== told) node.textContent = told;
}

/**
 * Makes the children of a node one for each item, in this order. Those that are there stay, and so
 * does the focus in them.
 */
export function keyed(parent, items, key, make, mend) {
  const wanted = new Set(items.map((item) => String(key(item))));
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  for (const [name, child] of old) if (!wanted.has(name)) child.remove();
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    const known = old.get(name);
    const node = known ?? make(item);
    node.dataset.key = name;
    mend?.(node, item);
    if (node === place) place = place.nextElementSibling;
    else if (known && parent.moveBefore) parent.moveBefore(node, place);
    else parent.insertBefore(node, place);
  }
}

/**
 * Fills the table of this id: a row for each item, a cell for each column. A column is a function of
 * the item that gives text; or `{ sign, node }`, where a new node is made when the sign is another.
 */
export function table(id, items, key, columns) {
  const node = at(id);
  const heads = [...node.tHead.rows[0].cells];
  const make = () => {
    const cells = heads.map((head, place) => {
      const attributes = { class: head.className || undefined, "data-label": head.textContent };
      return place === 0 ? el("th", { scope: "row", ...attributes }) : el("td", attributes);
    });
    return el("tr", {}, ...cells);
  };
  const mend = (row, item) => columns.forEach((column, place) => fill(row.cells[place], column, item));
  keyed(node.tBodies[0], items, key, make, mend);
  node.hidden = items.length === 0;
  node.nextElementSibling.hidden = items.length > 0;
}

function fill(cell, column, item) {
  if (typeof column === "function") return say(cell, column(item));
  const sign = String(column.sign(item));
  if (cell.dataset.sign === sign) return;
  cell.dataset.sign = sign;
  cell.replaceChildren(column.node(item));
}

/** A share of a whole as a bar, with its number. */
export function share(part) {
  const percent = part < 0.005 ? "<1" : Math.round(part * 100);
  const bar = el("span", { class: "bar", "aria-hidden": "true" });
  bar.style.setProperty("--part", String(Math.min(part, 1)));
  return el("span", { class: "shared" }, bar, `${percent} %`);
}
