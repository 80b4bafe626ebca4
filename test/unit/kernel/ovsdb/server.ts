// A server of OVSDB of the test, which answers what a test wants, and the client of it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type Server, type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Ovsdb } from "../../../../src/kernel/ovsdb/client.ts";

type Request = { readonly id: unknown; readonly method?: string; readonly params: readonly unknown[] };
/** Text is sent as it is; undefined is no answer. */
export type Answer = (request: Request, socket: Socket) => string | undefined;

export const result = (id: unknown, value: unknown) => JSON.stringify({ id, result: value, error: null });
export const ROWS = { Bridge: { "1-a": { new: { name: "br0" } } } };

/** As a good server does it, but for what `special` does. */
export function answering(special: Readonly<Record<string, Answer>>): Answer {
  const good: Readonly<Record<string, Answer>> = {
    list_dbs: ({ id }) => result(id, ["Open_vSwitch", "_Server"]),
    monitor: ({ id }) => result(id, ROWS),
    lock: ({ id }) => result(id, { locked: false }),
    unlock: ({ id }) => result(id, {}),
    transact: ({ id, params }) =>
      result(
        id,
        params.slice(1).map(() => ({ count: 1 })),
      ),
  };
  return (request, socket) => ({ ...good, ...special })[request.method ?? ""]?.(request, socket);
}

export class TestServer {
  readonly path: string;
  readonly received: Request[] = [];
  connections = 0;
  sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(path: string) {
    this.path = path;
  }

  async listen(answer: Answer): Promise<void> {
    this.#server = createServer((socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => this.sockets.delete(socket));
      let text = "";
      socket.setEncoding("utf8").on("data", (more: string) => {
        // A client's requests are lines here, because each is written at once.
        text += more.replaceAll("}{", "}\n{");
        const lines = text.split("\n");
        text = lines.pop() ?? "";
        if (text.endsWith("}")) lines.push(text.slice(0, (text = "").length || undefined));
        for (const line of lines.filter((each) => each !== "")) {
          const request = JSON.parse(line) as Request;
          this.received.push(request);
          const said = answer(request, socket);
          if (said !== undefined) socket.write(said);
        }
      });
    }).listen(this.path);
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

export async function until(what: string, isSo: () => boolean, timeoutMs = 5000): Promise<void> {
  for (const end = performance.now() + timeoutMs; !isSo(); await setTimeout(2))
    assert(performance.now() < end, `never: ${what}`);
}

/** A server and its client, which have begun. */
export async function started(
  t: TestContext,
  answer: Answer,
  timeoutMs = 5000,
): Promise<[TestServer, Ovsdb, () => number]> {
  const directory = mkdtempSync(join(tmpdir(), "weft-ovsdb-"));
  const server = new TestServer(join(directory, "db.sock"));
  await server.listen(answer);
  let changes = 0;
  const watched = { Bridge: ["name"] };
  const client = new Ovsdb({
    path: server.path,
    database: "Open_vSwitch",
    watched,
    timeoutMs,
    onChange: () => changes++,
  });
  t.after(async () => {
    client.close();
    await server.stop();
    rmSync(directory, { recursive: true });
  });
  client.open();
  return [server, client, () => changes];
}
