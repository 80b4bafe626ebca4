// A server that sends without end: the connection ends before much of it is kept, and nothing else suffers.
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { ROWS, answering, result, started, until } from "./server.ts";

const GIGABYTE = 1024 ** 3;

/** Sends pieces until they are a gigabyte, or the client has hung up; never faster than they are taken. */
function pour(socket: Socket, piece: (n: number) => string): void {
  let sent = 0;
  const on = () => {
    for (let n = 0; sent < GIGABYTE && !socket.destroyed; n++) {
      const text = piece(n);
      sent += text.length;
      if (!socket.write(text)) return void socket.once("drain", on);
    }
  };
  on();
}

const update = (table: object) => JSON.stringify({ id: null, method: "update", params: ["weft", { Bridge: table }] });
let rows = 0;
const FLOODS: readonly (readonly [what: string, piece: (n: number) => string, why: RegExp])[] = [
  ["one text", (n) => (n === 0 ? '{"id":"' : "x".repeat(1 << 16)), /a message has more than \d+ bytes/],
  ["small objects in one message", (n) => (n === 0 ? '{"a":[{}' : ",{}".repeat(1 << 14)), /objects and lists/],
  ["rows", () => update({ [`${++rows}-r`]: { new: { name: "x".repeat(1 << 16) } } }), /rows have more than \d+ bytes/],
  ["questions", () => JSON.stringify({ id: 1, method: "echo", params: ["y".repeat(1 << 16)] }), /takes no answers/],
];
for (const [what, piece, why] of FLOODS)
  test(`a gigabyte of ${what}: a Fault, and not much of it is kept`, { timeout: 60_000 }, async (t) => {
    let isPoured = false;
    const monitor = ({ id }: { id: unknown }, socket: Socket) => {
      if (isPoured) return result(id, ROWS);
      isPoured = true;
      socket.pause();
      socket.write(result(id, ROWS));
      pour(socket, piece);
      return undefined;
    };
    const before = process.memoryUsage().rss;
    let most = 0;
    const look = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
    t.after(() => clearInterval(look));
    const [, client] = await started(t, answering({ monitor }), 30_000);
    let fault: Fault | undefined;
    await until("a fault", () => (fault ??= client.trouble) !== undefined, 40_000);
    assert(fault instanceof Fault);
    assert.match(fault.message, why);
    assert((most - before) / 2 ** 20 < 400, `${Math.round((most - before) / 2 ** 20)} MB`);
    await until("the rows of a server that is good again", () => client.replica?.table("Bridge").size === 1);
  });
