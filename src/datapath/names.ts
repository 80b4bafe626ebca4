// Names of kernel devices. Linux gives them 15 bytes (IFNAMSIZ - 1) and people give networks what they like, so a name
// that does not fit is cut and ends in a hash of the whole; the full name is always in the link's ifalias.
import { MARK } from "./state.ts";

const IFNAME_MAX = 15;

/** `m-dcos`, `wb-blue`; `wb-a-very-1k9fq2` when the name is long. Same name in, same device out. */
export function deviceName(prefix: string, name: string): string {
  const whole = `${prefix}-${name}`;
  // A dot or an upper-case letter is legal in a device name but unkind to sysctl paths and to people; it is hashed
  // away.
  if (whole.length <= IFNAME_MAX && /^[a-zA-Z0-9-]+$/.test(whole)) return whole;
  const tail = hash36(name).slice(0, 6);
  return `${whole.replaceAll(/[^a-zA-Z0-9-]/g, "").slice(0, IFNAME_MAX - tail.length - 1)}-${tail}`;
}

/** The port of an endpoint, in its VRF's namespace. */
export function portName(endpoint: string): string {
  return `wp${hash36(endpoint)}`;
}

/** The device that shapes what an endpoint sends, beside its port. */
export function shaperName(endpoint: string): string {
  return `wq${hash36(endpoint)}`;
}

/**
 * The near end's MAC, known before the endpoint's own. As hypervisors do it: a first octet of fe, so that no bridge
 * would ever choose a port's MAC for itself.
 */
export function portMac(endpoint: string): string {
  const digits = parseInt(hash36(endpoint), 36).toString(16).padStart(14, "0").slice(-10);
  return `fe:${digits.replaceAll(/..(?=.)/g, "$&:")}`;
}

/** Ownership mark and human name of a link: `weft:endpoint:web.eth0`. The kernel takes 255 bytes. */
export function alias(kind: string, name: string): string {
  return `${MARK}:${kind}:${name}`.slice(0, 255);
}

/** An attach asks ten times for the names that one endpoint has. */
let latest = { text: "", hash: hashOf("") };

function hash36(text: string): string {
  if (latest.text !== text) latest = { text, hash: hashOf(text) };
  return latest.hash;
}

/** 53 bits (cyrb53 mixing) in 11 base-36 digits: 10,000 ports on a host collide with a probability under 1e-8. */
function hashOf(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 2_654_435_761);
    b = Math.imul(b ^ c, 1_597_334_677);
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909);
  return (4_294_967_296 * (b & 0x1f_ffff) + (a >>> 0)).toString(36).padStart(11, "0");
}
