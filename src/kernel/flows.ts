// Flows that packets have put into a VRF's sets (datapath/flows.ts), and how to end some of them.
import { setTimeout } from "node:timers/promises";
import { FLOW_SETS, type FlowSet } from "../datapath/flows.ts";
import { GONE, SystemError } from "./errno.ts";
import type { Flow } from "./kernel.ts";
import * as libc from "./libc.ts";
import { batchBegin, batchEnd, eachKey, elementsOf, keyRemoval } from "./netlink/element.ts";
import * as k from "./netlink/constants.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import { MessageWriter, ipTextAt } from "./netlink/wire.ts";

const DELETES_PER_SEND = 300;
const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
/** The only messages of ICMP that begin a flow. */
const ECHO_REQUEST: Readonly<Record<number, number>> = { [ICMP]: 8, [ICMPV6]: 128 };
const writer = new MessageWriter(64 * 1024);

/** Ends the flows for which `isAllowed` says no: how many, in how many transactions. Nothing without such sets. */
export function cutFlows(
  socket: NetlinkSocket,
  isAllowed: (flow: Flow) => boolean,
): { readonly cut: number; readonly transactions: number } {
  let [cut, transactions] = [0, 0];
  for (const set of FLOW_SETS) {
    const doomed = keysIn(socket, set, (flow) => !isAllowed(flow));
    cut += doomed.length;
    for (let from = 0; from < doomed.length; from += DELETES_PER_SEND)
      transactions += removeAll(socket, set.name, doomed.slice(from, from + DELETES_PER_SEND));
  }
  return { cut, transactions };
}

/** Where the kernel has no membarrier(2) that waits (nohz_full, a seccomp filter): far longer than a packet takes. */
const PASSING_MS = 1_000;

/**
 * Waits until no packet is in a rule that it has reached before. Rules run under rcu_read_lock() (nf_hook), and a rule
 * that has found a flow, or allowed one, may put it into its set again right after somebody took it out.
 */
export async function packetsPassed(): Promise<void> {
  try {
    await libc.graceAsync();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    await setTimeout(PASSING_MS);
  }
}

/** Keys of the flows that `isWanted`. There may be many thousands of others, so nothing is made of those but a look. */
function keysIn(socket: NetlinkSocket, set: FlowSet, isWanted: (flow: Flow) => boolean): readonly Buffer[] {
  // A dump that was interrupted is taken again.
  const keys = new Map<string, Buffer>();
  try {
    socket.list(
      k.NFT_MSG_GETSETELEM,
      (w) => elementsOf(w, set.name),
      (message) =>
        eachKey(message, (bytes, from, to) => {
          if (isWanted(flowAt(set, bytes, from)))
            keys.set(bytes.toString("latin1", from, to), Buffer.from(bytes.subarray(from, to)));
        }),
    );
  } catch (error) {
    // No groups, so no such set. Anything else must not look as if there were no flows.
    if (!(error instanceof SystemError && GONE.has(error.errno))) throw error;
  }
  return [...keys.values()];
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

/**
 * One transaction fails whole: a flow that ended by itself meanwhile is left out, and the rest sent again. Throws
 * SystemError if the kernel keeps one.
 */
function removeAll(socket: NetlinkSocket, set: string, keys: readonly Buffer[]): number {
  let left = keys;
  while (left.length > 0) {
    const bySeq = new Map<number, Buffer>();
    writer.reset();
    batchBegin(writer, socket.nextSeq());
    for (const key of left) {
      const seq = socket.nextSeq();
      keyRemoval(writer, seq, set, key);
      bySeq.set(seq, key);
    }
    writer.askForAck();
    batchEnd(writer, socket.nextSeq());
    const gone = new Set<Buffer>();
    socket.exchange(writer, (seq, errno) => {
      const key = bySeq.get(seq);
      if (key === undefined || !GONE.has(errno)) throw new SystemError(`end flows of ${set}`, errno);
      gone.add(key);
    });
    if (gone.size === 0) return 1;
    left = left.filter((key) => !gone.has(key));
  }
  return 0;
}
