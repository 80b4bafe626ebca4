// The netlink messages that a running agent sent, byte for byte, out of a trace of its system calls: links, addresses,
// routes (rtnetlink), elements of sets (nfnetlink). Knows of netlink only what a replay needs: which messages change
// something, and where in them a namespace's descriptor stands.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Put before an agent's argument list; the agent keeps its process id. One file per thread, named `<prefix>.<tid>`. */
export function traced(prefix: string): string[] {
  const calls = "trace=openat,socket,setns,sendto,sendmsg";
  return ["strace", "-D", "-ff", "-o", prefix, "-ttt", "-y", "-e", calls, "-e", "write=all", "-e", "signal=none", "--"];
}

type Protocol = "NETLINK_ROUTE" | "NETLINK_NETFILTER";

/** One datagram to the kernel. */
export type Sent = {
  readonly atMs: number;
  readonly protocol: Protocol;
  /** Path of the namespace that the socket belongs to; undefined: the agent's own. */
  readonly netns: string | undefined;
  /** When the socket was made. */
  readonly openedAtMs: number;
  readonly bytes: Buffer;
  /** Where in the bytes the descriptor of which namespace stands. */
  readonly patches: readonly { readonly offset: number; readonly netns: string }[];
};

const PROTOCOLS: readonly Protocol[] = ["NETLINK_ROUTE", "NETLINK_NETFILTER"];
const NETNS = /^\/run\/netns\//;

/** All datagrams of a traced process that change something, in order. */
export function readTrace(prefix: string): Sent[] {
  const files = readdirSync(dirname(prefix)).filter((name) => name.startsWith(`${basename(prefix)}.`));
  const calls = files.flatMap((name) => callsOf(readFileSync(join(dirname(prefix), name), "latin1"), name));
  return sendsOf(calls.toSorted((a, b) => a.atMs - b.atMs));
}

type Call = { readonly atMs: number; readonly thread: string; readonly text: string; readonly data: Buffer };

/** Each line of a call, with the dump of what it sent below it. */
function callsOf(trace: string, thread: string): Call[] {
  const calls: { atMs: number; thread: string; text: string; hex: string }[] = [];
  for (const line of trace.split("\n")) {
    const call = /^(\d+\.\d+) (.*)$/.exec(line);
    const dump = /^ \| [0-9a-f]+ {2}([0-9a-f ]{48,49})/.exec(line);
    if (call !== null) calls.push({ atMs: Number(call[1]) * 1000, thread, text: call[2] ?? "", hex: "" });
    const last = calls.at(-1);
    if (dump !== null && last !== undefined) last.hex += (dump[1] ?? "").replaceAll(" ", "");
  }
  return calls.map(({ hex, ...call }) => ({ ...call, data: Buffer.from(hex, "hex") }));
}

type Socket = Pick<Sent, "protocol" | "netns" | "openedAtMs">;

function sendsOf(calls: readonly Call[]): Sent[] {
  const spaces = new Map<string, string | undefined>();
  const sockets = new Map<string, Socket>();
  const descriptors = new Map<number, string>();
  const sends: Sent[] = [];
  for (const { atMs, thread, text, data } of calls) {
    const entered = /^setns\(\d+<(.*?)>, CLONE_NEWNET\) += 0/.exec(text);
    const opened = /^openat\(.*\) += (\d+)<(.*?)>$/.exec(text);
    const made = /^socket\((.*)\) += (\d+)</.exec(text);
    const sent = /^send(?:to|msg)\((\d+)</.exec(text);
    if (entered !== null) spaces.set(thread, NETNS.test(entered[1] ?? "") ? entered[1] : undefined);
    if (opened !== null) descriptors.set(Number(opened[1]), opened[2] ?? "");
    if (made !== null) {
      // The number may have been another socket's before.
      sockets.delete(made[2] ?? "");
      const protocol = PROTOCOLS.find((name) => made[1]?.endsWith(name) === true);
      if (protocol !== undefined) {
        sockets.set(made[2] ?? "", { protocol, netns: spaces.get(thread), openedAtMs: atMs });
      }
    }
    const socket = sockets.get(sent?.[1] ?? "");
    if (sent === null || socket === undefined || !text.includes("nlmsg_len")) continue;
    if (!isChange(socket.protocol, data)) continue;
    sends.push({ ...socket, atMs, bytes: data, patches: patchesIn(data, descriptors) });
  }
  return sends;
}

const NFNL_MSG_BATCH_BEGIN = 0x10;

/** rtnetlink counts its messages in fours: new, delete, get, set. nfnetlink has its changes in transactions. */
function isChange(protocol: Protocol, bytes: Buffer): boolean {
  if (bytes.length < 16) return false;
  const type = bytes.readUInt16LE(4);
  return protocol === "NETLINK_ROUTE" ? type % 4 !== 2 : type === NFNL_MSG_BATCH_BEGIN;
}

const RTM_NEWLINK = 16;
/** IFLA_LINKINFO > IFLA_INFO_DATA > VETH_INFO_PEER, which begins with another ifinfomsg, > IFLA_NET_NS_FD. */
const PATH_TO_FD = [
  { type: 18, skip: 0 },
  { type: 2, skip: 0 },
  { type: 1, skip: 16 },
  { type: 28, skip: 0 },
] as const;

function patchesIn(bytes: Buffer, descriptors: ReadonlyMap<number, string>): Sent["patches"] {
  const patches: { offset: number; netns: string }[] = [];
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < 16) break;
    const offset = bytes.readUInt16LE(at + 4) === RTM_NEWLINK ? descriptorIn(bytes, at + 32, at + length) : undefined;
    const netns = offset === undefined ? undefined : descriptors.get(bytes.readUInt32LE(offset));
    if (offset !== undefined && netns !== undefined) patches.push({ offset, netns });
    at += (length + 3) & ~3;
  }
  return patches;
}

/** Where the value of IFLA_NET_NS_FD is, following PATH_TO_FD from the attributes in [start, end). */
function descriptorIn(bytes: Buffer, start: number, end: number): number | undefined {
  let range = { from: start, to: end };
  for (const { type, skip } of PATH_TO_FD) {
    const found = attributeIn(bytes, range.from, range.to, type);
    if (found === undefined) return undefined;
    range = { from: found.from + skip, to: found.to };
  }
  return range.from;
}

function attributeIn(
  bytes: Buffer,
  start: number,
  end: number,
  type: number,
): { from: number; to: number } | undefined {
  for (let at = start; at + 4 <= end; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) return undefined;
    // The top bits say "nested" and "network byte order".
    if ((bytes.readUInt16LE(at + 2) & 0x3fff) === type) return { from: at + 4, to: at + length };
    at += (length + 3) & ~3;
  }
  return undefined;
}
