// An entry of a VXLAN device: a MAC and the host behind it.
import { type Ns, type Shell, defineKind, standsOn } from "./kind.ts";
import { vxlan } from "./vxlan.ts";

/** Permanent, on the device itself. The all-zero MAC is the flood list, one entry per host. */
export type Fdb = {
  readonly kind: "fdb";
  readonly ns: Ns;
  readonly dev: string;
  readonly mac: string;
  readonly dst: string;
};

export const FLOOD_MAC = "00:00:00:00:00:00";

function add({ ns, dev, mac, dst }: Fdb, shell: Shell): readonly string[] {
  const verb = mac === FLOOD_MAC ? "append" : "replace";
  return [`${shell.bridge(ns)} fdb ${verb} ${mac} dev ${dev} dst ${dst} self permanent`];
}

const EXAMPLE: Fdb = { kind: "fdb", ns: "vrf:blue", dev: "wx7", mac: "70:b3:d5:80:00:02", dst: "192.0.2.2" };

export const fdb = defineKind<Fdb>({
  role: "entry",
  layer: 7,
  // Flood entries are a set (one per remote VTEP); a unicast MAC lives behind exactly one VTEP and may move.
  key: ({ ns, dev, mac, dst }) => (mac === FLOOD_MAC ? `fdb ${ns} ${dev} ${mac} ${dst}` : `fdb ${ns} ${dev} ${mac}`),
  print: {
    add,
    set: (_, to, shell) => add(to, shell),
    remove: ({ ns, dev, mac, dst }, shell) => [`${shell.bridge(ns)} fdb delete ${mac} dev ${dev} dst ${dst} self`],
  },
  examples: [
    { needs: standsOn(vxlan), is: EXAMPLE, becomes: { ...EXAMPLE, dst: "192.0.2.3" } },
    { needs: standsOn(vxlan), is: { ...EXAMPLE, mac: FLOOD_MAC } },
  ],
});
