// Weft itself, as a bench runs it: one server and one agent per host, as processes, with their state in a folder that
// goes with the bench. Talks to them as any client would, over their unix sockets.
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastLines, isRunning, start, type Started } from "../../src/demo/run.ts";
import type { ClusterStatus } from "../../src/model/status.ts";
import { type BenchHost, LAN_IP, buildUnderlay, inside, removeNamespaces } from "./underlay.ts";

const WEFT = new URL("../../bin/weft", import.meta.url).pathname;
const PORT = 7474;
const DEADLINE_MS = 30_000;

export type Answered = { readonly status: number; readonly body: unknown };
export type ClusterHost = BenchHost & { readonly socket: string; readonly netnsPrefix: string };

export type Cluster = {
  readonly hosts: readonly ClusterHost[];
  readonly dir: string;
  /** A request to the server as its administrator; throws unless the answer is 2xx. */
  readonly api: (method: string, path: string, body?: unknown) => Promise<unknown>;
  /** Resolves when every host has reached the newest revision. */
  readonly converged: () => Promise<void>;
  /** Starts the agent of a host; `wrap` goes before its argument list. */
  readonly startAgent: (host: ClusterHost, wrap?: readonly string[]) => Promise<Started>;
};

/** Builds hosts and a server, runs the work, and removes everything, also when the work fails or is interrupted. */
export async function withCluster(hostCount: number, work: (cluster: Cluster) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "weft-bench-"));
  const started: Started[] = [];
  const interrupted = once(process, "SIGINT").then(() => Promise.reject(new Error("interrupted")));
  try {
    await Promise.race([build(dir, hostCount, started).then(work), interrupted]);
  } finally {
    await stopAll(started);
    await removeNamespaces();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function build(dir: string, hostCount: number, started: Started[]): Promise<Cluster> {
  const underlay = await buildUnderlay(hostCount);
  const serverSocket = join(dir, "server.sock");
  const dataDir = join(dir, "server");
  mkdirSync(dataDir, { mode: 0o700 });
  const log = join(dir, "server.log");
  const argv = [WEFT, "server", "--listen", `${LAN_IP}:${PORT}`, "--data-dir", dataDir, "--socket", serverSocket];
  const server = await start(inside(underlay.lan, argv), log);
  started.push(server);
  const ready = async () => (await ask(serverSocket, "GET", "/readyz")).status === 200;
  await until("the server", ready, server, log);
  const token = readFileSync(join(dataDir, "admin.token"), "utf8").trim();
  const hosts = underlay.hosts.map((host) => {
    return { ...host, socket: join(dir, `${host.name}.sock`), netnsPrefix: `${host.netns}-` };
  });
  const api = async (method: string, path: string, body?: unknown) => {
    const answer = await ask(serverSocket, method, path, body, token);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  return {
    hosts,
    dir,
    api,
    converged: () => until("convergence", async () => isConverged((await api("GET", "/v1/status")) as ClusterStatus)),
    startAgent: async (host, wrap = []) => {
      const agent = await startAgent(dir, host, wrap);
      started.push(agent);
      return agent;
    },
  };
}

async function startAgent(dir: string, host: ClusterHost, wrap: readonly string[]): Promise<Started> {
  const log = join(dir, `${host.name}.log`);
  const state = ["--state-dir", join(dir, host.name), "--socket", host.socket, "--netns-prefix", host.netnsPrefix];
  const place = ["--server", `http://${LAN_IP}:${PORT}`, "--join-token-file", join(dir, "server/join.token")];
  const agent = await start(inside(host.netns, [...wrap, WEFT, "agent", "--host", host.name, ...place, ...state]), log);
  await until(
    `the agent of ${host.name}`,
    async () => (await ask(host.socket, "GET", "/readyz")).status === 200,
    agent,
    log,
  );
  return agent;
}

function isConverged({ revision, hosts }: ClusterStatus): boolean {
  return hosts.every((host) => host.state === "ready" && (host.status?.revision ?? -1) >= revision);
}

export async function stopAll(processes: readonly Started[]): Promise<void> {
  for (const one of processes) if (isRunning(one)) process.kill(one.pid, "SIGTERM");
  const deadlineMs = Date.now() + 5_000;
  while (processes.some(isRunning) && Date.now() < deadlineMs) await pause(20);
  for (const one of processes) if (isRunning(one)) process.kill(one.pid, "SIGKILL");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until true; says what was waited for, with the end of the log if a process is behind it. */
export async function until(what: string, isThere: () => Promise<boolean>, by?: Started, log?: string): Promise<void> {
  const deadlineMs = Date.now() + DEADLINE_MS;
  while (!(await isThere().catch(() => false))) {
    const isDead = by !== undefined && !isRunning(by);
    if (isDead || Date.now() > deadlineMs) {
      const said = log === undefined ? "" : `\n${lastLines(log, 10).join("\n")}`;
      throw new Error(`${what}: ${isDead ? "ended" : `not there after ${DEADLINE_MS / 1000} s`}${said}`);
    }
    await pause(20);
  }
}

/** One request over a unix socket. */
export async function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
): Promise<Answered> {
  const headers = {
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const sent = request({ socketPath, method, path, headers, agent: false });
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response as AsyncIterable<Buffer>) text += chunk.toString();
  return { status: response.statusCode ?? 0, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
}
