// `weft login`, `logout` and `whoami`: the token that a password gets is kept in a context, and shown nowhere.
import type { Command } from "commander";
import type { ServerLocation } from "../../client/server.ts";
import { defined } from "../../model/defined.ts";
import type { LoggedIn } from "../../model/login.ts";
import { Fault } from "../../model/fault.ts";
import { narrowingText } from "../../model/narrowing.ts";
import type { Cli } from "../context.ts";
import { timeText } from "../address/time.ts";
import { connectLogins } from "../input/connect.ts";
import { locateServer, trustOf } from "../input/locate.ts";
import { reading, type ReadOptions, type Switches, type Texts } from "../input/options.ts";
import type { Io } from "../io.ts";
import { fields, printOne } from "../output/format.ts";
import { misuse } from "../output/error.ts";
import {
  type Context,
  contextIn,
  freeName,
  readContexts,
  withContext,
  withCurrent,
  writeContexts,
} from "./contexts.ts";
import { askSecret, secretFrom } from "./secretInput.ts";

type LoginOptions = Texts<"server" | "context" | "user" | "passwordFile" | "caPin" | "caFile"> & Switches<"oidc">;

export function registerLogin(command: Command, cli: Cli): void {
  command
    .description("Log in to a cluster. What it gets is kept in ~/.config/weft/contexts.json, for this user only.")
    .option("--server <url>", "URL of the server: https://HOST:PORT (default: that of the context)")
    .option("--ca-pin <pin>", "pin of the server's CA, as `weft ca show` prints it there; kept in the context")
    .option("--ca-file <file>", "certificates of CAs to trust for the name of the server, in PEM")
    .option("--context <name>", "name of the cluster here (default: the current one, or the server's name)")
    .option("--user <name>", "who you are (default: as the last time, or asked)")
    .option("--oidc", "by the server's OpenID provider: shows a code to enter there with any browser")
    .option("--password-file <file>", "file with the password; - for standard input (default: asked)")
    .action(cli.verb(login));
}

export function registerLogout(command: Command, cli: Cli): void {
  command
    .description("End the login of a context, at the server as well, and forget it.")
    .option("--context <name>", "the cluster (default: the current one)")
    .action(cli.verb(logout));
}

export function registerWhoAmI(command: Command, cli: Cli): void {
  reading(command)
    .description("Show as whom the server knows you, by which credential, and for how long.")
    .action(cli.verb(whoAmI));
}

type Place = { readonly name: string; readonly context: Context };

/** Where to log in: what is said, or the context that is current. */
async function placeOf(io: Io, { server, context, caPin }: LoginOptions): Promise<Place> {
  const all = readContexts(io.env);
  if (server === undefined) {
    const found = contextIn(all, context);
    if (found !== undefined) return { ...found, context: { ...found.context, ...defined({ caPin }) } };
    throw misuse("--server", "it is not known where to log in", "give --server URL", "there is no context yet");
  }
  const { serverUrl } = await import("../../client/url.ts");
  serverUrl(server, "--server");
  const same = Object.entries(all.contexts).find(
    ([name, each]) => each.server === server && name === (context ?? name),
  );
  const name = context ?? same?.[0] ?? freeName(all, server);
  return { name, context: { ...same?.[1], server, ...defined({ caPin }) } };
}

async function login({ io }: Cli, options: LoginOptions): Promise<void> {
  const { name, context } = await placeOf(io, options);
  const { caPin, caFile } = options;
  const at = { url: context.server, trust: await trustOf({ url: context.server, caPin, caFile, context }) };
  if (options.oidc === true) return keep(io, { name, context }, await byDevice(io, at));
  const user = options.user ?? context.user ?? (await askUser(io));
  const file = options.passwordFile;
  const password =
    file === undefined
      ? await askSecret(io, `Password of ${user} at ${context.server}: `, "--password-file")
      : await secretFrom(io, file, "--password-file");
  const { loginClient } = await import("../../client/logins.ts");
  const made = await loginClient(at).login(user, password);
  await keep(io, { name, context }, made);
}

/** A person enters the code elsewhere; until then the server is asked again and again. */
async function byDevice(io: Io, at: ServerLocation): Promise<LoggedIn> {
  const { loginClient } = await import("../../client/logins.ts");
  const client = loginClient(at);
  const { handle, userCode, verificationUri, verificationUriComplete, ...times } = await client.beginDevice();
  io.err(`Open ${plain(verificationUri)} and enter the code ${plain(userCode)}\n`);
  if (verificationUriComplete !== undefined) io.err(`(or open ${plain(verificationUriComplete)})\n`);
  const untilMs = io.clock.monotonicMs() + Math.min(times.expiresInSeconds, 600) * 1000;
  while (io.clock.monotonicMs() < untilMs) {
    await io.clock.sleep(Math.max(1, times.intervalSeconds) * 1000, io.signal);
    const made = await client.finishDevice(handle);
    if (made !== undefined) return made;
  }
  throw new Fault("timeout", {
    what: "the code was not entered in time",
    where: at.url,
    fix: "begin again: weft login --oidc",
  });
}

/** The provider's texts must not move the cursor. */
function plain(text: string): string {
  return text.slice(0, 500).replaceAll(/[^\x21-\x7e]/g, "?");
}

async function keep(io: Io, { name, context }: Place, { user, token, expiresMs }: LoggedIn): Promise<void> {
  const before = readContexts(io.env);
  const all = withContext(before, name, { ...context, user, token, expiresMs });
  await writeContexts(io.env, withCurrent(all, name));
  const change = before.current === undefined || before.current === name ? "" : `; context ${name} is used from now on`;
  io.err(`logged in to ${context.server} as ${user} until ${timeText(expiresMs)}${change}\n`);
}

async function askUser(io: Io): Promise<string> {
  const user = (await io.ask?.("User: "))?.trim() ?? "";
  if (user !== "") return user;
  throw misuse("--user", "it is not known who logs in", "give --user NAME");
}

async function logout({ io }: Cli, { context: named }: Texts<"context">): Promise<void> {
  const all = readContexts(io.env);
  const found = contextIn(all, named);
  if (found?.context.token === undefined)
    throw new Fault("token-wrong", { what: "you are not logged in", fix: "see weft context list" });
  const { name, context } = found;
  const { loginClient } = await import("../../client/logins.ts");
  const { token = "", expiresMs: _, ...rest } = context;
  // Forgotten first: a server that is away, or does not know it any more, does not keep it here.
  await writeContexts(io.env, { ...all, contexts: { ...all.contexts, [name]: rest } });
  const refused = await loginClient({
    url: context.server,
    token,
    trust: await trustOf({ url: context.server, context }),
  })
    .logout()
    .then(() => undefined, reasonOf);
  if (refused === undefined || refused === "token-wrong") return io.err(`logged out of ${context.server}\n`);
  io.err(`the token of context ${name} is forgotten here, and may still be valid: weft token delete ends it\n`);
}

function reasonOf(error: unknown): string {
  if (error instanceof Fault) return error.reason;
  throw error;
}

async function whoAmI({ io }: Cli, options: ReadOptions): Promise<void> {
  const server = await connectLogins(io, options);
  const who = await server.whoAmI();
  const name = who.role === "user" ? `user/${who.user ?? ""}` : who.host === undefined ? who.role : `host/${who.host}`;
  await printOne(io, options, { name, value: who }, async () =>
    fields(io, [
      ["Who", name.replace("/", " ")],
      ["Groups", who.groups?.join(", ")],
      ["By", who.credential],
      ["May do", who.role === "user" ? narrowingText(who.narrowing) : undefined],
      ["Until", who.expiresMs === undefined ? undefined : timeText(who.expiresMs)],
      ["From", who.from],
      ["Server", (await locateServer(io, options)).url],
      ["Cluster", who.cluster],
    ]),
  );
}
