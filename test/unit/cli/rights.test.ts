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
  assert.match((await weft("acl list")).stderr, /No ACL rules. Make one: weft acl create -f FILE/);
});
