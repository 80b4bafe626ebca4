// A VXLAN device: the tunnel of a routed VRF, or of one switched network as a port of its bridge.
import { bridge } from "./bridge.ts";
import { type Shell, defineKind, standsOn } from "./kind.ts";
import {
  type Field,
  type Link,
  type PortOfBridge,
  bringUp,
  commonFields,
  devicesOf,
  learningText,
  portFields,
  removeLink,
  setFields,
} from "./link.ts";
import { netns } from "./netns.ts";

export type Vxlan = Link &
  PortOfBridge & {
    readonly kind: "vxlan";
    readonly vni: number;
    /** Source address of the tunnel packets; its UDP socket stays in the host's namespace. */
    readonly local: string;
    readonly port: number;
    /**
     * Neighbour suppression is off: ARP and ND cross to other hosts and are answered there. With it, the bridge keeps
     * every gratuitous ARP and unsolicited advertisement on this host (br_do_proxy_suppress_arp, br_do_suppress_nd).
     */
    readonly floodsArp?: true;
  };

const EXAMPLE: Vxlan = {
  kind: "vxlan",
  ns: "vrf:blue",
  name: "wx7",
  mtu: 1450,
  mac: "70:b3:d5:01:00:01",
  alias: "weft:network:lan",
  vni: 7,
  local: "192.0.2.1",
  port: 4789,
};

function fieldsOf(o: Vxlan): readonly Field[] {
  return [...commonFields(o), ...portFields(o)];
}

function suppression({ ns, name, floodsArp }: Vxlan, shell: Shell): string {
  return `${shell.bridge(ns)} link set dev ${name} neigh_suppress ${floodsArp === true ? "off" : "on"}`;
}

export const vxlan = defineKind<Vxlan>({
  role: "link",
  layer: 4,
  // VNI, port and local address cannot be changed ("Cannot change VNI.", 6.18).
  key: ({ ns, name, vni, port, local }) => `vxlan ${ns} ${name} ${vni} ${port} ${local}`,
  devices: devicesOf,
  print: {
    add: (o, shell) => [
      `ip link add ${o.name}${o.ns === "host" ? "" : ` netns ${shell.name(o.ns)}`} address ${o.mac} mtu ${o.mtu}` +
        ` type vxlan id ${o.vni} local ${o.local} dstport ${o.port} nolearning`,
      ...(o.master === undefined
        ? []
        : [
            `${shell.ip(o.ns)} link set ${o.name} master ${o.master}`,
            `${suppression(o, shell).replace("neigh_suppress", `${learningText(o)} neigh_suppress`)}`,
          ]),
      bringUp(o, shell),
    ],
    set: (from, to, shell) => [
      ...setFields(`${shell.ip(to.ns)} link set ${to.name}`, fieldsOf(from), fieldsOf(to)),
      ...(from.floodsArp === to.floodsArp ? [] : [suppression(to, shell)]),
    ],
    remove: removeLink,
  },
  examples: [
    {
      needs: standsOn(bridge),
      is: { ...EXAMPLE, master: "wb7" },
      becomes: { ...EXAMPLE, master: "wb7", mtu: 1300, mac: "02:00:00:00:00:03", macs: "learned", floodsArp: true },
    },
    { needs: standsOn(netns), is: { ...EXAMPLE, local: "2001:db8::1" } },
  ],
});
