// What is kept of a password tells the password from others, and nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import {
  HashQueue,
  checkPassword,
  decoyOf,
  digestOfPassword,
  isAtCost,
  isPassword,
} from "../../../../src/control/logins/password.ts";

const CHEAP = { log2: 4, r: 8, p: 1 };
const PASSWORD = "correct horse battery";

test("a digest fits its password and no other, and two of one password differ", async () => {
  const digest = await digestOfPassword(PASSWORD, CHEAP);
  assert.ok(await isPassword(PASSWORD, digest));
  for (const other of ["", "correct horse batterz", `${PASSWORD} `, PASSWORD.toUpperCase()])
    assert.equal(await isPassword(other, digest), false);
  assert.notEqual(await digestOfPassword(PASSWORD, CHEAP), digest);
  assert.ok(!digest.includes("correct"));
});

test("the hash is scrypt's, as RFC 7914 12 has it", async () => {
  const digest = await digestOfPassword("pleaseletmein", { log2: 14, r: 8, p: 1 }, Buffer.from("SodiumChloride"));
  const hash = Buffer.from(digest.split("$").at(-1) ?? "", "base64url").toString("hex");
  assert.equal(hash, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
});

test("the same signs written in another way are the same password", async () => {
  const digest = await digestOfPassword("schöne grüße an alle", CHEAP);
  assert.ok(await isPassword("scho\u0308ne gru\u0308ße an alle", digest));
});

test("a digest keeps its cost, and nothing fits a decoy", async () => {
  const digest = await digestOfPassword(PASSWORD, CHEAP);
  assert.ok(isAtCost(digest, CHEAP));
  assert.equal(isAtCost(digest, { ...CHEAP, log2: 5 }), false);
  assert.equal(await isPassword("", decoyOf(CHEAP)), false);
  assert.ok(isAtCost(decoyOf(CHEAP), CHEAP));
});

test("passwords that are easily guessed, or cannot be typed again, are not taken", () => {
  checkPassword(PASSWORD, "alice");
  checkPassword("пароль из слов", "alice");
  const unfit = ["", "short", "a".repeat(20), "abababababab", "line\nline line", "alice12345", "x1y2".repeat(65)];
  for (const password of unfit)
    assert.throws(
      () => checkPassword(password, "alice"),
      (error) => {
        assert.ok(error instanceof Fault && error.reason === "password-unfit", password);
        assert.ok(password === "" || !error.message.includes(password));
        return true;
      },
    );
});

test("few are hashed at once, all in order, and no more than can be served wait", async () => {
  const queue = new HashQueue();
  const open = Promise.withResolvers<void>();
  let running = 0;
  const done: number[] = [];
  const all = Array.from({ length: 34 }, (_, i) =>
    queue.run(async () => {
      running++;
      assert.ok(running <= 2);
      await open.promise;
      running--;
      done.push(i);
    }),
  );
  await assert.rejects(
    queue.run(async () => {}),
    /checks too many passwords/,
  );
  open.resolve();
  await Promise.all(all);
  assert.deepEqual(
    done,
    Array.from({ length: 34 }, (_, i) => i),
  );
  assert.equal(await queue.run(async () => 7), 7);
  await assert.rejects(
    queue.run(() => Promise.reject(new Error("broken"))),
    /broken/,
  );
  assert.equal(await queue.run(async () => 8), 8);
});
