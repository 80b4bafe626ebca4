// VLAN ids and ranges of them (802.1Q: 12 bits, of which 0 means no VLAN and 4095 is reserved).
import { Fault } from "./fault.ts";

export const VLAN = { minimum: 1, maximum: 4094 } as const;

/** Both ends included. */
export type VlanRange = { readonly first: number; readonly last: number };

/** `100-199`, `300`, or several with commas between them; a Fault `vlan-invalid` for anything else. */
export function parseVlans(text: string, where: string): readonly VlanRange[] {
  return text.split(",").map((part) => {
    const words = /^\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*$/.exec(part);
    if (words === null) throw notVlans(part.trim(), where, "it is neither a number nor two with a dash between them");
    const first = Number(words[1]);
    const last = Number(words[2] ?? words[1]);
    for (const id of [first, last]) if (!isVlan(id)) throw notVlans(part.trim(), where, whyNot(id));
    if (last < first) throw notVlans(part.trim(), where, "it ends before it begins");
    return { first, last };
  });
}

function isVlan(id: number): boolean {
  return Number.isInteger(id) && id >= VLAN.minimum && id <= VLAN.maximum;
}

/** Why a number is no VLAN id. */
function whyNot(id: number): string {
  if (id === 0) return "0 is the tag of frames without a VLAN, which only have a priority";
  if (id === 4095) return "4095 is reserved (IEEE 802.1Q)";
  return "a VLAN id has 12 bits, and 0 and 4095 mean something else";
}

/** In order, those that meet or touch joined: `100-199`, `300`. */
export function vlansText(ranges: readonly VlanRange[]): readonly string[] {
  const joined: { first: number; last: number }[] = [];
  for (const { first, last } of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else joined.push({ first, last });
  }
  return joined.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
}

function notVlans(text: string, where: string, why: string): Fault {
  return new Fault("vlan-invalid", {
    what: `"${text}" is not a VLAN id, nor a range of them`,
    where,
    why,
    fix: `write ids from ${VLAN.minimum} to ${VLAN.maximum}, like 300 or 100-199`,
  });
}
