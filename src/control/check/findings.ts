// Finds what is wrong with addresses, from what the server, the journals and the kernels say at about one time. Pure: a
// snapshot and the inventories of some hosts in, findings out. It says nothing about hosts without an inventory. A
// difference is not yet an error, because the sources were not read at one moment: the caller looks twice (check.ts).
// To add a rule: a row in RULES (model/check.ts), a judge here, a line in docs/operations.md.
import { type Cidr, cidrOf } from "../../model/address.ts";
import type { Inventory } from "../../model/check.ts";
import { nameOnHost } from "../../model/endpointName.ts";
import type { Snapshot } from "../../model/resource.ts";
import { blockFindings } from "./blocks.ts";
import { doubled } from "./doubled.ts";
import { judgeEndpoint } from "./endpoints.ts";
import type { CheckContext, Judgement, Seen } from "./judgement.ts";

/**
 * Every finding, in no particular order. `evict`: of two endpoints with one address, the later one is to be detached.
 */
export function findingsOf(
  snapshot: Snapshot,
  inventories: ReadonlyMap<string, Inventory>,
  { evict = false }: { readonly evict?: boolean } = {},
): Judgement[] {
  const context = groundOf(snapshot, inventories);
  const seen = seenIn(snapshot, inventories);
  return [
    ...seen.flatMap((one) => judgeEndpoint(one, context)),
    ...doubled(seen, context, evict),
    ...blockFindings(snapshot, context),
  ];
}

function groundOf(snapshot: Snapshot, inventories: ReadonlyMap<string, Inventory>): CheckContext {
  const pieces = new Map<string, Cidr[]>();
  for (const { spec } of snapshot.blocks) {
    const cidr = cidrOf(spec.cidr);
    const key = `${spec.network} ${spec.host}`;
    if (cidr !== undefined) pieces.set(key, [...(pieces.get(key) ?? []), cidr]);
  }
  return {
    networks: new Map(snapshot.networks.map((network) => [network.name, network])),
    hosts: new Set(snapshot.hosts.map((host) => host.name)),
    checked: new Set(inventories.keys()),
    leases: new Map(snapshot.endpoints.map((endpoint) => [endpoint.name, endpoint])),
    pieces,
  };
}

/** Endpoints that an attach or detach is working on are not judged now. */
function seenIn(snapshot: Snapshot, inventories: ReadonlyMap<string, Inventory>): Seen[] {
  const all = new Map<string, Seen>();
  const at = (host: string, endpoint: string): Seen => {
    const key = `${host} ${endpoint}`;
    const known = all.get(key);
    if (known !== undefined) return known;
    const seen: Seen = { host, endpoint };
    all.set(key, seen);
    return seen;
  };
  for (const endpoint of snapshot.endpoints) at(endpoint.spec.host, nameOnHost(endpoint.spec)).lease = endpoint;
  for (const [host, { entries, ports }] of inventories) {
    for (const entry of entries) at(host, entry.endpoint).entry = entry;
    for (const port of ports) at(host, port.endpoint).port = port;
  }
  for (const [host, { busy }] of inventories) for (const endpoint of busy) all.delete(`${host} ${endpoint}`);
  return [...all.values()];
}
