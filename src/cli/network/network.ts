// `weft network`: what a user says about networks in flags, and what a network looks like in a terminal.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { quarantineMs } from "../../model/range.ts";
import { cniConfigList, cniText, shortcomings } from "../../model/cni.ts";
import type { Network, Snapshot, Subnet, Vrf } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { isSame, sameText } from "../output/changes.ts";
import { connect } from "../input/connect.ts";
import { forEachName } from "../input/each.ts";
import { overriddenText } from "../group/rule.ts";
import { count } from "../io.ts";
import { limitFlags, limitText, shortLimits } from "../endpoint/limit.ts";
import { clearedBy, draftOf, mergedSubnets, type SpecFlags } from "./draft.ts";
import {
  withOutput,
  withServer,
  repeated,
  withForce,
  withWait,
  type ReadOptions,
  type SureOptions,
  type WriteOptions,
} from "../input/options.ts";
import { registerRanges } from "./range.ts";
import { registerReservations, reservationsText, reservedUnder } from "./reserve.ts";
import { byName, fields, printList, printOne, type Column } from "../output/format.ts";
import type { RemoteOptions } from "../input/locate.ts";
import { confirm } from "../input/confirm.ts";
import { type Cell, table } from "../output/table.ts";
import { registerMembers } from "./members.ts";
import { tunnelText } from "../../model/driver.ts";
import { mtuText } from "./mtu.ts";
import { registerMigrations } from "./migration.ts";
import { nameExists } from "../resource/verbs.ts";
import { waitFor } from "../change/wait.ts";
import { SPOOFING_WORDS, spoofingText } from "./spoofing.ts";

export function register(noun: Command, cli: Cli): void {
  const list = noun.command("list").alias("ls").description("List networks.");
  withOutput(withServer(list)).action(cli.verb((options: ReadOptions) => listNetworks(cli, options)));

  const show = noun
    .command("show")
    .argument("<name>")
    .description("Show a network: its subnets, its blocks and how many addresses are used.");
  withOutput(withServer(show)).action(
    cli.verb((name: string, options: ReadOptions) => showNetwork(cli, name, options)),
  );

  const create = noun
    .command("create")
    .argument("<name>")
    .description("Create a network.")
    .addHelpText(
      "after",
      `
Examples:
  weft network create blue --subnet 10.7.0.0/16 --host-prefix 24
  weft network create lab --ipam global --subnet 10.8.0.0/24 --subnet fd00:8::/64
  weft network create web --pool apcera`,
    );
  specFlags(create)
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
    .option("--vni <n>", "ipam global: VNI of the segment")
    .option("--slice <name=bridge>", "ipam local: a slice of each host's block, and its bridge; repeatable", repeated);
  withWait(withServer(create)).action(
    cli.verb((name: string, options: SpecFlags & WriteOptions) => createNetwork(cli, name, options)),
  );

  registerEdit(noun, cli);
  const ranges = noun.command("range").description("Address ranges: list, add, resize, remove.");
  registerRanges(ranges, cli);
  registerReservations(noun, cli);

  const out = noun
    .command("export")
    .argument("<name>")
    .description("Print a network in the format of another system.")
    .option("--cni", "as a CNI configuration list, for /etc/cni/net.d")
    .option("--slice <name>", "put the endpoints into this slice")
    .option("--socket <path>", "socket of the agent (default: /run/weft/agent.sock)")
    .option("--portmap", "add the portmap plugin after Weft (needs a VRF with hostAccess)")
    .addHelpText("after", "\nExample:\n  weft network export blue --cni > /etc/cni/net.d/blue.conflist");
  withServer(out).action(cli.verb((name: string, options: ExportOptions) => exportNetwork(cli, name, options)));

  const remove = noun.command("delete").alias("rm").argument("<name...>").description("Delete networks.");
  withWait(
    withServer(withForce(remove, "even if the network has endpoints; their workloads lose the interfaces")),
  ).action(
    cli.verb((names: readonly string[], options: WriteOptions & SureOptions) =>
      forEachName(cli, names, (name) => deleteNetwork(cli, name, options)),
    ),
  );
  registerMembers(noun, cli);
  registerMigrations(noun, cli);
}

function registerEdit(noun: Command, cli: Cli): void {
  const edit = noun.command("edit").argument("<name>").description("Change a network while it is in use.");
  specFlags(edit)
    .option(
      "--subnet <cidr>",
      "replace the subnet of this family (by a larger one if it has endpoints), or add a family",
      repeated,
    )
    .option("--host-prefix <length>", "ipam local: block length in an added family; once per --subnet", repeated)
    .option("--tenant <name>", "of a reservation: its tenant, whose quota it counts against")
    .option("--enabled", "allow new blocks and endpoints again")
    .option("--no-enabled", "allow no new blocks and no new endpoints");
  withWait(withServer(edit)).action(
    cli.verb((name: string, options: SpecFlags & WriteOptions) => editNetwork(cli, name, options)),
  );
}

function specFlags(command: Command): Command {
  return limitFlags(command, "none")
    .option("--strategy <name>", "ipam global: choice of a free address: lowest, next or random")
    .option("--sticky", "ipam global: give a returning owner its former address")
    .option("--no-sticky", "ipam global: give it any free address (default)")
    .option("--quarantine <seconds>", "time in which a released address goes only to its former owner (default: 60)")
    .option("--dns <address>", "name server for the endpoints, or none; repeatable", repeated)
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

async function listNetworks(cli: Cli, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [networks, vrfs] = await Promise.all([server.list("network"), server.list("vrf")]);
  const vrfOf = new Map(vrfs.map((vrf) => [vrf.name, vrf]));
  await printList(
    cli.io,
    options,
    {
      columns: columns(vrfOf),
      name: (n) => `network/${n.name}`,
      empty: "No networks. Create one: weft network create NAME --subnet CIDR",
    },
    byName(networks),
  );
}

function columns(vrfs: ReadonlyMap<string, Vrf>): readonly Column<Network>[] {
  return [
    { header: "NAME", of: (n) => n.name },
    { header: "SUBNETS", of: placeText },
    { header: "IPAM", of: (n) => n.spec.ipam },
    { header: "VNI", of: (n) => String(vniOf(n, vrfs.get(n.spec.vrf)) ?? "") },
    { header: "VRF", of: (n) => n.spec.vrf },
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

/** Where its addresses are. */
function placeText({ spec }: Network): string {
  return spec.reservedFrom === undefined ? spec.subnets.map(subnetText).join(", ") : `from ${spec.reservedFrom}`;
}

/** `9.0.0.0/8 in /24s`: the network and how it is carved. */
function subnetText(subnet: Subnet): string {
  return subnet.hostPrefix === undefined ? subnet.cidr : `${subnet.cidr} in /${subnet.hostPrefix}s`;
}

function vniOf(network: Network, vrf: Vrf | undefined): number | undefined {
  return network.spec.ipam === "local" ? vrf?.spec.vni : network.spec.vni;
}

async function showNetwork(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [network, snapshot, status] = await Promise.all([
    server.get("network", name),
    server.snapshot(),
    server.status(),
  ]);
  const mtu = mtuText(network, snapshot);
  const told = status.conditions.filter(
    ({ object }) => object === `network/${name}` || object === `vrf/${network.spec.vrf}`,
  );
  await printOne(cli.io, options, { name: `network/${name}`, value: network }, () => {
    const vrf = snapshot.vrfs.find((one) => one.name === network.spec.vrf);
    const endpoints = snapshot.endpoints.filter((endpoint) => endpoint.spec.network === name);
    return (
      fields(cli.io, [
        ["Name", network.name],
        ["Description", network.spec.description],
        ["Subnets", network.spec.subnets.map(subnetText).join(", ")],
        ["Reserved from", network.spec.reservedFrom],
        ["Tenant", network.spec.tenant],
        [
          "Addresses",
          network.spec.ipam === "local"
            ? "local: each host assigns from its block"
            : "global: the server assigns, one segment over all hosts",
        ],
        ["Ranges", network.spec.ranges?.map((range) => `${range.name} (${range.type})`).join(", ")],
        ["Strategy", strategyText(network)],
        ["DNS", network.spec.dns?.join(", ")],
        ["Slices", network.spec.slices?.map((slice) => `${slice.name} (bridge ${slice.bridge}-${name})`).join(", ")],
        ["Pool", network.spec.pool && `${network.spec.pool.name}, id ${network.spec.pool.id}`],
        ["VRF", network.spec.vrf],
        ["VNI", String(vniOf(network, vrf) ?? "")],
        ["Tunnel", vrf === undefined ? undefined : tunnelText(network.spec.driver, vrf.spec.tunnelPort)],
        ["MTU", mtu],
        ["Inbound", limitText([["network", network.spec.qos]], "inbound")],
        ["Outbound", limitText([["network", network.spec.qos]], "outbound")],
        ["Masquerade", network.spec.masquerade ? "yes" : "no"],
        ["Security groups", network.spec.securityGroups?.join(", ")],
        ["Spoofing", spoofingText(network.spec.spoofing)],
        ["Enabled", network.spec.enabled ? "yes" : "no"],
        ["CNI", cniText(network)],
        ["Endpoints", String(endpoints.length)],
        ["Revision", String(network.revision)],
        ...told.map(({ message }): [string, Cell] => ["Condition", { text: message, tone: "warn" }]),
      ]) +
      reservationsText(cli, network, snapshot) +
      hostsText(cli, network, snapshot)
    );
  });
}

function strategyText({ spec }: Network): string | undefined {
  if (spec.ipam === "local") return undefined;
  const kept = `quarantine ${quarantineMs(spec) / 1000} s`;
  return [spec.strategy ?? "lowest", ...(spec.sticky === true ? ["sticky"] : []), kept].join(", ");
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
    const vtep = snapshot.vteps.find((v) => v.spec.vrf === network.spec.vrf && v.spec.host === host.name);
    if (blocks.length === 0 && endpoints === 0) return [];
    return [
      [
        host.name,
        host.spec.underlay,
        blocks.join(", "),
        vtep?.spec.ip ?? vtep?.spec.ip6 ?? "",
        vtep?.spec.mac ?? "",
        String(endpoints),
      ],
    ];
  });
  return rows.length === 0
    ? ""
    : `\n${table(cli.io, ["HOST", "UNDERLAY", "BLOCK", "VTEP", "VTEP-MAC", "ENDPOINTS"], rows)}`;
}

async function createNetwork(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  if (options.subnet === undefined && options.pool === undefined) {
    throw new Fault("request-invalid", {
      what: "a network needs addresses",
      where: "--subnet",
      fix:
        `for instance: weft network create ${name} --subnet 10.7.0.0/16; or take them from a --pool; ` +
        "for a network without addresses see examples/addresses.yaml",
    });
  }
  const server = await connect(cli.io, options);
  const draft = draftOf(options);
  const isNewVrf = draft.vrf !== undefined && !(await server.list("vrf")).some((vrf) => vrf.name === draft.vrf);
  const network = await server
    .put("network", name, draft, { createOnly: true })
    .catch(nameExists("network", `network/${name}`, "network edit"));
  await waitFor(cli.io, options.wait, network.revision, () => server.status());
  const place = isNewVrf ? `, in the new VRF "${network.spec.vrf}"` : "";
  cli.io.err(
    `network ${name} created at revision ${network.revision}${place}: ` +
      `${network.spec.subnets.map(subnetText).join(", ")}\n` +
      overriddenText(network.spec.securityGroups),
  );
}

type ExportOptions = RemoteOptions & {
  readonly cni?: boolean;
  readonly slice?: string;
  readonly portmap?: boolean;
  readonly socket?: string;
};

async function exportNetwork(
  cli: Cli,
  name: string,
  { cni, slice, portmap, socket, ...options }: ExportOptions,
): Promise<void> {
  if (cni !== true) {
    throw new Fault("request-invalid", {
      what: "no format is given",
      where: "--cni",
      fix: `the only format is --cni: weft network export ${name} --cni`,
    });
  }
  const server = await connect(cli.io, options);
  const network = await server.get("network", name);
  const slices = (network.spec.slices ?? []).map((one) => one.name);
  if (slice !== undefined && !slices.includes(slice)) {
    throw new Fault("request-invalid", {
      what: `network "${name}" has no slice "${slice}"`,
      where: "--slice",
      fix: slices.length === 0 ? "leave it out: the network is not divided" : `choose one of ${slices.join(", ")}`,
    });
  }
  const isMapped = portmap === true || network.spec.cni === "portmap";
  const more = { ...(slice === undefined ? {} : { slice }), ...(socket === undefined ? {} : { socket }) };
  cli.io.out(cniConfigList(network, { ...more, portmap: isMapped }));
  const vrf = await server.get("vrf", network.spec.vrf);
  cli.io.err(shortcomings(network, vrf, isMapped));
}

async function editNetwork(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  const draft = draftOf(options);
  const cleared = clearedBy(options);
  const changed = [...new Set([...Object.keys(draft), ...cleared])];
  if (changed.length === 0)
    throw new Fault("request-invalid", {
      what: "no change is given",
      fix: "see weft network edit --help for what can change",
    });
  const server = await connect(cli.io, options);
  const before = await server.get("network", name);
  // A direction that is not given stays.
  const qos = draft.qos === undefined ? {} : { qos: { ...before.spec.qos, ...draft.qos } };
  const subnets = mergedSubnets(before.spec.subnets, draft.subnets);
  const whole = Object.entries({ ...before.spec, ...draft, ...qos, subnets });
  const spec = Object.fromEntries(whole.filter(([field]) => !cleared.some((each) => each === field)));
  const after = await server.put("network", name, spec, { ifRevision: before.revision });
  await waitFor(cli.io, options.wait, after.revision, () => server.status());
  if (isSame(before, after)) return cli.io.err(sameText(`network ${name}`, after));
  cli.io.err(`network ${name} changed at revision ${after.revision}: ${changed.join(", ")}\n`);
  if (draft.subnets !== undefined) {
    const [old, now] = [before, after].map(({ spec }) => spec.subnets.map(subnetText).join(", "));
    cli.io.err(`  subnets: ${old} -> ${now}\n`);
  }
  cli.io.err(overriddenText(after.spec.securityGroups));
}

async function deleteNetwork(cli: Cli, name: string, options: WriteOptions & SureOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const { networks, endpoints: all } = await server.snapshot();
  const reservations = reservedUnder(networks, name);
  const going = new Set([name, ...reservations.map((each) => each.name)]);
  const endpoints = all.filter(({ spec }) => going.has(spec.network));
  if (endpoints.length + reservations.length > 0 && options.force === true) {
    const losses = [
      ...reservations.map((each) => `reservation ${each.name}`),
      ...endpoints.map((e) => `endpoint ${e.name} on ${e.spec.host} (${e.spec.addresses.join(", ")})`),
    ];
    await confirm(cli.io, `deleting network ${name} by force`, losses, options.yes);
  }
  const { revision } = await server.remove("network", name, { force: options.force === true });
  await waitFor(cli.io, options.wait, revision, () => server.status());
  const along = [
    ...(reservations.length === 0 ? [] : [count(reservations.length, "reservation")]),
    ...(endpoints.length === 0 ? [] : [count(endpoints.length, "endpoint")]),
  ].join(" and ");
  cli.io.err(`network ${name} deleted at revision ${revision}${along === "" ? "" : `, with ${along}`}\n`);
}
