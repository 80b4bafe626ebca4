// The CA of a cluster: kept with the store, asked only for the host's own name, and rotated without losing a host.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { Authority } from "../../../../src/control/hosts/authority.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import * as certifier from "../../../../src/tls/certifier.ts";
import { newKey } from "../../../../src/tls/key.ts";
import { certificatesIn, pinOfPem } from "../../../../src/tls/names.ts";

const NOW = 1_800_000_000_000;
const clock = { nowMs: () => NOW };
const HOSTS = ["h1", "h2"];

async function opened() {
  const store = openMemoryStore({ cluster: "lab" });
  const open = () => Authority.open(store, { certifier, clock, life: { hostMs: 3_600_000 } });
  const authority = await open();
  const keep = async ({ secret, done }: { secret: { key: string; value: string | undefined }; done: () => void }) => {
    await store.commit([], [secret]);
    done();
  };
  return { store, open, authority, keep };
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
  assert.equal(cert.validFromDate.getTime(), NOW - 3_600_000);
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
  assert.equal(authority.issuerOf(before), first);
  const after = await issuedBy(authority, "h1");
  assert.equal(authority.issuerOf(after), authority.pin);
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
  assert.equal(authority.issuerOf(before), undefined);
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
