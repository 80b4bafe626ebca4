// Commands of kinds that have few of their own: list, show, create from a file, delete, all by the kind's record; and
// create and edit by options, for kinds that say which.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { type WritableKind, calledOf, oneText, columnsOf, isDeletable } from "../../model/kinds.ts";
import { waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { requiredOption, writing, type Texts, type WriteOptions } from "../input/options.ts";
import { inFile } from "../input/places.ts";
import { itemsOf, readText } from "../input/resourceFile.ts";
import type { ResourceOf } from "../../model/resource.ts";
import { changedNames } from "../output/changes.ts";
import { misuse } from "../output/error.ts";
import { fields } from "../output/format.ts";
import { create, edit, registerDelete, registerList, registerShow } from "./verbs.ts";

type FileOptions = WriteOptions & { readonly file: string };

/** Options that say what one of the kind is. */
export type Flags<K extends WritableKind, Options> = {
  readonly add: (command: Command) => Command;
  /** The spec with what was said; undefined for one that is new. */
  readonly changed: (before: ResourceOf<K>["spec"] | undefined, options: Options) => object;
  readonly examples: readonly string[];
};

export function register<K extends WritableKind, Options extends object = object>(
  noun: Command,
  cli: Cli,
  kind: K,
  flags?: Flags<K, Options>,
): void {
  const called = calledOf(kind);
  const columns = columnsOf(kind).map((field) => ({
    header: field.toUpperCase(),
    of: ({ spec }: { readonly spec: object }) => textOf(spec, field),
  }));
  registerList(noun, cli, kind, {
    about: `List ${called}s.`,
    columns: [{ header: "NAME", of: ({ name }) => name }, ...columns],
    empty: `No ${called}s. Make one: weft ${noun.name()} create ${flags === undefined ? "-f FILE" : "--help"}`,
  });
  registerShow(noun, cli, kind, {
    about: `Show ${oneText(kind)}.`,
    text: ({ io }, { name, spec, revision }) => {
      const shown = Object.keys(spec).map((field): [string, string] => [capital(field), textOf(spec, field)]);
      return fields(io, [["Name", name], ...shown, ["Revision", String(revision)]]);
    },
  });
  if (flags === undefined) {
    const make = noun.command("create").description(`Create ${called}s, or change them to what a file says.`);
    requiredOption(make, "-f, --file <file>", `YAML or JSON with ${called}s; - for stdin`);
    writing(make).action(cli.verb((_, options: FileOptions) => createFrom(cli, kind, options)));
  } else registerFlags(noun, cli, kind, flags);
  if (isDeletable(kind))
    registerDelete(noun, cli, kind, {
      about: `Delete ${called}s.`,
      force: "even if something refers to it; that is deleted, too",
      hasWait: true,
    });
}

function registerFlags<K extends WritableKind, Options extends object>(
  noun: Command,
  cli: Cli,
  kind: K,
  { add, changed, examples }: Flags<K, Options>,
): void {
  const [called, word] = [calledOf(kind), noun.name()];
  const make = add(noun.command("create [name]").description(`Create ${oneText(kind)}; or several, as a file says.`))
    .option("-f, --file <file>", `instead: YAML or JSON with ${called}s; - for stdin`)
    .addHelpText("after", `\nExamples:\n${examples.map((each) => `  ${each}\n`).join("")}`);
  writing(make).action(
    cli.verb(async (_, name: string | undefined, options: Options & WriteOptions & Texts<"file">) => {
      const { file } = options;
      if (file !== undefined && name === undefined) return createFrom(cli, kind, { ...options, file });
      if (file !== undefined || name === undefined)
        throw misuse("<name>", "give a name, or a file that has names", `see weft ${word} create --help`);
      const spec = changed(undefined, options);
      const made = await create(cli, options, { kind, name, spec, noun: word, called });
      cli.io.err(`${called} ${name} created at revision ${made.revision}\n`);
    }),
  );
  const change = add(noun.command("edit <name>").description(`Change ${oneText(kind)}.`));
  writing(change).action(
    cli.verb((_, name: string, options: Options & WriteOptions) =>
      edit(cli, options, {
        kind,
        name,
        change: ({ spec }) => changed(spec, options),
        done: (after, before) =>
          `${called} ${name} changed at revision ${after.revision}: ${changedNames(before, after)}\n`,
      }),
    ),
  );
}

async function createFrom(cli: Cli, kind: WritableKind, options: FileOptions): Promise<void> {
  const resources = await itemsOf(await readText(cli.io, options.file), options.file);
  const other = resources.find((item) => item.kind !== kind);
  if (other !== undefined) {
    const what = `${other.kind} "${other.name}" is not ${oneText(kind)}`;
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
  return shortly((spec as { readonly [field: string]: unknown })[field]);
}

/** In words, like `user alice` or `network, vrf all`: of an object its members, of lists in it only what they hold. */
function shortly(value: unknown): string {
  if (value === undefined) return "";
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value.join(", ");
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return typeof value === "string" ? value : JSON.stringify(value);
  const members = Object.entries(value).map(([key, each]) =>
    each === true ? key : Array.isArray(each) ? shortly(each) : `${key} ${shortly(each)}`,
  );
  return members.join(" ");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
