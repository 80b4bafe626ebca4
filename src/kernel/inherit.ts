// Takes over links that other programs made in the host's namespace, while they carry traffic: each gets our mark and
// nothing else, but for what cannot be changed once it is ours. What is different and can be changed in place, the next
// round changes. All of a network, or nothing.
import type { KernelObject } from "../datapath/kinds.ts";
import type { Address } from "../datapath/kinds/entries.ts";
import { WEFT_PROTOCOL } from "../datapath/kinds/kind.ts";
import type { Vxlan } from "../datapath/kinds/links.ts";
import type { Vlan } from "../datapath/kinds/vlan.ts";
import { type LinkObject, isLink } from "../datapath/state/state.ts";
import { refusalOf } from "./errno.ts";
import type { Inherited } from "./kernel.ts";
import { linkKindOf } from "./kinds.ts";
import type { SeenLink } from "./kinds/kind.ts";
import type { Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { type AddressInfo, allAddresses, familyNumber, interfaceIn } from "./netlink/entry.ts";
import { type LinkInfo, allLinks, ifinfo, setLink } from "./netlink/link.ts";
import { MessageWriter, fill, flagAt, ipIn } from "./netlink/wire.ts";
import { isOurs } from "./ownership.ts";

type Pair = { readonly link: LinkInfo; readonly found: LinkObject | undefined; readonly wanted: LinkObject };

/** See Kernel.inherit. */
export function inherit(space: Space, wanted: readonly KernelObject[]): Inherited {
  const links = space.socket.list(allLinks, () => true);
  const pairs = wanted.filter(isLink).flatMap((object): readonly Pair[] => {
    const link = links.find(({ name }) => name === object.name);
    return link === undefined || isOurs(link) ? [] : [{ link, found: foundIn(links, link), wanted: object }];
  });
  const addresses = addressesIn(space, links, wanted);
  const differs = [
    ...pairs.flatMap(({ link, found, wanted: object }) => [...differences(link, found, object), ...filtered(link)]),
    ...wanted.flatMap((object) => (object.kind === "vxlan" ? elsewhere(links, object) : [])),
    ...addresses.flatMap(({ there, object }) => otherLength(there, object)),
  ];
  if (pairs.length === 0 || differs.length > 0) return { taken: [], differs };
  const refused = mark(space, pairs, addresses);
  return { taken: refused.length > 0 ? [] : pairs.map(({ link }) => link.name), differs: refused };
}

/** The object that a link of others would be, if Weft makes such links. */
function foundIn(links: readonly LinkInfo[], link: LinkInfo): LinkObject | undefined {
  const nameOf = (index: number) => links.find((other) => other.index === index)?.name;
  const seen: SeenLink = {
    ns: "host",
    common: () => ({ ns: "host", name: link.name, mtu: link.mtu, mac: link.mac, alias: "" }),
    master: link.master === 0 ? undefined : nameOf(link.master),
    far: undefined,
    isExtra: false,
    hostLink: (index) => nameOf(index) ?? "",
    below: nameOf(link.peer),
  };
  const kind = link.kind === "vxlan" || link.kind === "vlan" || link.kind === "bridge" ? link.kind : "";
  return linkKindOf(kind)?.observe.link?.(link, seen) as LinkObject | undefined;
}

/** What of a link cannot be changed while it carries traffic. */
export function differences(
  { name, kind }: Pick<LinkInfo, "name" | "kind">,
  found: LinkObject | undefined,
  wanted: LinkObject,
): string[] {
  const [is, should] = [kind === "" ? "no virtual device" : `a ${kind}`, `a ${wanted.kind}`];
  if (found?.kind !== wanted.kind) return [`${name} is ${is}, not ${should}`];
  const rows: Row[] = [];
  if (found.kind === "vxlan") rows.push(...vxlanRows(found, wanted as Vxlan));
  if (found.kind === "vlan") rows.push(...vlanRows(found, wanted as Vlan));
  if ("master" in wanted) rows.push(["bridge", "master" in found ? found.master : undefined, wanted.master]);
  return rows
    .filter(([, a, b]) => a !== b)
    .map(([what, a, b]) => `${name} has ${what} ${a ?? "none"}, not ${b ?? "none"}`);
}

type Row = readonly [what: string, is: string | number | undefined, should: string | number | undefined];

function vxlanRows(found: Vxlan, wanted: Vxlan): readonly Row[] {
  const family = (text: string) => (text.includes(":") ? "IPv6" : "IPv4");
  const has = found.local === "" ? found.group?.address : found.local;
  return [
    ["VNI", found.vni, wanted.vni],
    ["port", found.port, wanted.port],
    ["an underlay of", family(has ?? wanted.local), family(wanted.local)],
  ];
}

function vlanRows(found: Vlan, wanted: Vlan): readonly Row[] {
  return [
    ["VLAN", found.id, wanted.id],
    ["protocol", protocolOf(found), protocolOf(wanted)],
    ["below it", found.link, wanted.link],
  ];
}

function protocolOf({ isOuter }: Vlan): string {
  return isOuter === true ? "802.1ad" : "802.1Q";
}

/** A bridge that filters VLANs has entries per VLAN, and ports that drop what Weft sends. */
function filtered({ kind, name, data }: LinkInfo): readonly string[] {
  if (kind !== "bridge") return [];
  const { filters } = fill({ filters: false }, { [k.IFLA_BR_VLAN_FILTERING]: ["filters", flagAt] }, data);
  return filters ? [`${name} filters VLANs (vlan_filtering 1)`] : [];
}

/** The kernel has one device of a VNI and port: under another name it is in the way. */
function elsewhere(links: readonly LinkInfo[], wanted: Vxlan): readonly string[] {
  return links
    .filter((link) => link.kind === "vxlan" && link.name !== wanted.name && !isOurs(link))
    .filter((link) => {
      const found = foundIn(links, link);
      return found?.kind === "vxlan" && found.vni === wanted.vni && found.port === wanted.port;
    })
    .map(({ name }) => `its VNI ${wanted.vni} is that of ${name}: give the network that device, or remove it`);
}

type OnBridge = { readonly object: Address; readonly index: number; readonly there: AddressInfo };

/** Addresses that are wanted, as others have put them on the link. */
function addressesIn(
  { socket }: Space,
  links: readonly LinkInfo[],
  wanted: readonly KernelObject[],
): readonly OnBridge[] {
  const all = socket.list(allAddresses);
  return wanted.flatMap((object): readonly OnBridge[] => {
    if (object.kind !== "address") return [];
    const ip = object.cidr.slice(0, object.cidr.indexOf("/"));
    const index = links.find(({ name }) => name === object.dev)?.index;
    const there = all.find((one) => one.index === index && one.ip === ip && one.protocol !== WEFT_PROTOCOL);
    return there === undefined || index === undefined ? [] : [{ object, index, there }];
  });
}

function otherLength({ ip, length }: AddressInfo, { dev, cidr }: Address): readonly string[] {
  return cidr === `${ip}/${length}` ? [] : [`${dev} has ${ip}/${length}, not ${cidr}`];
}

/** Tunnels first, as the kernel may refuse them another source address; then nothing has been taken over. */
function mark({ socket }: Space, pairs: readonly Pair[], addresses: readonly OnBridge[]): readonly string[] {
  const refused: string[] = [];
  const send = (write: (w: MessageWriter) => void) => {
    const w = new MessageWriter(4096);
    write(w);
    if (w.count > 0) socket.transact(w, (_seq, errno, text) => void refused.push(refusalOf(errno, text).message));
    return refused.length === 0;
  };
  const isDone =
    send((w) => {
      for (const { link, found, wanted } of pairs)
        if (wanted.kind === "vxlan" && found?.kind === "vxlan" && found.local !== wanted.local)
          setLocal(w, socket.nextSeq(), link.index, wanted.local);
    }) &&
    send((w) => {
      for (const { link, wanted } of pairs) {
        // A bridge whose MAC was given does not take another one when its ports change.
        const mac = wanted.kind === "bridge" ? { mac: link.mac } : {};
        setLink(w, socket.nextSeq(), link.index, { alias: wanted.alias, ...mac, staysDown: true });
      }
      for (const { object, index } of addresses) remark(w, socket.nextSeq(), index, object.cidr);
    });
  return isDone ? [] : refused;
}

/** The source address of its packets. Other attributes stay (vxlan_nl2conf). */
function setLocal(w: MessageWriter, seq: number, index: number, local: string): void {
  const ip = ipIn(local);
  w.begin(k.RTM_NEWLINK, k.NLM_F_REQUEST, seq);
  ifinfo(w, k.AF_UNSPEC, index, 0);
  w.nest(k.IFLA_LINKINFO, () => {
    w.attrText(k.IFLA_INFO_KIND, "vxlan");
    w.nest(k.IFLA_INFO_DATA, () => w.attrIp(ip.family === 4 ? k.IFLA_VXLAN_LOCAL : k.IFLA_VXLAN_LOCAL6, ip));
  });
}

/** The kernel changes the protocol of an address in place (inet_rtm_newaddr, inet6_addr_modify). */
function remark(w: MessageWriter, seq: number, index: number, cidr: string): void {
  const { ip, length } = interfaceIn(cidr);
  w.begin(k.RTM_NEWADDR, k.NLM_F_REQUEST | k.NLM_F_REPLACE, seq);
  w.u8s(familyNumber(ip), length, ip.family === 6 ? k.IFA_F_NODAD : 0, k.RT_SCOPE_UNIVERSE);
  w.u32(index);
  w.attrIp(k.IFA_LOCAL, ip);
  w.attrIp(k.IFA_ADDRESS, ip);
  w.attrU8(k.IFA_PROTO, WEFT_PROTOCOL);
}
