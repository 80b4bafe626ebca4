// `weft token`: credentials by name, for programs. The value of one is printed when it is made, and never again.
import type { Command } from "commander";
import type { Credential, TokenRequest } from "../../model/login.ts";
import { parseDuration } from "../../model/duration.ts";
import { narrowingText } from "../../model/narrowing.ts";
import type { Cli } from "../context.ts";
import { timeText } from "../address/time.ts";
import { connectLogins } from "../input/connect.ts";
import { forEachName } from "../input/names.ts";
import { reading, type ReadOptions, type Texts, withServer } from "../input/options.ts";
import { wordsOf } from "../input/settings.ts";
import { inOrder, printList, printOne } from "../output/format.ts";

const USER = "--user <name>";
type CreateOptions = ReadOptions & Texts<"user" | "expires" | "rights" | "networks">;

export function register(noun: Command, cli: Cli): void {
  const create = noun
    .command("create <name>")
    .description("Make a token and print it: to stdout, once. It can do at most what you can.")
    .option("--expires <span>", "how long it is valid, a year at most (default: 90d)")
    .option("--rights <names>", "only by these rights: use, manage, admin, create (default: all that you have)")
    .option("--networks <names>", "only these networks and what is in them (default: everything)")
    .option(USER, "whose it is, if an administrator makes it for a user");
  reading(create).action(cli.verb(createToken));
  const list = noun
    .command("list")
    .alias("ls")
    .description("List your logins and tokens; their values are not shown.")
    .option(USER, "those of a user, for administrators");
  reading(list).action(cli.verb(listTokens));
  const remove = noun
    .command("delete <name...>")
    .alias("rm")
    .description("End tokens and logins, at once.")
    .option(USER, "whose they are, for administrators");
  withServer(remove).action(
    cli.verb(
      forEachName(async ({ io }, name, options: ReadOptions & Texts<"user">) => {
        await (await connectLogins(io, options)).endToken(name, options.user);
        io.err(`token ${name} ended\n`);
      }),
    ),
  );
}

async function createToken({ io }: Cli, name: string, options: CreateOptions): Promise<void> {
  const { user, expires } = options;
  const rights = options.rights === undefined ? undefined : wordsOf(options.rights, "--rights");
  const networks = options.networks === undefined ? undefined : wordsOf(options.networks, "--networks");
  const request = {
    name,
    ...(user === undefined ? {} : { user }),
    ...(expires === undefined ? {} : { expiresInSeconds: Math.ceil(parseDuration(expires, "--expires") / 1000) }),
    ...(rights === undefined ? {} : { rights }),
    ...(networks === undefined ? {} : { networks }),
    // Which words are rights, the server knows.
  } as TokenRequest;
  const made = await (await connectLogins(io, options)).createToken(request);
  io.err(`token ${name}: ${narrowingText(made.narrowing)}, until ${timeText(made.expiresMs)}; it is not shown again\n`);
  await printOne(io, options, { name: `token/${name}`, value: made }, () => `${made.token}\n`);
}

async function listTokens({ io }: Cli, options: ReadOptions & Texts<"user">): Promise<void> {
  const rows = await (await connectLogins(io, options)).tokens(options.user);
  const listing = {
    columns: [
      { header: "NAME", of: ({ name }: Credential) => name },
      { header: "KIND", of: ({ kind }: Credential) => kind },
      { header: "MAY DO", of: ({ narrowing }: Credential) => narrowingText(narrowing) },
      { header: "SINCE", of: ({ createdMs }: Credential) => timeText(createdMs) },
      { header: "UNTIL", of: ({ expiresMs }: Credential) => timeText(expiresMs) },
    ],
    name: ({ name }: Credential) => `token/${name}`,
    empty: "No tokens.",
  };
  await printList(
    io,
    options,
    listing,
    inOrder(rows, ({ name }) => name),
  );
}
