// What is remembered between the begin and the end of a login opens once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Sealer } from "../../../src/oidc/sealed.ts";

test("what was used opens nothing, also when it is spelled in another way", async () => {
  const sealer = new Sealer({ nowMs: Date.now, monotonicMs: () => performance.now(), sleep: async () => {} });
  const handle = await sealer.seal("login", { nonce: "1" });
  assert.deepEqual(await sealer.open("login", handle), { nonce: "1" });
  sealer.use(handle);
  await assert.rejects(sealer.open("login", handle), { reason: "token-wrong" });
  // The last character has four bits that decoding drops: sixteen of these texts are one handle.
  const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (const each of last) {
    await assert.rejects(sealer.open("login", handle.slice(0, -1) + each), { reason: "token-wrong" });
  }
});
