// `weft template`: what networks have in common that people make by a name, and networks made from it.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import { DRIVERS } from "../../model/driver.ts";
import type { InstantiateRequest } from "../../model/input.ts";
import type { TemplateInput } from "../../model/kinds/template.ts";
import type { Network, Template } from "../../model/resource.ts";
import { waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import {
  type Lists,
  listOrNone,
  repeated,
  type Switches,
  type Texts,
  wholeNumber,
  withServer,
  type WriteOptions,
  writing,
} from "../input/options.ts";
import { readText } from "../input/resourceFile.ts";
import { draftOf, type SpecFlags, subnetsText } from "../network/draft.ts";
import { newFlags, specFlags } from "../network/flags.ts";
import { misuse } from "../output/error.ts";
import { type Column, fields } from "../output/format.ts";
import { table } from "../output/table.ts";
import { create, edit, noChange, registerDelete, registerList, registerShow } from "../resource/verbs.ts";
import { definitionOf, inputText, rangeOf } from "./inputs.ts";

type TemplateFlags = SpecFlags & Lists<"define" | "restrict">;
type MakeFlags = SpecFlags &
  Lists<"input" | "range"> &
  Texts<"count" | "file"> &
  Switches<"replaceAddresses" | "dryRun">;

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "template", {
    about: "List templates.",
    columns: COLUMNS,
    empty: "No templates. Make one: weft template create NAME",
  });
  registerShow(noun, cli, "template", { about: "Show a template: its inputs, and what its networks are.", text });
  registerInstantiate(noun, cli);
  registerCreate(noun, cli);
  registerDelete(noun, cli, "template", {
    about: "Delete templates; networks that were made from them stay.",
  });
  const copy = noun.command("clone <template> <copy>").description("Copy a template under another name.");
  withServer(copy).action(
    cli.verb(async ({ io }, name: string, other: string, options: WriteOptions) => {
      const made = await (await connect(io, options)).cloneTemplate(name, other);
      io.err(`template ${other} created at revision ${made.revision}, as ${name} is\n`);
    }),
  );
  const rename = noun.command("rename <template> <to>").description("Give a template another name.");
  withServer(rename).action(
    cli.verb(async ({ io }, name: string, other: string, options: WriteOptions) => {
      const renamed = await (await connect(io, options)).renameTemplate(name, other);
      io.err(`template ${name} is called ${other} since revision ${renamed.revision}\n`);
    }),
  );
}

const COLUMNS: readonly Column<Template>[] = [
  { header: "NAME", of: ({ name }) => name },
  { header: "DRIVER", of: ({ spec: { network } }) => (network.driver ? DRIVERS[network.driver].title : "") },
  { header: "ADDRESSES", of: addressesText },
  { header: "INPUTS", of: ({ spec }) => (spec.inputs ?? []).map(({ name }) => name).join(", ") },
  { header: "DESCRIPTION", of: ({ spec }) => spec.description ?? "" },
];

function addressesText({ spec: { network } }: Template): string {
  const { pool, subnets, ranges } = network;
  if (pool !== undefined) return `pool ${pool.name}`;
  return subnets === undefined ? (ranges ?? []).map(({ name }) => `range ${name}`).join(", ") : subnetsText(subnets);
}

async function text({ io }: Cli, template: Template): Promise<string> {
  const { stringify } = await import("yaml");
  const { name, spec, revision } = template;
  const head = fields(io, [
    ["Name", name],
    ["Description", spec.description],
    ["Addresses", addressesText(template)],
    ["Restricted", spec.restricted?.join(", ")],
    ["Revision", revision === 0 ? "0: built in" : String(revision)],
  ]);
  const rows = (spec.inputs ?? []).map((input) => [
    input.name,
    input.type,
    input.field,
    inputText(input),
    input.description ?? "",
  ]);
  const inputs = rows.length === 0 ? "" : `\n${table(io, ["INPUT", "TYPE", "FIELD", "DEFAULT", "DESCRIPTION"], rows)}`;
  const network = stringify(spec.network, { aliasDuplicateObjects: false }).replaceAll(/^(?=.)/gm, "  ");
  return `${head}${inputs}\nNetwork:\n${network}`;
}

function registerInstantiate(noun: Command, cli: Cli): void {
  const make = noun
    .command("instantiate <template> [network]")
    .alias("new")
    .description("Make networks from a template; without a name they are called like it, with a number.")
    .option("--count <n>", "make so many, all or none; their names end in -1, -2, ...")
    .option("--input <name=value>", "value of an input of the template; repeatable", repeated)
    .option("--range <first+size>", "ipam global: give only these addresses, like 10.7.0.10+20; repeatable", repeated)
    .option("-f, --file <file>", "further fields of the network, as YAML: what is below `spec` of a network")
    .option("--replace-addresses", "subnets, pool or ranges that are given are instead of the template's")
    .option("--dry-run", "only show what would be made")
    .addHelpText(
      "after",
      `
Examples:
  weft template instantiate private-ipv4 lab
  weft template instantiate private-ipv4 lab --count 3 --input prefix=26
  weft template instantiate campus --range 10.20.0.10+20`,
    );
  writing(newFlags(specFlags(make))).action(cli.verb(instantiate));
}

async function instantiate(
  cli: Cli,
  template: string,
  name: string | undefined,
  options: MakeFlags & WriteOptions,
): Promise<void> {
  const { io } = cli;
  const { dryRun, replaceAddresses, count } = options;
  const own = { ...(await fieldsOf(cli, options.file)), ...draftOf(options), ...rangesOf(options.range) };
  const request = defined({
    name,
    count: wholeNumber(count, "--count", 3),
    inputs: options.input && inputsOf(options.input),
    network: Object.keys(own).length === 0 ? undefined : own,
    replaceAddresses,
    dryRun,
  });
  const server = await connect(io, options);
  const { revision, networks } = await server.instantiate(template, request);
  if (dryRun !== true) await waitFor(io, options.wait, revision, server);
  const verb = dryRun === true ? "would be created" : `created at revision ${revision}`;
  for (const network of networks) io.err(`network ${network.name} ${verb}: ${placeText(network)}\n`);
}

function placeText({ spec }: Network): string {
  const [subnet] = spec.subnets;
  const gateway = subnet?.gateway === undefined || subnet.gateway === "none" ? "" : `, gateway ${subnet.gateway}`;
  return `${subnetsText(spec.subnets) || "no subnet of its own"}${gateway}, VRF ${spec.vrf}`;
}

async function fieldsOf({ io }: Cli, file: string | undefined): Promise<object> {
  if (file === undefined) return {};
  const { parse } = await import("yaml");
  const value: unknown = parse(await readText(io, file));
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw misuse(file, "the file has no fields of a network", "write lines like `mtu: 1400`");
}

function rangesOf(texts: readonly string[] | undefined) {
  return texts === undefined ? {} : { ranges: texts.map((range, i) => rangeOf(range, `range-${i + 1}`)) };
}

function inputsOf(texts: readonly string[]): NonNullable<InstantiateRequest["inputs"]> {
  const pairs = texts.map((pair): [string, string] => {
    const at = pair.indexOf("=");
    if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
    throw misuse("--input", `"${pair}" is no input`, "write it like --input prefix=26");
  });
  const twice = pairs.find(([name], i) => pairs.findIndex(([other]) => other === name) !== i);
  if (twice !== undefined) throw misuse("--input", `input ${twice[0]} is given twice`, "give it once");
  return Object.fromEntries(pairs);
}

function registerCreate(noun: Command, cli: Cli): void {
  const make = noun
    .command("create <name>")
    .description("Create a template: what options say of a network, and which of it callers choose.")
    .addHelpText(
      "after",
      `
Examples:
  weft template create lab --driver vxlan --ipam global --pool tenants --define prefix:number:pool.prefix=26
  weft template create campus --driver vlan --parent campus --subnet 10.20.0.0/16 --gateway none --restrict vlan
  weft template create open --pool tenants --sg none`,
    );
  writing(templateFlags(newFlags(specFlags(make)))).action(
    cli.verb(async (_, name: string, options: TemplateFlags & WriteOptions) => {
      const spec = { network: draftOf(options), ...partsOf(options) };
      const { network } = spec;
      const made = await create(cli, options, { kind: "template", name, spec, noun: "template", called: "template" });
      const note = network.pool ?? network.subnets ?? network.ranges;
      cli.io.err(
        `template ${name} created at revision ${made.revision}\n` +
          (note === undefined ? "note: it has no addresses, so each network has to be given some\n" : ""),
      );
    }),
  );
  const change = noun
    .command("update <name>")
    .alias("edit")
    .description("Change a template; networks that were made from it stay as they are.");
  writing(templateFlags(newFlags(specFlags(change)))).action(
    cli.verb(async (_, name: string, options: TemplateFlags & WriteOptions) => {
      const network = draftOf(options);
      const parts = partsOf(options);
      if (Object.keys({ ...network, ...parts }).length === 0) throw noChange("template", "update");
      await edit(cli, options, {
        kind: "template",
        name,
        change: ({ spec }) => ({ ...spec, network: { ...spec.network, ...network }, ...parts }),
        done: ({ revision }) => `template ${name} changed at revision ${revision}\n`,
      });
    }),
  );
}

function templateFlags(command: Command): Command {
  return command
    .option(
      "--define <name:type:field>",
      "an input, like prefix:number:pool.prefix, with =DEFAULT behind it if it has one; or none; repeatable",
      repeated,
    )
    .option(
      "--restrict <field>",
      "only who may administer the template gives this field; or none; repeatable",
      repeated,
    );
}

function partsOf({ define, restrict }: TemplateFlags): {
  inputs?: readonly TemplateInput[];
  restricted?: readonly string[];
} {
  return defined({
    inputs: define && listOrNone(define, "--define").map(definitionOf),
    restricted: restrict && listOrNone(restrict, "--restrict"),
  });
}
