// Where the server and the agents' sockets are: flags, environment and /etc/weft/cli.yaml first, then the context that
// the user works in, then what the demonstration cluster left in /run/weft/cli.json, then the socket of a server or
// agent on this machine. A token is looked for in the same order.
import { existsSync, readFileSync } from "node:fs";
import type { ServerLocation } from "../../client/server.ts";
import type { Trust } from "../../client/tls.ts";
import { Fault } from "../../model/fault.ts";
import type { Io } from "../io.ts";
import { type Context, contextIn, readContexts, tokenFor } from "../login/contexts.ts";
import { misuse } from "../output/error.ts";
import { settingsOf, whyUnread } from "./settings.ts";

export type RemoteOptions = {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly context?: string;
  readonly caPin?: string;
  readonly caFile?: string;
};
/** Which agent: by the path of its socket, or by its host where several run on one machine. */
export type AgentOptions = { readonly agentSocket?: string; readonly host?: string };

const SETTINGS = ["server", "token-file", "agent-socket", "ca-pin", "ca-file"] as const;
const RUN_FILE = "/run/weft/cli.json";
const LOCAL = { socket: "/run/weft/server.sock", tokenFile: "/var/lib/weft/server/admin.token" } as const;
const LOCAL_AGENT = "/run/weft/agent.sock";

/** /run/weft/cli.json: with it the CLI works without options. */
type RunFile = {
  readonly server: string;
  readonly tokenFile: string;
  readonly agents: Readonly<Record<string, string>>;
};

/** The server and the token to show it; a Fault says what to give when there is none. */
export async function locateServer(io: Io, options: RemoteOptions): Promise<ServerLocation> {
  const found = await findServer(io, options);
  const [trust, token] = [await trustOf(found), tokenFrom(io, options, found)];
  return { url: found.url, trust, ...(token === undefined ? {} : { token }) };
}

/** The CA to trust: what was said now, else what the context says. A unix socket needs none. */
export async function trustOf({ url, caPin, caFile, context }: Found): Promise<Trust> {
  const pin = caPin ?? (caFile === undefined ? context?.caPin : undefined);
  if (url.startsWith("unix:") || (pin === undefined && caFile === undefined)) return {};
  if (pin === undefined) return { file: textOf(caFile ?? "", "--ca-file") };
  const { checkPin } = await import("../../tls/names.ts");
  return { pin: checkPin(pin, caPin === undefined ? "the context" : "--ca-pin") };
}

function textOf(file: string, where: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const fix = "give it a file of certificates in PEM";
    throw new Fault("request-invalid", { what: `${file} cannot be read`, where, why: whyUnread(error), fix });
  }
}

function tokenFrom(io: Io, options: RemoteOptions, found: Found): string | undefined {
  const { url } = found;
  // A token of the environment is for the server of the environment, not for a context that is named.
  const isFree = options.tokenFile === undefined && found.isNamed !== true;
  const shown = isFree ? (io.env["WEFT_TOKEN"] ?? "").trim() : "";
  if (shown !== "") return checkToken(shown, "WEFT_TOKEN");
  if (found.tokenFile !== undefined) return tokenOf(found.tokenFile);
  const token = found.context?.token ?? (found.run === undefined ? tokenFor(readContexts(io.env), url) : undefined);
  if (token !== undefined) return token;
  // Of a context that has none, nobody has logged in.
  if (found.context !== undefined && !url.startsWith("unix:")) throw notLoggedIn(url);
  const file = found.run?.tokenFile ?? LOCAL.tokenFile;
  // On its own socket the server asks for no token: only root may open it.
  if (url.startsWith("unix:") && !existsSync(file)) return undefined;
  return tokenOf(file);
}

type Found = {
  readonly url: string;
  readonly tokenFile?: string | undefined;
  readonly context?: Context;
  /** By its name, and not because it is the current one. */
  readonly isNamed?: boolean;
  readonly run?: RunFile;
  readonly caPin?: string | undefined;
  readonly caFile?: string | undefined;
};

/** The server that is meant, and where that was said. */
async function findServer(io: Io, options: RemoteOptions): Promise<Found> {
  const { context: flag, ...flags } = options;
  const given = await settingsOf("cli", SETTINGS, { ...flags }, io.env);
  const { "token-file": tokenFile, "ca-pin": caPin, "ca-file": caFile } = given;
  const said = { caPin, caFile };
  const named = flag ?? (flags.server === undefined ? nameIn(io.env["WEFT_CONTEXT"]) : undefined);
  if (flag !== undefined && flags.server !== undefined)
    throw misuse("--context", "both --server and --context are given", "give one of them");
  if (named === undefined && given.server !== undefined) {
    await checkServer(given.server, "--server");
    return { url: given.server, tokenFile, ...said };
  }
  const context = contextIn(readContexts(io.env), named)?.context;
  if (context !== undefined) {
    await checkServer(context.server, "the context");
    const isNamed = named !== undefined;
    return { url: context.server, tokenFile: isNamed ? flags.tokenFile : tokenFile, context, isNamed, ...said };
  }
  const run = runFile();
  const url = run?.server ?? (existsSync(LOCAL.socket) ? `unix:${LOCAL.socket}` : undefined);
  if (url === undefined) {
    throw new Fault("unavailable", {
      what: "the address of the server is not known",
      why: `neither --server nor WEFT_SERVER is set, there is no context, no ${RUN_FILE} and no ${LOCAL.socket}`,
      fix: "log in with weft login --server URL, start a server with `weft server`, or try `script/up`",
    });
  }
  await checkServer(url, RUN_FILE);
  return { url, tokenFile, ...said, ...(run === undefined ? {} : { run }) };
}

function nameIn(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function notLoggedIn(where: string): Fault {
  return new Fault("token-wrong", { what: "you are not logged in", where, fix: "log in: weft login" });
}

/** What is wrong with the server is told before what is wrong with a token for it. */
async function checkServer(server: string, where: string): Promise<void> {
  const { serverUrl } = await import("../../client/url.ts");
  serverUrl(server, where);
  const path = server.startsWith("unix:") ? server.slice("unix:".length) : undefined;
  if (path === undefined || existsSync(path)) return;
  throw new Fault("unavailable", {
    what: "cannot reach the server",
    where: server,
    why: "there is no such socket",
    fix: "start it with `weft server`, or correct the address",
  });
}

/** What a header can carry; otherwise the source of an odd character would be hard to find. */
function checkToken(token: string, where: string): string {
  if (/^[\x21-\x7e]{1,512}$/.test(token)) return token;
  const why = token === "" ? "it is empty" : "it contains blanks, line ends or characters that no token contains";
  throw new Fault("token-wrong", { what: "this is not a token", where, why, fix: "give the token and nothing else" });
}

function tokenOf(file: string): string {
  try {
    return checkToken(readFileSync(file, "utf8").trim(), file);
  } catch (error) {
    if (error instanceof Fault) throw error;
    const fix = "give --token-file FILE or WEFT_TOKEN; the server writes admin.token to its data directory";
    const detail = { what: "there is no token for the server", where: file, why: whyUnread(error), fix };
    throw new Fault("token-wrong", detail, { cause: error });
  }
}

/** Sockets of agents by host; the machine's own agent has no host name here, so it is "". */
export async function agentSockets(io: Io, options: AgentOptions): Promise<ReadonlyMap<string, string>> {
  const given = await settingsOf("cli", SETTINGS, { agentSocket: options.agentSocket }, io.env);
  if (given["agent-socket"] !== undefined) return new Map([["", given["agent-socket"]]]);
  if (existsSync(LOCAL_AGENT)) return new Map([["", LOCAL_AGENT]]);
  return new Map(Object.entries(runFile()?.agents ?? {}));
}

/** The one agent to talk to; a Fault lists the choices when there are several, or says how to get one. */
export async function agentSocket(io: Io, options: AgentOptions): Promise<string> {
  const sockets = await agentSockets(io, options);
  const [only] = sockets.values();
  const named = options.host === undefined ? undefined : sockets.get(options.host);
  if (named !== undefined) return named;
  if (only === undefined) {
    throw new Fault("unavailable", {
      what: "no agent runs on this machine",
      where: LOCAL_AGENT,
      fix: "start one with `weft agent`, or give --agent-socket PATH",
    });
  }
  if (sockets.has("") || (options.host === undefined && sockets.size === 1)) return only;
  throw new Fault(options.host === undefined ? "request-invalid" : "host-unknown", {
    what: options.host === undefined ? "several agents run here" : `no agent of host "${options.host}" runs here`,
    where: "--host",
    fix: `choose one with --host: ${[...sockets.keys()].join(", ")}`,
  });
}

function runFile(): RunFile | undefined {
  try {
    // Written by the demonstration cluster of the same version; another program's file fails at its first use.
    return JSON.parse(readFileSync(RUN_FILE, "utf8")) as RunFile;
  } catch {
    return undefined;
  }
}
