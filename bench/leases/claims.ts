// What the clients of the lease bench ask for, and how they ask: the n-th lease is the same whoever asks for it, so
// that one process can give back what another took.
import { createHash } from "node:crypto";
import type { EndpointClaim } from "../../src/model/input.ts";
import { endpointName } from "../../src/model/resource.ts";

/** One network with room for sixteen million. */
export const NETWORK = { name: "leases", cidr: "10.0.0.0/8" } as const;
export const HOST = "h1";
const IFNAME = "eth0";

/** Names without order, as container runtimes give them: names that count up would all meet in one page of an index. */
export function claimOf(n: number): EndpointClaim {
  const owner = createHash("sha256").update(String(n)).digest("hex").slice(0, 32);
  return { network: NETWORK.name, host: HOST, owner, ifname: IFNAME, netns: `/run/netns/${owner}` };
}

export function endpointOf(n: number): string {
  return endpointName(claimOf(n).owner, IFNAME);
}

/**
 * What leases took: milliseconds from the first question to the last answer, those of each, and microseconds of
 * processor time of the process that asked.
 */
export type ClaimsRun = { readonly ms: number; readonly samples: readonly number[]; readonly cpuUs: number };

/**
 * Asks for every item, `clients` at a time: each client waits for an answer before it asks again, as real ones do.
 */
export async function inFlight<T>(
  items: readonly T[],
  clients: number,
  ask: (item: T, client: number) => Promise<unknown>,
): Promise<ClaimsRun> {
  const samples: number[] = [];
  let next = 0;
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  const work = async (client: number) => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) {
      const askedMs = performance.now();
      await ask(item, client);
      samples.push(performance.now() - askedMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  const { user, system } = process.cpuUsage(startedCpu);
  return { ms: performance.now() - startedMs, samples, cpuUs: user + system };
}
