// `weft vrf`: routing domains. They come and go with their networks; one that was made or changed here stays.
import type { Command } from "commander";
import { formatCidr, parseCidr } from "../../model/address.ts";
import { DEFAULT_DRIVER, tunnelText } from "../../model/driver.ts";
import { Fault } from "../../model/fault.ts";
import type { VrfInput } from "../../model/input.ts";
import { TUNNEL_PORT } from "../../model/limits.ts";
import type { Network, Vrf } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { isSame, sameText } from "../output/changes.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import {
  withOutput,
  withServer,
  repeated,
  withWait,
  wholeNumber,
  type ReadOptions,
  type WriteOptions,
} from "../input/options.ts";
import { byName, fields, printOne, type Column } from "../output/format.ts";
import { nameExists, registerDelete, registerList } from "../resource/verbs.ts";
import { waitFor } from "../change/wait.ts";

type SpecFlags = {
  readonly vni?: string;
  readonly tunnelPort?: string;
  readonly vtepSubnet?: readonly string[];
  readonly hostAccess?: boolean;
};

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "vrf", {
    about: "List routing domains.",
    columns: COLUMNS,
    empty: "No routing domains: each comes with its first network.",
  });
  const show = noun
    .command("show")
    .argument("<name>")
    .description("Show a routing domain: its tunnel and its networks.");
  withOutput(withServer(show)).action(cli.verb((name: string, options: ReadOptions) => showVrf(cli, name, options)));

  const create = noun
    .command("create")
    .argument("<name>")
    .description("Create a routing domain before its networks. Otherwise it comes with its first network.");
  withWait(withServer(specFlags(create))).action(
    cli.verb((name: string, options: SpecFlags & WriteOptions) => createVrf(cli, name, options)),
  );
  const edit = noun
    .command("edit")
    .argument("<name>")
    .description("Change a routing domain. VNI, port and VTEP subnets can change only while it has no endpoints.");
  withWait(withServer(specFlags(edit))).action(
    cli.verb((name: string, options: SpecFlags & WriteOptions) => editVrf(cli, name, options)),
  );
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

function specOf(flags: SpecFlags): VrfInput {
  const vni = wholeNumber(flags.vni, "--vni", 5000);
  const tunnelPort = wholeNumber(flags.tunnelPort, "--tunnel-port", TUNNEL_PORT);
  const vtepSubnets = flags.vtepSubnet?.map((text) => formatCidr(parseCidr(text, "--vtep-subnet")));
  return {
    ...(vni === undefined ? {} : { vni }),
    ...(tunnelPort === undefined ? {} : { tunnelPort }),
    ...(vtepSubnets === undefined ? {} : { vtepSubnets }),
    ...(flags.hostAccess === undefined ? {} : { hostAccess: flags.hostAccess }),
  };
}

async function createVrf(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  const spec = specOf(options);
  const server = await connect(cli.io, options);
  const vrf = await server
    .put("vrf", name, spec, { createOnly: true })
    .catch(nameExists("VRF", `vrf/${name}`, "vrf edit"));
  await waitFor(cli.io, options.wait, vrf.revision, () => server.status());
  cli.io.err(`VRF ${name} created at revision ${vrf.revision}: VNI ${vrf.spec.vni}\n`);
}

async function editVrf(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  const changes = specOf(options);
  const changed = Object.keys(changes);
  if (changed.length === 0)
    throw new Fault("request-invalid", {
      what: "no change is given",
      fix: "see weft vrf edit --help for what can change",
    });
  const server = await connect(cli.io, options);
  const before = await server.get("vrf", name);
  const after = await server.put("vrf", name, { ...before.spec, ...changes }, { ifRevision: before.revision });
  await waitFor(cli.io, options.wait, after.revision, () => server.status());
  if (isSame(before, after)) return cli.io.err(sameText(`VRF ${name}`, after));
  cli.io.err(`VRF ${name} changed at revision ${after.revision}: ${changed.join(", ")}\n`);
}

async function lossesOf(server: ServerClient, name: string): Promise<readonly string[]> {
  const { networks, endpoints } = await server.snapshot();
  const going = new Set(networks.filter(({ spec }) => spec.vrf === name).map((network) => network.name));
  return [
    ...[...going].map((network) => `network ${network}`),
    ...endpoints.filter(({ spec }) => going.has(spec.network)).map((e) => `endpoint ${e.name} on ${e.spec.host}`),
  ];
}

function tunnelsText({ name, spec }: Vrf, networks: readonly Network[]): string {
  const drivers = new Set(
    networks.filter((network) => network.spec.vrf === name).map((network) => network.spec.driver),
  );
  if (drivers.size === 0) drivers.add(DEFAULT_DRIVER);
  return [...drivers].map((driver) => tunnelText(driver, spec.tunnelPort)).join("; ");
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

async function showVrf(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [vrf, networks] = await Promise.all([server.get("vrf", name), server.list("network")]);
  await printOne(cli.io, options, { name: `vrf/${name}`, value: vrf }, () =>
    fields(cli.io, [
      ["Name", name],
      [
        "Networks",
        byName(networks.filter((n) => n.spec.vrf === name))
          .map((n) => n.name)
          .join(", "),
      ],
      ["VNI", String(vrf.spec.vni)],
      ["Tunnel", tunnelsText(vrf, networks)],
      ["VTEP subnets", vrf.spec.vtepSubnets.join(", ")],
      ["VTEP MACs", `${vrf.spec.vtepMacOui}:…`],
      ["VTEP device", vrf.spec.vtepName],
      ["Host access", vrf.spec.hostAccess ? "a host and the workloads on it reach each other" : "none"],
      ["Revision", String(vrf.revision)],
    ]),
  );
}
