// `weft network edit`: fields that are changed, moved and taken away by flags, and what a refusal says to do.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const cli = new CommandLine();
before(async () => {
  await cli.open();
  await cli.weft(["physical", "create", "lan", "--vlans", "100-199"]);
});
after(() => cli.close());

async function ran(line: string): Promise<string> {
  const { code, stdout, stderr } = await cli.weft(line.split(" "));
  assert.equal(code, 0, `${line}: ${stderr}`);
  return stdout + stderr;
}
async function refused(line: string): Promise<string> {
  const { code, stderr } = await cli.weft(line.split(" "));
  assert.equal(code, 2, `${line}: ${stderr}`);
  return stderr;
}
type Network = { readonly spec: Readonly<Record<string, unknown>> };
const spec = async (name: string) => (await cli.json<Network>("network", "show", name)).spec;

test("gateways by family, all of them, and only those that a subnet is there for", async () => {
  await ran("network create lab --ipam global --subnet 10.8.0.0/24 --subnet fd00:8::/64");
  const gateways = async () => ((await spec("lab"))["subnets"] as { gateway: string }[]).map(({ gateway }) => gateway);
  await ran("network edit lab --gateway fd00:8::fe");
  assert.deepEqual(await gateways(), ["10.8.0.1", "fd00:8::fe"]);
  await ran("network edit lab --gateway none");
  assert.deepEqual(await gateways(), ["none", "none"]);
  await ran("network edit lab --subnet 10.8.0.0/23 --gateway 10.8.1.1");
  assert.deepEqual(await gateways(), ["10.8.1.1", "none"]);
  assert.match(
    await refused("network edit lab --gateway 10.8.0.3 --gateway 10.8.0.4"),
    /no subnet .* gateway 10\.8\.0\.4/,
  );
  for (const line of ["network edit lab --host-prefix 25", "network create x --pool p --gateway 10.0.0.1"])
    assert.match(await refused(line), /needs --subnet.*add --subnet CIDR/s);
});

test("a refusal to leave out what the network has names the flag that takes it away", async () => {
  await ran("network create office --driver vlan --parent lan --subnet 10.20.0.0/24 --gateway 10.20.0.1");
  assert.match(await refused("network edit office --driver vxlan"), /The network has it already: add --parent none\n/);
  const further = await refused("network edit office --driver vxlan --parent none");
  assert.match(further, /The network has it already: add --vlan none\n/);
  assert.doesNotMatch(await refused("network edit office --outer-vlan 7 --driver bridge --vlan none"), /already/);
  await ran("network edit office --driver vxlan --parent none --vlan none");
  const { driver, parent, vlan } = await spec("office");
  assert.deepEqual([driver, parent, vlan], ["vxlan", undefined, undefined]);
  await ran("network create steps --subnet 10.21.0.0/24 --ipam global --strategy next");
  const local = await refused("network edit steps --subnet 10.21.0.0/24 --host-prefix 28");
  assert.match(local, /no blocks|no gateway|strategy/);
});

test("an island by flags alone: its bridge, no gateway, no spanning tree", async () => {
  await ran("network create scratch --driver bridge --subnet 10.24.0.0/24 --gateway 10.24.0.1 --stp");
  const line = "network edit scratch --isolated --bridge br0";
  assert.match(await refused(line), /cannot have gateway 10\.24\.0\.1.*--gateway none/s);
  await ran(`${line} --gateway none`);
  const { isolated, bridge } = await spec("scratch");
  assert.deepEqual([isolated, bridge], [true, "br0"]);
});

test("another placement is another VRF", async () => {
  await ran("network create tree --ipam global --subnet 10.9.0.0/24");
  await ran("network edit tree --placement host --bridge br-tree");
  assert.deepEqual([(await spec("tree"))["vrf"], (await spec("tree"))["bridge"]], ["host", "br-tree"]);
  assert.match(await refused("network edit tree --placement own"), /The network has it already: add --bridge auto\n/);
  await ran("network edit tree --placement own --bridge auto");
  assert.deepEqual([(await spec("tree"))["vrf"], (await spec("tree"))["bridge"]], ["tree", undefined]);
});

test("a forward delay without --stp is noted to have no effect", async () => {
  const note = /note: the forward delay has no effect without --stp/;
  assert.match(await ran("network create slow --ipam global --subnet 10.10.0.0/24 --forward-delay 4"), note);
  assert.match(await ran("network edit slow --forward-delay 5"), note);
  assert.doesNotMatch(await ran("network edit slow --forward-delay 6 --stp"), /note/);
  assert.doesNotMatch(await ran("network edit slow --forward-delay auto"), /note/);
  assert.equal((await spec("slow"))["forwardDelay"], undefined);
});

test("the help says where the rest is written, and what show prints is such a file", async () => {
  assert.match(await ran("network edit --help"), /weft network show NAME -o yaml > FILE, weft apply -f FILE\./);
  const { stdout } = await cli.weft(["network", "show", "lab", "-o", "yaml"]);
  const { code, stderr } = await cli.weft(["apply", "-f", "-"], { input: stdout });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /nothing|no change|already/i);
});

test("an edit after which no host can have a network of all says so, as a create does", async () => {
  for (const [n, host] of ["n2", "n1"].entries())
    await cli.control.join(
      { host, underlay: `192.0.2.${70 + n}`, underlayMtu: 1500, hostPrefixes: [], lacks: ["gre"] },
      "j".repeat(40),
    );
  const subnet = ["--subnet", "10.99.0.0/16"];
  const created = await cli.weft(["network", "create", "everywhere", ...subnet, "--hosts", "*"]);
  assert.doesNotMatch(created.stderr, /note:/);
  const edited = await cli.weft(["network", "edit", "everywhere", "--driver", "gre"]);
  assert.equal(edited.code, 0, edited.stderr);
  assert.match(edited.stderr, /note: no host can carry it yet: n1, n2, each: it lacks GRE/);
});
