// A stream of JSON is cut into messages whatever its pieces are; what is no such stream is a Fault.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Frames } from "../../../../src/kernel/ovsdb/frames.ts";
import { Fault } from "../../../../src/model/fault.ts";

const MESSAGES = [
  { id: 1, result: [{ a: '}{][\\"' }], error: null },
  { method: "update", params: [null, { Bridge: { x: { new: { name: 'br"\\', text: "ä€𝄞 }" } } } }], id: null },
  {},
  { deep: [[[{ a: [{}] }]]] },
];
const STREAM = Buffer.from(MESSAGES.map((message) => JSON.stringify(message)).join("\n \t"));

test("messages are the same in pieces of any size", () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const frames = new Frames();
    const seen: unknown[] = [];
    for (let at = 0; at < STREAM.length; at += size) seen.push(...frames.push(STREAM.subarray(at, at + size)));
    assert.deepEqual(seen, MESSAGES, `pieces of ${size}`);
  }
});

test("a piece may be overwritten when it was taken", () => {
  const frames = new Frames();
  const piece = Buffer.from('{"a":');
  assert.deepEqual(frames.push(piece), []);
  piece.fill(0x20);
  assert.deepEqual(frames.push(Buffer.from("1}")), [{ a: 1 }]);
});

test("a large message costs time in proportion to its size, in whatever pieces", () => {
  const rows = Object.fromEntries(
    Array.from({ length: 100_000 }, (_, i) => [`row${i}`, { new: { name: `port${i}` } }]),
  );
  const bytes = Buffer.from(JSON.stringify({ id: 1, result: { Port: rows }, error: null }));
  const frames = new Frames();
  const seen: unknown[] = [];
  for (let at = 0; at < bytes.length; at += 64) seen.push(...frames.push(bytes.subarray(at, at + 64)));
  assert.deepEqual(seen, [{ id: 1, result: { Port: rows }, error: null }]);
});

const HOSTILE: readonly (readonly [what: string, text: string | Buffer, why: RegExp])[] = [
  ["no object", "[1]", /a message begins with "\[1\]"/],
  ["HTTP", "HTTP/1.1 400 Bad Request\r\n", /begins with "HTTP/],
  ["no JSON", "{a:1}", /no JSON \({a:1}\)/],
  ["brackets that do not match", '{"a":[}]}', /no JSON|begins with/],
  ["bytes that are no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /no JSON/],
  ["nested without end", '{"a":'.repeat(200), /nested more than 100 deep/],
  ["without end", `{"a":"${"x".repeat(2000)}`, /more than 1000 bytes/],
];
for (const [what, text, why] of HOSTILE)
  test(`${what} is a Fault`, () => {
    const frames = new Frames(1000);
    assert.throws(
      () => frames.push(Buffer.from(text)),
      (error) => error instanceof Fault && error.reason === "unavailable" && why.test(error.message),
    );
  });
