// `weft network`: what a user says about networks in flags, and what a network looks like in a terminal.
import type { Command } from "commander";
import { ALL_HOSTS, allHostAddresses, hostAddressesOf, namesHost } from "../../model/carrying.ts";
import { cniText } from "../../model/cni.ts";
import { DRIVERS, isPhysical } from "../../model/driver.ts";
import { leastMtu } from "../../model/mtu.ts";
import { NETWORK_FIELDS } from "../../model/kinds/conversion.ts";
import { quarantineMs } from "../../model/range.ts";
import type { Network, Snapshot, Vrf } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import type { ClusterStatus } from "../../model/status.ts";
import { deliveryText } from "../host/paths.ts";
import { limitFlags, limitText, shortLimits } from "../endpoint/limit.ts";
import { overriddenText } from "../group/rule.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import { repeated, writing, type WriteOptions } from "../input/options.ts";
import { count } from "../io.ts";
import { misuse } from "../output/error.ts";
import { byName, fields, type Column } from "../output/format.ts";
import { type Cell, table } from "../output/table.ts";
import { create, edit, noChange, registerDelete, registerList, registerShow } from "../resource/verbs.ts";
import {
  clearedBy,
  draftOf,
  mergedSubnets,
  SPOOFING_WORDS,
  type SpecFlags,
  spoofingText,
  subnetsText,
} from "./draft.ts";
import { type CarriageFlags, editTunnel, followConversion, isAboutVrf, registerConversions } from "./conversion.ts";
import { registerExport } from "./export.ts";
import { registerMembers } from "./members.ts";
import { registerMigrations } from "./migration.ts";
import { registerRanges } from "./range.ts";
import { registerReservations, reservationsText, reservedUnder } from "./reserve.ts";
import { vlanText, wayFlags, wayText } from "./way.ts";

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "network", {
    about: "List networks.",
    columns: async (server) => columns(new Map((await server.list("vrf")).map((vrf) => [vrf.name, vrf]))),
    empty: "No networks. Create one: weft network create NAME --subnet CIDR",
  });
  registerShow(noun, cli, "network", {
    about: "Show a network: its subnets, its blocks and how many addresses are used.",
    text: networkText,
  });
  registerCreate(noun, cli);
  registerEdit(noun, cli);
  registerRanges(noun.command("range").description("Address ranges: list, add, resize, remove."), cli);
  registerReservations(noun, cli);
  registerExport(noun, cli);
  registerDelete(noun, cli, "network", {
    about: "Delete networks.",
    force: "even if the network has endpoints; their workloads lose the interfaces",
    losses: lossesOf,
    along: alongText,
    hasWait: true,
  });
  registerMembers(noun, cli);
  registerMigrations(noun, cli);
  registerConversions(noun, cli);
}

function registerCreate(noun: Command, cli: Cli): void {
  const make = noun
    .command("create <name>")
    .description("Create a network.")
    .addHelpText(
      "after",
      `
Examples:
  weft network create blue --subnet 10.7.0.0/16 --host-prefix 24
  weft network create lab --ipam global --subnet 10.8.0.0/24 --subnet fd00:8::/64
  weft network create web --pool apcera`,
    );
  specFlags(make)
    .option(
      "--ipam <mode>",
      "local: routed, a block per host; global: one switched segment over all hosts (default without --host-prefix)",
    )
    .option("--subnet <cidr>", "addresses of the network; once per family", repeated)
    .option("--pool <name>", "take id and subnets from this pool, instead of --subnet")
    .option("--id <n>", "with --pool: take this id, not the lowest free one")
    .option("--host-prefix <length>", "ipam local: prefix length of each host's block; once per --subnet", repeated)
    .option("--gateway <address>", "ipam global: gateway address, or none; once per --subnet", repeated)
    .option("--vrf <name>", "routing domain (default: one with the name of the network)")
    .option("--placement <where>", "own: in a namespace per VRF; host: in the hosts' own namespace")
    .option(
      "--bridge <name>",
      "placement host: name of its bridge on hosts (default: wb- and the network's); driver ovs: one of Open vSwitch",
    )
    .option("--vni <n>", "ipam global: VNI of the segment")
    .option("--slice <name=bridge>", "ipam local: a slice of each host's block, and its bridge; repeatable", repeated);
  writing(make).action(cli.verb(createNetwork));
}

function registerEdit(noun: Command, cli: Cli): void {
  const change = noun.command("edit <name>").description("Change a network while it is in use.");
  specFlags(change)
    .option(
      "--subnet <cidr>",
      "replace the subnet of this family (by a larger one if it has endpoints), or add a family",
      repeated,
    )
    .option("--host-prefix <length>", "ipam local: block length in an added family; once per --subnet", repeated)
    .option("--vni <n>", "VNI of the segment; of a routed network, of its VRF")
    .option("--tunnel-port <port>", "UDP port of the tunnels, of all networks of the VRF")
    .option("--tenant <name>", "of a reservation: its tenant, whose quota it counts against")
    .option("--enabled", "allow new blocks and endpoints again")
    .option("--no-enabled", "allow no new blocks and no new endpoints");
  change.addHelpText(
    "after",
    "\nWhile endpoints use it, --driver, --mtu, --peers, --vni and --tunnel-port change in phases, without losses.",
  );
  writing(change).action(cli.verb(editNetwork));
}

function specFlags(command: Command): Command {
  return wayFlags(limitFlags(command, "none"))
    .option("--strategy <name>", "ipam global: choice of a free address: lowest, next or random")
    .option("--sticky", "ipam global: give a returning owner its former address")
    .option("--no-sticky", "ipam global: give it any free address (default)")
    .option("--quarantine <seconds>", "time in which a released address goes only to its former owner (default: 60)")
    .option(
      "--hosts <name>",
      "host that has the network also without endpoints, * for all, or none; repeatable",
      repeated,
    )
    .option("--host-address <host=address>", "placement host: a host's own address, or only auto or none", repeated)
    .option("--stp", "its bridges run the spanning tree protocol")
    .option("--no-stp", "they do not (default)")
    .option("--forward-delay <seconds>", "with --stp: how long a port listens, and then learns (default: 15)")
    .option("--dns <address>", "name server for the endpoints, or none; repeatable", repeated)
    .option("--peers <how>", "ipam global: unicast, or multicast: broadcasts cross as one packet to a group")
    .option("--group <address>", "peers multicast: the group, or auto: it follows from the VNI (default)")
    .option("--ttl <hops>", "peers multicast: TTL of tunnel packets, or auto: 1 to the group (default)")
    .option(
      "--underlay-device <name>",
      "peers multicast: device of the hosts, or auto: that of their underlay (default); or name a --parent",
    )
    .option(
      "--outsider <address>",
      "peers multicast: machines in the group that are no hosts of the cluster, or none; repeatable",
      repeated,
    )
    .option("--mtu <bytes>", "MTU, or auto: as large as the hosts' underlay allows (default)")
    .option("--masquerade", "endpoints reach other networks under their host's address (default)")
    .option("--no-masquerade", "endpoints keep their own address")
    .option("--cni", "hosts that have a cni-dir write a CNI configuration for the network")
    .option("--cni-portmap", "the same, with the portmap plugin after Weft (needs a VRF with hostAccess)")
    .option("--no-cni", "hosts write no CNI configuration (default)")
    .option("--sg <name>", "security group of all endpoints, or none: nothing is filtered; repeatable", repeated)
    .option(
      "--spoofing <what>",
      `allow what the spoofing filter drops: ${SPOOFING_WORDS.join(", ")}; or none; repeatable`,
      repeated,
    )
    .option("--description <text>", "text that list and show print");
}

function columns(vrfs: ReadonlyMap<string, Vrf>): readonly Column<Network>[] {
  return [
    { header: "NAME", of: (n) => n.name },
    {
      header: "SUBNETS",
      of: ({ spec }) => (spec.reservedFrom ? `from ${spec.reservedFrom}` : subnetsText(spec.subnets)),
    },
    { header: "IPAM", of: (n) => n.spec.ipam },
    { header: "VNI", of: (n) => String(vniOf(n, vrfs.get(n.spec.vrf)) ?? "") },
    { header: "VRF", of: (n) => n.spec.vrf },
    { header: "DRIVER", of: (n) => DRIVERS[n.spec.driver].title, wide: true },
    { header: "VLAN", of: (n) => vlanText(n.spec) ?? "", wide: true },
    { header: "ENABLED", of: (n) => (n.spec.enabled ? "yes" : { text: "no", tone: "warn" }) },
    { header: "MTU", of: (n) => (n.spec.mtu === undefined ? "auto" : String(n.spec.mtu)), wide: true },
    { header: "MASQUERADE", of: (n) => (n.spec.masquerade ? "yes" : "no"), wide: true },
    {
      header: "POOL",
      of: (n) => (n.spec.pool === undefined ? "" : `${n.spec.pool.name}/${n.spec.pool.id}`),
      wide: true,
    },
    { header: "LIMITS", of: (n) => shortLimits(n.spec.qos), wide: true },
    { header: "SLICES", of: (n) => (n.spec.slices ?? []).map((s) => s.name).join(","), wide: true },
    { header: "DESCRIPTION", of: (n) => n.spec.description ?? "", wide: true },
  ];
}

function vniOf(network: Network, vrf: Vrf | undefined): number | undefined {
  return network.spec.ipam === "local" ? vrf?.spec.vni : network.spec.vni;
}

async function networkText(cli: Cli, network: Network, server: ServerClient): Promise<string> {
  const { name, spec, revision } = network;
  const [snapshot, status] = await Promise.all([server.snapshot(), server.status()]);
  const told = status.conditions.filter(({ object }) => object === `network/${name}` || object === `vrf/${spec.vrf}`);
  const vrf = snapshot.vrfs.find((one) => one.name === spec.vrf);
  const endpoints = snapshot.endpoints.filter((endpoint) => endpoint.spec.network === name);
  const isLocal = spec.ipam === "local";
  const head = fields(cli.io, [
    ["Name", name],
    ["Description", spec.description],
    ["Subnets", subnetsText(spec.subnets)],
    ["Reserved from", spec.reservedFrom],
    ["Tenant", spec.tenant],
    [
      "Addresses",
      isLocal ? "local: each host assigns from its block" : "global: the server assigns, one segment over all hosts",
    ],
    ["Ranges", spec.ranges?.map((range) => `${range.name} (${range.type})`).join(", ")],
    ["Strategy", strategyText(network)],
    ["DNS", spec.dns?.join(", ")],
    ["Slices", spec.slices?.map((slice) => `${slice.name} (bridge ${slice.bridge}-${name})`).join(", ")],
    ["Pool", spec.pool && `${spec.pool.name}, id ${spec.pool.id}`],
    ["VRF", spec.vrf],
    ["Placement", vrf?.spec.placement === "host" ? "host: in the hosts' own namespace" : undefined],
    ["Bridge", spec.bridge],
    ["Spanning tree", spanningTreeText(spec)],
    ["Hosts", spec.hosts?.map((host) => (host === ALL_HOSTS ? "all" : host)).join(", ")],
    ["VNI", String(vniOf(network, vrf) ?? "")],
    ...wayText(network, vrf?.spec.tunnelPort),
    ["Group", groupText(network)],
    ...deliveryFields(name, status),
    ["Outsiders", spec.outsiders?.join(", ")],
    ["MTU", mtuText(network, snapshot)],
    ["Inbound", limitText([["network", spec.qos]], "inbound")],
    ["Outbound", limitText([["network", spec.qos]], "outbound")],
    ["Masquerade", spec.masquerade ? "yes" : "no"],
    ["Security groups", spec.securityGroups?.join(", ")],
    ["Spoofing", spoofingText(spec.spoofing)],
    ["Enabled", spec.enabled ? "yes" : "no"],
    ["CNI", cniText(network)],
    ["Endpoints", String(endpoints.length)],
    ["Revision", String(revision)],
    ...told.map(({ message }): [string, Cell] => ["Condition", { text: message, tone: "warn" }]),
  ]);
  return head + reservationsText(cli, network, snapshot) + hostsText(cli, network, snapshot);
}

function spanningTreeText({ stp, forwardDelay }: Network["spec"]): string | undefined {
  const delay = forwardDelay === undefined ? undefined : `forward delay ${forwardDelay} s`;
  return stp === true ? ["on", delay].filter((text) => text !== undefined).join(", ") : delay;
}

function strategyText({ spec }: Network): string | undefined {
  if (spec.ipam === "local") return undefined;
  const kept = `quarantine ${quarantineMs(spec) / 1000} s`;
  return [spec.strategy ?? "lowest", ...(spec.sticky === true ? ["sticky"] : []), kept].join(", ");
}

/** Between how many pairs of hosts the group is delivered, and those between which it is not. */
function deliveryFields(name: string, { groups = [] }: ClusterStatus): [string, Cell][] {
  const seen = groups.find(({ network }) => network === name);
  if (seen === undefined) return [];
  const { pairs, proven, unproven } = seen;
  return [
    ["Delivered", `between ${proven} of ${count(pairs, "pair")} of hosts`],
    ...unproven.map((pair): [string, Cell] => {
      return ["", { text: deliveryText(pair), tone: pair.state === "unknown" ? "warn" : "bad" }];
    }),
  ];
}

function groupText({ spec: { group, ttl, underlayDevice } }: Network): string | undefined {
  if (group === undefined) return undefined;
  return [
    group,
    ...(ttl === undefined ? [] : [`TTL ${ttl}`]),
    ...(underlayDevice === undefined ? [] : [`on ${underlayDevice}`]),
  ].join(", ");
}

/** The one that was chosen, or what the underlay of its hosts leaves. */
function mtuText({ spec }: Network, snapshot: Snapshot): string {
  if (spec.mtu !== undefined) return String(spec.mtu);
  const carry = new Set(snapshot.vteps.filter((vtep) => vtep.spec.vrf === spec.vrf).map((vtep) => vtep.spec.host));
  const hosts = snapshot.hosts.filter(({ name }) => isPhysical(spec) || carry.has(name));
  const least = leastMtu(spec, hosts, new Map((snapshot.physicalNetworks ?? []).map((one) => [one.name, one])));
  const way = isPhysical(spec) ? "the physical network" : "the underlay";
  return least === undefined ? `auto: what ${way} leaves` : `auto: ${way} leaves ${least}`;
}

/** Where the network is: each host's blocks, tunnel endpoint and number of endpoints. */
function hostsText(cli: Cli, network: Network, snapshot: Snapshot): string {
  const rows = byName(snapshot.hosts).flatMap((host) => {
    const blocks = snapshot.blocks
      .filter((b) => b.spec.network === network.name && b.spec.host === host.name)
      .map((b) => b.spec.cidr)
      // IPv4 first, as subnets are listed.
      .toSorted((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
    const endpoints = snapshot.endpoints.filter(
      (e) => e.spec.network === network.name && e.spec.host === host.name,
    ).length;
    const own = hostAddressesOf(network.spec, host.name).join(", ");
    const vtep = snapshot.vteps.find((v) => v.spec.vrf === network.spec.vrf && v.spec.host === host.name);
    if (blocks.length === 0 && endpoints === 0 && !namesHost(network.spec, host.name)) return [];
    return [
      [
        host.name,
        host.spec.underlay,
        own === "" ? blocks.join(", ") : own,
        vtep?.spec.ip ?? vtep?.spec.ip6 ?? "",
        vtep?.spec.mac ?? "",
        String(endpoints),
      ],
    ];
  });
  const column = allHostAddresses(network.spec).length > 0 ? "ADDRESS" : "BLOCK";
  return rows.length === 0
    ? ""
    : `\n${table(cli.io, ["HOST", "UNDERLAY", column, "VTEP", "VTEP-MAC", "ENDPOINTS"], rows)}`;
}

async function createNetwork(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  if (options.subnet === undefined && options.pool === undefined) {
    const fix =
      `for instance: weft network create ${name} --subnet 10.7.0.0/16; or take them from a --pool; ` +
      "for a network without addresses see examples/addresses.yaml";
    throw misuse("--subnet", "a network needs addresses", fix);
  }
  const server = await connect(cli.io, options);
  const spec = draftOf(options);
  const isNewVrf = spec.vrf !== undefined && !(await server.list("vrf")).some((vrf) => vrf.name === spec.vrf);
  const network = await create(cli, options, { kind: "network", name, spec, noun: "network", called: "network" });
  const place = isNewVrf ? `, in the new VRF "${network.spec.vrf}"` : "";
  cli.io.err(
    `network ${name} created at revision ${network.revision}${place}: ${subnetsText(network.spec.subnets)}\n` +
      overriddenText(network.spec.securityGroups),
  );
}

async function editNetwork(cli: Cli, name: string, options: SpecFlags & CarriageFlags & WriteOptions): Promise<void> {
  const draft = draftOf(options);
  const cleared = clearedBy(options);
  const changed = [...new Set([...Object.keys(draft), ...cleared])];
  const { tunnelPort, vni } = options;
  if (changed.length === 0 && tunnelPort === undefined) throw noChange("network");
  if (tunnelPort !== undefined || vni !== undefined) {
    const { spec } = await (await connect(cli.io, options)).get("network", name);
    const others = changed.filter((field) => field !== "vni" || spec.ipam === "global");
    if (isAboutVrf(options, spec.ipam)) return editTunnel(cli, options, { name, vrf: spec.vrf, others });
  }
  let vrf = name;
  await edit(cli, options, {
    kind: "network",
    name,
    change({ spec }) {
      // A direction that is not given stays.
      const qos = draft.qos === undefined ? {} : { qos: { ...spec.qos, ...draft.qos } };
      const subnets = mergedSubnets(spec.subnets, draft.subnets);
      const whole = Object.entries({ ...spec, ...draft, ...qos, subnets });
      return Object.fromEntries(whole.filter(([field]) => !cleared.some((each) => each === field)));
    },
    done(after, before) {
      const [old, now] = [before, after].map(({ spec }) => subnetsText(spec.subnets));
      const subnets = draft.subnets === undefined ? "" : `  subnets: ${old} -> ${now}\n`;
      vrf = after.spec.vrf;
      const head = `network ${name} changed at revision ${after.revision}: ${changed.join(", ")}\n`;
      return head + subnets + overriddenText(after.spec.securityGroups);
    },
  });
  if (changed.some((field) => NETWORK_FIELDS.some((one) => one === field))) await followConversion(cli, options, vrf);
}

async function lossesOf(server: ServerClient, name: string): Promise<readonly string[]> {
  const { networks, endpoints } = await server.snapshot();
  const reservations = reservedUnder(networks, name).map((each) => each.name);
  return [
    ...reservations.map((reservation) => `reservation ${reservation}`),
    ...endpoints
      .filter(({ spec }) => [name, ...reservations].includes(spec.network))
      .map((e) => `endpoint ${e.name} on ${e.spec.host} (${e.spec.addresses.join(", ")})`),
  ];
}

/** `, with 2 reservations and 1 endpoint`. */
function alongText(losses: readonly string[]): string {
  const along = ["reservation", "endpoint"].flatMap((kind) => {
    const n = losses.filter((loss) => loss.startsWith(`${kind} `)).length;
    return n === 0 ? [] : [count(n, kind)];
  });
  return along.length === 0 ? "" : `, with ${along.join(" and ")}`;
}
