// What a finding consists of: one endpoint on one host as each source has it, the indexes of the judges, and the text
// of evidence.
import type { Cidr } from "../../model/address.ts";
import {
  type Evidence,
  type Finding,
  type JournalEntry,
  type KernelPort,
  type Order,
  RULES,
  type Rule,
} from "../../model/check.ts";
import type { Endpoint, Network } from "../../model/resource.ts";

/** The repair of a finding: an order to a host, or the release of a lease. */
export type Act =
  | { readonly do: "release"; readonly endpoint: string; readonly revision: number }
  | { readonly do: "order"; readonly host: string; readonly order: Order };
/** What is wrong with an endpoint, its remedy, and the act that carries it out; none where only a person can decide. */
export type Verdict = { readonly rule: Rule; readonly remedy: string; readonly act?: Act; readonly also?: Evidence };
export type Judgement = { readonly finding: Finding; readonly act?: Act | undefined };

/** One endpoint on one host, as each source has it; absent if the source does not have it. */
export type Seen = {
  readonly host: string;
  readonly endpoint: string;
  lease?: Endpoint;
  entry?: JournalEntry;
  port?: KernelPort;
};

/** The indexes of the judges. */
export type CheckContext = {
  readonly networks: ReadonlyMap<string, Network>;
  readonly hosts: ReadonlySet<string>;
  /** Hosts that gave an inventory. */
  readonly checked: ReadonlySet<string>;
  readonly leases: ReadonlyMap<string, Endpoint>;
  /** The prefixes of a network on a host, by `network host`. */
  readonly pieces: ReadonlyMap<string, readonly Cidr[]>;
};

/** The verdict as a finding about one endpoint on one host, with what each source says about it. */
export function judgement(seen: Seen, context: CheckContext, { rule, remedy, act, also }: Verdict): Judgement {
  const { host, endpoint, lease, entry, port } = seen;
  const network = entry?.network ?? lease?.spec.network ?? "";
  const finding: Finding = {
    kind: RULES[rule],
    rule,
    network,
    vrf: context.networks.get(network)?.spec.vrf ?? port?.vrf ?? "",
    addresses: entry?.addresses ?? lease?.spec.addresses ?? port?.far?.addresses ?? [],
    endpoint,
    host,
    evidence: [...evidenceOf(seen, context), ...(also === undefined ? [] : [also])],
    remedy,
    mendable: act !== undefined,
  };
  return { finding, act };
}

export function evidenceOf({ host, lease, entry, port }: Seen, context: CheckContext): Evidence[] {
  const server: Evidence = lease === undefined ? { source: "server", host, says: "has no lease" } : leaseSays(lease);
  if (!context.checked.has(host)) return [server];
  return [
    server,
    { source: "journal", host, says: entry === undefined ? "does not know it" : entryText(entry) },
    { source: "kernel", host, says: port === undefined ? "has no port" : portText(port) },
  ];
}

export function leaseSays({ spec, revision }: Endpoint): Evidence {
  const asked = spec.detaching === true ? ", to be detached" : "";
  const says = `${spec.addresses.join(", ")}, MAC ${spec.mac}, in ${spec.network} since revision ${revision}${asked}`;
  return { source: "server", host: spec.host, says };
}

function entryText({ state, netns, alive, addresses, mac, network }: JournalEntry): string {
  const where = `${netns}${alive ? "" : ", which is gone"}`;
  return `${addresses.join(", ")}, MAC ${mac}, in ${network}, ${state} at ${where}`;
}

function portText({ name, vrf, far }: KernelPort): string {
  if (far === undefined) return `port ${name} in ${vrf}, whose far end cannot be read`;
  return `${far.addresses.join(", ") || "no address"}, MAC ${far.mac}, on ${far.ifname} behind port ${name} in ${vrf}`;
}
