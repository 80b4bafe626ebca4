// Names of kernel devices. Linux allows 15 bytes (IFNAMSIZ - 1) and users choose names freely, so a name that does not
// fit is cut and ends in a hash of the whole.

const IFNAME_MAX = 15;

/** What the devices of endpoints begin with: a port, and what shapes the frames that it gets. */
export const PORT_PREFIX = "wp";
export const SHAPER_PREFIX = "wq";

/**
 * `m-dcos`, `wb-blue`; `wb-a-very-1k9fq2` when the name is long. Two long names may end in one: who admits a name has
 * to look (control/admit/network/devices.ts).
 */
export function deviceName(prefix: string, name: string): string {
  const whole = `${prefix}-${name}`;
  // A dot or an upper-case letter is legal in a device name but unkind to sysctl paths and to people; it is hashed
  // away.
  if (whole.length <= IFNAME_MAX && /^[a-zA-Z0-9-]+$/.test(whole)) return whole;
  const tail = hashOf(name).text.slice(0, 6);
  return `${whole.replaceAll(/[^a-zA-Z0-9-]/g, "").slice(0, IFNAME_MAX - tail.length - 1)}-${tail}`;
}

/**
 * The bridge of a network without slices: by its own name, unless it is to be a given one. (One that it is plugged into
 * is another.)
 */
export function networkBridge({ name, spec: { bridge, driver, parent } }: Named): string {
  const isOthers = driver === "ovs" || (driver === "bridge" && parent === undefined);
  return isOthers || bridge === undefined ? deviceName("wb", name) : bridge;
}

/** The bridges of a network on hosts: one, or one for each of its slices. */
export function bridgesOf(network: Named): readonly string[] {
  const { slices = [] } = network.spec;
  return slices.length === 0 ? [networkBridge(network)] : slices.map(({ bridge }) => deviceName(bridge, network.name));
}

/** What Weft's own devices begin with in the hosts' own namespace. */
const OWN = /^(lo$|w[bpqx]|w[jkluv]-|wo[bp]?[-\d]|wt\d|gt\d|path\d)/;
/** Linux has settings of these names for all devices (sysctl_dev_name_is_allowed, net/ipv4/devinet.c). */
const KERNELS = /^(all|default)$/;

/** Whether a name is one that Weft, or the kernel, gives. */
export function isReservedDevice(name: string): boolean {
  return OWN.test(name) || KERNELS.test(name);
}

type Named = {
  readonly name: string;
  readonly spec: {
    readonly driver?: string;
    readonly bridge?: string;
    readonly parent?: string;
    readonly slices?: readonly { readonly bridge: string }[];
  };
};

export const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** `low`: 32 bits, `high`: 21 above them; `text` is both as one number in 11 base-36 digits. */
type Hash = { readonly of: string; readonly high: number; readonly low: number; readonly text: string };

/** An attach asks ten times for the names that one endpoint has. */
let latest = mixed("");

export function hashOf(name: string): Hash {
  if (latest.of !== name) latest = mixed(name);
  return latest;
}

/** 53 bits (cyrb53 mixing): 10,000 ports on a host collide with a probability under 1e-8. */
function mixed(of: string): Hash {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < of.length; i++) {
    const c = of.charCodeAt(i);
    a = Math.imul(a ^ c, 2_654_435_761);
    b = Math.imul(b ^ c, 1_597_334_677);
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909);
  const [high, low] = [b & 0x1f_ffff, a >>> 0];
  return { of, high, low, text: inBase36(4_294_967_296 * high + low) };
}

/** As toString(36) with 11 digits, which takes V8 a division of doubles in C++ for each digit. */
function inBase36(value: number): string {
  const upper = Math.floor(value / 60_466_176);
  return digitsOf(upper, 6) + digitsOf(value - upper * 60_466_176, 5);
}

/** `value` is less than 36 ** count, and fits 31 bits. */
function digitsOf(value: number, count: number): string {
  let text = "";
  for (let rest = value; text.length < count; rest = (rest / 36) | 0) text = `${DIGITS[rest % 36]}${text}`;
  return text;
}
