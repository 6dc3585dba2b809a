// Numbers, times and durations as people read them; durations as people write them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** `1,234`, and `1.23M` where nobody reads each digit. */
export function count(number) {
  return (Math.abs(number) < 100_000 ? whole : short).format(Math.round(number));
}

/** `1 port`, `2 ports` */
export function several(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

/** `12:34:56`, by the clock of the reader. */
export function time(text) {
  return clock.format(new Date(text));
}

/** Seconds as `1h 30m`: the two largest units. */
export function duration(seconds) {
  const units = [["w", 604_800], ["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]];
  const parts = [];
  let left = Math.max(0, Math.round(seconds));
  for (const [name, size] of units) {
    const fits = Math.floor(left / size);
    if (fits > 0) parts.push(`${fits}${name}`);
    left -= fits * size;
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

/** `DE AS64500 (Example)`: where an address is at home, as far as that is known. */
export function home(geo) {
  if (!geo) return "";
  const system = geo.asn === null ? "" : `AS${geo.asn}`;
  const name = geo.as_name ? `(${geo.as_name})` : "";
  return [geo.country, system, name].filter(Boolean).join(" ");
}

/** When something ends that has so many seconds left. */
export function ends(ttl) {
  return ttl === null || ttl === undefined ? "never" : duration(ttl);
}

/** Seconds of `1h30m`, `90` or `90s`; null for `never`; undefined for what is none. */
export function seconds(text) {
  const written = text.trim().toLowerCase();
  if (written === "never") return null;
  if (/^\d{1,9}$/.test(written)) return Number(written) || undefined;
  if (!/^(\d{1,9}[smhdw])+$/.test(written)) return undefined;
  const sizes = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  const parts = [...written.matchAll(/(\d+)([smhdw])/g)];
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * sizes[unit], 0) || undefined;
}

/** Seconds of a setting, as they were written: `60s`, `1h`. */
export function window(secs) {
  return secs % 3600 === 0 ? `${secs / 3600}h` : secs % 60 === 0 && secs > 60 ? `${secs / 60}m` : `${secs}s`;
}
