// `weft context`: which clusters this user works with, and which one is meant where none is named.
import type { Command } from "commander";
import type { Cli } from "../context.ts";
import { timeText } from "../address/time.ts";
import type { Texts } from "../input/options.ts";
import { inOrder, type OutputOptions, printList } from "../output/format.ts";
import { FORMATS } from "../output/format.ts";
import { Option } from "commander";
import { defined } from "../../model/defined.ts";
import { misuse } from "../output/error.ts";
import { type Context, readContexts, withContext, withCurrent, withoutContext, writeContexts } from "./contexts.ts";
import { secretFrom } from "./secretInput.ts";

export function register(noun: Command, cli: Cli): void {
  noun
    .command("list")
    .alias("ls")
    .description("List contexts; * is the one that is used where none is named. Tokens are not shown.")
    .addOption(new Option("-o, --output <format>", "print another format than the table").choices(FORMATS))
    .option("--no-headers", "print the table without its header")
    .action(cli.verb(list));
  noun
    .command("use <name>")
    .description("From now on, commands that name no server mean this one.")
    .action(
      cli.verb(async ({ io }, name: string) => {
        await writeContexts(io.env, withCurrent(readContexts(io.env), name));
        io.err(`context ${name} is used from now on\n`);
      }),
    );
  noun
    .command("add <name>")
    .description("Add a cluster, or change it. weft login does the same, and gets a token.")
    .option("--ca-pin <pin>", "pin of the server's CA, as `weft ca show` prints it there")
    .option("--token-file <file>", "file with a token for it, which is copied; - for standard input")
    .option("--server <url>", "URL of its server: https://HOST:PORT or unix:/PATH; another one ends what is kept of it")
    .action(cli.verb(addOne));
  noun
    .command("remove <name...>")
    .alias("rm")
    .description("Forget clusters and their tokens. The tokens stay valid: weft logout ends a login.")
    .action(
      cli.verb(async ({ io }, names: readonly string[]) => {
        const rest = names.reduce(withoutContext, readContexts(io.env));
        await writeContexts(io.env, rest);
        io.err(`${names.map((name) => `context ${name} removed`).join("\n")}\n`);
      }),
    );
}

type Row = Omit<Context, "token"> & { readonly name: string; readonly isCurrent: boolean; readonly hasToken: boolean };

async function list({ io }: Cli, options: OutputOptions): Promise<void> {
  const { contexts, current } = readContexts(io.env);
  const rows = Object.entries(contexts).map(
    ([name, { token, ...rest }]): Row => ({
      name,
      ...rest,
      isCurrent: name === current,
      hasToken: token !== undefined,
    }),
  );
  const listing = {
    columns: [
      { header: "", of: (row: Row) => (row.isCurrent ? "*" : " ") },
      { header: "NAME", of: ({ name }: Row) => name },
      { header: "SERVER", of: ({ server }: Row) => server },
      { header: "USER", of: ({ user = "" }: Row) => user },
      { header: "TOKEN", of: (row: Row) => tokenText(row, io.clock.nowMs()) },
    ],
    name: ({ name }: Row) => `context/${name}`,
    empty: "No contexts. Add one: weft login --server URL",
  };
  await printList(
    io,
    options,
    listing,
    inOrder(rows, ({ name }) => name),
  );
}

function tokenText({ hasToken, expiresMs }: Row, nowMs: number): string {
  if (!hasToken) return "";
  if (expiresMs === undefined) return "yes";
  return expiresMs > nowMs ? `until ${timeText(expiresMs)}` : "expired";
}

async function addOne({ io }: Cli, name: string, options: Texts<"server" | "tokenFile" | "caPin">): Promise<void> {
  const contexts = readContexts(io.env);
  const { server: serverBefore, ...before }: Partial<Context> = contexts.contexts[name] ?? {};
  const { server = serverBefore, caPin } = options;
  if (server === undefined) throw misuse("--server", `context "${name}" is new`, "give --server URL");
  const { serverUrl } = await import("../../client/url.ts");
  serverUrl(server, "--server");
  const { checkPin } = await import("../../tls/names.ts");
  if (caPin !== undefined) checkPin(caPin, "--ca-pin");
  const token = options.tokenFile === undefined ? undefined : await secretFrom(io, options.tokenFile, "--token-file");
  if (token !== undefined && !/^[\x21-\x7e]{1,512}$/.test(token))
    throw misuse("--token-file", "this is not a token", "give the token and nothing else");
  // The token of one server is shown to no other.
  const kept = server !== serverBefore ? {} : token === undefined ? before : defined({ caPin: before.caPin });
  const context = { server, ...kept, ...defined({ caPin, token }) };
  await writeContexts(io.env, withContext(contexts, name, context));
  io.err(`context ${name} ${serverBefore === undefined ? "added" : "changed"}: ${server}\n`);
}
