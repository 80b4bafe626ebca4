// VLAN devices: the frames of one VLAN of a device below, without their tag. As a port of a bridge it is a network's
// way to a physical network; or it is an outer VLAN, inside which there are others (802.1ad, Q-in-Q).
import type { Ns, Shell } from "./kind.ts";
import { type Link, type PortOfBridge, bringUp, defineLink, learningText, portFields } from "./links.ts";

export type Vlan = Link &
  PortOfBridge & {
    readonly kind: "vlan";
    readonly id: number;
    /** The device below, which is another's or an outer VLAN of ours, and its namespace. */
    readonly link: string;
    readonly linkNs: Ns;
    /** Tagged as a service VLAN (802.1ad). */
    readonly isOuter?: true;
  };

const protocolOf = ({ isOuter }: Vlan) => (isOuter === true ? "802.1ad" : "802.1Q");

/** From where the device below is: it cannot be named elsewhere. */
function create(o: Vlan, { at, name }: Shell): string {
  const inside = o.ns === o.linkNs ? "" : ` netns ${name}`;
  const device = `${o.name}${inside} address ${o.mac} mtu ${o.mtu}`;
  return `${at(o.linkNs).ip} link add link ${o.link} ${device} type vlan protocol ${protocolOf(o)} id ${o.id}`;
}

export const VLAN_KINDS = {
  vlan: defineLink<Vlan>({
    layer: 4,
    leadsTo: "hosts",
    below: ({ link, linkNs }) => ({ ns: linkNs, name: link }),
    // Nothing of these can be changed.
    key: (o) => `vlan ${o.ns} ${o.name} ${protocolOf(o)} ${o.id} ${o.linkNs} ${o.link}`,
    fields: portFields,
    add: (o, shell) => [
      create(o, shell),
      ...(o.master === undefined
        ? []
        : [
            `${shell.ip} link set ${o.name} master ${o.master}`,
            `${shell.ip} link set ${o.name} type bridge_slave ${learningText(o)}`,
          ]),
      bringUp(o, shell),
    ],
  }),
};
