// Verbs that are the same for all kinds of resources: list, delete, and the refusal of a name that is taken. What a
// kind shows and loses is its noun's to say.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { type DeletableKind, type Kind, calledOf } from "../../model/kinds.ts";
import type { ResourceOf } from "../../model/resource.ts";
import { waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { confirm } from "../input/confirm.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import { forEachName } from "../input/each.ts";
import {
  withForce,
  withOutput,
  withServer,
  withWait,
  type ReadOptions,
  type SureOptions,
  type WriteOptions,
} from "../input/options.ts";
import { byName, printList, type Column } from "../output/format.ts";

type ListVerb<K extends Kind> = {
  readonly about: string;
  readonly columns: readonly Column<ResourceOf<K>>[];
  /** Said when there are none. */
  readonly empty: string;
};

export function registerList<K extends Kind>(noun: Command, cli: Cli, kind: K, verb: ListVerb<K>): void {
  const list = noun.command("list").alias("ls").description(verb.about);
  withOutput(withServer(list)).action(
    cli.verb(async (options: ReadOptions) => {
      const server = await connect(cli.io, options);
      const name = (row: ResourceOf<K>) => `${kind}/${row.name}`;
      await printList(cli.io, options, { ...verb, name }, byName(await server.list(kind)));
    }),
  );
}

type DeleteVerb = {
  readonly about: string;
  /** What --force does; absent: there is none. */
  readonly force?: string;
  /** What goes along by force, a line each: to be confirmed. */
  readonly losses?: (server: ServerClient, name: string) => Promise<readonly string[]>;
  /** Whether hosts make something of it, so that one may wait for them. */
  readonly hasWait?: true;
};

export function registerDelete(noun: Command, cli: Cli, kind: DeletableKind, verb: DeleteVerb): void {
  const remove = noun.command("delete").alias("rm").argument("<name...>").description(verb.about);
  if (verb.force !== undefined) withForce(remove, verb.force);
  withServer(remove);
  if (verb.hasWait === true) withWait(remove);
  remove.action(
    cli.verb((names: readonly string[], options: WriteOptions & SureOptions) =>
      forEachName(cli, names, async (name) => {
        const server = await connect(cli.io, options);
        const force = options.force === true;
        const what = `${calledOf(kind)} ${name}`;
        const losses = force ? ((await verb.losses?.(server, name)) ?? []) : [];
        if (losses.length > 0) await confirm(cli.io, `deleting ${what} by force`, losses, options.yes);
        const { revision } = await server.remove(kind, name, { force });
        await waitFor(cli.io, options.wait, revision, () => server.status());
        cli.io.err(`${what} deleted at revision ${revision}\n`);
      }),
    ),
  );
}

/** For a create, a failed precondition means that the name is taken. */
export function nameExists(called: string, key: `${Kind}/${string}`, edit: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof Fault) || error.reason !== "revision-stale") throw error;
    const name = key.slice(key.indexOf("/") + 1);
    const fix = `choose another name, or change it: weft ${edit} ${name}`;
    throw new Fault("name-taken", { what: `there is a ${called} "${name}" already`, where: key, fix });
  };
}
