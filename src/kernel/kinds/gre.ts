// GRE devices to one peer: gretap and ip6gretap. A device that is not as Weft makes them (checksums, sequence numbers,
// TTL, DF) is read as not intact, and set again.
import { type Gretap, type Ip6gretap, GRE_TTL } from "../../datapath/kinds/gre.ts";
import * as k from "../netlink/constants.ts";
import { type LinkInfo, CREATE, ifinfo, setLink } from "../netlink/link.ts";
import { type Layout, type MessageWriter, fill, flagAt, ipIn, ipTextAt, u32At, u8At } from "../netlink/wire.ts";
import type { SeenLink, StepContext } from "./kind.ts";
import { configureTunnelPort, linkKind, tunnelPortOf } from "./links.ts";

export const gretap = greKind<Gretap>("gretap", {
  write(w) {
    w.attrU8(k.IFLA_GRE_PMTUDISC, 0);
    w.attrU8(k.IFLA_GRE_IGNORE_DF, 1);
  },
  isIntact: ({ pmtudisc, ignoresDf }) => !pmtudisc && ignoresDf,
});

export const ip6gretap = greKind<Ip6gretap>("ip6gretap", {
  write: (w) => w.attrU32(k.IFLA_GRE_FLAGS, k.IP6_TNL_F_IGN_ENCAP_LIMIT),
  isIntact: ({ flags }) => (flags & k.IP6_TNL_F_OF_USERS) === k.IP6_TNL_F_IGN_ENCAP_LIMIT,
});

/** What a family has of its own. */
type Own = { readonly write: (w: MessageWriter) => void; readonly isIntact: (info: GreInfo) => boolean };

function greKind<T extends Gretap | Ip6gretap>(kind: T["kind"], own: Own) {
  return linkKind<T>({
    create: (context, object) => create(context, object, own),
    configure: (context, object, index) => configure(context, object, index, own),
    decode(link, seen) {
      const info = fill<GreInfo>({ ...NO_INFO }, GRE, link.data);
      const isPlain = info.iflags === k.GRE_KEY && info.oflags === k.GRE_KEY && info.ttl === GRE_TTL;
      const isPort = seen.master === undefined || link.isolated;
      const common = seen.common(isPlain && isPort && own.isIntact(info));
      const ends = {
        key: info.ikey === info.okey ? info.ikey : 0,
        local: localOf(link, seen, info),
        remote: info.remote,
      };
      return { kind, ...common, ...ends, ...tunnelPortOf(link, seen) } as T;
    },
    fake: { claim: ({ key, local, remote }) => `gre ${key} ${local} ${remote}` },
  });
}

/** One that was not made for the host's namespace sends from its own: another device, that leads nowhere. */
function localOf({ peerNsid }: LinkInfo, { ns }: SeenLink, { local }: GreInfo): string {
  return (peerNsid === undefined) === (ns === "host") ? local : "";
}

/**
 * Asked for in its own namespace, with the host's as the one of its packets (IFLA_LINK_NETNSID): the kernel makes it
 * there and moves it at once (until Linux 6.14), or makes it here for there. So there is no moment at which it is half
 * made, or stands in the host's namespace. It comes up last, because until it is isolated it would be a loop.
 */
function create(context: StepContext, object: Gretap | Ip6gretap, own: Own): void {
  const master = object.master === undefined ? undefined : context.indexOf(object.master);
  const hostNsid = object.ns === "host" ? undefined : context.hostNsid();
  const index = context.newIndex(object.ns, object.name);
  const w = context.begin(k.RTM_NEWLINK, CREATE);
  ifinfo(w, k.AF_UNSPEC, index, 0);
  w.attrText(k.IFLA_IFNAME, object.name);
  w.attrMac(k.IFLA_ADDRESS, object.mac);
  if (master !== undefined) w.attrU32(k.IFLA_MASTER, master);
  if (hostNsid !== undefined) w.attrU32(k.IFLA_LINK_NETNSID, hostNsid);
  writeTunnel(w, object, own);
  if (master !== undefined) configurePort(context, object, index);
  setLink(w, context.seq(), index, { alias: object.alias, forwards: true });
}

/** A change of what the tunnel is needs all of it, and the MTU, which the kernel would choose anew without. */
function configure(context: StepContext, object: Gretap | Ip6gretap, index: number, own: Own): void {
  const w = context.begin(k.RTM_NEWLINK, k.NLM_F_REQUEST);
  ifinfo(w, k.AF_UNSPEC, index, k.IFF_UP);
  writeTunnel(w, object, own);
  if (object.master !== undefined) configurePort(context, object, index);
}

function configurePort(context: StepContext, object: Gretap | Ip6gretap, index: number): void {
  configureTunnelPort(context, object, index, (w) => w.attrU8(k.IFLA_BRPORT_ISOLATED, 1));
}

function writeTunnel(w: MessageWriter, { kind, mtu, key, local, remote }: Gretap | Ip6gretap, own: Own): void {
  w.attrU32(k.IFLA_MTU, mtu);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, kind);
    w.nest(k.IFLA_INFO_DATA, () => {
      for (const flags of [k.IFLA_GRE_IFLAGS, k.IFLA_GRE_OFLAGS]) w.attrU16(flags, bigEndian16(k.GRE_KEY));
      for (const one of [k.IFLA_GRE_IKEY, k.IFLA_GRE_OKEY]) w.attrU32(one, bigEndian32(key));
      w.attrIp(k.IFLA_GRE_LOCAL, ipIn(local));
      w.attrIp(k.IFLA_GRE_REMOTE, ipIn(remote));
      w.attrU8(k.IFLA_GRE_TTL, GRE_TTL);
      own.write(w);
    });
  });
}

/** Numbers of the packet are in network byte order. */
const bigEndian16 = (value: number) => (value >>> 8) | ((value & 0xff) << 8);
const bigEndian32 = (value: number) => (bigEndian16(value & 0xffff) << 16) | bigEndian16(value >>> 16);

type GreInfo = {
  readonly iflags: number;
  readonly oflags: number;
  readonly ikey: number;
  readonly okey: number;
  readonly local: string;
  readonly remote: string;
  readonly ttl: number;
  readonly pmtudisc: boolean;
  readonly ignoresDf: boolean;
  readonly flags: number;
};

const NO_INFO: GreInfo = {
  iflags: 0,
  oflags: 0,
  ikey: 0,
  okey: 0,
  local: "",
  remote: "",
  ttl: 0,
  pmtudisc: false,
  ignoresDf: false,
  flags: 0,
};

const u16BeAt = (bytes: Buffer, at: number) => bytes.readUInt16BE(at);
const u32BeAt = (bytes: Buffer, at: number) => bytes.readUInt32BE(at);

const GRE: Layout<GreInfo> = {
  [k.IFLA_GRE_IFLAGS]: ["iflags", u16BeAt],
  [k.IFLA_GRE_OFLAGS]: ["oflags", u16BeAt],
  [k.IFLA_GRE_IKEY]: ["ikey", u32BeAt],
  [k.IFLA_GRE_OKEY]: ["okey", u32BeAt],
  [k.IFLA_GRE_LOCAL]: ["local", ipTextAt],
  [k.IFLA_GRE_REMOTE]: ["remote", ipTextAt],
  [k.IFLA_GRE_TTL]: ["ttl", u8At],
  [k.IFLA_GRE_PMTUDISC]: ["pmtudisc", flagAt],
  [k.IFLA_GRE_IGNORE_DF]: ["ignoresDf", flagAt],
  [k.IFLA_GRE_FLAGS]: ["flags", u32At],
};
