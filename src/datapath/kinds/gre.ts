// GRE devices that carry Ethernet frames (RFC 2784, 2890), one for each peer: gretap over IPv4, ip6gretap over IPv6. A
// peer takes a packet for a device only if both addresses and the key are that device's.
import type { Kind, Shell } from "./kind.ts";
import { type Link, type TunnelPort, bringUp, defineLink, learningText, portFields, suppression } from "./links.ts";

/**
 * The tunnel to one peer. As a port of a bridge it is isolated from other such ports: what one peer sends never goes on
 * to another, which has got it already.
 *
 * Packets have the key and neither checksum nor sequence number, because a peer drops those that differ from its own
 * device in that; a TTL of their own, because the workload's may be 1; over IPv4 no DF bit, whatever the workload set,
 * because a bridge tells nobody that a packet is too big: what exceeds an underlay that shrank is sent in fragments
 * until all devices have the new MTU. Over IPv6 they have no encapsulation limit, eight bytes.
 */
type Gre = Link &
  TunnelPort & {
    /** The VNI. */
    readonly key: number;
    /** Both addresses on the underlay. Packets leave from the host's namespace. */
    readonly local: string;
    readonly remote: string;
  };
export type Gretap = Gre & { readonly kind: "gretap" };
export type Ip6gretap = Gre & { readonly kind: "ip6gretap" };

export const GRE_TTL = 64;

const HOW = {
  gretap: `ttl ${GRE_TTL} nopmtudisc ignore-df`,
  ip6gretap: `ttl ${GRE_TTL} encaplimit none`,
};

/**
 * Made in the host's namespace and then moved, because packets leave where a device was made (Linux 6.1). Weft itself
 * does both in one message (kernel/kinds/gre.ts).
 */
function make(o: Gretap | Ip6gretap, shell: Shell): readonly string[] {
  const { kind, name, key, local, remote } = o;
  const endpoints = `local ${local} remote ${remote} key ${key}`;
  return [
    `ip link add ${name} address ${o.mac} mtu ${o.mtu} type ${kind} ${endpoints} ${HOW[kind]}`,
    ...(o.ns === "host" ? [] : [`ip link set ${name} netns ${shell.name}`]),
    ...(o.master === undefined
      ? []
      : [`${shell.ip} link set ${name} master ${o.master}`, suppression(o, shell, `${learningText(o)} isolated on `)]),
    bringUp(o, shell),
  ];
}

function defineGre<T extends Gretap | Ip6gretap>(): Kind<T> {
  return defineLink<T>({
    layer: 4,
    leadsTo: "peer",
    key: ({ kind, ns, name, key, local, remote }) => `${kind} ${ns} ${name} ${key} ${local} ${remote}`,
    fields: portFields,
    add: make,
    setMore: (from, to, shell) => (from.floodsArp === to.floodsArp ? [] : [suppression(to, shell)]),
  });
}

export const GRE_KINDS = { gretap: defineGre<Gretap>(), ip6gretap: defineGre<Ip6gretap>() };
