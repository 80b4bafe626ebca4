// Names of an endpoint's devices, and the mark of Weft's links. Users' names are longer than the 15 bytes of a Linux
// device name; the full name is in the link's ifalias.
import { DIGITS, PORT_PREFIX, SHAPER_PREFIX, hashOf } from "../../model/device.ts";
import { MARK } from "../kinds/kind.ts";

/** The port of an endpoint, in its VRF's namespace. */
export function portName(endpoint: string): string {
  return `${PORT_PREFIX}${hashOf(endpoint).text}`;
}

/** The device that shapes what an endpoint sends, beside its port. */
export function shaperName(endpoint: string): string {
  return `${SHAPER_PREFIX}${hashOf(endpoint).text}`;
}

/**
 * The near end's MAC, which does not depend on the endpoint's own. Its first octet is fe, as with hypervisors, so that
 * a bridge never chooses a port's MAC for itself.
 */
export function portMac(endpoint: string): string {
  const { high, low } = hashOf(endpoint);
  return `fe:${hex(high)}:${hex(low >>> 24)}:${hex(low >>> 16)}:${hex(low >>> 8)}:${hex(low)}`;
}

/**
 * A MAC for a device that other hosts have by the same name, on the same segment: the same in every life of an agent,
 * and another on each host. A switch that sees one MAC at two ports takes it for a loop, or blocks it.
 */
export function hashedMac(name: string, host: string): string {
  const { high, low } = hashOf(`${name} on ${host}`);
  return `0a:5c:${hex(high >>> 8)}:${hex(high)}:${hex(low >>> 8)}:${hex(low)}`;
}

/**
 * A MAC for a port of a bridge that may be another program's: by its first octet the highest. A bridge whose MAC its
 * owner did not set takes the lowest of its ports (br_stp_recalculate_bridge_id).
 */
export function plugMac(name: string, host: string): string {
  return `fe${hashedMac(name, host).slice(2)}`;
}

/** IFALIASZ is 256, and a text is sent to the kernel with its closing zero, which it counts twice. */
const ALIAS_MAX = 254;

/** Ownership mark and human name of a link: `weft:endpoint:web.eth0`, as much of it as the kernel takes. */
export function alias(kind: string, name: string): string {
  return cut(`${MARK}:${kind}:${name}`);
}

/** The longest beginning that fits into an alias, in whole characters: a path may contain any. */
export function cut(text: string): string {
  if (text.length * 3 <= ALIAS_MAX || Buffer.byteLength(text) <= ALIAS_MAX) return text;
  let end = Math.min(text.length, ALIAS_MAX);
  while (Buffer.byteLength(text.slice(0, end)) > ALIAS_MAX) end--;
  // Half of a surrogate pair would come back as another character.
  return text.slice(0, end).toWellFormed() === text.slice(0, end) ? text.slice(0, end) : text.slice(0, end - 1);
}

function hex(byte: number): string {
  return `${DIGITS[(byte >>> 4) & 15]}${DIGITS[byte & 15]}`;
}
