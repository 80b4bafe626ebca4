// For tests of the CLI: bin/weft as a process of its own, against a real server over a unix socket in this process.
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApi } from "../../../src/api/api.ts";
import { Control } from "../../../src/control/control.ts";
import type { OidcLogin } from "../../../src/model/oidc.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";

const WEFT = join(import.meta.dirname, "../../../bin/weft");
const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now(), sleep: () => Promise.resolve() };
const opened = await Control.open(openMemoryStore(), { clock });

type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };
type Options = { readonly input?: string; readonly env?: Record<string, string> };

export class CommandLine {
  readonly folder = mkdtempSync(join(tmpdir(), "weft-cli-"));
  readonly control = opened;
  readonly #socket = join(this.folder, "server.sock");
  readonly #api;
  readonly #server = createServer((...args) => this.#api.routing(...args));
  readonly #running = new Set<ChildProcess>();

  /** By `oidc` people may log in, too. */
  constructor(oidc?: OidcLogin) {
    this.#api = createApi(this.control, { clock, version: "9.9.9", oidc });
  }

  get url(): string {
    return `unix:${this.#socket}`;
  }

  async open(): Promise<void> {
    await this.control.setToken("admin", "a".repeat(40));
    await this.control.setToken("join", "j".repeat(40));
    writeFileSync(join(this.folder, "admin.token"), "a".repeat(40));
    writeFileSync(join(this.folder, "wrong.token"), "w".repeat(40));
    await this.#api.ready();
    await new Promise<void>((resolve) => this.#server.listen(this.#socket, resolve));
  }

  async close(): Promise<void> {
    for (const child of this.#running) child.kill("SIGKILL");
    this.#server.close();
    this.#server.closeAllConnections();
    await this.#api.close();
    await this.control.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #environment(more: Options["env"]) {
    return {
      PATH: process.env["PATH"],
      HOME: this.folder,
      WEFT_CONFIG_DIR: this.folder,
      WEFT_SERVER: `unix:${this.#socket}`,
      WEFT_TOKEN_FILE: join(this.folder, "admin.token"),
      ...more,
    };
  }

  /** One that goes on: what it has said so far, a wait for more, and an interrupt, which gives how it ended. */
  start(args: readonly string[], options: Pick<Options, "env"> = {}) {
    const child = spawn(WEFT, args, { env: this.#environment(options.env), stdio: ["ignore", "pipe", "pipe"] });
    this.#running.add(child);
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].setEncoding("utf8").on("data", (text: string) => (said[name] += text));
    const ended = new Promise<Ran>((resolve) =>
      child.on("close", (code, signal) => {
        this.#running.delete(child);
        resolve({ code: code ?? (signal === "SIGINT" ? 130 : -1), ...said });
      }),
    );
    return {
      said,
      ended,
      async until(what: RegExp): Promise<RegExpExecArray> {
        const deadline = performance.now() + 60_000;
        for (;;) {
          const found = what.exec(`${said.stdout}${said.stderr}`);
          if (found !== null) return found;
          assert.ok(performance.now() < deadline, `not said: ${String(what)}, but ${said.stdout}${said.stderr}`);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      },
      interrupt(): Promise<Ran> {
        child.kill("SIGINT");
        return ended;
      },
    };
  }

  weft(args: readonly string[], options: Options = {}): Promise<Ran> {
    const env = this.#environment(options.env);
    return new Promise((resolve) => {
      const child = execFile(WEFT, args, { env, timeout: 30_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
      });
      child.stdin?.end(options.input ?? "");
    });
  }

  /** Runs what has to succeed and gives its stdout as JSON. */
  async json<T>(...args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.weft([...args, "-o", "json"]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as T;
  }

  metrics(): Promise<string> {
    return this.#api
      .inject({ url: "/metrics", headers: { authorization: `Bearer ${"a".repeat(40)}` } })
      .then(({ body }) => body);
  }

  async joinHost(host: string, underlay: string): Promise<void> {
    await this.control.join({ host, underlay, underlayMtu: 1500, hostPrefixes: [] }, "j".repeat(40));
  }
}
