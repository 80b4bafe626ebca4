// `weft physical`: physical networks, which VLANs of them Weft may take, and which devices of hosts lead to them.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import type { InputOf } from "../../model/kinds.ts";
import type { PhysicalNetwork } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import type { ServerClient } from "../input/connect.ts";
import { repeated, wholeNumber, writing, type Lists, type Texts, type WriteOptions } from "../input/options.ts";
import { changedNames } from "../output/changes.ts";
import { byName, fields, type Column } from "../output/format.ts";
import { table } from "../output/table.ts";
import { create, edit, noChange, registerDelete, registerList, registerShow } from "../resource/verbs.ts";
import { devicesText, vlanText } from "./way.ts";

type SpecFlags = Texts<"mtu" | "description"> & Lists<"vlans">;

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "physicalnetwork", {
    about: "List physical networks.",
    columns: COLUMNS,
    empty: "No physical networks. Create one: weft physical create NAME --vlans 100-199",
  });
  registerShow(noun, cli, "physicalnetwork", {
    about: "Show a physical network: the hosts' devices that lead to it, and the networks on it.",
    text: physicalText,
  });
  const make = noun
    .command("create <name>")
    .description("Create a physical network.")
    .addHelpText(
      "after",
      `
Say on each host which device leads there:
  weft agent --physical lan=eth1 …    or, from here:    weft host set h1 --physical lan=eth1`,
    );
  writing(specFlags(make)).action(cli.verb(createPhysical));
  const change = noun.command("edit <name>").description("Change a physical network. Networks on it keep their VLANs.");
  writing(specFlags(change)).action(cli.verb(editPhysical));
  registerDelete(noun, cli, "physicalnetwork", {
    about: "Delete physical networks.",
    force: "even if it has networks; they are deleted with all their endpoints",
    losses: async (server, name) => (await networksOn(server, name)).map((network) => `network ${network.name}`),
    hasWait: true,
  });
}

function specFlags(command: Command): Command {
  return command
    .option("--vlans <ranges>", "VLANs for networks that name none, like 100-199; repeatable", repeated)
    .option("--mtu <bytes>", "what its switches carry (default: what the hosts' devices do)")
    .option("--description <text>", "text that list and show print");
}

function specOf({ vlans, mtu, description }: SpecFlags): InputOf<"physicalnetwork"> {
  return defined({ vlans, mtu: wholeNumber(mtu, "--mtu", 1500), description });
}

async function createPhysical(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  const how = { kind: "physicalnetwork", noun: "physical", called: "physical network" } as const;
  const { revision } = await create(cli, options, { ...how, name, spec: specOf(options) });
  cli.io.err(`physical network ${name} created at revision ${revision}\n`);
}

async function editPhysical(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  const changes = specOf(options);
  if (Object.keys(changes).length === 0) throw noChange("physical");
  await edit(cli, options, {
    kind: "physicalnetwork",
    name,
    change: ({ spec }) => ({ ...spec, ...changes }),
    done: (after, before) =>
      `physical network ${name} changed at revision ${after.revision}: ${changedNames(before, after)}\n`,
  });
}

const COLUMNS: readonly Column<PhysicalNetwork>[] = [
  { header: "NAME", of: (p) => p.name },
  { header: "VLANS", of: (p) => p.spec.vlans?.join(", ") ?? "" },
  { header: "MTU", of: (p) => String(p.spec.mtu ?? "auto") },
  { header: "DESCRIPTION", of: (p) => p.spec.description ?? "" },
];

async function physicalText(
  { io }: Cli,
  { name, spec, revision }: PhysicalNetwork,
  server: ServerClient,
): Promise<string> {
  const [hosts, networks] = await Promise.all([server.list("host"), networksOn(server, name)]);
  const devices = devicesText(name, byName(hosts)).map((row) => [...row]);
  const rows = byName(networks).map((network) => [network.name, network.spec.driver, vlanText(network.spec) ?? ""]);
  const head = fields(io, [
    ["Name", name],
    ["Description", spec.description],
    ["VLANs to choose", spec.vlans?.join(", ") ?? "none"],
    ["MTU", spec.mtu === undefined ? "auto: what the hosts' devices carry" : String(spec.mtu)],
    ["Revision", String(revision)],
  ]);
  return [
    head,
    devices.length === 0 ? "" : `\n${table(io, ["HOST", "DEVICE", "STATE"], devices)}`,
    rows.length === 0 ? "" : `\n${table(io, ["NETWORK", "DRIVER", "VLAN"], rows)}`,
  ].join("");
}

async function networksOn(server: ServerClient, name: string) {
  return (await server.list("network")).filter(({ spec }) => spec.parent === name);
}
