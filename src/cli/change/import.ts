// `weft import`: a configuration of another system becomes Weft's resources, in one atomic step. Importing a changed
// file changes what is there.
import type { Command } from "commander";
import type { SourceFormat } from "../../formats/formats.ts";
import type { TakeOverOfHost } from "../../formats/takeOver.ts";
import { Fault } from "../../model/fault.ts";
import { deviceFor } from "../../model/physical.ts";
import type { Cli } from "../context.ts";
import type { Io } from "../io.ts";
import { changeLinesOf, changesText, type ChangeLine } from "../output/changes.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import { type Item, readText } from "../input/resourceFile.ts";
import { reading, wholeNumber, withWait, type ReadOptions, type WriteOptions } from "../input/options.ts";
import { printOne } from "../output/format.ts";
import { confirm } from "../input/confirm.ts";
import { misuse } from "../output/error.ts";
import { followChanges } from "../network/conversion.ts";
import { waitFor } from "./wait.ts";

type ImportOptions = ReadOptions & WriteOptions & { readonly dryRun?: boolean; readonly yes?: boolean };
type DcosOptions = ImportOptions & { readonly tunnelPort?: string };
type ApceraOptions = ImportOptions & { readonly pool?: string; readonly overflow?: string };
/** A file of another system, as what to apply, with what its reader should tell a person. */
type Translated = {
  readonly file: string;
  readonly notes: readonly string[];
  /** What hosts will take over. */
  readonly takeOvers?: readonly string[];
  /** What a person should do when it is imported. */
  readonly next?: readonly string[];
  readonly wanted: Omit<Parameters<ServerClient["apply"]>[0], "dryRun">;
  /** Where the file says a resource, by `network/mgmt`. */
  readonly places?: ReadonlyMap<string, readonly string[]>;
};

export function register(noun: Command, cli: Cli): void {
  const dcos = noun
    .command("dcos")
    .argument("<file>", "config.yaml of DC/OS; - for stdin")
    .description("Create the virtual networks of a DC/OS configuration.")
    .option("--dry-run", "only show what would change")
    .option("--tunnel-port <port>", "UDP port of the tunnel (default: 4789; DC/OS uses 64000)")
    .option("-y, --yes", "do not ask for confirmation before networks are deleted");
  withWait(reading(dcos)).action(cli.verb(importDcos));
  const apcera = noun
    .command("apcera")
    .argument("<file>", "cluster.conf of Apcera; - for stdin")
    .description("Create a pool that gives networks the ids and subnets of Apcera; with another driver, convert them.")
    .option("--dry-run", "only show what would change")
    .option("--pool <name>", "name of the pool (default: apcera)")
    .option("--overflow <cidr>", "subnets of networks after id 255 (default: 10.224.0.0/12)");
  withWait(reading(apcera))
    .addHelpText("after", "\nNext: weft network create web --pool apcera, then weft network join web frontend.")
    .action(cli.verb(importApcera));
  for (const format of ["ifupdown", "netplan", "networkd"] as const) registerFiles(noun, cli, format);
}

const ABOUT = {
  ifupdown: "/etc/network/interfaces, of ifupdown or ifupdown2",
  netplan: "/etc/netplan",
  networkd: "/etc/systemd/network",
} as const satisfies Readonly<Record<SourceFormat, string>>;

function registerFiles(noun: Command, cli: Cli, format: SourceFormat): void {
  const command = noun
    .command(format)
    .argument("<path...>", `files or folders like ${ABOUT[format]}; HOST=PATH: of that host`)
    .description(`Create the networks, and hosts' addresses in them, that files of ${format} describe.`)
    .option("--host <name>", "the host that the files are of")
    .option("--take-over", "hosts take over the devices that the files have made, without a lost packet")
    .option("--dry-run", "only show what would change")
    .option("-y, --yes", "do not ask for confirmation before networks are deleted");
  withWait(reading(command))
    .addHelpText("after", "\nWhat is not imported is said with its line, before anything is changed.")
    .action(cli.verb((_, paths: readonly string[], options: FileOptions) => importFiles(cli, format, paths, options)));
}

type FileOptions = ImportOptions & { readonly host?: string; readonly takeOver?: boolean };

async function importFiles(cli: Cli, format: SourceFormat, paths: readonly string[], options: FileOptions) {
  const { readHostFiles } = await import("./hostFiles.ts");
  const server = await connect(cli.io, options);
  const before = { snapshot: await server.snapshot(), takesOver: options.takeOver === true };
  const { resources, places, devices, notes, takeOvers } = await readHostFiles(format, paths, options.host, before);
  const file = paths.join(" ");
  if (resources.length === 0) {
    for (const note of notes) cli.io.err(`note: ${note}\n`);
    throw misuse(file, "these files have no network that can be imported", "see the notes");
  }
  const specs = new Map(before.snapshot.hosts.map((one) => [one.name, one.spec]));
  const next = devices
    .filter(({ host, name, device }) => deviceFor(specs.get(host) ?? {}, name) !== device)
    .map(({ host, name, device }) => `weft host set ${host} --physical ${name}=${device}`);
  const taken = takeOvers.map(takeOverText);
  await importAll(cli, { file, notes, next, takeOvers: taken, wanted: { resources }, places }, options);
}

/** `h1: br-mgmt, encap-mgmt, 172.29.236.11/22 (network mgmt)`. */
function takeOverText({ host, network, devices, addresses }: TakeOverOfHost): string {
  return `${host}: ${[...devices, ...addresses].join(", ")} (network ${network})`;
}

async function importDcos(cli: Cli, file: string, options: DcosOptions): Promise<void> {
  const [{ parseDcosConfig }, { applyOf }] = await Promise.all([
    import("../../ancestors/dcos/config.ts"),
    import("../../ancestors/dcos/resources.ts"),
  ]);
  const config = parseDcosConfig(await readText(cli.io, file), file);
  const wanted = applyOf(config, wholeNumber(options.tunnelPort, "--tunnel-port"));
  await importAll(cli, { file, notes: config.notes, wanted }, options);
}

async function importApcera(cli: Cli, file: string, options: ApceraOptions): Promise<void> {
  const [{ parseApceraConfig }, { applyOf }] = await Promise.all([
    import("../../ancestors/apcera/config.ts"),
    import("../../ancestors/apcera/resources.ts"),
  ]);
  const config = parseApceraConfig(await readText(cli.io, file), file);
  const known = await (await connect(cli.io, options)).snapshot();
  const wanted = applyOf(config, options, known);
  const isConverting = wanted.resources.length > 1 && options.dryRun !== true;
  const next = isConverting ? ["weft network conversion list"] : [];
  await importAll(cli, { file, notes: config.notes, next, wanted }, options);
}

async function importAll(
  cli: Cli,
  { file, notes, next = [], takeOvers = [], wanted, places = new Map() }: Translated,
  options: ImportOptions,
): Promise<void> {
  const { io } = cli;
  for (const note of notes) io.err(`note: ${note}\n`);
  const server = await connect(io, options);
  const before = await server.snapshot();
  const located = (error: unknown): never => {
    throw faultInFile(error, wanted.resources, places);
  };
  const planned = changeLinesOf((await server.apply({ ...wanted, dryRun: true }).catch(located)).changes, before);
  if (options.dryRun !== true) await confirmLosses(io, planned, options);
  const outcome =
    options.dryRun === true || planned.length === 0 ? undefined : await server.apply(wanted).catch(located);
  if (outcome !== undefined) await waitFor(io, options.wait, outcome.revision, server);
  const revision = outcome?.revision ?? before.revision;
  const value = { revision, changes: planned, ...(takeOvers.length === 0 ? {} : { takeOvers }) };
  const isDry = options.dryRun === true;
  const text = () => changesText(io, isDry ? withSpecs(planned, wanted.resources) : planned, outcome === undefined);
  // What a dry run prints for programs is a file for `weft apply -f`.
  await printOne(io, options, { name: `revision/${revision}`, value: isDry ? wanted.resources : value }, text);
  for (const line of takeOvers) io.err(`take-over: ${line}\n`);
  if (planned.length === 0) io.err(`nothing to change: everything is as ${file} says\n`);
  else if (outcome === undefined) io.err("only a dry run: nothing was changed\n");
  else io.err(`imported at revision ${outcome.revision}\n`);
  if (outcome !== undefined) await followChanges(cli, options, outcome.changes);
  for (const line of next) io.err(`next: ${line}\n`);
}

/** A refusal of what a file says names the file and line. */
function faultInFile(error: unknown, items: readonly unknown[], places: ReadonlyMap<string, readonly string[]>) {
  if (!(error instanceof Fault)) return error;
  const [, place = "", field = ""] = /^resources\[(\d+)\]\.?(.*)$/.exec(error.detail.where ?? "") ?? [];
  const item = items[Number(place)] as Item | undefined;
  const key = place === "" || item === undefined ? error.detail.where : `${item.kind}/${item.name}`;
  const lines = places.get(key ?? "");
  if (key === undefined || lines === undefined) return error;
  const where = `${lines.join(", ")}: ${key}${field === "" ? "" : `, ${field.replace(/^spec\./, "")}`}`;
  return new Fault(error.reason, { ...error.detail, where }, { cause: error });
}

/** What would be created, with what the file says of it. */
function withSpecs(planned: readonly ChangeLine[], items: readonly unknown[]): readonly ChangeLine[] {
  // Readers make them in the shape that apply takes.
  const specs = new Map((items as readonly Item[]).map(({ kind, name, spec }) => [`${kind}/${name}`, spec]));
  return planned.map((line) => {
    if (line.verb !== "created") return line;
    const fields = Object.entries(specs.get(line.key) ?? {});
    return { ...line, fields: fields.map(([field, value]) => `${field}: ${JSON.stringify(value)}`) };
  });
}

async function confirmLosses(io: Io, planned: readonly ChangeLine[], options: ImportOptions): Promise<void> {
  const losses = planned
    .filter(({ verb, key }) => verb === "deleted" && key.startsWith("network/"))
    .map(({ key }) => `${key}: the file no longer has it`);
  await confirm(io, "this import", losses, options.yes);
}
