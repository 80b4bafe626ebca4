// Sends everything that comes in on a link to an ifb instead.
import { type Ifb, ifb } from "./ifb.ts";
import { type Ns, type Shell, defineKind, standsOn } from "./kind.ts";
import { veth } from "./veth.ts";

/**
 * An ingress queue with one filter of priority REDIRECT_PRIORITY. `to` is empty if the ifb is gone; then nothing comes
 * in.
 */
export type Redirect = { readonly kind: "redirect"; readonly ns: Ns; readonly dev: string; readonly to: string };

/** The priority of our filters, which tells them from others'. */
export const REDIRECT_PRIORITY = 87;

function add({ ns, dev, to }: Redirect, shell: Shell): readonly string[] {
  return [
    `${shell.tc(ns)} qdisc add dev ${dev} ingress`,
    `${shell.tc(ns)} filter add dev ${dev} parent ffff: protocol all prio ${REDIRECT_PRIORITY}` +
      ` u32 match u32 0 0 action mirred egress redirect dev ${to}`,
  ];
}

function remove({ ns, dev }: Redirect, shell: Shell): readonly string[] {
  return [`${shell.tc(ns)} qdisc delete dev ${dev} ingress`];
}

const EXAMPLE: Redirect = { kind: "redirect", ns: "vrf:blue", dev: "wp1", to: "wq1" };
const [{ is: shaper }] = ifb.examples;
const other: Ifb = { ...shaper, name: "wq2" };

export const redirect = defineKind<Redirect>({
  role: "entry",
  layer: 5.6,
  // Before the shaper goes that it leads to: frames redirected to nowhere are lost.
  removal: -20,
  key: ({ ns, dev }) => `redirect ${ns} ${dev}`,
  print: {
    add,
    set: (from, to, shell) => [...remove(from, shell), ...add(to, shell)],
    remove,
  },
  examples: [
    {
      needs: [...standsOn(veth), shaper, other],
      is: EXAMPLE,
      becomes: { ...EXAMPLE, to: "wq2" },
    },
  ],
});
