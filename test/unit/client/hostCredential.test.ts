// By what a host joins: every transition between its certificate and its join token, and that no refusal is for good.
import assert from "node:assert/strict";
import { test } from "node:test";
import { HostCredential, type HostCertificate, type Proof, proofAfter } from "../../../src/client/hostCredential.ts";
import { Fault, type Reason, REASONS } from "../../../src/model/fault.ts";
import { newCa, hostCertificate, readRequest, requestFor } from "../../../src/tls/certifier.ts";
import { newKey } from "../../../src/tls/key.ts";
import { type JoinToken, pinOfPem } from "../../../src/tls/names.ts";

const DAY = 86_400_000;
const nowMs = Date.UTC(2026, 0, 1);
const span = { fromMs: nowMs, toMs: nowMs + 7 * DAY };
const REFUSALS = ["ca-untrusted", "certificate-refused", "token-wrong"] as const;
const PIN = "p".repeat(43);

const key = newKey();
async function issued(): Promise<HostCertificate> {
  const ca = await newCa("weft", span);
  const request = await readRequest(await requestFor("h1", key));
  return { certificate: await hostCertificate(request, ca, span), ca: ca.certificate };
}

function hostWith(given: HostCertificate | undefined, first: JoinToken | undefined) {
  const file = { token: first };
  const joinToken = () => file.token ?? lacking();
  const more = given === undefined ? {} : { given };
  return { file, credential: new HostCredential({ key, joinToken, ...more }) };
}

function lacking(): never {
  throw new Fault("token-wrong", { what: "there is no token to join with", fix: "give one" });
}

test("only disbelief leads to the other proof, and only if the host has it", () => {
  for (const reason of Object.keys(REASONS) as Reason[]) {
    for (const proof of ["token", "certificate"] as const) {
      const other: Proof = proof === "token" ? "certificate" : "token";
      const isRefusal = REFUSALS.some((one) => one === reason);
      const both = { token: true, certificate: true };
      assert.equal(proofAfter(proof, reason, both), isRefusal ? other : proof, reason);
      assert.equal(proofAfter(proof, reason, { ...both, [other]: false }), proof, reason);
    }
  }
});

test("a new host joins with its token, however often that is refused, and then with its certificate", async () => {
  const { credential, file } = hostWith(undefined, { secret: "old", pin: PIN });
  for (const reason of REFUSALS) {
    credential.refused("token", reason);
    assert.deepEqual([credential.proof, credential.bearer("token")], ["token", "old"]);
    assert.deepEqual(credential.tls("token"), { trust: { pin: PIN } });
  }
  assert.ok(credential.isDue(nowMs));
  file.token = undefined;
  assert.throws(() => credential.bearer("token"), /no token to join with/);
  credential.refused("token", "token-wrong");
  assert.equal(credential.proof, "token");
  file.token = { secret: "new", pin: PIN };
  assert.equal(credential.bearer("token"), "new");
  const given = await issued();
  credential.take(given, nowMs);
  assert.deepEqual([credential.proof, credential.bearer("certificate")], ["certificate", undefined]);
  assert.deepEqual(credential.tls("certificate"), {
    trust: { ca: given.ca },
    shown: { key, certificate: given.certificate },
  });
  assert.ok(!credential.isDue(nowMs));
  credential.begin("another");
  assert.deepEqual([credential.proof, credential.key, credential.given], ["token", "another", undefined]);
  assert.ok(credential.isDue(nowMs));
});

test("refused, the certificate and the token are tried in turn until one is taken", async () => {
  for (const reason of REFUSALS) {
    const given = await issued();
    const { credential } = hostWith(given, { secret: "s", pin: PIN });
    assert.deepEqual([credential.proof, credential.isDue(nowMs)], ["certificate", false]);
    for (let turn = 0; turn < 3; turn++) {
      credential.refused("certificate", reason);
      assert.deepEqual([credential.proof, credential.isDue(nowMs)], ["token", true], reason);
      // Also refusals of requests by the certificate that were on their way meanwhile.
      credential.refused("certificate", reason);
      assert.deepEqual(credential.tls(credential.proof), { trust: { pin: PIN } });
      credential.refused("token", reason);
      assert.deepEqual([credential.proof, credential.isDue(nowMs)], ["certificate", true], reason);
      assert.deepEqual(credential.tls(credential.proof).trust, { ca: given.ca });
    }
    const next = await issued();
    credential.take(next, nowMs);
    assert.deepEqual([credential.proof, credential.isDue(nowMs)], ["certificate", false]);
    assert.notEqual(pinOfPem(next.ca), pinOfPem(given.ca));
    assert.deepEqual(credential.tls("certificate").trust, { ca: next.ca });
  }
});

test("without a token a refused certificate is shown again, and a token that comes later is tried", async () => {
  const { credential, file } = hostWith(await issued(), undefined);
  credential.refused("certificate", "unavailable");
  assert.ok(!credential.isDue(nowMs));
  credential.refused("certificate", "certificate-refused");
  assert.deepEqual([credential.proof, credential.isDue(nowMs)], ["certificate", true]);
  file.token = { secret: "s", pin: PIN };
  credential.refused("certificate", "ca-untrusted");
  assert.equal(credential.proof, "token");
  // And goes again.
  file.token = undefined;
  credential.refused("token", "token-wrong");
  assert.equal(credential.proof, "certificate");
});

test("a certificate is renewed at two thirds of its life, whatever the clocks say", async () => {
  const { credential, given, hours } = await hostOf(undefined);
  // Saved: by what it says. A clock of before it was made is wrong, or was.
  for (const [atMs, isDue] of [
    [nowMs, false],
    [nowMs + hours(111), false],
    [nowMs + hours(112), true],
    [nowMs - hours(1), true],
  ] as const)
    assert.equal(credential.isDue(atMs), isDue, `${atMs - nowMs}`);
  // Taken: from then on, by a clock that is right, a year ahead, a year behind.
  for (const wrong of [0, 365 * DAY, -365 * DAY]) {
    credential.take(given, nowMs + wrong);
    for (const [at, isDue] of [
      [0, false],
      [111, false],
      [112, true],
      [-16, false],
      // Set back since: its end would come unseen.
      [-17, true],
    ] as const)
      assert.equal(credential.isDue(nowMs + wrong + hours(at)), isDue, `${wrong} ${at}`);
  }
});

async function hostOf(token: JoinToken | undefined) {
  const given = await issued();
  return { ...hostWith(given, token), given, hours: (n: number) => n * 3_600_000 };
}
