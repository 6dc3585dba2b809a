// An event in words.

import { count, duration, home } from "./format.js";
import { outcome } from "./scans.js";

const PROTOCOLS = { 1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmpv6", 132: "sctp" };

/** What happened, without its kind and time. */
export function sentence(event) {
  switch (event.event) {
    case "block":
    case "allow":
    case "unblock":
    case "unallow":
    case "expire":
      return entry(event);
    case "changed":
      return `${event.detail} by ${event.by}`;
    case "interface":
      return `${event.interface} ${event.detail}`;
    case "drift":
      return `in ${event.layer} repaired: ${event.detail}`;
    case "alarm":
      return event.message ?? `${event.subject}: well again`;
    case "scan":
      return `${event.source}${from(event)} tried ${event.distinct_ports} ports (${event.ports.join(", ")}), ${event.evidence}: ${outcome(event)}`;
    case "roll_up":
      return `${event.sources} sources of ${event.prefix} became one block for ${duration(event.ttl_s)}`;
    case "unroll":
      return `the block of ${event.prefix} was taken back`;
    case "drop":
      return drop(event);
    case "lost":
      return event.count === null
        ? "events were lost, nobody knows how many; everything is read anew"
        : `${count(event.count)} events were lost; everything is read anew`;
    default:
      return "";
  }
}

function entry(event) {
  const what = event.event === "expire" ? `${event.action} ` : "";
  const again = event.updated ? " again" : "";
  const ttl = event.ttl_s !== null && ["block", "allow"].includes(event.event) ? ` for ${duration(event.ttl_s)}` : "";
  const comment = event.comment === "" ? "" : `: ${event.comment}`;
  const observed = event.observed ? " (observed only)" : "";
  return `${what}${event.prefix}${from(event)}${again}${observed} in ${event.list}${ttl} by ${event.by}${comment}`;
}

function drop(event) {
  const protocol = PROTOCOLS[event.protocol] ?? `protocol ${event.protocol}`;
  const port = [6, 17].includes(event.protocol) ? `/${event.destination_port}` : "";
  const list = event.list ? ` ${event.list}` : "";
  return `${event.source ?? "?"}${from(event)} to ${protocol}${port}: ${event.reason}${list} on ${event.interface}`;
}

/** ` from DE AS64500 (Example)`, where that is known. */
function from({ geo }) {
  return geo ? ` from ${home(geo)}` : "";
}
