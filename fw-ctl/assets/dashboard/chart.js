// The live chart: packets a second by reason, one area upon the other. Drawn as SVG, by hand.

import { el, say } from "./dom.js";
import { count, time } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
/** The shortest and the longest time that is shown. */
const SECONDS = [60, 300];
const HEIGHT = 220;
const MARGIN = { top: 10, right: 8, bottom: 22, left: 46 };

/** The chart in a node; `series` names the areas from the ground up, `value(second, name)` is one. */
export class Chart {
  #place;
  #series;
  #value;
  #svg = svg("svg", { height: HEIGHT, "aria-hidden": "true" });
  #grid = svg("g", { class: "grid" });
  #areas = new Map();
  #cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
  #tip = el("p", { class: "tip", hidden: "", role: "status" });
  #seconds = [];
  /** Time of the second that is pointed at. */
  #pointed;

  constructor(place, series, value) {
    this.#place = place;
    this.#series = series;
    this.#value = value;
    this.#svg.append(this.#grid);
    for (const name of series) {
      const area = svg("path", { class: `area ${name}` });
      this.#areas.set(name, area);
      this.#svg.append(area);
    }
    this.#svg.append(this.#cursor);
    place.append(this.#svg, this.#tip);
    new ResizeObserver(() => this.draw(this.#seconds)).observe(place);
    place.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    place.addEventListener("pointerleave", () => this.#show(undefined));
    place.addEventListener("blur", () => this.#show(undefined));
    place.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Draws these seconds, the last one at the right end. */
  draw(seconds) {
    this.#seconds = seconds;
    const width = this.#width();
    if (width <= MARGIN.left + MARGIN.right) return;
    this.#svg.setAttribute("width", width);
    const sums = seconds.map((second) => this.#sum(second));
    const top = ceiling(Math.max(0, ...sums));
    this.#scale(width, top);
    let ground = seconds.map(() => 0);
    for (const [name, area] of this.#areas) {
      const roof = seconds.map((second, index) => ground[index] + this.#value(second, name));
      area.setAttribute("d", this.#outline(ground, roof, top));
      ground = roof;
    }
    this.#show(this.#pointed);
  }

  #width() {
    return Math.floor(this.#place.clientWidth);
  }

  /** Whole minutes, as many as there are. */
  #span() {
    const [shortest, longest] = SECONDS;
    return Math.min(longest, Math.max(shortest, Math.ceil(this.#seconds.length / 60) * 60));
  }

  #sum(second) {
    return this.#series.reduce((sum, name) => sum + this.#value(second, name), 0);
  }

  /** Where a second stands that is so many before the last. */
  #x(before) {
    const inner = this.#width() - MARGIN.left - MARGIN.right;
    return MARGIN.left + inner * (1 - before / (this.#span() - 1));
  }

  #y(value, top) {
    return MARGIN.top + (HEIGHT - MARGIN.top - MARGIN.bottom) * (1 - value / top);
  }

  #outline(ground, roof, top) {
    if (!roof.some((value, index) => value > ground[index])) return "";
    const last = roof.length - 1;
    const point = (value, index) => `${this.#x(last - index).toFixed(1)},${this.#y(value, top).toFixed(1)}`;
    const up = roof.map(point);
    const down = ground.map(point).reverse();
    return `M${up.join("L")}L${down.join("L")}Z`;
  }

  #scale(width, top) {
    const lines = [0, 0.5, 1].flatMap((part) => {
      const y = this.#y(part * top, top);
      const label = svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" });
      label.textContent = count(part * top);
      return [svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }), label];
    });
    const span = this.#span();
    const step = span === 60 ? 15 : width < 480 ? 120 : 60;
    const moments = [];
    for (let before = 0; before < span; before += step) {
      const label = svg("text", { x: this.#x(before), y: HEIGHT - 6, "text-anchor": before === 0 ? "end" : "middle" });
      label.textContent = before === 0 ? "now" : step < 60 ? `−${before} s` : `−${before / 60} min`;
      moments.push(label);
    }
    this.#grid.replaceChildren(...lines, ...moments);
  }

  #point(x) {
    const inner = this.#width() - MARGIN.left - MARGIN.right;
    const before = Math.round((1 - (x - MARGIN.left) / inner) * (this.#span() - 1));
    this.#show(before < 0 ? undefined : this.#seconds.at(-1 - before)?.time);
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const last = this.#seconds.length - 1;
    const from = this.#pointed === undefined ? last - Math.sign(steps[event.key]) : this.#index();
    this.#show(this.#seconds[Math.max(0, Math.min(last, from + steps[event.key]))]?.time);
  }

  #index() {
    return this.#seconds.findIndex((second) => second.time === this.#pointed);
  }

  /** Says what was dropped in the second of this time. */
  #show(pointed) {
    this.#pointed = pointed;
    const index = this.#index();
    this.#tip.hidden = index < 0;
    this.#cursor.classList.toggle("on", index >= 0);
    if (index < 0) return;
    const second = this.#seconds[index];
    const x = this.#x(this.#seconds.length - 1 - index);
    this.#cursor.setAttribute("x1", x);
    this.#cursor.setAttribute("x2", x);
    const named = this.#series.filter((name) => this.#value(second, name) > 0);
    const parts = named.map((name) => `${name} ${count(this.#value(second, name))}`);
    say(this.#tip, `${time(second.time)}  ${parts.join(", ") || "nothing"}`);
    this.#tip.classList.toggle("left", x > this.#width() / 2);
  }
}

function svg(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** The next number that is easy to halve and to read: one digit with noughts. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= Math.max(value, 10)) ?? 10;
}
