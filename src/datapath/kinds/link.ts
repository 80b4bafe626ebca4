// What all links have in common: how they are told from others, printed and changed field by field; and what a link
// is as a port of a bridge.
import { type AnyObject, type Device, type Shell } from "./kind.ts";

/** A link is always up, and always carries its ownership mark as ifalias (`weft:<kind>:<name>`). */
export type Link = AnyObject & {
  readonly name: string;
  readonly mtu: number;
  readonly mac: string;
  readonly alias: string;
};

/**
 * How a bridge gets to know which MACs are behind a port. Absent: from the control plane alone, in entries that no
 * frame moves, and frames to unknown MACs do not go there. `learned`: from frames as well. `flooded`: frames to unknown
 * MACs go there, too.
 */
export type Macs = "learned" | "flooded";

/** A link that may be a port of a bridge. */
export type PortOfBridge = { readonly master?: string; readonly macs?: Macs };

/**
 * Groups of bridges (01:80:c2:00:00:00 to 0f) that a port forwards, so that filters see them: all but 01, which the
 * kernel drops. Others go to the stack of the bridge's namespace, past the bridge's hooks (br_handle_frame).
 */
const GROUPS_SEEN = 0xfffd;

/** Groups that a port of a bridge forwards, as a mask. */
export function groupsOf({ macs }: PortOfBridge): number {
  return macs === "flooded" ? 0 : GROUPS_SEEN;
}

/** Whether a bridge learns MACs behind a port, in the words of `bridge link`. */
export function learningText({ macs }: PortOfBridge): string {
  return `learning ${macs === undefined ? "off" : "on"} flood ${macs === "flooded" ? "on" : "off"}`;
}

export function devicesOf({ ns, name }: Link): readonly Device[] {
  return [{ ns, name }];
}

/** `more`: what else is set. */
export function bringUp({ ns, name, alias }: Link, shell: Shell, more = ""): string {
  return `${shell.ip(ns)} link set ${name} ${more}alias ${alias} up`;
}

export function removeLink({ ns, name }: Link, shell: Shell): readonly string[] {
  return [`${shell.ip(ns)} link delete ${name}`];
}

/** A word of `ip link set`, and its value. */
export type Field = readonly [word: string, value: string];

export function commonFields({ mtu, mac, alias }: Link): readonly Field[] {
  return [
    ["mtu", String(mtu)],
    ["address", mac],
    ["alias", alias],
  ];
}

export function portFields(o: PortOfBridge): readonly Field[] {
  return o.master === undefined
    ? []
    : [
        ["master", o.master],
        ["type bridge_slave", learningText(o)],
      ];
}

/** Of the fields of `to`, those that `from` does not have, set one by one. */
export function setFields(where: string, from: readonly Field[], to: readonly Field[]): readonly string[] {
  const before = new Map(from);
  const changed = to.filter(([word, value]) => before.get(word) !== value);
  const isFreed = before.has("master") && !to.some(([word]) => word === "master");
  return [...changed.map(([word, value]) => `${where} ${word} ${value}`), ...(isFreed ? [`${where} nomaster`] : [])];
}
