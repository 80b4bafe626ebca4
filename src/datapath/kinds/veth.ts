// A veth pair: the port of an endpoint, or the uplink of a VRF.
import { bridge } from "./bridge.ts";
import { type Ns, type Shell, defineKind, isEqual, standsOn } from "./kind.ts";
import {
  type Field,
  type Link,
  type PortOfBridge,
  bringUp,
  commonFields,
  devicesOf,
  groupsOf,
  learningText,
  portFields,
  removeLink,
  setFields,
} from "./link.ts";
import { netns } from "./netns.ts";
import { nft } from "./nft.ts";

/**
 * Named by its end in `ns`; the peer is born in its own namespace (a workload's, or the host's for an uplink). With
 * `peer.mac` empty the pair is made ahead of its address: the far end stays down, with whatever MAC the kernel gives
 * it, until a `set` completes it.
 */
export type Veth = Link &
  PortOfBridge & {
    readonly kind: "veth";
    /**
     * Of an uplink: checksums that a workload left open are written before the packet leaves the near end, so that
     * filters behind the far end see it as it will be.
     */
    readonly makesChecksums?: true;
    readonly peer: { readonly ns: Ns; readonly name: string; readonly mtu: number; readonly mac: string };
  };

const PORT: Veth = {
  kind: "veth",
  ns: "vrf:blue",
  name: "wp1",
  mtu: 1450,
  mac: "fe:00:0a:07:00:05",
  alias: "weft:endpoint:web.eth0",
  master: "wb7",
  peer: { ns: "/run/netns/web", name: "eth0", mtu: 1450, mac: "02:00:0a:07:00:05" },
};
const UPLINK: Veth = {
  kind: "veth",
  ns: "vrf:blue",
  name: "uplink",
  mtu: 1500,
  mac: "0a:59:00:02:00:00",
  alias: "weft:uplink:blue",
  peer: { ns: "host", name: "wu-blue", mtu: 1500, mac: "0a:59:00:01:00:00" },
};

function fieldsOf(o: Veth): readonly Field[] {
  const groups: readonly Field[] =
    o.master === undefined ? [] : [["type bridge_slave group_fwd_mask", String(groupsOf(o))]];
  return [...commonFields(o), ...portFields(o), ...groups];
}

function farFieldsOf({ peer }: Veth): readonly Field[] {
  return [
    ["mtu", String(peer.mtu)],
    ["address", peer.mac],
  ];
}

/** Off: nothing behind the device has to write them. */
function checksums({ ns, name, makesChecksums }: Veth, shell: Shell): string {
  return `${shell.inside(ns)}ethtool -K ${name} tx ${makesChecksums === true ? "off" : "on"}`;
}

/** From the host's namespace where one end is there, because that may have no name. */
function create(o: Veth, shell: Shell): string {
  const [near, far] = o.peer.ns === "host" ? [o.peer, o] : [o, o.peer];
  const end = ({ name, mac, mtu }: Veth["peer"], inside = "") => `${name}${inside} address ${mac} mtu ${mtu}`;
  const master = o.master === undefined ? "" : ` master ${o.master}`;
  const peer = end(far, ` netns ${shell.name(far.ns)}`);
  return `${shell.ip(near.ns)} link add ${end(near)}${master} type veth peer name ${peer}`;
}

const LAYER = 5;

export const veth = defineKind<Veth>({
  role: "link",
  layer: LAYER,
  // An uplink writes checksums before the host's table lets more out of it, if nothing else of it changes.
  changeRank: (from, to) =>
    to.makesChecksums === true && isEqual({ ...from, makesChecksums: true }, to) ? nft.layer - 0.5 : LAYER,
  key: ({ ns, name, peer }) => `veth ${ns} ${name} ${peer.ns} ${peer.name}`,
  devices: (o) => [...devicesOf(o), o.peer],
  print: {
    add: (o, shell) => [
      create(o, shell),
      bringUp(o, shell),
      ...(o.master === undefined
        ? []
        : [`${shell.ip(o.ns)} link set ${o.name} type bridge_slave ${learningText(o)} group_fwd_mask ${groupsOf(o)}`]),
      ...(o.makesChecksums === true ? [checksums(o, shell)] : []),
      `${shell.ip(o.peer.ns)} link set ${o.peer.name} up`,
    ],
    set: (from, to, shell) => [
      ...setFields(`${shell.ip(to.ns)} link set ${to.name}`, fieldsOf(from), fieldsOf(to)),
      ...(from.makesChecksums === to.makesChecksums ? [] : [checksums(to, shell)]),
      ...setFields(`${shell.ip(to.peer.ns)} link set ${to.peer.name}`, farFieldsOf(from), farFieldsOf(to)),
    ],
    remove: removeLink,
  },
  examples: [
    {
      needs: standsOn(bridge),
      is: PORT,
      becomes: { ...PORT, mtu: 1300, macs: "flooded", peer: { ...PORT.peer, mtu: 1300, mac: "02:00:0a:07:00:09" } },
    },
    { needs: standsOn(netns), is: UPLINK, becomes: { ...UPLINK, makesChecksums: true } },
  ],
});
