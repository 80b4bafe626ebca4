// Commands of kinds that have none of their own: list, show, create from a file, delete, all by the kind's record.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { type WritableKind, calledOf, columnsOf, isDeletable } from "../../model/kinds.ts";
import { waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { requiredOption, writing, type WriteOptions } from "../input/options.ts";
import { inFile } from "../input/places.ts";
import { itemsOf, readText } from "../input/resourceFile.ts";
import { fields } from "../output/format.ts";
import { registerDelete, registerList, registerShow } from "./verbs.ts";

type FileOptions = WriteOptions & { readonly file: string };

export function register(noun: Command, cli: Cli, kind: WritableKind): void {
  const called = calledOf(kind);
  const columns = columnsOf(kind).map((field) => ({
    header: field.toUpperCase(),
    of: ({ spec }: { readonly spec: object }) => textOf(spec, field),
  }));
  registerList(noun, cli, kind, {
    about: `List ${called}s.`,
    columns: [{ header: "NAME", of: ({ name }) => name }, ...columns],
    empty: `No ${called}s. Make one: weft ${noun.name()} create -f FILE`,
  });
  registerShow(noun, cli, kind, {
    about: `Show a ${called}.`,
    text: ({ io }, { name, spec, revision }) => {
      const shown = Object.keys(spec).map((field): [string, string] => [capital(field), textOf(spec, field)]);
      return fields(io, [["Name", name], ...shown, ["Revision", String(revision)]]);
    },
  });
  const make = noun.command("create").description(`Create ${called}s, or change them to what a file says.`);
  requiredOption(make, "-f, --file <file>", `YAML or JSON with ${called}s; - for stdin`);
  writing(make).action(cli.verb((_, options: FileOptions) => createFrom(cli, kind, options)));
  if (isDeletable(kind))
    registerDelete(noun, cli, kind, {
      about: `Delete ${called}s.`,
      force: "even if something refers to it; that is deleted, too",
      hasWait: true,
    });
}

async function createFrom(cli: Cli, kind: WritableKind, options: FileOptions): Promise<void> {
  const resources = await itemsOf(await readText(cli.io, options.file), options.file);
  const other = resources.find((item) => item.kind !== kind);
  if (other !== undefined) {
    const what = `${other.kind} "${other.name}" is not a ${calledOf(kind)}`;
    const fix = `take it out, or apply the whole file: weft apply -f ${options.file}`;
    throw new Fault("request-invalid", { what, where: options.file, fix });
  }
  const server = await connect(cli.io, options);
  const { revision } = await inFile(resources, server.apply({ resources }));
  await waitFor(cli.io, options.wait, revision, server);
  for (const { name } of resources)
    cli.io.err(`${calledOf(kind)} ${name} is as in ${options.file}, at revision ${revision}\n`);
}

function textOf(spec: object, field: string): string {
  const value: unknown = (spec as { readonly [field: string]: unknown })[field];
  if (value === undefined) return "";
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value.join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
