// A VXLAN device. Like every link it is ours by its ifalias, `weft:<kind>:<name>`.
import type { Vxlan } from "../../datapath/kinds/links.ts";
import * as k from "../netlink/constants.ts";
import { CREATE, ifinfo, setLink } from "../netlink/link.ts";
import { type Layout, fill, ipIn, ipTextAt, u32At } from "../netlink/wire.ts";
import type { StepContext } from "./kind.ts";
import { learningAttributes, linkKind, portOf } from "./link.ts";

export const vxlan = linkKind<Vxlan>({
  create,
  configure(context, object, index) {
    if (object.master !== undefined) configurePort(context, object, index);
  },
  decode(link, seen) {
    const floods = seen.master !== undefined && !link.neighSuppress ? { floodsArp: true as const } : {};
    const own = fill({ vni: 0, local: "", port: 0 }, VXLAN, link.data);
    return { kind: "vxlan", ...seen.common(true), ...own, ...portOf(link, seen), ...floods };
  },
  // Their sockets are all in the host's namespace.
  fake: { claim: ({ vni, port, local }) => `vxlan ${vni} ${port} ${local.includes(":") ? 6 : 4}` },
});

/**
 * A VXLAN device that is up and learns nothing, born in the namespace of the netlink socket, its own UDP socket in the
 * host's: IFLA_LINK_NETNSID names that. So creation and mark are one send, in one namespace, that nothing can
 * interrupt.
 */
function create(context: StepContext, object: Vxlan): void {
  const { w } = context;
  const master = object.master === undefined ? undefined : context.indexOf(object.master);
  const local = ipIn(object.local);
  const socketNsid = object.ns === "host" ? undefined : context.hostNsid();
  const index = context.newIndex(object.ns, object.name);
  w.begin(k.RTM_NEWLINK, CREATE, context.seq());
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  w.attrText(k.IFLA_IFNAME, object.name);
  w.attrMac(k.IFLA_ADDRESS, object.mac);
  w.attrU32(k.IFLA_MTU, object.mtu);
  if (master !== undefined) w.attrU32(k.IFLA_MASTER, master);
  if (socketNsid !== undefined) w.attrU32(k.IFLA_LINK_NETNSID, socketNsid);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "vxlan");
    w.nest(k.IFLA_INFO_DATA, () => {
      w.attrU32(k.IFLA_VXLAN_ID, object.vni);
      w.attrIp(local.family === 4 ? k.IFLA_VXLAN_LOCAL : k.IFLA_VXLAN_LOCAL6, local);
      // In network byte order.
      w.attrU16(k.IFLA_VXLAN_PORT, (object.port >>> 8) | (object.port << 8));
      w.attrU8(k.IFLA_VXLAN_LEARNING, 0);
    });
  });
  setLink(w, context.seq(), index, { alias: object.alias, forwards: true });
  if (master !== undefined) configurePort(context, object, index);
}

/** As a port of a bridge it answers ARP and ND from the bridge's neighbours, or floods them. */
function configurePort(context: StepContext, object: Vxlan, index: number): void {
  const { w } = context;
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, context.seq());
  ifinfo(w, k.AF_BRIDGE, index, 0);
  w.nest(k.IFLA_PROTINFO, () => {
    learningAttributes(w, object);
    w.attrU8(k.IFLA_BRPORT_NEIGH_SUPPRESS, object.floodsArp === true ? 0 : 1);
  });
}

const VXLAN: Layout<Pick<Vxlan, "vni" | "local" | "port">> = {
  [k.IFLA_VXLAN_ID]: ["vni", u32At],
  [k.IFLA_VXLAN_LOCAL]: ["local", ipTextAt],
  [k.IFLA_VXLAN_LOCAL6]: ["local", ipTextAt],
  [k.IFLA_VXLAN_PORT]: ["port", (bytes, start) => bytes.readUInt16BE(start)],
};
