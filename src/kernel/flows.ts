// Flows that packets have put into a VRF's sets (datapath/policy/flows.ts): which of them are no longer allowed, or too
// many, and how to end them.
import { setTimeout } from "node:timers/promises";
import { FLOWS, FLOW_SETS, type FlowSet } from "../datapath/policy/flows.ts";
import { SystemError, isGone } from "./errno.ts";
import type { Flow } from "./kernel.ts";
import * as libc from "./libc.ts";
import { keyRemoval, keysOf, transactElements } from "./netlink/element.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import { ipTextAt } from "./netlink/wire.ts";

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
/** The only ICMP messages that begin a flow. */
const ECHO_REQUEST: Readonly<Record<number, number>> = { [ICMP]: 8, [ICMPV6]: 128 };

/** The keys of those flows of a set that are to end. */
export type FlowsToEnd = (socket: NetlinkSocket, set: FlowSet) => readonly Buffer[];

/**
 * Ends flows, less those that end by themselves meanwhile; returns how many, in how many transactions. Does nothing
 * without such sets. Throws if the kernel keeps one.
 */
export function endFlows(
  socket: NetlinkSocket,
  flowsToEnd: FlowsToEnd,
): { readonly cut: number; readonly transactions: number } {
  let [cut, transactions] = [0, 0];
  for (const set of FLOW_SETS) {
    const doomed = flowsToEnd(socket, set);
    cut += doomed.length;
    transactions += transactElements(
      socket,
      doomed,
      (w, key, nextSeq) => keyRemoval(w, nextSeq(), set.name, key),
      (_key, { class: kind, message }) => {
        if (kind !== "missing") throw new Error(`end flows of ${set.name}: ${message}`);
      },
    );
  }
  return { cut, transactions };
}

/** Those that `isAllowed` forbids. */
export function forbiddenBy(isAllowed: (flow: Flow) => boolean): FlowsToEnd {
  return (socket, set) => keysIn(socket, set, (bytes, from) => !isAllowed(flowAt(set, bytes, from)));
}
/** For kernels without a membarrier(2) that waits (nohz_full, a seccomp filter): far longer than a packet takes. */
const PASSING_MS = 1_000;

/**
 * Waits until no packet is in a rule that it reached before the call. Rules run under rcu_read_lock() (nf_hook), and a
 * rule that has found a flow, or allowed one, may put it into its set again right after it was deleted.
 */
export async function packetsPassed(): Promise<void> {
  try {
    await libc.graceAsync();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    await setTimeout(PASSING_MS);
  }
}

/**
 * Those for which sets that are more than half full have no room: the owners with most flows lose some, and an owner
 * with fewer loses none. `ownerOf` names the owner of a flow by its address: the sender in sets of senders, else the
 * receiver.
 */
export function tooMany(ownerOf: (address: string) => string): FlowsToEnd {
  return (socket, set) => {
    const room = Math.floor(FLOWS[set.kind] / 2);
    const rawAt = (bytes: Buffer, key: number) => bytes.toString("latin1", ...ownerPlace(set, key));
    let total = 0;
    const byAddress = new Map<string, number>();
    eachFlow(socket, set, (bytes, key) => {
      const raw = rawAt(bytes, key);
      total++;
      byAddress.set(raw, (byAddress.get(raw) ?? 0) + 1);
    });
    if (total <= room) return [];
    const owners = new Map<string, string>();
    const had = new Map<string, number>();
    for (const [raw, count] of byAddress) {
      const owner = ownerOf(ipTextAt(Buffer.from(raw, "latin1"), 0, raw.length));
      owners.set(raw, owner);
      had.set(owner, (had.get(owner) ?? 0) + count);
    }
    const most = levelOf([...had.values()], room);
    const seen = new Map<string, number>();
    return keysIn(socket, set, (bytes, key) => {
      const owner = owners.get(rawAt(bytes, key)) ?? "";
      const count = (seen.get(owner) ?? 0) + 1;
      seen.set(owner, count);
      return count > most;
    });
  };
}

/** How many flows each owner may keep, so that all together have at most `room`; without limit if they have less. */
export function levelOf(counts: readonly number[], room: number): number {
  let left = room;
  const ascending = [...counts].sort((a, b) => a - b);
  for (const [i, count] of ascending.entries()) {
    const share = Math.floor(left / (ascending.length - i));
    if (count > share) return share;
    left -= count;
  }
  return Number.POSITIVE_INFINITY;
}

function ownerPlace({ side, family }: FlowSet, key: number): readonly [number, number] {
  const size = family === 4 ? 4 : 16;
  const from = side === "out" ? key : key + size;
  return [from, from + size];
}

/** Keys of the flows that `isWanted`. There may be many thousands of others, so no objects are made of those. */
function keysIn(socket: NetlinkSocket, set: FlowSet, isWanted: (bytes: Buffer, from: number) => boolean): Buffer[] {
  // A dump that was interrupted is taken again.
  const keys = new Map<string, Buffer>();
  eachFlow(socket, set, (bytes, from, to) => {
    if (isWanted(bytes, from)) keys.set(bytes.toString("latin1", from, to), Buffer.from(bytes.subarray(from, to)));
  });
  return [...keys.values()];
}

function eachFlow(socket: NetlinkSocket, set: FlowSet, visit: (bytes: Buffer, from: number, to: number) => void): void {
  try {
    socket.list(keysOf(set.name, visit));
  } catch (error) {
    // Without groups there is no such set. Any other error must not look as if there were no flows.
    if (!(error instanceof SystemError && isGone(error.errno))) throw error;
  }
}

/** Fields are padded to four bytes each. */
function flowAt({ side, kind, family }: FlowSet, bytes: Buffer, at: number): Flow {
  const size = family === 4 ? 4 : 16;
  const middle = at + size;
  const behind = middle + size;
  const [source, destination] = [ipTextAt(bytes, at, middle), ipTextAt(bytes, middle, behind)];
  if (kind !== "other")
    return {
      side,
      source,
      destination,
      protocol: kind === "tcp" ? TCP : UDP,
      destinationPort: bytes.readUInt16BE(behind + 4),
    };
  const protocol = bytes.readUInt8(behind);
  const icmpType = ECHO_REQUEST[protocol];
  return { side, source, destination, protocol, ...(icmpType === undefined ? {} : { icmpType }) };
}
