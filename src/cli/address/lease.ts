// `weft lease`: the address book. One row per address: who has it, who holds it, whose it was a moment ago, where, and
// out of which block or range it came.
import type { Command } from "commander";
import { contains, cidrOf, formatIp, formatMac, ipOf, lastOf, macOf, type Ip } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import { prefixesOf } from "../../model/membership.ts";
import type { Endpoint, Freed, Hold, Network, Snapshot } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { registerHistory } from "./history.ts";
import { leaseAt, planOf } from "../../ipam/range.ts";
import { spanText } from "./hold.ts";
import { checkKnown } from "../input/names.ts";
import { withOutput, withServer, type ReadOptions } from "../input/options.ts";
import { fields, printList, printOne, type Column } from "../output/format.ts";
import { timeText } from "./time.ts";

/** `gateway` and `excluded` (the subnet's own and broadcast) are shown when they are asked for. */
const STATES = ["used", "held", "reserved", "quarantined", "gateway", "excluded"] as const;
type State = (typeof STATES)[number];
type Filter = {
  readonly network?: string;
  readonly host?: string;
  readonly owner?: string;
  readonly state?: string;
};
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
  withOutput(withServer(list)).action(cli.verb((options: ReadOptions & Filter) => listLeases(cli, options)));

  const show = noun
    .command("show")
    .argument("<address>", "an IP address or a MAC")
    .description("Show the state of an address in every network that contains it.")
    .option("--network <name>", "only in this network");
  withOutput(withServer(show)).action(
    cli.verb((address: string, options: ReadOptions & Filter) => showLease(cli, address, options)),
  );
  registerHistory(noun, cli);
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

async function listLeases(cli: Cli, options: ReadOptions & Filter): Promise<void> {
  const states = statesOf(options.state);
  const server = await connect(cli.io, options);
  const snapshot = await server.snapshot();
  checkKnown(options, snapshot);
  const leases = leasesOf(snapshot)
    .filter((lease) => states.includes(lease.state))
    .filter((lease) => (["network", "host", "owner"] as const).every((f) => (options[f] ?? lease[f]) === lease[f]));
  await printList(
    cli.io,
    options,
    {
      columns: COLUMNS,
      name: (l) => l.address,
      empty: isNarrowed(options) ? "No address matches." : "No address is in use.",
    },
    leases,
  );
}

function isNarrowed({ network, host, owner, state }: Filter): boolean {
  return [network, host, owner, state].some((given) => given !== undefined);
}

function statesOf(text: string | undefined): readonly State[] {
  if (text === undefined) return ["used", "held", "reserved", "quarantined"];
  if (text === "all") return STATES;
  const state = STATES.find((each) => each === text);
  if (state !== undefined) return [state];
  throw new Fault("request-invalid", {
    what: `"${text}" is not a state of an address`,
    where: "--state",
    fix: `choose ${STATES.join(", ")} or all`,
  });
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
  const rest = { state: "used", network, host, owner, ifname, mac, ...(range === undefined ? {} : { range }) } as const;
  if (addresses.length === 0) return [{ address: mac, ...rest }];
  return addresses.flatMap((address) => {
    const ip = ipOf(address);
    const block = ip === undefined ? undefined : blockOf(spec, ip);
    return ip === undefined ? [] : [{ address, ...rest, ...(block === undefined ? {} : { block }) }];
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
  const rest = {
    state: "quarantined",
    network,
    owner: endpoint,
    mac,
    ...(range === undefined ? {} : { range }),
  } as const;
  const note = `until ${timeText(untilMs)}`;
  return (addresses.length === 0 ? [mac] : addresses).map((address) => ({ address, ...rest, note }));
}

/** Pieces of a reservation, in the network that they are of. */
function reservedOf({ name, spec }: Network): Row[] {
  const { reservedFrom: network, tenant, ranges = [] } = spec;
  if (network === undefined) return [];
  const note = tenant === undefined ? "" : { note: `for ${tenant}` };
  return ranges.flatMap((range) => {
    const plan = planOf(range);
    const [firsts, lasts] = [leaseAt(plan, 0n), leaseAt(plan, plan.size - 1n)];
    const spans = firsts.ips.flatMap((ip, i) => {
      const last = lasts.ips[i];
      return last === undefined ? [] : [spanText({ first: formatIp(ip), last: formatIp(last) })];
    });
    const macs = [firsts.mac, lasts.mac].map((mac) => formatMac(mac ?? 0n));
    const all = spans.length > 0 ? spans : [spanText({ first: macs[0] ?? "", last: macs[1] ?? "" })];
    return all.map(
      (address): Row => ({ address, state: "reserved", network, owner: name, ...(note === "" ? {} : note) }),
    );
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
  await printOne(cli.io, options, { name: address, value: [...found, ...free] }, () => {
    const used = found.map((lease) => leaseText(cli, lease));
    return [...used, ...free.map((each) => fields(cli.io, pairsOf(each)))].join("\n");
  });
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

function leaseText(cli: Cli, lease: Lease): string {
  return fields(cli.io, pairsOf(lease));
}

function pairsOf(lease: Partial<Lease> | { readonly state: string }): [string, string | undefined][] {
  const value = (name: keyof Lease): string | undefined => (lease as Partial<Lease>)[name];
  return [
    ["Address", value("address")],
    ["Network", value("network")],
    ["State", lease.state],
    ["Owner", value("owner")],
    ["Host", value("host")],
    ["Interface", value("ifname")],
    ["MAC", value("mac")],
    ["Block", value("block")],
    ["Range", value("range")],
    ["Note", value("note")],
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
