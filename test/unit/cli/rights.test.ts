// Owner, mode and lock on the command line, against a server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "./commandLine.ts";

const line = new CommandLine();
before(() => line.open());
after(() => line.close());

test("chown, chmod, lock and unlock of a network, a group and a VRF; show and wide lists tell of it", async () => {
  const weft = async (args: string, input = "", code = 0) => {
    const ran = await line.weft(args.split(" "), { input });
    assert.equal(ran.code, code, `${args}: ${ran.stderr}`);
    return ran;
  };
  const file = [
    { kind: "usergroup", name: "red", spec: {} },
    { kind: "user", name: "ann", spec: { group: "red" } },
    { kind: "network", name: "blue", spec: { subnets: [{ cidr: "10.7.0.0/24" }] } },
    { kind: "securitygroup", name: "web", spec: { rules: [] } },
  ];
  await weft("apply -f -", JSON.stringify(file));
  assert.match((await weft("network chown blue ann")).stderr, /^network blue: ann:red um-------, not locked/);
  assert.match((await weft("network chmod blue 640")).stderr, /ann:red um-u-----/);
  assert.match((await weft("sg chown web :red")).stderr, /^security group web: administrators:red/);
  assert.match((await weft("vrf lock blue --level admin")).stderr, /locked for admin/);
  assert.match((await weft("network lock blue")).stderr, /locked for all/);
  assert.match(
    (await weft("network edit blue --description x", "", 4)).stderr,
    /locked[\s\S]*weft network unlock blue/,
  );
  assert.match((await weft("network show blue")).stdout, /Owner: +ann[\s\S]*Mode: +um-u-----[\s\S]*Lock: +all/);
  assert.match((await weft("network list -o wide")).stdout, /OWNER[\s\S]*ann +red +um-u----- +all/);
  assert.match((await weft("network unlock blue")).stderr, /not locked/);
  await weft("network edit blue --description x");
  assert.match((await weft("network chmod blue ummu", "", 2)).stderr, /is not a mode/);
  assert.match((await weft("network chown blue nobody", "", 3)).stderr, /no user "nobody"/);
  assert.match((await weft("acl list")).stderr, /No ACL rules. Make one: weft acl create --help/);
});

test("users, groups of users and ACL rules by options: create, edit, and what is missing is said", async () => {
  const weft = async (args: string, code = 0) => {
    const ran = await line.weft(args.split(" "));
    assert.equal(ran.code, code, `${args}: ${ran.stderr}`);
    return ran;
  };
  const spec = async (noun: string, name: string) =>
    (await line.json<{ readonly spec: Record<string, unknown> }>(noun, "show", name)).spec;
  await weft("usergroup create ops --description operators");
  await weft("usergroup create dev");
  assert.match((await weft("user create eve --group ops --groups dev")).stderr, /^user eve created at revision \d+$/m);
  assert.deepEqual(await spec("user", "eve"), { group: "ops", groups: ["dev"], enabled: true });
  await weft("quota set user eve --networks 5");
  assert.match((await weft("user edit eve --disable --groups none --description away")).stderr, /changed at revision/);
  const disabled = { group: "ops", groups: [], enabled: false, description: "away", quota: { networks: 5 } };
  assert.deepEqual(await spec("user", "eve"), disabled);
  await weft("user edit eve --enable --group dev");
  assert.deepEqual(await spec("user", "eve"), { ...disabled, group: "dev", enabled: true });
  assert.match((await weft("user create eve --group ops", 4)).stderr, /there is a user "eve" already/);
  assert.match((await weft("user create fay", 2)).stderr, /--group/);
  assert.match((await weft("user create --group ops", 2)).stderr, /give a name, or a file/);
  assert.match((await weft("user create fay --group nobody", 3)).stderr, /no user group "nobody"/);
  await weft("acl create makers --to-group ops --kinds template,network --all --rights create");
  assert.deepEqual(await spec("acl", "makers"), {
    subject: { usergroup: "ops" },
    resource: { kinds: ["template", "network"], all: true },
    rights: ["create"],
  });
  await weft("cluster create east");
  await weft("acl edit makers --to-all --kinds network --of-cluster east --rights use");
  await weft("acl edit makers --to-user eve --kinds network --of-group dev --rights use");
  assert.deepEqual(await spec("acl", "makers"), {
    subject: { user: "eve" },
    resource: { kinds: ["network"], usergroup: "dev" },
    rights: ["use"],
  });
  const list = await weft("acl list");
  assert.match(list.stdout, /^makers +user eve +network usergroup dev +use$/m);
  assert.match((await weft("acl create more --kinds network --all --rights use", 2)).stderr, /--to-user/);
  assert.match((await weft("acl create more --to-all --kinds network --rights use", 2)).stderr, /exactly one/);
  assert.match(
    (await weft("acl create more --to-all --kinds fish --all --rights use", 2)).stderr,
    /spec.resource.kinds/,
  );
});
