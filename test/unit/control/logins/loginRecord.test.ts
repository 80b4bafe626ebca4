// What the store keeps of logins and tokens: digests only, for one user and no other of the name.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import {
  type Credential,
  type LoginRecord,
  digestOf,
  emptyRecord,
  isOwnOrigin,
  readRecord,
  recordKey,
  shownCredential,
  valueOf,
  withCredential,
  withPassword,
  withOrigin,
  withoutCredential,
  writtenRecord,
} from "../../../../src/control/logins/loginRecord.ts";

const NOW = 1_000_000;
const made = (name: string, more: Partial<Credential> = {}): Credential => ({
  kind: "token",
  name,
  digest: digestOf(valueOf("token", name)),
  createdMs: NOW,
  expiresMs: NOW + 1000,
  ...more,
});
const namesIn = (record: LoginRecord) => record.credentials.map(({ name }) => name);

test("what is written is read again for the user of that uid, and for no other of the name", () => {
  const record = withCredential({ ...emptyRecord("u1"), password: "scrypt$1" }, made("ci"), NOW);
  const text = writtenRecord(record, NOW);
  assert.deepEqual(readRecord(text, "u1"), record);
  assert.equal(readRecord(text, "u2"), undefined);
  assert.equal(readRecord(text, undefined), undefined);
  assert.equal(readRecord(undefined, "u1"), undefined);
  assert.ok(!text.includes(valueOf("token", "ci")));
  assert.notEqual(recordKey(undefined), recordKey("admin"));
});

test("what has expired is not written, and its name is free", () => {
  const record = withCredential(emptyRecord("u1"), made("ci"), NOW);
  assert.deepEqual(namesIn(readRecord(writtenRecord(record, NOW + 1000), "u1") ?? record), []);
  assert.deepEqual(namesIn(withCredential(record, made("ci", { expiresMs: NOW + 5000 }), NOW + 1000)), ["ci"]);
  assert.throws(() => withCredential(record, made("ci"), NOW + 999), /already/);
});

test("of too many logins the oldest end, and of too many tokens the new one is refused", () => {
  let record = emptyRecord("u1");
  const login = (n: number) => made(`login-${n}`, { kind: "login", createdMs: NOW + n });
  for (let n = 0; n < 40; n++) record = withCredential(record, login(n), NOW);
  assert.equal(record.credentials.length, 32);
  assert.equal(namesIn(record)[0], "login-8");
  for (let n = 0; n < 100; n++) record = withCredential(record, made(`t${n}`), NOW);
  assert.throws(
    () => withCredential(record, made("t100"), NOW),
    (error) => error instanceof Fault && error.reason === "quota-exceeded",
  );
  assert.equal(withCredential(record, login(41), NOW).credentials.length, 132);
});

test("another password ends logins and leaves tokens", () => {
  const login = withCredential(emptyRecord("u1"), made("login-1", { kind: "login" }), NOW);
  const both = withOrigin(withCredential(login, made("ci"), NOW), "10.0.0.1", NOW);
  const after = withPassword(both, "scrypt$2");
  assert.deepEqual(namesIn(after), ["ci"]);
  assert.equal(after.password, "scrypt$2");
  assert.equal(isOwnOrigin(after, "10.0.0.1", NOW), false);
});

test("one that was revoked is gone; one that is not there is told apart", () => {
  const record = withCredential(emptyRecord("u1"), made("ci"), NOW);
  assert.deepEqual(namesIn(withoutCredential(record, "ci") ?? record), []);
  assert.equal(withoutCredential(record, "other"), undefined);
});

test("the last eight origins of a month are known", () => {
  let record = emptyRecord("u1");
  for (let n = 0; n < 9; n++) record = withOrigin(record, `10.0.0.${n}`, NOW + n);
  assert.equal(isOwnOrigin(record, "10.0.0.0", NOW), false);
  assert.equal(isOwnOrigin(record, "10.0.0.1", NOW), true);
  assert.equal(isOwnOrigin(record, "10.0.0.1", NOW + 31 * 86_400_000), false);
  assert.equal(isOwnOrigin(undefined, "10.0.0.1", NOW), false);
  assert.equal(withOrigin(record, "10.0.0.8", NOW + 50).origins.length, 8);
});

test("what is shown has neither the digest nor an empty narrowing", () => {
  const { kind, name, createdMs, expiresMs } = made("ci");
  assert.deepEqual(shownCredential(made("ci", { narrowing: {} })), { kind, name, createdMs, expiresMs });
  const narrowing = { rights: ["use"] } as const;
  assert.deepEqual(shownCredential(made("ci", { narrowing })), { kind, name, createdMs, expiresMs, narrowing });
});
