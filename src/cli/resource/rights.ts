// Verbs about whose a resource is, the same for all kinds that are owned: chown, chmod, lock, unlock; and how lists and
// show tell of it.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import { OWNED_KINDS, type OwnedKind, calledOf, oneText } from "../../model/kinds.ts";
import type { Kind, Resource, ResourceOf } from "../../model/resource.ts";
import { LOCKS } from "../../model/rights.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { withServer, wordOf, type Texts, type WriteOptions } from "../input/options.ts";
import { fields, type Column } from "../output/format.ts";
import type { Io } from "../io.ts";

type Body = { readonly owner?: string; readonly group?: string; readonly mode?: string; readonly level?: string };

export function isOwned(kind: Kind): kind is OwnedKind {
  return (OWNED_KINDS as readonly Kind[]).includes(kind);
}

export function registerRights(noun: Command, cli: Cli, kind: OwnedKind): void {
  const called = calledOf(kind);
  const change = async ({ io }: Cli, name: string, options: WriteOptions, [verb, body]: readonly [string, Body]) => {
    const server = await connect(io, options);
    const resource = await server.setRights(kind, name, verb, body);
    io.err(`${called} ${name}: ${heldText(resource)}\n`);
  };
  withServer(
    noun
      .command("chown <name> <user>")
      .description(`Give ${oneText(kind)} to a user, or with :GROUP into a group of users; USER:GROUP does both.`),
  ).action(
    cli.verb((_, name: string, to: string, options: WriteOptions) => {
      const [owner = "", group = ""] = to.split(":");
      const body = defined({ owner: owner === "" ? undefined : owner, group: group === "" ? undefined : group });
      return change(cli, name, options, ["chown", body]);
    }),
  );
  withServer(
    noun
      .command("chmod <name> <mode>")
      .description(`What owner, group and others may do with ${oneText(kind)}: like um-u-----, or 640.`),
  ).action(
    cli.verb((_, name: string, mode: string, options: WriteOptions) => change(cli, name, options, ["chmod", { mode }])),
  );
  withServer(
    noun
      .command("lock <name>")
      .description(`Keep everybody from changing ${oneText(kind)}, administrators too, until it is unlocked.`)
      .option("--level <level>", "what nobody may: use (and more), manage (and admin), admin, all (default: all)"),
  ).action(
    cli.verb((_, name: string, options: WriteOptions & Texts<"level">) =>
      change(cli, name, options, ["lock", { level: wordOf(options.level, "--level", "a level", LOCKS) ?? "all" }]),
    ),
  );
  withServer(noun.command("unlock <name>").description(`End the lock of ${oneText(kind)}.`)).action(
    cli.verb((_, name: string, options: WriteOptions) => change(cli, name, options, ["unlock", {}])),
  );
}

/** Further columns of wide lists. */
export function rightsColumns<K extends Kind>(kind: K): readonly Column<ResourceOf<K>>[] {
  if (!isOwned(kind)) return [];
  return [
    { header: "OWNER", of: ({ access }) => access?.owner ?? "", wide: true },
    { header: "USERGROUP", of: ({ access }) => access?.group ?? "", wide: true },
    { header: "MODE", of: ({ access }) => access?.mode ?? "", wide: true },
    { header: "LOCK", of: ({ lock }) => lock ?? "", wide: true },
  ];
}

/** Lines for show; none for what is the administrators' and not locked. */
export function rightsText(io: Io, { access, lock, lockedBy }: Resource): string {
  if (access === undefined && lock === undefined) return "";
  return fields(io, [
    ["Owner", access?.owner],
    ["User group", access?.group],
    ["Mode", access?.mode],
    ["Lock", lock && `${lock}, by ${lockedBy ?? "an administrator"}`],
  ]);
}

function heldText({ access, lock, revision }: Resource): string {
  const { owner = "administrators", group, mode } = access ?? {};
  const whose = `${owner}${group === undefined ? "" : `:${group}`}${mode === undefined ? "" : ` ${mode}`}`;
  return `${whose}, ${lock === undefined ? "not locked" : `locked for ${lock}`}, at revision ${revision}`;
}
