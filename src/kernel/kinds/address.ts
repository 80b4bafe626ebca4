// Addresses of links. One on a link of ours is ours if it has our protocol number, or none (before Linux 5.18) and is
// neither link-local nor temporary, as those that the kernel makes are. In the host's namespace only the number counts.
import type { Address } from "../../datapath/kinds/entries.ts";
import { WEFT_PROTOCOL } from "../../datapath/kinds/kind.ts";
import { keyOf, type OpOn } from "../../datapath/state/state.ts";
import { cidrAround, interfaceOf } from "../../model/address.ts";
import { EEXIST, refusalOf, refuse } from "../errno.ts";
import type { FakeDevice, Machine } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import { type AddressInfo, addressesOfLink, allAddresses, familyNumber, interfaceIn } from "../netlink/entry.ts";
import { isOurAddress } from "../ownership.ts";
import { FLAGS, entryKind, listIn } from "./entry.ts";
import { ADDRESS_EVENTS } from "./events.ts";
import type { Existing, Reading, StepContext } from "./kind.ts";

export const address = entryKind<Address, AddressInfo>({
  isInWorkloads: true,
  encode,
  explain,
  list,
  decode: ({ ip, length }, on) => ({ kind: "address", ...on, cidr: `${ip}/${length}` }),
  events: ADDRESS_EVENTS,
  fake: {
    check: (_machine, device, object) => check(device, object),
    added(machine, { ns }, object, isNew) {
      if (isNew) count(machine.space(ns).locals, ipOf(object), 1);
    },
    gone: ({ locals }, object) => count(locals, ipOf(object), -1),
    cascade,
    connects({ cidr }) {
      const spread = interfaceOf(cidr);
      return spread === undefined ? undefined : cidrAround(spread.ip, spread.length);
    },
  },
});

/** IPv6 without duplicate address detection. It carries our protocol number, where the kernel keeps one (5.18). */
function encode(context: StepContext, { op, object }: OpOn<Address>): void {
  const { ip, length } = interfaceIn(object.cidr);
  const index = context.indexOf(object.dev);
  const isRemoval = op === "remove";
  const w = context.begin(isRemoval ? k.RTM_DELADDR : k.RTM_NEWADDR, FLAGS[isRemoval ? "delete" : "create"]);
  w.u8s(familyNumber(ip), length, ip.family === 6 && !isRemoval ? k.IFA_F_NODAD : 0, k.RT_SCOPE_UNIVERSE);
  w.u32(index);
  w.attrIp(k.IFA_LOCAL, ip);
  w.attrIp(k.IFA_ADDRESS, ip);
  if (!isRemoval) w.attrU8(k.IFA_PROTO, WEFT_PROTOCOL);
}

function explain(existing: Existing, { dev, cidr }: Address) {
  const { space } = existing;
  const index = space.indexes.get(dev) ?? 0;
  const ip = cidr.slice(0, cidr.indexOf("/"));
  const read = () => {
    const all = listIn(space, addressesOfLink(index), (found) => found.index === index);
    return new Map(all.map((found) => [found.ip, found]));
  };
  const there = existing.table(`addresses of ${index}`, read, (table) => table.has(ip)).get(ip);
  if (there === undefined) return refusalOf(EEXIST);
  const found = `${there.ip}/${there.length}`;
  // There it would never be seen as ours.
  if (space.ns === "host" && there.protocol !== WEFT_PROTOCOL)
    return refusalOf(EEXIST, `${dev} has ${found} from another program`);
  return found === cidr ? undefined : refusalOf(EEXIST, `${dev} has ${found}`);
}

/** A workload's are asked for by link: its root may have any number of other addresses, and change them at any time. */
function list({ space: { socket }, isWorkload, isHost, indexes }: Reading): readonly AddressInfo[] {
  if (isHost) return markedIn(socket.list(allAddresses));
  if (!isWorkload) return socket.list(allAddresses, isOurAddress);
  const isWanted = (one: AddressInfo) => isOurAddress(one) && indexes.has(one.index);
  return [...indexes].flatMap((index) => socket.listAny(addressesOfLink(index), isWanted));
}

/**
 * Programs of the host may put addresses on a bridge of ours there (a virtual IP of keepalived, say), and these stay
 * theirs. A kernel that keeps protocols (5.18) has one at least on the loopback.
 */
function markedIn(all: readonly AddressInfo[]): readonly AddressInfo[] {
  const keepsProtocols = all.some(({ protocol }) => protocol !== 0);
  return all.filter((one) => (keepsProtocols ? one.protocol === WEFT_PROTOCOL : isOurAddress(one)));
}

/** IPv6 knows an address by itself, without its length. */
function check(device: FakeDevice, object: Address): void {
  if (device.entries.has(keyOf(object)) || !object.cidr.includes(":")) return;
  for (const other of device.entries.values()) {
    if (other.kind === "address" && ipOf(other) === ipOf(object)) refuse("exists", `there is ${other.cidr}`);
  }
}

/** The last IPv4 address takes the routes of its link along; each address those that have it as their source. */
function cascade(machine: Machine, device: FakeDevice, gone: Address): void {
  const isV6 = gone.cidr.includes(":");
  const entries = [...device.entries.values()];
  const isLast = !isV6 && !entries.some((entry) => entry.kind === "address" && !entry.cidr.includes(":"));
  for (const entry of entries) {
    if (entry.kind !== "route" || entry.dst.includes(":") !== isV6) continue;
    if (!isLast && entry.src !== ipOf(gone)) continue;
    machine.forget(device, entry);
    // An IPv6 route stays and loses its source.
    const { src: _, ...rest } = entry;
    if (isV6) machine.addEntry(rest, true);
  }
}

function ipOf({ cidr }: Address): string {
  return cidr.slice(0, cidr.indexOf("/"));
}

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const number = (counts.get(key) ?? 0) + change;
  if (number > 0) counts.set(key, number);
  else counts.delete(key);
}
