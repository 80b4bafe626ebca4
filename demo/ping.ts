// Pings between all workloads, shown as a matrix of round-trip times.
import { table, type Cell } from "../src/cli/output/table.ts";
import type { Io } from "../src/cli/io.ts";
import { run } from "./run.ts";
import { inNetns } from "./underlay.ts";

/** A workload with the address it got. */
export type Peer = {
  readonly name: string;
  readonly netns: string;
  readonly host: string;
  readonly network: string;
  readonly ip: string;
};

/** Best round-trip time; undefined if there was no answer. */
type Ms = number | undefined;

export async function ping(netns: string, ip: string): Promise<Ms> {
  const { stdout } = await run(inNetns(netns, ["ping", "-n", "-q", "-c", "3", "-i", "0.05", "-W", "1", ip]));
  const best = /= ([\d.]+)\/[\d.]+\/[\d.]+/.exec(stdout)?.[1];
  return best === undefined ? undefined : Number(best);
}

export type Matrix = {
  readonly peers: readonly Peer[];
  /** By source and destination. */
  readonly rtt: readonly (readonly Ms[])[];
};

/** Every ordered pair of the peers. */
export async function pingAll(peers: readonly Peer[]): Promise<Matrix> {
  const rtt = await Promise.all(
    peers.map((from) => Promise.all(peers.map(async (to) => (from === to ? undefined : ping(from.netns, to.ip))))),
  );
  return { peers, rtt };
}

export function isComplete({ peers, rtt }: Matrix): boolean {
  return peers.every((_, i) => peers.every((_other, j) => i === j || rtt[i]?.[j] !== undefined));
}

export function matrixText(io: Pick<Io, "color">, { peers, rtt }: Matrix): string {
  const cell = (i: number, j: number): Cell => {
    if (i === j) return { text: "·", tone: "dim" };
    const ms = rtt[i]?.[j];
    return ms === undefined ? { text: "lost", tone: "bad" } : { text: `${ms.toFixed(2)} ms`, tone: "good" };
  };
  const rows = peers.map((peer, i) => [`  ${peer.name}`, peer.host, peer.ip, ...peers.map((_, j) => cell(i, j))]);
  return table(io, ["  FROM", "HOST", "ADDRESS", ...peers.map((peer) => `TO ${peer.name}`)], rows);
}
