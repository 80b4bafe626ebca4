// A real cluster for tests: hosts as network namespaces on a wire of their own, one server and one agent per host as
// real processes. Names are unique to the test process, nothing touches the machine's own namespace, and close()
// removes all of it, whatever happened before.
import { execFile, spawn } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { IS_GUEST } from "../../guest/inGuest.ts";
import { Layout, SERVER_IP } from "./layout.ts";
import { Processes } from "./processes.ts";
import { echoes } from "./sockets.ts";

const WEFT = join(import.meta.dirname, "../../../bin/weft");
/** Stands for any address beyond the overlays (RFC 5737). */
export const OUTSIDE = "198.51.100.7";

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** A guest is slower: programs start in seconds there. */
const PATIENCE = IS_GUEST ? 4 : 1;

/** Runs a program to its end; never rejects. */
export function run(...argv: readonly string[]): Promise<Ran> {
  const [program = "", ...args] = argv;
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 60_000 * PATIENCE, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
    });
  });
}

/** Runs a program that has to succeed. */
export async function must(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...argv);
  if (code !== 0) throw new Error(`${argv.join(" ")}: exit ${code}: ${stderr}${stdout}`);
  return stdout;
}

/** Polls until `probe` gives something; fails with what it was waiting for after the deadline. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs * PATIENCE;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs * PATIENCE} ms: ${what}`);
    await setTimeout(50);
  }
}

/** Whatever JSON the other side sent: a test reads it as it expects it to be, and fails where it is not. */
export type Json = ReturnType<typeof JSON.parse>;
export type Answer = { readonly status: number; readonly body: Json };

/** One JSON request over a unix socket. */
export function call(
  to: string | { readonly socketPath: string; readonly token: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const { socketPath, token } = typeof to === "string" ? { socketPath: to, token: undefined } : to;
  return new Promise((resolve, reject) => {
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    };
    const outgoing = request({ socketPath, method, path, headers, timeout: 30_000 }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      const isJson = incoming.headers["content-type"]?.includes("json") === true;
      incoming.on("end", () =>
        resolve({ status: incoming.statusCode ?? 0, body: isJson && text !== "" ? JSON.parse(text) : text }),
      );
    });
    outgoing.on("error", reject).on("timeout", () => outgoing.destroy(new Error("timeout")));
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** What `tcpdump` sees on a device while `during` runs, which is told so far: bounded in packets and time. */
export async function packetsAt(
  netns: string,
  dev: string,
  filter: string,
  during: (seen: () => string) => Promise<unknown>,
): Promise<string> {
  const child = spawn(
    "ip",
    ["netns", "exec", netns, "tcpdump", "--immediate-mode", "-n", "-l", "-c", "5000", "-i", dev, ...filter.split(" ")],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let seen = "";
  let notes = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (seen += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (notes += text));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    await until("tcpdump listens", async () => notes.includes("listening on"));
    await during(() => seen);
    // What it has read it prints; what it has not is lost with it. It tells its counts when it gets this signal, and
    // reads what there is before.
    let before = "";
    const isQuiet = async () => {
      const now = `${seen.length} ${/\d+ packets? captured.*/.exec(notes)?.[0] ?? ""}`;
      const isSame = now === before && now.includes("captured");
      if (!now.includes("captured")) return false;
      before = now;
      notes = "";
      child.kill("SIGUSR1");
      return isSame;
    };
    notes = "";
    child.kill("SIGUSR1");
    await until("tcpdump has read all", isQuiet, 5000).catch(() => undefined);
  } finally {
    child.kill("SIGINT");
    await ended;
  }
  return seen.trim();
}

export type Workload = {
  readonly netns: string;
  readonly host: string;
  readonly endpoint: string;
  readonly addresses: readonly string[];
  readonly mac: string;
};

/** A network of each datapath, in both families. */
export const BOTH_DATAPATHS = {
  switched: { ipam: "global", subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }] },
  routed: {
    ipam: "local",
    subnets: [
      { cidr: "10.8.0.0/16", hostPrefix: 24 },
      { cidr: "fd08::/56", hostPrefix: 64 },
    ],
  },
} as const;

function netnsOf(from: Workload | string): string {
  return typeof from === "string" ? from : from.netns;
}

export class Cluster extends Layout {
  readonly hosts: readonly string[];
  readonly #processes = new Processes(this.folder);
  readonly #serverArgs: readonly string[];
  /** When each agent was started last. */
  readonly #startedMs = new Map<string, number>();

  /** `serverArgs` are further flags of the server; `family` is that of the underlay. */
  constructor(size: number, serverArgs: readonly string[] = [], family: 4 | 6 = 4) {
    super(family);
    this.#serverArgs = serverArgs;
    this.hosts = Array.from({ length: size }, (_, i) => `h${i + 1}`);
  }

  log(name: string): string {
    return this.#processes.log(name);
  }

  async open(): Promise<void> {
    await must("ip", "netns", "add", this.wire);
    await must("ip", "-n", this.wire, "link", "add", "lan", "type", "bridge");
    for (const words of [
      ["link", "set", "lo", "up"],
      ["link", "set", "lan", "up"],
      ["addr", "add", `${SERVER_IP}/24`, "dev", "lan"],
      ["addr", "add", `${OUTSIDE}/32`, "dev", "lo"],
    ])
      await must("ip", "-n", this.wire, ...words);
    for (const host of this.hosts) await this.addHost(host);
    await this.startServer();
    for (const host of this.hosts) await this.startAgent(host);
    await this.converged();
  }

  /** A namespace with a port on the wire, a default route, and no agent yet. */
  async addHost(host: string): Promise<void> {
    const netns = this.netnsOf(host);
    await must("ip", "netns", "add", netns);
    await must("ip", "link", "add", "eth0", "netns", netns, "type", "veth", "peer", "name", host, "netns", this.wire);
    await must("ip", "-n", this.wire, "link", "set", host, "master", "lan", "up");
    for (const words of [
      ["link", "set", "lo", "up"],
      ["link", "set", "eth0", "up"],
      ["addr", "add", `172.31.77.${10 + Number(host.slice(1))}/24`, "dev", "eth0"],
      ...(this.family === 6 ? [["addr", "add", `${this.underlayOf(host)}/64`, "dev", "eth0", "nodad"]] : []),
      ["route", "add", "default", "via", SERVER_IP],
    ])
      await must("ip", "-n", netns, ...words);
  }

  async startServer(): Promise<void> {
    this.#processes.start(
      "server",
      this.wire,
      WEFT,
      "server",
      "--listen",
      `${SERVER_IP}:7474`,
      "--data-dir",
      join(this.folder, "server"),
      "--socket",
      this.serverSocket,
      ...this.#serverArgs,
    );
    await until(
      "server is ready",
      async () => (await call(this.serverSocket, "GET", "/readyz").catch(() => undefined))?.status === 200,
    );
  }

  /** `wrap` goes before the agent's own argument list: a tracer. */
  async startAgent(host: string, wrap: readonly string[] = []): Promise<void> {
    this.#startedMs.set(host, Date.now());
    this.#processes.start(host, this.netnsOf(host), ...wrap, WEFT, ...this.agentArgs(host));
    await until(
      `agent of ${host} answers`,
      async () => (await call(this.agentSocket(host), "GET", "/livez").catch(() => undefined))?.status === 200,
    );
  }

  pidOf(name: string): number | undefined {
    return this.#processes.pidOf(name);
  }

  /** The process is gone when this resolves. */
  async kill(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.#processes.kill(name, signal);
  }

  /** The CLI against this cluster. */
  weft(...args: readonly string[]): Promise<Ran> {
    return run(
      WEFT,
      ...args,
      "--server",
      `unix:${this.serverSocket}`,
      "--token-file",
      join(this.folder, "server", "admin.token"),
    );
  }
  /** The CLI as whom this token is of. */
  weftBy(token: string, ...args: readonly string[]): Promise<Ran> {
    const server = `unix:${this.serverSocket}`;
    return run("env", `WEFT_TOKEN=${token}`, `WEFT_SERVER=${server}`, WEFT, ...args);
  }
  api(method: string, path: string, body?: unknown): Promise<Answer> {
    return call({ socketPath: this.serverSocket, token: this.token() }, method, path, body);
  }
  async status(): Promise<{
    revision: number;
    hosts: {
      host: string;
      state: string;
      status?: {
        revision: number;
        driftRepaired: number;
        errors: string[];
        conditions: string[];
        objects: number;
        reportedAtMs: number;
      };
    }[];
  }> {
    return (await this.api("GET", "/v1/status")).body;
  }

  /** Every given host has reached the newest revision without errors, as the agent says that was started last. */
  async converged(hosts: readonly string[] = this.hosts): Promise<void> {
    let last = "";
    await until("every host has reached the newest revision", async () => {
      const status = await this.status();
      last = JSON.stringify(status);
      const isConverged = ({ host, status: told }: (typeof status.hosts)[number]) =>
        told?.revision === status.revision &&
        told.errors.length === 0 &&
        told.reportedAtMs >= (this.#startedMs.get(host) ?? 0);
      return hosts.every((name) => status.hosts.some((h) => h.host === name && isConverged(h)));
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${last}\n${hosts.map((h) => this.log(h).slice(-2000)).join("\n")}`);
    });
  }

  /** A namespace with loopback up, for a workload. */
  async addWorkloadNetns(name: string): Promise<string> {
    const netns = `${this.id}-${name}`;
    await must("ip", "netns", "add", netns);
    await must("ip", "-n", netns, "link", "set", "lo", "up");
    return netns;
  }

  async attach(
    host: string,
    network: string,
    name: string,
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<Workload> {
    const netns = await this.addWorkloadNetns(name);
    const { status, body } = await call(this.agentSocket(host), "POST", "/v1/attachments", {
      network,
      netns: `/run/netns/${netns}`,
      owner: name,
      ...more,
    });
    if (status !== 201)
      throw new Error(`attach ${name}: ${status} ${JSON.stringify(body)}\n${this.log(host).slice(-3000)}`);
    return { netns, host, endpoint: body.endpoint, addresses: body.spec.addresses, mac: body.spec.mac };
  }

  /** Whether all of `count` pings come back; the first may have to wait for the peer's agent. */
  async pings(from: Workload | string, to: string, count = 1, waitMs = 1_000): Promise<boolean> {
    return echoes(netnsOf(from), to, { count, waitMs });
  }

  /** Polls until all of `count` pings come back: what was just built or repaired may take its time. */
  async reaches(from: Workload | string, to: string, count = 1): Promise<true> {
    const name = typeof from === "string" ? from : from.endpoint;
    const netns = netnsOf(from);
    return until(`${name} reaches ${to}`, async () => (await echoes(netns, to, { count, waitMs: 1_000 })) && true);
  }

  async close(): Promise<void> {
    await this.#processes.close();
    const left = readdirSync("/run/netns").filter((name) => name.startsWith(`${this.id}-`));
    for (const name of left) await run("ip", "netns", "delete", name);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
