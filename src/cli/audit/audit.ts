// `weft audit`: the server's audit log. Who asked for what, from where, by which credential, and what became of it; and
// the proof that no record was changed or cut out.
import type { Command } from "commander";
import type { AuditChange, AuditRecord, AuditVerdict } from "../../model/audit.ts";
import { defined } from "../../model/defined.ts";
import type { AuditQuery, ServerClient } from "../../client/server.ts";
import { periodOf, timeText } from "../address/time.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { type ReadOptions, type Texts, reading, wholeNumber, withServer } from "../input/options.ts";
import type { RemoteOptions } from "../input/locate.ts";
import { paint, type Io } from "../io.ts";
import { EXIT_FINDINGS, misuse } from "../output/error.ts";
import { type Column, fields, printList, printOne } from "../output/format.ts";

type Filter = Texts<"user" | "kind" | "name" | "verb" | "result" | "since" | "until" | "revision">;

const LISTED = 100;
const PAGE = 1000;
const WATCH_MS = 1000;

export function register(noun: Command, cli: Cli): void {
  const list = noun.command("list").alias("ls").description("List records, the newest first.");
  reading(filtering(list)).option("--limit <n>", `at most so many (default: ${LISTED})`).action(cli.verb(listRecords));
  const show = noun
    .command("show")
    .argument("<number>", "the record's number")
    .description("Show one record, with what was before and after.");
  reading(show).action(cli.verb(showRecord));
  const watch = noun.command("watch").description("Print records as they are written, until you interrupt it.");
  withServer(filtering(watch)).action(cli.verb(watchRecords));
  const verify = noun
    .command("verify")
    .description("Check that no record was changed or cut out. Exit code 11: one was.")
    .option("--known <number:hash>", "also that this record, as you noted it earlier, is in the log")
    .addHelpText("after", "\nNote the last number and hash that it prints where the server's machine cannot write.");
  reading(verify).action(cli.verb(verifyLog));
  const out = noun.command("export").description("Print records as JSON lines, the oldest first, with everything.");
  withServer(filtering(out)).action(cli.verb(exportRecords));
}

function filtering(command: Command): Command {
  const time = '"2026-11-24 15:00", 2026-11-24, tuesday, "2h ago"';
  return command
    .option("--user <name>", "only of this user; or of admin, server, join, nobody, host/NAME")
    .option("--kind <kind>", "only about resources of this kind, like network")
    .option("--name <name>", "only about resources of this name")
    .option("--verb <verb>", "only of this verb, like put, delete, attach")
    .option("--result <result>", "done, refused, or the reason of a refusal, like forbidden")
    .option("--since <time>", `only from then on: ${time}`)
    .option("--until <time>", "only before, or up to the end of a day")
    .option("--revision <n>", "only the commit of this revision");
}

function queryOf(io: Io, { since, until, revision, ...rest }: Filter): AuditQuery {
  const { user, kind, name, verb, result } = rest;
  const nowMs = io.clock.nowMs();
  const untilMs = until === undefined ? undefined : untilOf(until, nowMs);
  return defined({
    user,
    kind,
    name,
    verb,
    result,
    since: since === undefined ? undefined : periodOf(since, nowMs, "--since").sinceMs,
    until: untilMs,
    revision: wholeNumber(revision, "--revision"),
  });
}

/** A day with its end, a moment without itself. */
function untilOf(text: string, nowMs: number): number {
  const { sinceMs, beforeMs } = periodOf(text, nowMs, "--until");
  return beforeMs - sinceMs > 1 ? beforeMs : sinceMs;
}

const COLUMNS: readonly Column<AuditRecord>[] = [
  { header: "NUMBER", of: (r) => String(r.seq) },
  { header: "TIME", of: (r) => timeText(r.untilMs ?? r.atMs) },
  { header: "WHO", of: (r) => r.who },
  { header: "FROM", of: (r) => r.from },
  { header: "VERB", of: (r) => r.verb },
  { header: "OBJECT", of: objectText },
  { header: "RESULT", of: (r) => (r.result === "done" ? "done" : { text: resultText(r), tone: "bad" }) },
  { header: "REVISION", of: (r) => String(r.revision ?? "") },
  { header: "CREDENTIAL", of: (r) => r.credential, wide: true },
  { header: "MESSAGE", of: (r) => r.message ?? "", wide: true },
];

function objectText({ object, changes = [] }: AuditRecord): string {
  if (object !== undefined) return object;
  const [first] = changes;
  if (first === undefined) return "";
  return changes.length === 1 ? first.key : `${first.key} and ${changes.length - 1} more`;
}

function resultText({ result, count }: AuditRecord): string {
  return count === undefined ? result : `${result} (${count} times)`;
}

async function listRecords(cli: Cli, options: ReadOptions & Filter & Texts<"limit">): Promise<void> {
  const { io } = cli;
  const most = wholeNumber(options.limit, "--limit", LISTED) ?? LISTED;
  const query = queryOf(io, options);
  const server = await connect(io, options);
  const records: AuditRecord[] = [];
  for await (const record of recordsOf(server, { ...query, order: "newest", limit: Math.min(most, PAGE) })) {
    if (records.length >= most) break;
    records.push(record);
  }
  const listing = { columns: COLUMNS, name: (r: AuditRecord) => `audit/${r.seq}`, empty: "No record matches." };
  await printList(io, options, listing, records);
}

/** Over as many pages as it takes. */
async function* recordsOf(server: ServerClient, query: AuditQuery): AsyncGenerator<AuditRecord> {
  for (let from = query; ; ) {
    const { items, cursor } = await server.audit(from);
    yield* items;
    if (cursor === undefined) return;
    from = { ...query, cursor };
  }
}

async function showRecord(cli: Cli, text: string, options: ReadOptions): Promise<void> {
  const seq = wholeNumber(text, "<number>");
  const server = await connect(cli.io, options);
  const record = await server.auditRecord(seq ?? 0);
  await printOne(cli.io, options, { name: `audit/${record.seq}`, value: record }, () => recordText(cli.io, record));
}

function recordText(io: Io, record: AuditRecord): string {
  const { seq, atMs, untilMs, who, credential, from, verb, object, revision, message, changes = [], hash } = record;
  const head = fields(io, [
    ["Number", String(seq)],
    ["Time", timeText(atMs)],
    ["Until", untilMs === undefined ? undefined : timeText(untilMs)],
    ["Who", who],
    ["Credential", credential],
    ["From", from],
    ["Verb", verb],
    ["Object", object],
    ["Result", resultText(record)],
    ["Message", message],
    ["Revision", revision === undefined ? undefined : String(revision)],
    ["Hash", hash],
  ]);
  return `${head}${changes.map((change) => `\n${changeText(io, change)}`).join("")}`;
}

function changeText(io: Io, { key, before, after }: AuditChange): string {
  const lines = [...linesOf(io, "bad", "-", before), ...linesOf(io, "good", "+", after)];
  return `${paint(io, "bold", key)}\n${lines.join("")}`;
}

function linesOf(io: Io, tone: "bad" | "good", sign: string, values: AuditChange["before"]): string[] {
  const { spec, ...rest } = values ?? {};
  const parts = { ...rest, ...(typeof spec === "object" ? spec : {}) };
  return Object.entries(parts).map(([name, value]) => paint(io, tone, `  ${sign} ${name}: ${JSON.stringify(value)}\n`));
}

async function watchRecords(cli: Cli, options: RemoteOptions & Filter): Promise<void> {
  const { io } = cli;
  const query = queryOf(io, options);
  const server = await connect(io, options);
  // What is there already is not news, unless it is asked for.
  let reached = options.since === undefined ? ((await server.audit({ limit: 1 })).items[0]?.seq ?? 0) : 0;
  while (!io.signal.aborted) {
    const page = await server.audit({ ...query, order: "oldest", cursor: reached, limit: PAGE });
    for (const record of page.items) io.out(lineOf(record));
    reached = page.reached;
    if (page.cursor === undefined) await io.clock.sleep(WATCH_MS, io.signal);
  }
}

function lineOf(record: AuditRecord): string {
  const { seq, atMs, untilMs, who, from, verb, revision, message } = record;
  const at = revision === undefined ? "" : ` at revision ${revision}`;
  const why = message === undefined ? "" : `: ${message}`;
  const what = `${verb} ${objectText(record)}`.trim();
  return `${seq} ${timeText(untilMs ?? atMs)} ${who} from ${from}: ${what}: ${resultText(record)}${at}${why}\n`;
}

async function exportRecords(cli: Cli, options: RemoteOptions & Filter): Promise<void> {
  const { io } = cli;
  const query: AuditQuery = { ...queryOf(io, options), order: "oldest", full: true, limit: PAGE };
  for await (const record of recordsOf(await connect(io, options), query)) io.out(`${JSON.stringify(record)}\n`);
}

async function verifyLog(cli: Cli, options: ReadOptions & Texts<"known">): Promise<number | void> {
  const { io } = cli;
  const known = options.known === undefined ? undefined : knownIn(options.known);
  const verdict = await (await connect(io, options)).auditVerdict(known);
  await printOne(io, options, { name: `audit/${verdict.head.seq}`, value: verdict }, () => verdictText(io, verdict));
  return verdict.isWhole ? undefined : EXIT_FINDINGS;
}

function knownIn(text: string): { readonly seq: number; readonly hash: string } {
  const [, seq, hash] = /^(\d{1,15}):([\da-f]{64})$/.exec(text) ?? [];
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
  throw misuse("--known", `"${text}" is not a record's number and hash`, "write both as weft audit verify prints them");
}

function verdictText(io: Io, { isWhole, anchor, head, records, brokenAt, why }: AuditVerdict): string {
  const trimmed =
    anchor.seq === 0 ? "" : `Records 1 to ${anchor.seq} were removed because of their age or the log's size.\n`;
  const last = `Last record: ${head.seq}:${head.hash}\n`;
  const whole = `The log is whole: ${records} records, up to revision ${head.revision}.`;
  if (isWhole) return `${paint(io, "good", whole)}\n${trimmed}${last}`;
  return `${paint(io, "bad", `The log is not whole: at record ${brokenAt}: ${why}.`)}\n${trimmed}${last}`;
}
