// An address of a link.
import { bridge } from "./bridge.ts";
import { type Ns, defineKind, standsOn } from "./kind.ts";
import { veth } from "./veth.ts";

/** `cidr` is address/length with the host bits kept. IPv6 without duplicate address detection. */
export type Address = { readonly kind: "address"; readonly ns: Ns; readonly dev: string; readonly cidr: string };

const words = ({ cidr, dev }: Address) => `${cidr} dev ${dev}`;

export const address = defineKind<Address>({
  role: "entry",
  layer: 6,
  key: ({ ns, dev, cidr }) => `address ${ns} ${dev} ${cidr}`,
  print: {
    add: (o, shell) => [`${shell.ip(o.ns)} address add ${words(o)}${o.cidr.includes(":") ? " nodad" : ""}`],
    set: () => [],
    remove: (o, shell) => [`${shell.ip(o.ns)} address delete ${words(o)}`],
  },
  examples: [
    { needs: standsOn(bridge), is: { kind: "address", ns: "vrf:blue", dev: "wb7", cidr: "10.7.0.1/16" } },
    { needs: standsOn(veth), is: { kind: "address", ns: "/run/netns/web", dev: "eth0", cidr: "fd00:7::5/64" } },
  ],
});
