// Join tokens over the API: made, used by hosts, listed without their values, and ended; also beside a rotation.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as certifier from "../../../src/tls/certifier.ts";
import { joinTokenOf } from "../../../src/tls/names.ts";
import { JOIN, claim, closeAll, fits, isProblem, open } from "./lab.ts";

after(closeAll);

test("a token lets in as many hosts as it has uses; the list says which, and never a value", async () => {
  const { ask } = await open();
  const made = await ask("POST", "/v1/jointokens", { name: "rack7", uses: 1, expiresInSeconds: 3600 });
  assert.equal(made.status, 201, made.text);
  fits("JoinTokenMade", made.body);
  const { secret, pin } = joinTokenOf(made.body.token as string);
  assert.equal(pin, (await ask("GET", "/v1/ca")).body.pin);
  assert.match(secret, /^weft_join_[\w-]{32,}$/);
  const join = (n: number, token = secret) => ask("POST", `/v1/hosts/h${n}/join`, claim(n), { token });
  const joined = await join(1);
  assert.equal(joined.status, 200, joined.text);
  const refused = await join(2);
  isProblem(refused, "token-wrong", /"rack7" lets nobody in: it has been used once/);
  assert.ok(!refused.text.includes(secret));
  // It is no other right, and the host that it let in has its own.
  isProblem(await ask("GET", "/v1/jointokens", undefined, { token: secret }), "forbidden", /a join token/);
  const { certificate } = joined.body;
  isProblem(await ask("GET", "/v1/jointokens", undefined, { token: certificate }), "forbidden", /host "h1"/);
  assert.equal((await join(2, JOIN)).status, 200);
  const listed = await ask("GET", "/v1/jointokens");
  fits("JoinTokens", listed.body);
  assert.ok(!listed.text.includes(secret));
  const rows = (listed.body.items as { name: string; state: string; used: number; hosts: { host: string }[] }[]).map(
    ({ name, state, used, hosts }) => [name, state, used, hosts.map(({ host }) => host).join()],
  );
  assert.deepEqual(rows, [
    ["default", "valid", 1, "h2"],
    ["rack7", "used up", 1, "h1"],
  ]);
  assert.equal((await ask("DELETE", "/v1/jointokens/rack7")).status, 200);
  isProblem(await join(3), "token-wrong", /it was ended/);
  isProblem(await ask("DELETE", "/v1/jointokens/rack7"), "not-found", /"rack7"/);
  // Hosts that it let in stay.
  assert.equal((await ask("GET", "/v1/hosts/h1", undefined, { token: certificate })).status, 200);
});

test("what is no request for a token is refused", async () => {
  const { ask } = await open();
  for (const body of [
    {},
    { name: "" },
    { name: "a b" },
    { name: "x", uses: 0 },
    { name: "x", uses: 1001 },
    { name: "x", expiresInSeconds: 59 },
    { name: "x", token: "mine" },
  ])
    isProblem(await ask("POST", "/v1/jointokens", body), "request-invalid", /./);
  isProblem(await ask("POST", "/v1/jointokens", { name: "default" }), "name-taken", /"default"/);
});

test("a rotation says which tokens name the CA before", async () => {
  const { ask } = await open([], { certifier });
  await ask("POST", "/v1/jointokens", { name: "old" });
  const rotated = await ask("POST", "/v1/ca/rotate");
  fits("Ca", rotated.body);
  assert.deepEqual(rotated.body.joinTokens, ["old"]);
  await ask("POST", "/v1/jointokens", { name: "new" });
  const dropped = await ask("POST", "/v1/ca/drop?force=true");
  assert.deepEqual(dropped.body.joinTokens, ["old"], dropped.text);
  await ask("DELETE", "/v1/jointokens/old");
  assert.equal((await ask("GET", "/v1/ca")).body.joinTokens, undefined);
});
