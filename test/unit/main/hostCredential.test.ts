// By what an agent begins: a host that was never let in needs a join token at once, any other may wait for one.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openDisk } from "../../../src/agent/server/stateDir.ts";
import { realFiles } from "../../../src/files/real.ts";
import { hostCredential } from "../../../src/main/hostCredential.ts";
import { Fault } from "../../../src/model/fault.ts";

const [FIRST, LATER] = ["a".repeat(43), "b".repeat(43)];

function machine(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "weft-credential-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "join.token");
  const stateDir = join(folder, "state");
  const disk = openDisk(stateDir, realFiles);
  const begin = (more: { readonly "ca-pin"?: string } = {}) =>
    hostCredential(disk, "h1", { "state-dir": stateDir, "join-token-file": file, ...more });
  return { file, disk, begin };
}

const isFault = (reason: string, text: RegExp) => (error: unknown) =>
  error instanceof Fault && error.reason === reason && text.test(error.message);

test("a host that was never let in ends without a token, or with one that names no CA", (t) => {
  const { file, begin } = machine(t);
  assert.throws(() => begin(), isFault("token-wrong", /no token to join with.*weft host token create/));
  writeFileSync(file, "\n");
  assert.throws(() => begin(), isFault("token-wrong", /the file is empty/));
  writeFileSync(file, "secret");
  assert.throws(() => begin(), isFault("token-wrong", /has no pin/));
  assert.deepEqual(begin({ "ca-pin": FIRST }).tls("token"), { trust: { pin: FIRST } });
  writeFileSync(file, `secret.${LATER}\n`);
  // What is said on the command line counts before what was copied.
  assert.deepEqual(begin({ "ca-pin": FIRST }).tls("token"), { trust: { pin: FIRST } });
  assert.deepEqual([begin().bearer("token"), begin().tls("token")], ["secret", { trust: { pin: LATER } }]);
});

test("a host that was let in begins without a token, and takes one that comes later", (t) => {
  const { file, disk, begin } = machine(t);
  disk.saveIdentity({ host: "h1", cluster: "c", key: disk.proposal(() => "a key") });
  const credential = begin({ "ca-pin": FIRST });
  assert.equal(credential.proof, "token");
  assert.throws(() => credential.bearer("token"), isFault("token-wrong", /no token to join with/));
  writeFileSync(file, `secret.${LATER}\n`);
  assert.deepEqual([credential.bearer("token"), credential.tls("token")], ["secret", { trust: { pin: LATER } }]);
  writeFileSync(file, "secret");
  assert.deepEqual(credential.tls("token"), { trust: { pin: FIRST } });
});

test("a state directory of another host is refused", (t) => {
  const { disk, begin } = machine(t);
  disk.saveIdentity({ host: "h2", cluster: "c", key: "a key" });
  assert.throws(() => begin(), isFault("host-claimed", /belongs to host h2/));
});
