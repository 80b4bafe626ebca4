// The server's certificates over time: its own is renewed whatever becomes of the one that an administrator gave, and
// whatever the clock does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TlsListener, lifeFrom } from "../../../src/main/tlsListener.ts";
import { newCa } from "../../../src/tls/certifier.ts";
import { newKey } from "../../../src/tls/key.ts";

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);

/** A listener whose clock goes on by the days of `steps`; how many certificates it had made before each look. */
async function madeAfter(steps: readonly number[], files: ReadonlyMap<string, string>, spoil = () => {}) {
  let nowMs = START_MS;
  let made = 0;
  const said: string[] = [];
  const counts: number[] = [];
  const stop = new AbortController();
  const waiting = [...steps];
  const clock = {
    nowMs: () => nowMs,
    monotonicMs: () => 0,
    async sleep() {
      if (waiting.length < steps.length) counts.push(made);
      const step = waiting.shift();
      if (step === undefined) stop.abort();
      else nowMs += step * DAY_MS;
    },
  };
  const listener = await TlsListener.open({
    clock,
    log: (_, values) => said.push(JSON.stringify(values)),
    address: "127.0.0.1",
    authority: {
      bundle: "",
      onChange: () => {},
      serverCertificate: async () => ({ chain: `${++made}`, untilMs: nowMs + 30 * DAY_MS }),
    },
    given: { cert: "cert.pem", key: "key.pem" },
    files: {
      read(path) {
        const text = files.get(path);
        if (text === undefined) throw new Error("ENOENT");
        return text;
      },
    },
  });
  spoil();
  await listener.run(stop.signal);
  return { counts, said };
}

const given = await newCa("given", { fromMs: START_MS - DAY_MS, toMs: START_MS + 365 * DAY_MS });
const filesOf = () =>
  new Map([
    ["cert.pem", given.certificate],
    ["key.pem", given.key],
  ]);

test("the cluster's own certificate is renewed at two thirds of its life", async () => {
  assert.deepEqual((await madeAfter([19, 2, 19, 2], filesOf())).counts, [1, 2, 2, 3]);
});

test("a given certificate that cannot be read, or is another key's, is told once; renewals go on", async () => {
  const files = filesOf();
  const gone = await madeAfter([19, 2, 21], files, () => files.delete("cert.pem"));
  assert.deepEqual([gone.counts, gone.said.length], [[1, 2, 3], 1]);
  assert.match(gone.said[0] ?? "", /cert\.pem cannot be read/);
  const others = filesOf();
  const wrong = await madeAfter([19, 2], others, () => others.set("key.pem", newKey()));
  assert.deepEqual(wrong.counts, [1, 2]);
  assert.match(wrong.said.join(), /cannot be used/);
});

test("a clock that was set back gets a certificate that has begun", async () => {
  assert.deepEqual((await madeAfter([-365, 1, 18], filesOf())).counts, [2, 2, 2]);
});

test("certificates of hosts last ten minutes at least", () => {
  assert.equal(lifeFrom({}), undefined);
  assert.deepEqual(lifeFrom({ "certificate-life": "10m" }), { hostMs: 600_000 });
  assert.throws(() => lifeFrom({ "certificate-life": "9m" }), { message: /9m is too short .*give at least 10m/s });
});
