// VLAN devices. One is born in its own namespace, above a device of the host's: IFLA_LINK_NETNSID says where that is.
// It cannot be up while the device below is down (ENETDOWN), and comes up with it by itself.
import type { Vlan } from "../../datapath/kinds/vlan.ts";
import { refuse } from "../errno.ts";
import * as k from "../netlink/constants.ts";
import { CREATE, type LinkInfo, ifinfo, linkByName, setLink } from "../netlink/link.ts";
import { type Layout, fill, u16At } from "../netlink/wire.ts";
import type { SeenLink, StepContext } from "./kind.ts";
import { forwarding, learningAttributes, linkKind, portOf } from "./links.ts";

export const vlan = linkKind<Vlan>({
  create,
  configure(context, object, index) {
    if (object.master !== undefined) configurePort(context, object, index);
  },
  staysDown: (context, object) => !below(context, object).isUp,
  decode(link, seen) {
    const { id, protocol } = fill({ id: 0, protocol: 0 }, VLAN, link.data);
    const port = portOf(link, seen);
    return {
      kind: "vlan",
      ...seen.common(!link.neighSuppress),
      ...port,
      id,
      ...belowOf(link, seen),
      ...(protocol === k.ETH_P_8021AD ? { isOuter: true } : {}),
    };
  },
  // The kernel has each of them once above a device, in whatever namespaces.
  fake: { claim: ({ id, link, linkNs, isOuter }) => `vlan ${isOuter === true ? "s" : "c"}${id} of ${linkNs} ${link}` },
});

function belowOf({ peerNsid }: LinkInfo, { ns, below: name = "" }: SeenLink): Pick<Vlan, "link" | "linkNs"> {
  return { link: name, linkNs: peerNsid === undefined ? ns : "host" };
}

function create(context: StepContext, object: Vlan): void {
  const master = object.master === undefined ? undefined : context.indexOf(object.master);
  const lower = below(context, object);
  const nsid = object.ns === object.linkNs ? undefined : context.hostNsid();
  const index = context.newIndex(object.ns, object.name);
  const w = context.begin(k.RTM_NEWLINK, CREATE);
  ifinfo(w, k.AF_UNSPEC, index, lower.isUp ? k.IFF_UP : 0);
  w.attrText(k.IFLA_IFNAME, object.name);
  w.attrMac(k.IFLA_ADDRESS, object.mac);
  w.attrU32(k.IFLA_MTU, object.mtu);
  w.attrU32(k.IFLA_LINK, lower.index);
  if (nsid !== undefined) w.attrU32(k.IFLA_LINK_NETNSID, nsid);
  if (master !== undefined) w.attrU32(k.IFLA_MASTER, master);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "vlan");
    w.nest(k.IFLA_INFO_DATA, () => {
      w.attrU16(k.IFLA_VLAN_ID, object.id);
      const protocol = object.isOuter === true ? k.ETH_P_8021AD : k.ETH_P_8021Q;
      w.attrU16(k.IFLA_VLAN_PROTOCOL, ((protocol & 0xff) << 8) | (protocol >>> 8));
    });
  });
  const stays = lower.isUp ? {} : { staysDown: true as const };
  setLink(w, context.seq(), index, { alias: object.alias, ...forwarding(object), ...stays });
  if (master !== undefined) configurePort(context, object, index);
}

/** The device below as it is now, whose ever it is; or as it will be, if it is made by a message before this one. */
function below(context: StepContext, { ns, link, linkNs }: Vlan): Pick<LinkInfo, "index" | "isUp"> {
  const space = context.spaceOf(linkNs);
  const found = space.socket.ask(linkByName(link));
  if (found !== undefined) return found;
  const index = space.indexes.get(link) ?? refuse("missing", `there is no device ${link} in ${linkNs}`);
  // A VLAN is made up. The end of a pair in another namespace comes up later, and takes this one along.
  return { index, isUp: ns === linkNs };
}

function configurePort(context: StepContext, object: Vlan, index: number): void {
  const w = context.begin(k.RTM_SETLINK, k.NLM_F_REQUEST);
  ifinfo(w, k.AF_BRIDGE, index, 0);
  w.nest(k.IFLA_PROTINFO, () => {
    learningAttributes(w, object);
    w.attrU8(k.IFLA_BRPORT_NEIGH_SUPPRESS, 0);
  });
}

const VLAN: Layout<{ readonly id: number; readonly protocol: number }> = {
  [k.IFLA_VLAN_ID]: ["id", u16At],
  [k.IFLA_VLAN_PROTOCOL]: ["protocol", (bytes, at) => bytes.readUInt16BE(at)],
};
