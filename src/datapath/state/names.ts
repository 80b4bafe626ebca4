// Names of an endpoint's devices, and the mark that all links of ours carry. Names of people are longer than the 15
// bytes that Linux has for a device's; the full name is always in the link's ifalias.
import { DIGITS, hashOf } from "../../model/device.ts";
import { MARK } from "../kinds/mark.ts";

/** The port of an endpoint, in its VRF's namespace. */
export function portName(endpoint: string): string {
  return `wp${hashOf(endpoint).text}`;
}

/** The device that shapes what an endpoint sends, beside its port. */
export function shaperName(endpoint: string): string {
  return `wq${hashOf(endpoint).text}`;
}

/**
 * The near end's MAC, known before the endpoint's own. As hypervisors do it: a first octet of fe, so that no bridge
 * would ever choose a port's MAC for itself.
 */
export function portMac(endpoint: string): string {
  const { high, low } = hashOf(endpoint);
  return `fe:${hex(high)}:${hex(low >>> 24)}:${hex(low >>> 16)}:${hex(low >>> 8)}:${hex(low)}`;
}

/** IFALIASZ is 256, and a text goes to the kernel with its closing zero, which it counts twice. */
const ALIAS_MAX = 254;

/** Ownership mark and human name of a link: `weft:endpoint:web.eth0`, as much of it as the kernel takes. */
export function alias(kind: string, name: string): string {
  return cut(`${MARK}:${kind}:${name}`);
}

/** The beginning that fits into an alias, in whole characters: a path may have any. */
export function cut(text: string): string {
  if (text.length * 3 <= ALIAS_MAX || Buffer.byteLength(text) <= ALIAS_MAX) return text;
  let end = Math.min(text.length, ALIAS_MAX);
  while (Buffer.byteLength(text.slice(0, end)) > ALIAS_MAX) end--;
  // Half of a pair of surrogates would come back as another character.
  return text.slice(0, end).toWellFormed() === text.slice(0, end) ? text.slice(0, end) : text.slice(0, end - 1);
}

function hex(byte: number): string {
  return `${DIGITS[(byte >>> 4) & 15]}${DIGITS[byte & 15]}`;
}
