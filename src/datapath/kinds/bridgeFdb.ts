// An entry of a bridge: this MAC is behind that port, whatever frames say.
import { type Ns, type Shell, defineKind, standsOn } from "./kind.ts";
import { vxlan } from "./vxlan.ts";

/** Static and sticky. `loose`: as seen where frames could move it, which is never wanted. */
export type BridgeFdb = {
  readonly kind: "bridge-fdb";
  readonly ns: Ns;
  readonly dev: string;
  readonly mac: string;
  readonly loose?: true;
};

const replace = ({ ns, dev, mac }: BridgeFdb, shell: Shell) => [
  `${shell.bridge(ns)} fdb replace ${mac} dev ${dev} master static sticky`,
];

export const bridgeFdb = defineKind<BridgeFdb>({
  role: "entry",
  layer: 7,
  key: ({ ns, dev, mac }) => `bridge-fdb ${ns} ${dev} ${mac}`,
  print: {
    add: replace,
    set: (_, to, shell) => replace(to, shell),
    remove: ({ ns, dev, mac }, shell) => [`${shell.bridge(ns)} fdb delete ${mac} dev ${dev} master`],
  },
  examples: [
    { needs: standsOn(vxlan), is: { kind: "bridge-fdb", ns: "vrf:blue", dev: "wx7", mac: "02:00:0a:07:00:09" } },
  ],
});
