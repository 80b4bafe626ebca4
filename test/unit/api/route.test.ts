// What routes read of a request, and what they answer: values in, values or refusals out.
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import {
  adminOnly,
  answerOf,
  type Call,
  flagIn,
  hostOnly,
  jsonOf,
  limitIn,
  matchOf,
  missing,
  numberIn,
  type Route,
  viewerOf,
  withEtag,
} from "../../../src/api/route.ts";
import { beginLines } from "../../../src/api/watches.ts";
import { SERVER } from "../../../src/control/write.ts";
import { Fault } from "../../../src/model/fault.ts";
import type { Resource } from "../../../src/model/resource.ts";

const call = (more: Partial<Call> & { readonly headers?: Readonly<Record<string, string>> } = {}): Call => ({
  identity: { role: "admin" },
  caller: SERVER,
  prove: () => SERVER,
  shown: {},
  params: {},
  name: "",
  query: {},
  text: "",
  header: (name) => more.headers?.[name],
  ...more,
});

/** The refusal as `reason: where | what`. */
function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof Fault) return `${error.reason}: ${error.detail.where} | ${error.detail.what}`;
    throw error;
  }
  return assert.fail("nothing was refused");
}

describe("roles", () => {
  const host = { role: "host", host: "h1" } as const;
  const join = { role: "join", token: "t" } as const;
  const admin = { role: "admin" } as const;

  test("a viewer is a host or an administrator, never a join token", () => {
    for (const identity of [host, admin]) assert.equal(viewerOf(call({ identity })), identity);
    assert.match(
      refusal(() => viewerOf(call({ identity: join }))),
      /^forbidden: .*a join token only joins hosts$/,
    );
  });

  test("an administrator alone, and who was not is named", () => {
    adminOnly(call({ identity: admin }));
    assert.match(
      refusal(() => adminOnly(call({ identity: host }))),
      /^forbidden: .*host "h1" cannot/,
    );
    assert.match(
      refusal(() => adminOnly(call({ identity: join }))),
      /^forbidden: .*\| a join token cannot/,
    );
  });
});

test("for the host that the path names, and an administrator", () => {
  const host = { role: "host", host: "h1" } as const;
  hostOnly(call({ identity: host, name: "h1" }));
  hostOnly(call({ name: "h1" }));
  for (const identity of [host, { role: "join", token: "t" } as const])
    assert.match(
      refusal(() => hostOnly(call({ identity, name: "h2" }))),
      /^forbidden: .*cannot do this$/,
    );
});

test("a body is JSON, and one that is not says where it ends to be", () => {
  for (const [text, value] of [
    ["{}", {}],
    ['{"a":[1]}', { a: [1] }],
    ["null", null],
    ['""', ""],
  ] as const)
    assert.deepEqual(jsonOf(call({ text })), value);
  assert.match(
    refusal(() => jsonOf(call())),
    /^request-invalid: body \| body: expected JSON, got nothing$/,
  );
  assert.match(
    refusal(() => jsonOf(call({ text: '{\n "a": }' }))),
    /^request-invalid: .*2.* \| body: not JSON$/,
  );
});

test("a number of a query is a whole one within its bounds, both included, or it is left out", () => {
  const of = (n: string | undefined) => () =>
    numberIn(call({ query: n === undefined ? {} : { n, m: "5" } }), "n", 2, 40);
  assert.equal(of(undefined)(), undefined);
  for (const text of ["2", "3", "39", "40", "0040"]) assert.equal(of(text)(), Number(text));
  for (const text of [
    "1",
    "41",
    "",
    " 2",
    "2 ",
    "-3",
    "+3",
    "2.5",
    "1e1",
    "0x3",
    "x3",
    "3x",
    "Infinity",
    "9".repeat(60),
  ])
    assert.equal(
      refusal(of(text)),
      `request-invalid: ?n | ?n: expected a number from 2 to 40, got "${text.slice(0, 40)}"`,
    );
});

test("a list has 1000 of a page unless it is asked for another number", () => {
  assert.deepEqual([limitIn(call()), limitIn(call({ query: { limit: "10000" } }))], [1000, 10_000]);
  for (const limit of ["0", "10001"])
    assert.match(
      refusal(() => limitIn(call({ query: { limit } }))),
      /from 1 to 10000/,
    );
});

test("a flag is true, false, there or not there", () => {
  const of = (f: string | undefined) => () => flagIn(call({ query: f === undefined ? {} : { f } }), "f");
  assert.deepEqual(
    [undefined, "false", "true", ""].map((text) => of(text)()),
    [false, false, true, true],
  );
  for (const text of ["1", "0", "yes", "True", "FALSE", " true", "x".repeat(60)])
    assert.equal(refusal(of(text)), `request-invalid: ?f | ?f: expected true or false, got "${text.slice(0, 40)}"`);
});

test("what a resource must be by If-Match and If-None-Match", () => {
  const of = (match: string | undefined, none?: string) => () =>
    matchOf(
      call({
        headers: {
          ...(match === undefined ? {} : { "if-match": match }),
          ...(none === undefined ? {} : { "if-none-match": none }),
        },
      }),
    );
  assert.deepEqual(of(undefined)(), {});
  assert.deepEqual(of(undefined, "*")(), { ifRevision: 0 });
  assert.deepEqual(of("*")(), { ifRevision: "any" });
  for (const n of ["0", "7", "999999999999999"]) assert.deepEqual(of(`"${n}"`)(), { ifRevision: Number(n) });
  const many = `"${"1".repeat(60)}"`;
  for (const text of [
    "",
    "7",
    '"7',
    '7"',
    'W/"7"',
    '"7", "8"',
    '""',
    '"x"',
    '"-7"',
    ' "7"',
    '"1234567890123456"',
    many,
  ])
    assert.equal(
      refusal(of(text)),
      `request-invalid: If-Match | If-Match: "${text.slice(0, 40)}" is not understood`,
      text,
    );
  for (const [match, none] of [
    [undefined, '"7"'],
    [undefined, ""],
    ["*", "*"],
    ['"7"', "*"],
    ['"7"', '"7"'],
  ] as const)
    assert.equal(
      refusal(of(match, none)),
      `request-invalid: If-None-Match | If-None-Match: "${none}" is not understood`,
    );
});

describe("answers", () => {
  const resource = { kind: "host", name: "h1", uid: "u", revision: 42, spec: {} } as unknown as Resource;

  const outcome = { revision: 50, changes: [{ put: resource }], resource };
  const route = (answers: Route["answers"]): Route => ({
    method: "POST",
    path: "/x",
    summary: "",
    access: "admin",
    answers,
    handle: () => ({ body: {} }),
  });

  test("a put answers what there is now, 201 if it made it, with its ETag", () => {
    const body = { headers: { etag: '"42"' }, body: resource };
    const put = route({ 200: "Host", 201: "Host" });
    assert.deepEqual(answerOf(put, { ...outcome, created: true }), { status: 201, ...body });
    assert.deepEqual(answerOf(put, { ...outcome, created: false }), { status: 200, ...body });
    assert.deepEqual(withEtag(203, resource), { status: 203, ...body });
  });

  test("another write answers what it changed, or its revision alone, as the route says", () => {
    const { changes } = outcome;
    assert.deepEqual(answerOf(route({ 200: "Applied" }), { ...outcome, created: true }), {
      body: { revision: 50, changes },
    });
    assert.deepEqual(answerOf(route({ 200: "Done" }), { ...outcome, created: true }), { body: { revision: 50 } });
  });

  test("a name that is not there is told with where to look", () => {
    const fault = missing("network", "blue");
    assert.match(`${fault.reason}: ${fault.message}`, /^network-unknown: .*"blue".*weft network list/);
    assert.match(missing("host", "h9").message, /"h9".*weft host list/);
  });

  test("an answer of lines is neither stored nor held back on its way", () => {
    const sent: unknown[] = [];
    const writeHead = (...head: unknown[]) => sent.push(...head);
    beginLines({ writeHead, flushHeaders: () => sent.push("flushed") } as unknown as ServerResponse);
    const head = { "content-type": "application/x-ndjson", "cache-control": "no-store", "x-accel-buffering": "no" };
    assert.deepEqual(sent, [200, head, "flushed"]);
  });
});
