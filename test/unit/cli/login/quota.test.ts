// `weft quota`: set for users and groups, field by field, and shown beside what is used.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
const { control } = line;
const ADMIN = { role: "admin" } as const;
const weft = async (words: string) => {
  const ran = await line.weft(words.split(" "));
  assert.equal(ran.code, 0, `${words}: ${ran.stderr}`);
  return ran.stdout + ran.stderr;
};
const quota = async () => (await control.find("user", "ann", ADMIN))?.spec.quota;

before(async () => {
  await line.open();
  await control.write({ verb: "put", kind: "usergroup", name: "dev", spec: {} });
  await control.write({ verb: "put", kind: "user", name: "ann", spec: { group: "dev" } });
});
after(() => line.close());

test("a quota is set field by field, taken away, and shown", async () => {
  assert.match(await weft("quota show"), /No quotas/);
  await weft("quota set user ann --networks 5 --leases-in lab=20 --leases-in old=3 --bandwidth 1gbit");
  await weft("quota set user ann --leases 100 --leases-in old=none --networks none");
  assert.deepEqual(await quota(), {
    leases: 100,
    leasesIn: [{ network: "lab", leases: 20 }],
    bandwidth: 1_000_000_000,
  });
  await weft("quota set group dev --endpoints 7");
  const shown = await weft("quota show");
  for (const row of [/user ann +leases +0 +100\n/, /user ann +leases in lab +0 +20\n/, /group dev +endpoints +0 +7\n/])
    assert.match(shown, row);
  assert.doesNotMatch(await weft("quota show user ann"), /group dev/);
  for (const words of ["user ann", "user ann --networks x", "team dev --networks 1", "user ann --bandwidth fast"])
    assert.equal((await line.weft(["quota", "set", ...words.split(" ")])).code, 2, words);
  assert.equal((await line.weft(["quota", "set", "user", "nobody", "--networks", "1"])).code, 3);
});
