// `weft vrf`: routing domains. They come and go with their networks; one that was made or changed here stays.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { formatCidr, parseCidr } from "../../model/address.ts";
import { DEFAULT_DRIVER, isPhysical, tunnelText } from "../../model/driver.ts";
import type { VrfInput } from "../../model/input.ts";
import { VRF_FIELDS } from "../../model/kinds/conversion.ts";
import { TUNNEL_PORT } from "../../model/limits.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import type { ServerClient } from "../input/connect.ts";
import {
  repeated,
  wholeNumber,
  wordOf,
  writing,
  type Lists,
  type Switches,
  type Texts,
  type WriteOptions,
} from "../input/options.ts";
import { changedNames } from "../output/changes.ts";
import { fields, namesOf, type Column } from "../output/format.ts";
import { create, edit, noChange, registerDelete, registerList, registerShow } from "../resource/verbs.ts";
import { changingFields, formerVrf } from "./changing.ts";
import { followConversion } from "./conversion.ts";

type SpecFlags = Texts<"vni" | "tunnelPort" | "placement"> & Lists<"vtepSubnet"> & Switches<"hostAccess">;

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "vrf", {
    about: "List routing domains.",
    columns: COLUMNS,
    empty: "No routing domains: each comes with its first network.",
  });
  registerShow(noun, cli, "vrf", { about: "Show a routing domain: its tunnel and its networks.", text: vrfText });
  const make = noun
    .command("create <name>")
    .description("Create a routing domain before its networks. Otherwise it comes with its first network.");
  writing(specFlags(make))
    .option("--placement <where>", "host: its networks are in the hosts' own namespace; one VRF may be")
    .action(cli.verb(createVrf));
  const change = noun
    .command("edit <name>")
    .description(
      "Change a routing domain. VNI and port change in phases while endpoints use it (weft network conversion list); " +
        "VTEP subnets that tunnels use cannot be changed or removed.",
    );
  writing(specFlags(change)).action(cli.verb(editVrf));
  registerDelete(noun, cli, "vrf", {
    about: "Delete routing domains.",
    force: "even if it has networks; they are deleted with all their endpoints",
    losses: lossesOf,
    hasWait: true,
  });
}

function specFlags(command: Command): Command {
  return command
    .option("--vni <n>", "VNI of the tunnels of its routed networks")
    .option("--tunnel-port <port>", `UDP port of its tunnels (default: ${TUNNEL_PORT})`)
    .option("--vtep-subnet <cidr>", "subnet of the hosts' tunnel addresses; once per family", repeated)
    .option("--host-access", "host and endpoints on it reach each other, which port mappings need")
    .option("--no-host-access", "host and endpoints do not reach each other (default)");
}

function specOf({ hostAccess, ...flags }: SpecFlags): VrfInput {
  return defined({
    vni: wholeNumber(flags.vni, "--vni", 5000),
    tunnelPort: wholeNumber(flags.tunnelPort, "--tunnel-port", TUNNEL_PORT),
    vtepSubnets: flags.vtepSubnet?.map((text) => formatCidr(parseCidr(text, "--vtep-subnet"))),
    placement: wordOf(flags.placement, "--placement", "a placement", ["host"] as const),
    hostAccess,
  });
}

async function createVrf(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  const spec = specOf(options);
  const vrf = await create(cli, options, { kind: "vrf", name, spec, noun: "vrf", called: "VRF" });
  cli.io.err(`VRF ${name} created at revision ${vrf.revision}: VNI ${vrf.spec.vni}\n`);
}

async function editVrf(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  const changes = specOf(options);
  if (Object.keys(changes).length === 0) throw noChange("vrf");
  await edit(cli, options, {
    kind: "vrf",
    name,
    change: ({ spec }) => ({ ...spec, ...changes }),
    done: (after, before) => `VRF ${name} changed at revision ${after.revision}: ${changedNames(before, after)}\n`,
    follow: VRF_FIELDS.some((field) => field in changes)
      ? ({ revision }) => followConversion(cli, options, { vrf: name, revision })
      : undefined,
  });
}

async function lossesOf(server: ServerClient, name: string): Promise<readonly string[]> {
  const { networks, endpoints } = await server.snapshot();
  const going = new Set(networks.filter(({ spec }) => spec.vrf === name).map((network) => network.name));
  return [
    ...[...going].map((network) => `network ${network}`),
    ...endpoints.filter(({ spec }) => going.has(spec.network)).map((e) => `endpoint ${e.name} on ${e.spec.host}`),
  ];
}

const COLUMNS: readonly Column<Vrf>[] = [
  { header: "NAME", of: (v) => v.name },
  { header: "VNI", of: (v) => String(v.spec.vni) },
  { header: "PORT", of: (v) => String(v.spec.tunnelPort) },
  { header: "VTEPS", of: (v) => v.spec.vtepSubnets.join(", ") },
  { header: "HOST-ACCESS", of: (v) => (v.spec.hostAccess ? "yes" : "no") },
  { header: "OUI", of: (v) => v.spec.vtepMacOui, wide: true },
  { header: "INDEX", of: (v) => String(v.spec.index), wide: true },
];

async function vrfText({ io }: Cli, vrf: Vrf, server: ServerClient): Promise<string> {
  const { name, spec, revision } = vrf;
  const [all, conversions] = await Promise.all([server.list("network"), server.list("conversion")]);
  const networks = all.filter((network) => network.spec.vrf === name);
  const former = formerVrf(vrf, conversions);
  return fields(io, [
    ["Name", name],
    ["Networks", namesOf(networks)],
    ...changingFields(
      tunnelFields(vrf, networks),
      former && { ...former, before: tunnelFields(former.before, networks) },
    ),
    ["Placement", spec.placement === "host" ? "host: in the hosts' own namespace" : undefined],
    ["VTEP subnets", spec.vtepSubnets.join(", ") || undefined],
    ["VTEP MACs", spec.vtepSubnets.length === 0 ? undefined : `${spec.vtepMacOui}:…`],
    ["Host access", spec.hostAccess ? "a host and the workloads on it reach each other" : "none"],
    ["Revision", String(revision)],
  ]);
}

/** What conversions of a VRF change. */
function tunnelFields({ spec }: Vrf, networks: readonly Network[]): [string, string | undefined][] {
  const ways = networks.length === 0 ? [{ driver: DEFAULT_DRIVER }] : networks.map((network) => network.spec);
  const tunnels = new Set(ways.filter((way) => !isPhysical(way)).map((way) => tunnelText(way, spec.tunnelPort)));
  return [
    ["VNI", String(spec.vni)],
    ["Tunnel", [...tunnels].join("; ")],
    ["VTEP device", spec.vtepName],
  ];
}
