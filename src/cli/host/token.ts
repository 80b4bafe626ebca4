// `weft host token`: join tokens, by which new hosts are let in. The value of one is printed when it is made, and never
// again.
import type { Command } from "commander";
import { parseDuration } from "../../model/duration.ts";
import { FILE_TOKEN, type JoinToken } from "../../model/joinToken.ts";
import { timeText } from "../address/time.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { forEachName } from "../input/names.ts";
import { reading, type ReadOptions, type Texts, wholeNumber, withServer } from "../input/options.ts";
import { inOrder, printList, printOne } from "../output/format.ts";

export function registerTokens(host: Command, cli: Cli): void {
  const noun = host.command("token").description("Join tokens: what lets new hosts in.");
  const create = noun
    .command("create <name>")
    .description("Make a join token and print it: to stdout, once. Write it into a file for --join-token-file.")
    .option("--expires <span>", "how long it is valid, a year at most (default: 24h)")
    .option("--uses <count>", "how many new hosts it lets in (default: any number)");
  reading(create).action(cli.verb(createToken));
  reading(
    noun.command("list").alias("ls").description("List join tokens, and who used them; their values are not shown."),
  ).action(cli.verb(listTokens));
  const remove = noun
    .command("delete <name...>")
    .alias("rm")
    .description("End join tokens, at once. Hosts that joined by them stay; join.token gets another value.");
  withServer(remove).action(
    cli.verb(
      forEachName(async ({ io }, name, options: ReadOptions) => {
        await (await connect(io, options)).endJoinToken(name);
        const next = name === FILE_TOKEN ? "; the server writes another into its join.token" : "";
        io.err(`join token ${name} ended${next}\n`);
      }),
    ),
  );
}

async function createToken({ io }: Cli, name: string, options: ReadOptions & Texts<"expires" | "uses">): Promise<void> {
  const { expires } = options;
  const uses = wholeNumber(options.uses, "--uses");
  const made = await (await connect(io, options)).createJoinToken({
    name,
    ...(expires === undefined ? {} : { expiresInSeconds: Math.ceil(parseDuration(expires, "--expires") / 1000) }),
    ...(uses === undefined ? {} : { uses }),
  });
  io.err(`join token ${name}: for ${usesText(made)}, ${untilText(made)}; it is not shown again\n`);
  await printOne(io, options, { name: `jointoken/${name}`, value: made }, () => `${made.token}\n`);
}

async function listTokens({ io }: Cli, options: ReadOptions): Promise<void> {
  const rows = await (await connect(io, options)).joinTokens();
  const listing = {
    columns: [
      { header: "NAME", of: ({ name }: JoinToken) => name },
      { header: "STATE", of: stateText },
      { header: "USED", of: ({ used, uses }: JoinToken) => (uses === undefined ? String(used) : `${used} of ${uses}`) },
      { header: "LAST", of: ({ hosts }: JoinToken) => hosts.at(-1)?.host ?? "" },
      { header: "SINCE", of: ({ createdMs }: JoinToken) => timeText(createdMs) },
      { header: "UNTIL", of: ({ expiresMs }: JoinToken) => (expiresMs === undefined ? "" : timeText(expiresMs)) },
    ],
    name: ({ name }: JoinToken) => `jointoken/${name}`,
    empty: "No join tokens.",
  };
  await printList(
    io,
    options,
    listing,
    inOrder(rows, ({ name }) => name),
  );
}

function stateText({ state, ca }: JoinToken): string {
  if (state !== "valid" || ca === undefined || ca === "current") return state;
  return ca === "previous" ? "valid until weft ca drop" : "its CA was dropped";
}

function usesText({ uses }: Pick<JoinToken, "uses">): string {
  if (uses === undefined) return "any number of hosts";
  return uses === 1 ? "one host" : `${uses} hosts`;
}

function untilText({ expiresMs }: Pick<JoinToken, "expiresMs">): string {
  return expiresMs === undefined ? "until it is ended" : `until ${timeText(expiresMs)}`;
}
