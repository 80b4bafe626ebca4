// What `weft network show` prints: the gateway, the device of each host, and only columns that say something.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const cli = new CommandLine();
before(async () => {
  await cli.open();
  await cli.weft(["physical", "create", "lan", "--vlans", "100-199"]);
  for (const n of [1, 2, 3]) {
    const devices = [[{ name: "eth1", mtu: 1500 }], [{ name: "eth1", mtu: 1400, down: true }], []][n - 1] as readonly {
      readonly name: string;
      readonly mtu: number;
    }[];
    const physical = [{ name: "lan", device: "eth1" }];
    const claim = { host: `h${n}`, underlay: `192.0.2.${n}`, underlayMtu: 1500, hostPrefixes: [], devices, physical };
    await cli.control.join(claim, "j".repeat(40));
  }
});
after(() => cli.close());

/** The fields and the table of hosts. */
async function shown(name: string, create: string): Promise<{ field: (name: string) => unknown; hosts: string[] }> {
  const { code, stderr } = await cli.weft(["network", "create", name, ...create.split(" ")]);
  assert.equal(code, 0, stderr);
  const { stdout } = await cli.weft(["network", "show", name]);
  const [head = "", table = ""] = stdout.split("\n\n");
  const fields = new Map([...head.matchAll(/^([^:]+): +(.*)$/gm)].map(([, key, value]) => [key, value]));
  return {
    field: (key) => fields.get(key),
    hosts: table
      .trim()
      .split("\n")
      .map((line) => line.replaceAll(/ {3,}/g, " | ")),
  };
}

test("on a physical network: the gateway outside, and each host's device in place of the underlay", async () => {
  const { field, hosts } = await shown(
    "office",
    "--driver vlan --parent lan --subnet 10.20.0.0/24 --gateway 10.20.0.1 --hosts *",
  );
  assert.equal(field("Gateway"), "10.20.0.1, a machine outside");
  assert.equal(field("Driver"), "VLAN (802.1Q)");
  assert.equal(field("MTU"), "auto: 1400, what the physical network carries");
  assert.deepEqual(hosts, [
    "HOST | DEVICE | ENDPOINTS",
    "h1 | eth1 | 0",
    "h2 | eth1, down | 0",
    "h3 | eth1, missing | 0",
  ]);
});

test("two tags are both named; a bridge that leads nowhere has no physical network", async () => {
  const tags = await shown("two", "--driver vlan --parent lan --vlan 5 --outer-vlan 7 --subnet 10.22.0.0/24");
  assert.equal(tags.field("Driver"), "VLAN (802.1Q inside 802.1ad)");
  const { field, hosts } = await shown("scratch", "--driver bridge --subnet 10.24.0.0/24 --gateway none --hosts h1");
  assert.equal(field("Gateway"), "none");
  assert.equal(field("MTU"), "auto: 1500, as nothing leads outside");
  assert.deepEqual(hosts, ["HOST | ENDPOINTS", "h1 | 0"]);
});

test("in tunnels: gateways on the hosts, blocks, VTEPs and the MTU of hosts that carry it", async () => {
  const lab = await shown(
    "lab",
    "--ipam global --placement host --subnet 10.8.0.0/24 --gateway none --host-address h1=10.8.0.4/24",
  );
  assert.equal(lab.field("MTU"), "auto: 1450, what the underlay leaves");
  assert.deepEqual(lab.hosts, ["HOST | UNDERLAY | ADDRESS | ENDPOINTS", "h1 | 192.0.2.1 | 10.8.0.4/24 | 0"]);
  assert.equal((await shown("near", "--ipam global --subnet 10.9.0.0/24")).field("Gateway"), "10.9.0.1, on each host");
  const blue = await shown("blue", "--subnet 10.7.0.0/16 --host-prefix 24");
  assert.equal(blue.field("Gateway"), "the first address of each block, on its host");
  assert.equal(blue.hosts[0], "HOST | UNDERLAY | BLOCK | VTEP | VTEP-MAC | ENDPOINTS");
});
