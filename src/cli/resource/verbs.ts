// Verbs that are the same for all kinds of resources: list, show, create, edit, delete. What a kind shows, takes and
// loses is its noun's to say.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { type DeletableKind, type Kind, type WritableKind, calledOf } from "../../model/kinds.ts";
import type { ResourceOf } from "../../model/resource.ts";
import { waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { confirm } from "../input/confirm.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import { forEachName } from "../input/names.ts";
import {
  listing,
  reading,
  withForce,
  withServer,
  withWait,
  type ListOptions,
  type ReadOptions,
  type SureOptions,
  type WriteOptions,
} from "../input/options.ts";
import { isSame, sameText } from "../output/changes.ts";
import { isOwned, registerRights, rightsColumns, rightsText } from "./rights.ts";
import { byName, printList, printOne, type Column } from "../output/format.ts";

type ListVerb<K extends Kind> = {
  readonly about: string;
  readonly columns: Columns<K> | ((server: ServerClient) => Promise<Columns<K>>);
  /** Said when there are none. */
  readonly empty: string;
  /** What json and yaml show of each; default: the resource. */
  readonly whole?: (server: ServerClient) => Promise<(row: ResourceOf<K>) => unknown>;
};
type Columns<K extends Kind> = readonly Column<ResourceOf<K>>[];

export function registerList<K extends Kind>(noun: Command, cli: Cli, kind: K, verb: ListVerb<K>): void {
  const list = noun.command("list").alias("ls").description(verb.about);
  listing(list).action(
    cli.verb(async ({ io }, options: ListOptions) => {
      const server = await connect(io, options);
      const { columns, empty } = verb;
      const [rows, shown, whole] = await Promise.all([
        server.list(kind, options.selector),
        typeof columns === "function" ? columns(server) : columns,
        verb.whole?.(server),
      ]);
      const name = (row: ResourceOf<K>) => `${kind}/${row.name}`;
      const all = [...shown, ...rightsColumns(kind)];
      await printList(io, options, { columns: all, name, empty, ...defined({ whole }) }, byName(rows));
    }),
  );
}

type ShowVerb<K extends Kind> = {
  readonly about: string;
  /** What a person reads. */
  readonly text: (cli: Cli, resource: ResourceOf<K>, server: ServerClient) => string | Promise<string>;
};

export function registerShow<K extends Kind>(noun: Command, cli: Cli, kind: K, { about, text }: ShowVerb<K>): void {
  if (isOwned(kind)) registerRights(noun, cli, kind);
  reading(noun.command("show <name>").description(about)).action(
    cli.verb(async ({ io }, name: string, options: ReadOptions) => {
      const server = await connect(io, options);
      const value = await server.get(kind, name);
      await printOne(io, options, { name: `${kind}/${name}`, value }, async () => {
        const said = await text(cli, value, server);
        return said + rightsText(io, value);
      });
    }),
  );
}

type Creation<K extends WritableKind> = {
  readonly kind: K;
  readonly name: string;
  readonly spec: unknown;
  /** The command, and what it calls one, for the error that tells of another with this name. */
  readonly noun: string;
  readonly called: string;
};

/** Puts a new resource and waits as the options say; a Fault `name-taken` if it is there already. */
export async function create<K extends WritableKind>(
  { io }: Cli,
  options: WriteOptions,
  { kind, name, spec, noun, called }: Creation<K>,
): Promise<ResourceOf<K>> {
  const server = await connect(io, options);
  const made = await server.put(kind, name, spec, { createOnly: true }).catch((error: unknown) => {
    // Of a create, the failed precondition is that there is none.
    if (!(error instanceof Fault) || error.reason !== "revision-stale") throw error;
    const fix = `choose another name, or change it: weft ${noun} edit ${name}`;
    throw new Fault("name-taken", { what: `there is a ${called} "${name}" already`, where: `${kind}/${name}`, fix });
  });
  await waitFor(io, options.wait, made.revision, server);
  return made;
}

type Edit<K extends WritableKind> = {
  readonly kind: K;
  readonly name: string;
  /** What is said to change. Default: the resource. */
  readonly what?: string;
  readonly force?: boolean;
  readonly change: (before: ResourceOf<K>, server: ServerClient) => object | Promise<object>;
  /** What to wait for, after that was said. Default: the revision. */
  readonly follow?: ((after: ResourceOf<K>) => Promise<void>) | undefined;
  /** What to say of it after a change. */
  readonly done: (after: ResourceOf<K>, before: ResourceOf<K>) => string;
};

/** Writes a resource back at the revision that was read, so that two people cannot undo each other. */
export async function edit<K extends WritableKind>({ io }: Cli, options: WriteOptions, how: Edit<K>): Promise<void> {
  const { kind, name, what = `${calledOf(kind)} ${name}`, force } = how;
  const server = await connect(io, options);
  const before = await server.get(kind, name);
  const spec = await how.change(before, server);
  // What is there before it is written has no revision yet.
  const match = before.revision === 0 ? { createOnly: true } : { ifRevision: before.revision };
  const after = await server.put(kind, name, spec, { ...match, ...defined({ force }) });
  if (how.follow === undefined) await waitFor(io, options.wait, after.revision, server);
  io.err(isSame(before, after) ? sameText(what, after) : how.done(after, before));
  await how.follow?.(after);
}

/** The Fault for an edit that says nothing to change. */
export function noChange(noun: string, verb = "edit"): Fault {
  const fix = `see weft ${noun} ${verb} --help for what can change`;
  return new Fault("request-invalid", { what: "no change is given", fix });
}

type DeleteVerb = {
  readonly about: string;
  /** What --force does; absent: there is none. */
  readonly force?: string;
  /** What goes along by force, a line each: to be confirmed. */
  readonly losses?: (server: ServerClient, name: string) => Promise<readonly string[]>;
  /** How the end tells of the losses. */
  readonly along?: (losses: readonly string[]) => string;
  /** Whether hosts make something of it, so that one may wait for them. */
  readonly hasWait?: true;
};

export function registerDelete(noun: Command, cli: Cli, kind: DeletableKind, verb: DeleteVerb): void {
  const remove = noun.command("delete <name...>").alias("rm").description(verb.about);
  if (verb.force !== undefined) withForce(remove, verb.force);
  withServer(remove);
  if (verb.hasWait === true) withWait(remove);
  remove.action(
    cli.verb(
      forEachName(async ({ io }, name, options: WriteOptions & SureOptions) => {
        const server = await connect(io, options);
        const force = options.force === true;
        const what = `${calledOf(kind)} ${name}`;
        const losses = force ? ((await verb.losses?.(server, name)) ?? []) : [];
        await confirm(io, `deleting ${what} by force`, losses, options.yes);
        const { revision } = await server.remove(kind, name, { force });
        await waitFor(io, options.wait, revision, server);
        io.err(`${what} deleted at revision ${revision}${verb.along?.(losses) ?? ""}\n`);
      }),
    ),
  );
}
