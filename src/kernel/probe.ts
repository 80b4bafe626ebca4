// What this kernel can do, by trying it in a namespace that is gone afterwards: a missing module cannot be told
// from one that the kernel loads on demand. What would change the host for good is not tried but looked up.
import { DIRECTIONS, type Direction } from "../model/qos.ts";
import { FEATURE_NAMES, type Feature } from "../model/features.ts";
import { hasModule } from "./modules.ts";
import type { Namespaces } from "./namespaces.ts";
import { newIfb } from "./kinds/links.ts";
import { addIngress, addRedirect, addTbf } from "./kinds/queues.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import * as k from "./netlink/constants.ts";
import { hasFamily } from "./netlink/nftFamily.ts";
import { CREATE, ifinfo } from "./netlink/link.ts";
import { MessageWriter } from "./netlink/wire.ts";

/** The first index of every namespace. */
const LOOPBACK = 1;
/** Beyond those of devices that modules put into every namespace (ip_gre, ip6_gre, ip_tunnel, sit). */
const SHAPER = 1000;
const LIMIT = { rate: 1_250_000, burst: 16_000, limit: 64_000, peak: { rate: 2_500_000, burst: 2000 } };

/** Directions in which an endpoint can be limited here; see datapath/network/shaping.ts for what each takes. */
export function probeShaping(namespaces: Namespaces): readonly Direction[] {
  return namespaces.scratch((socket) => {
    const can: Readonly<Record<Direction, boolean>> = {
      inbound: accepts(socket, (w) => addTbf(w, socket.nextSeq(), LOOPBACK, LIMIT)),
      outbound: accepts(socket, (w) => {
        newIfb(w, socket.nextSeq(), { index: SHAPER, name: "probe", mac: "02:00:00:00:00:01", mtu: 1500 });
        addTbf(w, socket.nextSeq(), SHAPER, LIMIT);
        addIngress(w, socket.nextSeq(), LOOPBACK);
        addRedirect(w, socket.nextSeq(), LOOPBACK, SHAPER);
      }),
    };
    return DIRECTIONS.filter((direction) => can[direction]);
  });
}

const BRIDGE = 1001;
const PORT = 1002;

/** A feature of the kernel, and not a program. */
type KernelFeature = Exclude<Feature, "ovsdb">;

/** What of a feature this kernel has, each tried on its own. */
export function probeFeatures(namespaces: Namespaces): readonly KernelFeature[] {
  const filters = namespaces.scratch(
    (socket) => ({ inet: hasFamily(socket, k.NFPROTO_INET), bridge: hasFamily(socket, k.NFPROTO_BRIDGE) }),
    k.NETLINK_NETFILTER,
  );
  return namespaces.scratch((socket) => {
    const can = (write: (w: MessageWriter) => void) => () => accepts(socket, write);
    const link = (index: number, kind: string, data?: (w: MessageWriter) => void, more?: (w: MessageWriter) => void) =>
      can((w) => newLink(w, socket.nextSeq(), { index, kind, ...(data && { data }), ...(more && { more }) }));
    // The bridge is what a VLAN stands on, and its port what is isolated; the port is a VXLAN device, as Weft's are.
    link(BRIDGE, "bridge")();
    const vxlan = link(PORT, "vxlan", vxlanData, (w) => w.attrU32(k.IFLA_MASTER, BRIDGE))();
    const has: Readonly<Record<KernelFeature, () => boolean>> = {
      vxlan: () => vxlan,
      isolated: can((w) => isolate(w, socket.nextSeq())),
      vlan: link(
        PORT + 1,
        "vlan",
        (w) => w.attrU16(k.IFLA_VLAN_ID, 1),
        (w) => w.attrU32(k.IFLA_LINK, BRIDGE),
      ),
      // Loading these puts devices into every namespace of the host (ip_gre: gre0, gretap0, erspan0), for good.
      gre: () => hasModule("ip_gre"),
      gre6: () => hasModule("ip6_gre"),
      openvswitch: () => hasModule("openvswitch"),
      nftinet: () => filters.inet,
      nftbridge: () => filters.bridge,
    };
    return FEATURE_NAMES.filter((feature) => feature !== "ovsdb").filter((feature) => has[feature]());
  });
}

type ProbeLink = {
  readonly index: number;
  readonly kind: string;
  readonly data?: (w: MessageWriter) => void;
  readonly more?: (w: MessageWriter) => void;
};

function newLink(w: MessageWriter, seq: number, { index, kind, data, more }: ProbeLink): void {
  w.begin(k.RTM_NEWLINK, CREATE, seq);
  ifinfo(w, k.AF_UNSPEC, index, 0);
  w.attrText(k.IFLA_IFNAME, `probe${index}`);
  more?.(w);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, kind);
    if (data !== undefined) w.nest(k.IFLA_INFO_DATA, () => data(w));
  });
}

function vxlanData(w: MessageWriter): void {
  w.attrU32(k.IFLA_VXLAN_ID, 1);
  w.attrU8(k.IFLA_VXLAN_LEARNING, 0);
}

function isolate(w: MessageWriter, seq: number): void {
  w.begin(k.RTM_SETLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_BRIDGE, PORT, 0);
  w.nest(k.IFLA_PROTINFO, () => w.attrU8(k.IFLA_BRPORT_ISOLATED, 1));
}

function accepts(socket: NetlinkSocket, write: (w: MessageWriter) => void): boolean {
  const w = new MessageWriter(2048);
  write(w);
  let isAccepted = true;
  socket.transact(w, () => {
    isAccepted = false;
  });
  return isAccepted;
}
