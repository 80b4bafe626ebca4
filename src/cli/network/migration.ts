// `weft network migrate` and `weft network migration`: members on their way from one network to another, with their
// old and new addresses.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import type { Migration, Move } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { count } from "../io.ts";
import { reading, withWait, type ReadOptions, type WriteOptions } from "../input/options.ts";
import { byName, fields, printOne, type Column } from "../output/format.ts";
import { registerDelete, registerList } from "../resource/verbs.ts";
import { EXIT_OK } from "../output/error.ts";
import { table, type Cell } from "../output/table.ts";
import { waitUntil } from "../change/wait.ts";

type MigrateOptions = ReadOptions &
  WriteOptions & { readonly workload?: string; readonly endpoint?: string; readonly dryRun?: boolean };

/** Exit code when some could not be moved. */
const EXIT_FAILED = 1;

export function registerMigrations(noun: Command, cli: Cli): void {
  const migrate = noun
    .command("migrate <from> <to>")
    .description("Move members to another network: each gets its new interface first, then loses the old one.")
    .option("--workload <name>", "only the instances of this workload")
    .option("--endpoint <name>", "only this endpoint")
    .option("--dry-run", "only show which endpoints would move, and whether there are enough addresses");
  withWait(reading(migrate)).action(cli.verb(migrateMembers));
  const migration = noun.command("migration").description("Migrations: list, show, delete.");
  registerList(migration, cli, "migration", {
    about: "List migrations.",
    columns: async (server) => columnsFor(await server.list("move")),
    empty: "No migrations.",
  });
  const show = migration.command("show <name>").description("Show a migration, endpoint by endpoint.");
  reading(show).action(cli.verb(showMigration));
  registerDelete(migration, cli, "migration", {
    about: "Delete migrations.",
    force: "even if endpoints have not moved yet; those stay in the old network",
    losses: async (server, name) =>
      movesOf(await server.list("move"), name)
        .filter(isPending)
        .map(({ spec }) => `${spec.endpoint} on ${spec.host} stays in ${spec.from}`),
  });
}

const isPending = ({ spec }: Move): boolean => spec.state === "pending" || spec.state === "joined";

async function migrateMembers(cli: Cli, from: string, to: string, options: MigrateOptions): Promise<number> {
  const { io } = cli;
  const server = await connect(io, options);
  const { workload, endpoint, dryRun = false } = options;
  const made = await server.migrate({ from, to, dryRun, ...defined({ workload, endpoint }) });
  const { migration } = made;
  let { moves } = made;
  if (!dryRun)
    await waitUntil(io, options.wait, async () => {
      moves = movesOf(await server.list("move"), migration.name);
      const missing = moves.filter(isPending);
      if (missing.length === 0) return undefined;
      const text = `waiting for ${count(missing.length, "member")} of ${moves.length} to move to ${to}`;
      return { text, missing: missing.map(({ spec }) => `${spec.endpoint} on ${spec.host} is ${spec.state}`) };
    });
  const value = { migration, moves: byName(moves) };
  await printOne(io, options, { name: `migration/${migration.name}`, value }, () => movesText(cli, moves));
  if (dryRun) io.err(`only a dry run: ${count(moves.length, "member")} would move\n`);
  else io.err(`migration ${migration.name}: ${stateOf(moves)}; see weft network migration show ${migration.name}\n`);
  return moves.some(({ spec }) => spec.state === "failed") ? EXIT_FAILED : EXIT_OK;
}

function movesOf(moves: readonly Move[], migration: string): Move[] {
  return moves.filter((move) => move.spec.migration === migration);
}

const STATES = ["pending", "joined", "left", "failed", "gone"] as const;
/** `2 left, 1 pending`. */
function stateOf(moves: readonly Move[]): string {
  return STATES.flatMap((state) => {
    const n = moves.filter(({ spec }) => spec.state === state).length;
    return n === 0 ? [] : [`${n} ${state}`];
  }).join(", ");
}

function movesText(cli: Cli, moves: readonly Move[]): string {
  const rows = byName(moves).map(({ spec }): Cell[] => [
    spec.endpoint,
    spec.host,
    spec.oldAddresses.join(", "),
    spec.newEndpoint ?? "",
    spec.newAddresses?.join(", ") ?? "",
    stateCell(spec.state),
    spec.reason ?? "",
  ]);
  return table(cli.io, ["ENDPOINT", "HOST", "OLD-ADDRESSES", "NEW-ENDPOINT", "NEW-ADDRESSES", "STATE", "REASON"], rows);
}

function stateCell(state: Move["spec"]["state"]): Cell {
  if (state === "left") return { text: state, tone: "good" };
  return { text: state, tone: state === "failed" || state === "gone" ? "bad" : "warn" };
}

function columnsFor(moves: readonly Move[]): readonly Column<Migration>[] {
  return [
    { header: "NAME", of: (m) => m.name },
    { header: "FROM", of: (m) => m.spec.from },
    { header: "TO", of: (m) => m.spec.to },
    { header: "WHO", of: whoOf },
    { header: "MEMBERS", of: (m) => String(m.spec.members) },
    { header: "STATE", of: (m) => stateOf(movesOf(moves, m.name)) },
  ];
}

function whoOf({ spec }: Migration): string {
  if (spec.endpoint !== undefined) return `endpoint ${spec.endpoint}`;
  return spec.workload === undefined ? "all members" : `workload ${spec.workload}`;
}

async function showMigration(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [migration, all] = await Promise.all([server.get("migration", name), server.list("move")]);
  const moves = movesOf(all, name);
  await printOne(cli.io, options, { name: `migration/${name}`, value: { migration, moves: byName(moves) } }, () => {
    const head = fields(cli.io, [
      ["Name", name],
      ["From", migration.spec.from],
      ["To", migration.spec.to],
      ["Who", whoOf(migration)],
      ["State", stateOf(moves)],
    ]);
    return `${head}\n${movesText(cli, moves)}`;
  });
}
