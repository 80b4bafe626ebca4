// `weft lease`: the address book. One row per address: who has it, who holds it, whose it was a moment ago, where, and
// out of which block or range it came; and whose an address was from when to when.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { leaseAt, planOf } from "../../ipam/range.ts";
import { contains, cidrOf, formatIp, formatMac, ipOf, lastOf, macOf, type Ip } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import type { LeaseRecord } from "../../model/lease.ts";
import { prefixesOf } from "../../model/carrying.ts";
import type { Endpoint, Freed, Hold, Network, Snapshot } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { checkFilter, checkKnown } from "../input/names.ts";
import { listing, reading, wordOf, type ListOptions, type ReadOptions, type Texts } from "../input/options.ts";
import { fields, printList, printOne, type Column } from "../output/format.ts";
import { spanText } from "./hold.ts";
import { periodOf, timeText } from "./time.ts";

/** `gateway` and `excluded` (the subnet's own and broadcast) are shown when they are asked for. */
const STATES = ["used", "held", "reserved", "quarantined", "gateway", "excluded"] as const;
type State = (typeof STATES)[number];
type Filter = Texts<"network" | "host" | "owner" | "state">;
export type Lease = {
  /** Of a hold or reservation, a span; of a lease with frames only, its MAC. */
  readonly address: string;
  readonly state: State;
  readonly network: string;
  readonly vrf: string;
  readonly host?: string;
  readonly owner: string;
  readonly ifname?: string;
  readonly mac?: string;
  /** Of a local network: the host's block that it came from. */
  readonly block?: string;
  readonly range?: string;
  /** Why it is held, or until when it is quarantined. */
  readonly note?: string;
};

export function register(noun: Command, cli: Cli): void {
  const list = noun
    .command("list")
    .alias("ls")
    .description("List addresses that are not free, and their owners.")
    .option("--network <name>", "only in this network")
    .option("--host <name>", "only on this host")
    .option("--owner <name>", "only of this owner")
    .option("--state <state>", `one of ${STATES.join(", ")}, or all (default: used, held, reserved, quarantined)`);
  listing(list).action(cli.verb(listLeases));
  const show = noun
    .command("show")
    .argument("<address>", "an IP address or a MAC")
    .description("Show the state of an address in every network that contains it.")
    .option("--network <name>", "only in this network");
  reading(show).action(cli.verb(showLease));
  const history = noun
    .command("history")
    .argument("<address>", "an IP address, or a MAC for leases without an address")
    .description("List the owners of an address, newest first.")
    .option("--network <name>", "only in this network")
    .option("--at <time>", 'only the owner at this time: "2026-11-24 15:00", 2026-11-24, tuesday, yesterday, "2h ago"')
    .addHelpText("after", "\nExample:\n  weft lease history 10.1.2.3 --at tuesday");
  reading(history).action(cli.verb(showHistory));
}

const COLUMNS: readonly Column<Lease>[] = [
  { header: "ADDRESS", of: (l) => l.address },
  { header: "NETWORK", of: (l) => l.network },
  { header: "HOST", of: (l) => l.host ?? "" },
  { header: "OWNER", of: (l) => l.owner },
  { header: "BLOCK", of: (l) => l.block ?? l.range ?? "" },
  { header: "STATE", of: (l) => (l.state === "used" ? l.state : { text: l.state, tone: "warn" }) },
  { header: "INTERFACE", of: (l) => l.ifname ?? "", wide: true },
  { header: "MAC", of: (l) => l.mac ?? "", wide: true },
  { header: "VRF", of: (l) => l.vrf, wide: true },
  { header: "NOTE", of: (l) => l.note ?? "", wide: true },
];

async function listLeases(cli: Cli, options: ListOptions & Filter): Promise<void> {
  const { network, host, owner, state, selector } = options;
  const states = statesOf(state);
  const server = await connect(cli.io, options);
  const [snapshot, selected] = await Promise.all([
    server.snapshot(),
    selector === undefined ? undefined : server.list("endpoint", selector),
  ]);
  checkKnown(options, snapshot);
  const leases = leasesOf(selected === undefined ? snapshot : leasedBy(selected, snapshot))
    .filter((lease) => states.includes(lease.state))
    .filter((lease) => (["network", "host", "owner"] as const).every((f) => (options[f] ?? lease[f]) === lease[f]));
  const isNarrowed = Object.keys(defined({ network, host, owner, state, selector })).length > 0;
  const empty = isNarrowed ? "No address matches." : "No address is in use.";
  await printList(cli.io, options, { columns: COLUMNS, name: (l) => l.address, empty }, leases);
}

/** Only what these endpoints have. */
function leasedBy(endpoints: readonly Endpoint[], snapshot: Snapshot): Snapshot {
  const names = new Set(endpoints.map(({ name }) => name));
  const leased = snapshot.endpoints.filter(({ name }) => names.has(name));
  const networks = snapshot.networks.map((one) => ({ ...one, spec: { ...one.spec, subnets: [], ranges: [] } }));
  return { ...snapshot, endpoints: leased, networks, holds: [], freed: [] };
}

function statesOf(text: string | undefined): readonly State[] {
  const state = wordOf(text, "--state", "a state of an address", [...STATES, "all"]);
  if (state === "all") return STATES;
  return state === undefined ? ["used", "held", "reserved", "quarantined"] : [state];
}

/** Every address that is not free, by network and then in order. */
export function leasesOf(snapshot: Snapshot): Lease[] {
  const vrfs = new Map(snapshot.networks.map((network) => [network.name, network.spec.vrf]));
  const blocks = Map.groupBy(snapshot.blocks, (block) => `${block.spec.network} ${block.spec.host}`);
  const blockOf = ({ network, host }: Endpoint["spec"], ip: Ip) =>
    blocks.get(`${network} ${host}`)?.find((block) => isIn(ip, block.spec.cidr))?.spec.cidr;
  return [
    ...snapshot.endpoints.flatMap((endpoint) => usedOf(endpoint, blockOf)),
    ...snapshot.holds.map(heldOf),
    ...snapshot.freed.flatMap(quarantinedOf),
    ...snapshot.networks.flatMap(reservedOf),
    ...snapshot.networks.flatMap(unusableOf),
  ]
    .map((lease) => ({ ip: ipOf(firstOf(lease)), lease: { ...lease, vrf: vrfs.get(lease.network) ?? "" } }))
    .toSorted((a, b) => compareText(a.lease.network, b.lease.network) || compareIp(a.ip, b.ip))
    .map(({ lease }) => lease);
}

type Row = Omit<Lease, "vrf">;

function usedOf({ spec }: Endpoint, blockOf: (spec: Endpoint["spec"], ip: Ip) => string | undefined): Row[] {
  const { network, host, owner, ifname, mac, range, addresses } = spec;
  const rest = { state: "used", network, host, owner, ifname, mac, ...defined({ range }) } as const;
  if (addresses.length === 0) return [{ address: mac, ...rest }];
  return addresses.flatMap((address) => {
    const ip = ipOf(address);
    const block = ip === undefined ? undefined : blockOf(spec, ip);
    return ip === undefined ? [] : [{ address, ...rest, ...defined({ block }) }];
  });
}

function heldOf({ spec }: Hold): Row {
  const { network, owner, reason, expiresAtMs } = spec;
  const note = expiresAtMs === undefined ? reason : `${reason}, until ${timeText(expiresAtMs)}`;
  return { address: spanText(spec), state: "held", network, owner, note };
}

function quarantinedOf({ spec }: Freed): Row[] {
  const { network, endpoint, addresses, mac, range, untilMs } = spec;
  if (untilMs === undefined) return [];
  const note = `until ${timeText(untilMs)}`;
  const rest = { state: "quarantined", network, owner: endpoint, mac, ...defined({ range }), note } as const;
  return (addresses.length === 0 ? [mac] : addresses).map((address) => ({ address, ...rest }));
}

/** Pieces of a reservation, in the network that they are of. */
function reservedOf({ name, spec }: Network): Row[] {
  const { reservedFrom: network, tenant, ranges = [] } = spec;
  if (network === undefined) return [];
  const note = tenant === undefined ? undefined : `for ${tenant}`;
  return ranges.flatMap((range) => {
    const plan = planOf(range);
    const [first, last] = [leaseAt(plan, 0n), leaseAt(plan, plan.size - 1n)].map(({ ips, mac = 0n }) =>
      ips.length > 0 ? ips.map(formatIp) : [formatMac(mac)],
    );
    return (first ?? []).map((address, i): Row => {
      const span = spanText({ first: address, ...defined({ last: last?.[i] }) });
      return { address: span, state: "reserved", network, owner: name, ...defined({ note }) };
    });
  });
}

/** What no endpoint of a global network ever gets. */
function unusableOf({ name, spec }: Network): Row[] {
  if (spec.ipam !== "global") return [];
  const row = (address: string, state: State, owner: string): Row => ({ address, state, network: name, owner });
  const gateways = [
    ...spec.subnets.map((subnet) => subnet.gateway),
    ...(spec.ranges ?? []).flatMap((range) => [range.gateway, range.gateway6]),
  ];
  return [
    ...[...new Set(gateways)].flatMap((address) =>
      address === undefined || address === "none" ? [] : [row(address, "gateway", "gateway")],
    ),
    ...spec.subnets.flatMap((subnet) => {
      const cidr = cidrOf(subnet.cidr);
      if (cidr === undefined) return [];
      const base = row(formatIp({ family: cidr.family, value: cidr.base }), "excluded", "network");
      return cidr.family === 6 ? [base] : [base, row(formatIp(lastOf(cidr)), "excluded", "broadcast")];
    }),
  ];
}

async function showLease(cli: Cli, text: string, options: ReadOptions & Filter): Promise<void> {
  const ip = ipOf(text);
  const address = ip === undefined ? macOf(text) : formatIp(ip);
  if (address === undefined) {
    throw new Fault("address-invalid", {
      what: `"${text}" is neither an IP address nor a MAC`,
      fix: "write it like 10.1.2.3, fd00::1 or 02:00:0a:01:02:03",
    });
  }
  const server = await connect(cli.io, options);
  const snapshot = await server.snapshot();
  checkKnown(options, snapshot);
  const found = leasesOf(snapshot).filter(
    (lease) => (options.network ?? lease.network) === lease.network && isOf(lease, address, ip),
  );
  const networks = snapshot.networks.filter(
    ({ name, spec }) =>
      (options.network ?? name) === name &&
      ip !== undefined &&
      prefixesOf(spec).some((cidr) => isIn(ip, cidr)) &&
      !found.some((lease) => lease.network === name),
  );
  if (found.length + networks.length === 0) {
    throw new Fault("not-found", {
      what: `${address} is in no network${options.network === undefined ? "" : ` "${options.network}"`}`,
      fix: "see weft network list; for a former owner see weft lease history",
    });
  }
  const free = networks.map(({ name, spec }) => ({ address, state: "free", network: name, vrf: spec.vrf }));
  await printOne(cli.io, options, { name: address, value: [...found, ...free] }, () =>
    [...found, ...free].map((lease) => fields(cli.io, pairsOf(lease))).join("\n"),
  );
}

/** Whether a row is about the address: a hold may span it, and a lease is of its MAC, too. */
function isOf(lease: Lease, address: string, ip: Ip | undefined): boolean {
  if (lease.address === address) return true;
  if (ip === undefined) return lease.mac === address || isInMacs(lease, address);
  const [first, last] = [ipOf(firstOf(lease)), ipOf(lease.address.split("-")[1] ?? "")];
  return compareIp(first, ip) <= 0 && last?.family === ip?.family && compareIp(ip, last) <= 0 && first !== undefined;
}

/** Of a span of MACs, as holds and reservations have them. */
function isInMacs(lease: Lease, mac: string): boolean {
  const [first, last] = lease.address.split("-").map(macOf);
  return first !== undefined && last !== undefined && first <= mac && mac <= last;
}

/** Of an address that is free, little is known. */
function pairsOf(lease: Omit<Partial<Lease>, "state"> & { readonly state: string }): [string, string | undefined][] {
  return [
    ["Address", lease.address],
    ["Network", lease.network],
    ["State", lease.state],
    ["Owner", lease.owner],
    ["Host", lease.host],
    ["Interface", lease.ifname],
    ["MAC", lease.mac],
    ["Block", lease.block],
    ["Range", lease.range],
    ["Note", lease.note],
  ];
}

/** The address itself, or the first of a span. */
function firstOf({ address }: { readonly address: string }): string {
  return address.split("-")[0] ?? "";
}

function isIn(ip: Ip, block: string): boolean {
  const cidr = cidrOf(block);
  return cidr !== undefined && contains(cidr, ip);
}

/** IPv4, then IPv6, then what is not an address: MACs. */
function compareIp(a: Ip | undefined, b: Ip | undefined): number {
  const family = (a?.family ?? 9) - (b?.family ?? 9);
  if (family !== 0 || a === undefined || b === undefined) return family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

type HistoryOptions = ReadOptions & Texts<"network" | "at">;

/** As many as the server gives in one answer. */
const LIMIT = 1000;

const HISTORY_COLUMNS: readonly Column<LeaseRecord>[] = [
  { header: "FROM", of: (r) => timeText(r.fromMs) },
  { header: "UNTIL", of: (r) => (r.untilMs === undefined ? { text: "now", tone: "good" } : timeText(r.untilMs)) },
  { header: "NETWORK", of: (r) => r.network },
  { header: "OWNER", of: (r) => r.owner },
  { header: "HOST", of: (r) => r.host },
  { header: "INTERFACE", of: (r) => r.ifname, wide: true },
  { header: "MAC", of: (r) => r.mac, wide: true },
];

async function showHistory(cli: Cli, address: string, options: HistoryOptions): Promise<void> {
  const period = options.at === undefined ? {} : periodOf(options.at, cli.io.clock.nowMs(), "--at");
  const server = await connect(cli.io, options);
  const records = await server.leaseHistory({
    address,
    limit: LIMIT,
    ...defined({ network: options.network }),
    ...period,
  });
  // A network that is gone has its history, too.
  if (records.length === 0) await checkFilter(server, options);
  const empty = `No owner of ${address} is known${options.at === undefined ? "" : " at that time"}.`;
  const listing = { columns: HISTORY_COLUMNS, name: (r: LeaseRecord) => `endpoint/${r.endpoint}`, empty };
  await printList(cli.io, options, listing, records);
}
