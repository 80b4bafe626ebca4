// A permanent neighbour: address to MAC, ARP and ND alike.
import { type Ns, type Shell, defineKind, standsOn } from "./kind.ts";
import { vxlan } from "./vxlan.ts";

export type Neighbour = {
  readonly kind: "neighbour";
  readonly ns: Ns;
  readonly dev: string;
  readonly ip: string;
  readonly mac: string;
};

const replace = ({ ns, dev, ip, mac }: Neighbour, shell: Shell) => [
  `${shell.ip(ns)} neigh replace ${ip} lladdr ${mac} dev ${dev} nud permanent`,
];
const EXAMPLE: Neighbour = {
  kind: "neighbour",
  ns: "vrf:blue",
  dev: "wx7",
  ip: "44.128.0.2",
  mac: "70:b3:d5:80:00:02",
};

export const neighbour = defineKind<Neighbour>({
  role: "entry",
  layer: 7,
  key: ({ ns, dev, ip }) => `neighbour ${ns} ${dev} ${ip}`,
  print: {
    add: replace,
    set: (_, to, shell) => replace(to, shell),
    remove: ({ ns, dev, ip }, shell) => [`${shell.ip(ns)} neigh delete ${ip} dev ${dev}`],
  },
  examples: [
    { needs: standsOn(vxlan), is: EXAMPLE, becomes: { ...EXAMPLE, mac: "70:b3:d5:80:00:03" } },
    { needs: standsOn(vxlan), is: { ...EXAMPLE, ip: "fd44::2" } },
  ],
});
