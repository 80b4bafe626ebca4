// The CA of a cluster: kept with the store, asked only for the host's own name, and rotated without losing a host.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { Control } from "../../../../src/control/control.ts";
import { Authority } from "../../../../src/control/hosts/authority.ts";
import { SERVER } from "../../../../src/control/write.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import * as certifier from "../../../../src/tls/certifier.ts";
import { newKey } from "../../../../src/tls/key.ts";
import { certificatesIn, pinOfPem } from "../../../../src/tls/names.ts";
import { JOIN_TOKEN, reportOf } from "../lab.ts";

const NOW = 1_800_000_000_000;
const HOSTS = ["h1", "h2"];

async function opened(nowMs = NOW) {
  const store = openMemoryStore({ cluster: "lab" });
  const now = { nowMs: () => nowMs };
  const open = () => Authority.open(store, { certifier, clock: now, life: { hostMs: 3_600_000 } });
  const authority = await open();
  const keep = async ({ secret, done }: { secret: { key: string; value: string | undefined }; done: () => void }) => {
    await store.commit([], [secret]);
    done();
  };
  return { store, open, authority, keep };
}

/** A control plane with one host. */
async function served() {
  const store = openMemoryStore({ cluster: "lab" });
  const now = { nowMs: () => NOW, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) };
  const control = await Control.open(store, { certifier, clock: now });
  const { authority } = control;
  assert(authority !== undefined);
  await control.setToken("join", JOIN_TOKEN);
  await control.join({ host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] }, JOIN_TOKEN);
  return { control, authority, store };
}

const csrOf = (host: string) => certifier.requestFor(host, newKey());
const issuedBy = async (authority: Authority, host: string) =>
  new X509Certificate((await authority.issue(await authority.read(await csrOf(host), host))).certificate);

test("the CA is made once, and is the same after a restart", async () => {
  const { authority, open } = await opened();
  const again = await open();
  assert.equal(again.pin, authority.pin);
  assert.equal(again.bundle, authority.bundle);
  assert.equal(pinOfPem(authority.bundle), authority.pin);
});

test("a certificate begins in the past, lasts as long as was said, and is for the host's own name only", async () => {
  const { authority } = await opened();
  const cert = await issuedBy(authority, "h1");
  assert.equal(cert.subject, "CN=h1");
  assert.equal(cert.validFromDate.getTime(), NOW - 360_000);
  assert.equal(cert.validToDate.getTime(), NOW + 3_600_000);
  await assert.rejects(authority.read(await csrOf("h2"), "h1"), { reason: "forbidden", message: /of host "h2"/ });
  await assert.rejects(authority.read("nonsense", "h1"), { reason: "request-invalid" });
});

test("rotated: both are trusted, hosts that lack the new one are named, and the old one is dropped last", async () => {
  const { authority, open, store, keep } = await opened();
  const before = await issuedBy(authority, "h1");
  const first = authority.pin;
  for (const host of HOSTS) await store.commit([], authority.heard(host, first));
  assert.throws(() => authority.dropped(HOSTS, false), { reason: "not-found" });
  let changes = 0;
  authority.onChange(() => changes++);
  await keep(await authority.rotated());
  assert.equal(changes, 1);
  assert.notEqual(authority.pin, first);
  await assert.rejects(authority.rotated(), { reason: "in-use" });
  assert.deepEqual(certificatesIn(authority.bundle).map(pinOfPem), [authority.pin, first]);
  assert.equal(authority.issuerOf(before.toString()), first);
  const after = await issuedBy(authority, "h1");
  assert.equal(authority.issuerOf(after.toString()), authority.pin);
  const { chain } = await authority.serverCertificate(newKey(), ["127.0.0.1"]);
  assert.deepEqual(certificatesIn(chain).slice(1).map(pinOfPem), [authority.pin, first]);

  await store.commit([], authority.heard("h1", authority.pin));
  assert.deepEqual(authority.heard("h1", authority.pin), []);
  // A server that is started again knows what it knew.
  for (const one of [authority, await open()]) {
    assert.deepEqual(one.missing(HOSTS), ["h2"]);
    assert.match(one.conditions(HOSTS)[0]?.message ?? "", /1 of 2 hosts have no certificate of the new one yet: h2$/);
    assert.throws(() => one.dropped(HOSTS, false), { reason: "in-use", message: /\[host h2\]/ });
  }
  await store.commit([], authority.heard("h2", authority.pin));
  assert.match(authority.conditions(HOSTS)[0]?.message ?? "", /all 2 hosts .* run `weft ca drop`/);
  assert.deepEqual(authority.state(HOSTS).missing, []);
  await keep(authority.dropped(HOSTS, false));
  assert.deepEqual(authority.conditions(HOSTS), []);
  assert.equal(authority.issuerOf(before.toString()), undefined);
  assert.equal((await open()).bundle, authority.bundle);
  assert.equal(authority.state(HOSTS).previous, undefined);
});

test("a CA is dropped by force although hosts are missing", async () => {
  const { authority, keep } = await opened();
  await keep(await authority.rotated());
  assert.throws(() => authority.dropped(HOSTS, false), { reason: "in-use" });
  await keep(authority.dropped(HOSTS, true));
  assert.equal(certificatesIn(authority.bundle).length, 1);
});

test("who writes the CA's name into a certificate of its own is not signed by it", async () => {
  const { authority } = await opened();
  const mine = await issuedBy(authority, "h1");
  const name = /CN=(.*)/.exec(mine.issuer)?.[1] ?? "";
  const forged = await certifier.newCa(name, { fromMs: NOW, toMs: NOW + 3_600_000 });
  const request = await certifier.readRequest(await csrOf("h1"));
  const by = { ...forged, certificate: authority.bundle };
  const cert = await certifier.hostCertificate(request, by, { fromMs: NOW, toMs: NOW + 3_600_000 });
  assert.equal(authority.issuerOf(mine.toString()), authority.pin);
  assert(new X509Certificate(cert).checkIssued(new X509Certificate(authority.bundle)));
  for (const one of [cert, forged.certificate]) assert.equal(authority.issuerOf(one), undefined);
});

test("a clock of 1970, or of the next century, makes what clocks of today take", async () => {
  for (const atMs of [0, Date.UTC(2126, 0, 1)]) {
    const { authority } = await opened(atMs);
    const ca = new X509Certificate(authority.bundle);
    assert.deepEqual([ca.validFromDate.getTime(), ca.validToDate.getUTCFullYear()], [0, 9999]);
    assert(ca.verify(ca.publicKey));
    const { chain } = await authority.serverCertificate(newKey(), []);
    assert.equal(new X509Certificate(chain).validFromDate.getTime(), 0);
  }
});

test("two rotations at once are one; a drop beside it ends it, or is refused", async () => {
  const { control, authority } = await served();
  const first = authority.pin;
  const both = await Promise.allSettled([authority.rotate(SERVER), authority.rotate(SERVER)]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  assert.equal(authority.show().previous?.pin, first);
  const drops = await Promise.allSettled([authority.drop(SERVER, true), authority.drop(SERVER, true)]);
  assert.deepEqual(drops.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  await Promise.all([authority.rotate(SERVER), authority.drop(SERVER, true)]);
  assert.equal(authority.show().previous, undefined);
  await control.close();
});

test("that a host has another certificate counts when it is durable", async () => {
  const { control, authority, store } = await served();
  const report = reportOf("h1", { hostPrefixes: ["10.9.0.0/16"] });
  await authority.rotate(SERVER);
  const isFull = Promise.reject(new Error("the disk is full"));
  isFull.catch(() => undefined);
  const commit = store.commit.bind(store);
  store.commit = () => isFull;
  await assert.rejects(control.report(report, authority.pin));
  assert.deepEqual(authority.missing(["h1"]), ["h1"]);
  store.commit = commit;
  await control.report(report, authority.pin);
  assert.deepEqual(authority.missing(["h1"]), []);
  assert.equal(store.secret("prefixes/h1"), "10.9.0.0/16");
  await control.close();
});
