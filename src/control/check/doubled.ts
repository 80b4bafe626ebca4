// One address held twice in a VRF: by two leases of the server, by a lease and a journal, by two journals, or by two
// kernels. For each such address one holder stays, and every other is a finding.
import type { Evidence } from "../../model/check.ts";
import { type CheckContext, type Judgement, type Seen, type Verdict, evidenceOf, judgement } from "./judgement.ts";

type Holders = { readonly vrf: string; readonly address: string; readonly all: Seen[] };

export function doubled(seen: readonly Seen[], context: CheckContext, evict: boolean): Judgement[] {
  const held = new Map<string, Holders>();
  for (const one of seen) {
    for (const [vrf, address] of heldBy(one, context)) {
      const key = `${vrf} ${address}`;
      const holders = held.get(key);
      if (holders === undefined) held.set(key, { vrf, address, all: [one] });
      else if (holders.all.at(-1) !== one) holders.all.push(one);
    }
  }
  return [...held.values()].flatMap((holders) => (holders.all.length > 1 ? judge(holders, context, evict) : []));
}

/** What one endpoint holds, in any source; an address may come several times, in a row. */
function heldBy({ lease, entry, port }: Seen, context: CheckContext): [vrf: string, address: string][] {
  const held: [string, string][] = [];
  const hold = (vrf: string | undefined, addresses: readonly string[]) => {
    if (vrf !== undefined) for (const address of addresses) held.push([vrf, address]);
  };
  hold(context.networks.get(lease?.spec.network ?? "")?.spec.vrf, lease?.spec.addresses ?? []);
  hold(context.networks.get(entry?.network ?? "")?.spec.vrf, entry?.addresses ?? []);
  // If Weft gave an interface no address, any address on it is the workload's.
  const given = entry?.addresses ?? lease?.spec.addresses;
  if (given === undefined || given.length > 0) hold(port?.vrf, port?.far?.addresses ?? []);
  return held;
}

function judge({ vrf, address, all }: Holders, context: CheckContext, evict: boolean): Judgement[] {
  const [first, ...others] = all.toSorted(bySeniority);
  if (first === undefined) return [];
  return others.map((one) => {
    const { finding, act } = judgement(one, context, verdictOn(one, first, context, evict));
    const evidence = [first, one].flatMap((holder) =>
      evidenceOf(holder, context).map((item): Evidence => ({ ...item, says: `${holder.endpoint}: ${item.says}` })),
    );
    return { finding: { ...finding, vrf, addresses: [address], evidence }, act };
  });
}

function verdictOn(
  { host, endpoint, lease, entry }: Seen,
  first: Seen,
  context: CheckContext,
  evict: boolean,
): Verdict {
  const rule = "two-holders";
  if (lease === undefined && entry === undefined)
    return { rule, remedy: "the agent removes the unknown port", act: { do: "order", host, order: { do: "settle" } } };
  const before = `${first.endpoint} on ${first.host} had it before`;
  if (!context.checked.has(host) || entry === undefined)
    return { rule, remedy: `${before}; see to ${endpoint} on ${host} first` };
  if (!evict) return { rule, remedy: `${before}; --repair --evict detaches ${endpoint} on ${host}` };
  const order = { do: "detach", endpoint, addresses: entry.addresses, alive: true } as const;
  return { rule, remedy: `the agent of ${host} detaches ${endpoint}: ${before}`, act: { do: "order", host, order } };
}

/**
 * Order in which holders may stay: one whose workload lives before one whose workload is gone, the earlier before the
 * later.
 */
function bySeniority(a: Seen, b: Seen): number {
  return rank(a) - rank(b) || since(a) - since(b) || (a.host + a.endpoint < b.host + b.endpoint ? -1 : 1);
}

function rank({ lease, entry }: Seen): number {
  if (lease === undefined && entry === undefined) return 3;
  if (entry !== undefined && (!entry.alive || entry.state === "detaching")) return 2;
  return lease === undefined ? 1 : 0;
}

function since({ lease, entry }: Seen): number {
  return lease?.revision ?? entry?.revision ?? 0;
}
