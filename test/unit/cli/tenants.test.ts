// What HyperCX's pages do with networks of others, templates and automatic selection, done by people who are no
// administrators: docs/tenancy.md says in its table what each step is here.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CommandLine } from "./commandLine.ts";

const line = new CommandLine();
const env: Record<string, Record<string, string>> = { admin: {} };
before(async () => {
  await line.open();
  await line.joinHost("h1", "192.0.2.1");
  for (const each of ["usergroup create users", "usergroup create ops", "cluster create east --host h1"])
    await does("admin", each);
  for (const [user, group] of [
    ["ann", "users"],
    ["sue", "ops"],
  ] as const) {
    await does("admin", `user create ${user} --group ${group}`);
    env[user] = { WEFT_TOKEN_FILE: join(line.folder, user) };
    writeFileSync(join(line.folder, user), (await does("admin", `token create t --user ${user}`)).stdout);
  }
});
after(() => line.close());

async function does(who: string, words: string, code = 0) {
  const ran = await line.weft(words.split(" "), { env: env[who] ?? {} });
  assert.equal(ran.code, code, `${who}: ${words}: ${ran.stderr}`);
  return ran;
}

test("networks are for the users of a group once a rule says so; who owns one sees all of it", async () => {
  await does("admin", "network create office --ipam global --subnet 10.50.0.0/24");
  assert.equal((await does("ann", "network list -o name")).stdout, "");
  await does("admin", "acl create users-use-networks --to-group users --kinds network --all --rights use");
  assert.equal((await does("ann", "network list -o name")).stdout, "network/office\n");
  await does("ann", "template instantiate private-ipv4 own");
  const { stdout } = await does("ann", "network show own");
  assert.match(stdout, /^Name: +own$[^]*^Gateway: +10\.64\.0\.1, [^]*^Owner: +ann$/m);
  assert.doesNotMatch(stdout, /Condition/);
  await does("ann", "network edit own --description mine --label tier=web --dns 10.64.0.53");
  await does("ann", "network edit own --description ours --wait");
  assert.match((await does("ann", "network show own")).stdout, /^Description: +ours$/m);
  await does("ann", "network range add own web --first 10.64.0.10 --size 20");
  await does("ann", "network chmod own um-------");
  await does("ann", "network range remove own web", 5);
  const limited = await does("ann", "network edit own --inbound avg=10mbit", 5);
  assert.match(limited.stderr, /spec\.qos[^]*right admin is missing, which it takes to change "qos"/);
  await does("ann", "network conversion list");
});

test("who is given it makes templates: the eleven operations, and use of one for others", async () => {
  const make = "template create campus --mtu 1400 --restrict mtu";
  assert.match((await does("sue", make, 5)).stderr, /right create for templates is missing/);
  await does("admin", "acl create ops-make-templates --to-group ops --kinds template --all --rights create");
  assert.match((await does("sue", make)).stderr, /note: it has no addresses, so each network has to be given some/);
  assert.match((await does("ann", "template instantiate campus lab --subnet 10.60.0.0/24", 3)).stderr, /no template/);
  await does("sue", "template chmod campus um----u--");
  assert.match((await does("ann", "template instantiate campus lab", 2)).stderr, /give it one, or a pool/);
  await does("ann", "template instantiate campus lab --subnet 10.60.0.0/24");
  assert.match((await does("ann", "network show lab")).stdout, /MTU: +1400[^]*Owner: +ann/);
  const other = await does("ann", "template instantiate campus other --subnet 10.61.0.0/24 --mtu 1300", 5);
  assert.match(other.stderr, /restricts mtu/);
  assert.match((await does("sue", "template show campus")).stdout, /Restricted: +mtu/);
  await does("sue", "template update campus --dns 10.60.0.53");
  await does("sue", "template clone campus copy");
  await does("sue", "template rename copy ours");
  await does("sue", "template lock ours");
  for (const each of ["instantiate ours x --subnet 10.62.0.0/24", "delete ours", "update ours --dns 10.0.0.1"])
    assert.match((await does("sue", `template ${each}`, 4)).stderr, /weft template unlock ours/);
  await does("sue", "template unlock ours");
  await does("admin", "template chown ours ann:users");
  assert.match((await does("ann", "template show ours")).stdout, /Owner: +ann\nUser group: +users/);
  await does("ann", "template delete ours");
});

test("a template's clusters are those of its networks; who may use a cluster of hosts names it", async () => {
  await does("admin", "template create eastern --ipam global --pool private-ipv4 --cluster east");
  await does("admin", "template chmod eastern um----u--");
  await does("ann", "template instantiate eastern e1");
  assert.deepEqual((await line.json<{ spec: { clusters: string[] } }>("network", "show", "e1")).spec.clusters, [
    "east",
  ]);
  assert.match(
    (await does("ann", "template instantiate private-ipv4 e2 --cluster east", 3)).stderr,
    /no cluster "east"/,
  );
});

test("automatic selection: only networks that the caller may use, and why not the others", async () => {
  await does("admin", "acl create sue-uses-office --to-user sue --kinds network --named office --rights use");
  const select = ["network", "select", "--requires", 'FREE_LEASES > 10 & !(NAME = "*test*")'];
  const { stdout, stderr } = await line.weft(select, { env: env["sue"] ?? {} });
  assert.match(stdout, /^1 +office +253/m, stderr);
  assert.doesNotMatch(stdout, /own|lab|e1/);
});
